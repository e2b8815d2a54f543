//! What executes a model: tensors in, tensors out.

use std::collections::BTreeMap;

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

/// Executes the entries of one bundle.
///
/// The symbols of a call are found as follows: `B`, `T` and the architecture's own from the shapes of the given
/// inputs, `P` is `past`, `C` is the capacity given to [`Backend::begin`]. [`crate::call::prepare`] does this, fills
/// absent inputs and checks the rest, so that all backends agree and report the same errors.
pub trait Backend {
    /// What executes, for people: adapter, driver, and what it offers.
    fn describe(&self) -> String;

    /// Starts a new sequence of calls: states get space for `capacity` tokens in each of `batch` rows, hold
    /// nothing (`P` = 0), and are zero. Models without states need no `begin`.
    fn begin(&mut self, batch: u32, capacity: u32) -> Result<(), Error>;

    /// Runs an entry with `past` tokens already in the states; afterwards there are `past + T`.
    ///
    /// Absent inputs take their defaults. `want` names the outputs to give back; empty means all. An output
    /// that is not wanted may not be computed at all. Errors name the input, the expected and the found shape.
    fn run(
        &mut self,
        entry: &str,
        inputs: &BTreeMap<String, Tensor>,
        past: u32,
        want: &[&str],
    ) -> Result<BTreeMap<String, Tensor>, Error>;
}
