//! The interface between the runtime and what executes a model: tensors in, tensors out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// The elements of a [`Tensor`], in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 32-bit integers.
    I32(Vec<i32>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I32(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type, `f32` or `i32`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Data::F32(_) => "f32",
            Data::I32(_) => "i32",
        }
    }
}

/// A dense array on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The size of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The elements; their number is the product of the sizes in `shape`.
    pub data: Data,
}

impl Tensor {
    /// A tensor of floats. `data` must have as many elements as the shape; backends check it.
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Tensor { shape: shape.into(), data: Data::F32(data) }
    }

    /// A tensor of integers. `data` must have as many elements as the shape; backends check it.
    pub fn i32(shape: impl Into<Vec<usize>>, data: Vec<i32>) -> Self {
        Tensor { shape: shape.into(), data: Data::I32(data) }
    }

    /// The elements, if they are floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            Data::I32(_) => None,
        }
    }

    /// The elements, if they are integers.
    pub fn as_i32(&self) -> Option<&[i32]> {
        match &self.data {
            Data::I32(v) => Some(v),
            Data::F32(_) => None,
        }
    }

    /// Element type and shape, for messages: `i32 [1, 7]`.
    pub fn describe(&self) -> String {
        format!("{} {:?}", self.data.type_name(), self.shape)
    }
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// The result of a backend operation, as a future: native programs block on it, browsers make it a promise.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// One call of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The name of the entry to run.
    pub entry: String,
    /// Its inputs by name. Absent ones take their defaults.
    pub inputs: Tensors,
    /// Tokens in the states before the call (`P`). Afterwards there are `past + T`.
    pub past: u32,
    /// An input that the device takes from an output of the previous call.
    pub device_input: Option<DeviceInput>,
}

impl Request {
    /// A call with all its inputs on the host.
    pub fn new(entry: &str, inputs: &Tensors, past: u32) -> Self {
        Request { entry: entry.to_string(), inputs: inputs.clone(), past, device_input: None }
    }
}

/// An input that takes an output of the previous call on the device, without a copy through the host. Only backends
/// with a [`Backend::depth`] above 1 get such requests, and only right after a call that wants `output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInput {
    /// The name of the input. [`Request::inputs`] holds a tensor of its shape, whose values are ignored.
    pub input: String,
    /// The name of the output of the previous call. It has as many elements as the input.
    pub output: String,
}

/// Executes the entries of one bundle.
///
/// The symbols of a call have these values: `B`, `T` and those of the architecture come from the shapes of the given
/// inputs, `P` is [`Request::past`], `C` is the capacity given to [`Backend::begin`]. [`crate::call::prepare`] computes
/// them, fills in absent inputs and checks the others, so that all backends agree and report the same errors.
pub trait Backend {
    /// A description for users: adapter, driver and features.
    fn describe(&self) -> String;

    /// How many calls may be in flight at once with a benefit; 1 if calls do not overlap.
    fn depth(&self) -> usize {
        1
    }

    /// Starts a new session: allocates states for `capacity` tokens in each of `batch` rows and sets them to zero
    /// (`P` = 0). Calls in flight are dropped. Models without states do not need it.
    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()>;

    /// Starts a call. `want` names the outputs to return; if it is empty, all are. Other outputs need not be computed.
    ///
    /// # Errors
    /// If an input is missing, unknown or has a wrong shape: the message names the input, the expected and the actual
    /// shape.
    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()>;

    /// The outputs of the oldest call in flight.
    ///
    /// # Errors
    /// If no call is in flight.
    fn finish(&mut self) -> Pending<'_, Tensors>;
}

/// Runs one call and waits for its outputs.
///
/// # Errors
/// See [`Backend::start`] and [`Backend::finish`].
pub async fn run(backend: &mut dyn Backend, request: &Request, want: &[&str]) -> Result<Tensors, Error> {
    backend.start(request, want).await?;
    backend.finish().await
}

/// Runs independent calls, up to [`Backend::depth`] at once, and returns their outputs in the order of `requests`.
/// `want` is that of [`Backend::start`].
///
/// # Errors
/// The first error of a call. Calls in flight are completed first, and no further ones are started.
pub async fn run_all(backend: &mut dyn Backend, requests: &[Request], want: &[&str]) -> Result<Vec<Tensors>, Error> {
    let mut waiting = requests.iter();
    let mut results = Vec::with_capacity(requests.len());
    let mut under_way = 0;
    let mut failure = None;
    loop {
        let room = under_way < backend.depth().max(1) && failure.is_none();
        if let Some(request) = room.then(|| waiting.next()).flatten() {
            match backend.start(request, want).await {
                Ok(()) => under_way += 1,
                Err(e) => failure = Some(e),
            }
        } else if under_way > 0 {
            // Even after a failure: no other caller may get these results.
            under_way -= 1;
            match backend.finish().await {
                Ok(outputs) => results.push(outputs),
                Err(e) => failure = failure.or(Some(e)),
            }
        } else {
            return failure.map_or(Ok(results), Err);
        }
    }
}

/// The error of [`Backend::finish`] if no call is in flight.
pub fn nothing_started() -> Error {
    Error::Backend("a result was requested, but no call is in progress".to_string())
}
