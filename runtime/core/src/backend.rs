//! What executes a model: tensors in, tensors out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// Elements of a [`Tensor`], row-major.
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `f32` or `i32`.
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
    /// Size per axis, outermost first.
    pub shape: Vec<usize>,
    /// As many elements as the shape says.
    pub data: Data,
}

impl Tensor {
    /// A tensor of floats. The caller sees to it that shape and number of elements agree; backends check it.
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Tensor { shape: shape.into(), data: Data::F32(data) }
    }

    /// A tensor of integers. The caller sees to it that shape and number of elements agree; backends check it.
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

    /// Element type and shape for messages: `i32 [1, 7]`.
    pub fn describe(&self) -> String {
        format!("{} {:?}", self.data.type_name(), self.shape)
    }
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// What a backend answers with: natively it is waited for, in a browser it is a promise.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// One call of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The entry to run.
    pub entry: String,
    /// Its inputs. Absent ones take their defaults.
    pub inputs: Tensors,
    /// Tokens already in the states; afterwards there are `past + T`.
    pub past: u32,
    /// An input whose values are not known yet.
    pub device_input: Option<DeviceInput>,
}

impl Request {
    /// A call whose inputs are all known.
    pub fn new(entry: &str, inputs: &Tensors, past: u32) -> Self {
        Request { entry: entry.to_string(), inputs: inputs.clone(), past, device_input: None }
    }
}

/// An input that takes what the call before has computed, without a way through the host. Only backends with a
/// [`Backend::depth`] above 1 get such requests, and only directly behind a call that wants `output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInput {
    /// Name of the input. [`Request::inputs`] holds a tensor of its shape, whose values mean nothing.
    pub input: String,
    /// Name of the output of the call before; it has as many elements.
    pub output: String,
}

/// Executes the entries of one bundle.
///
/// The symbols of a call are found as follows: `B`, `T` and the architecture's own from the shapes of the given
/// inputs, `P` is [`Request::past`], `C` is the capacity given to [`Backend::begin`]. [`crate::call::prepare`] does
/// this, fills absent inputs and checks the rest, so that all backends agree and report the same errors.
pub trait Backend {
    /// What executes, for people: adapter, driver, and what it offers.
    fn describe(&self) -> String;

    /// How many calls may usefully be under way at once.
    fn depth(&self) -> usize {
        1
    }

    /// Starts a new sequence of calls: states get space for `capacity` tokens in each of `batch` rows, hold
    /// nothing (`P` = 0), and are zero. Calls under way are forgotten. Models without states need no `begin`.
    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()>;

    /// Starts a call. `want` names the outputs to give back; empty means all. An output that is not wanted may not
    /// be computed at all. Errors name the input, the expected and the found shape.
    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()>;

    /// The outputs of the oldest call that was started and not finished yet. An error if there is none.
    fn finish(&mut self) -> Pending<'_, Tensors>;
}

/// A call from begin to end.
pub async fn run(backend: &mut dyn Backend, request: &Request, want: &[&str]) -> Result<Tensors, Error> {
    backend.start(request, want).await?;
    backend.finish().await
}

/// Calls that do not depend on one another, as many at once as the backend likes; results in their order. `want` is
/// that of [`Backend::start`].
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
            // After a failure, too: nobody else may get these results.
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

/// What [`Backend::finish`] says when nothing was started.
pub fn nothing_started() -> Error {
    Error::Backend("a result was asked for, but no call is under way".to_string())
}
