//! Arrays on the host.

use crate::dtype::DType;
use crate::literal::Literal;

/// The largest number of elements of a value.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// The elements of an [`Array`], in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// Runs the same generic code on the vector of any type, and wraps the result.
macro_rules! map_data {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::array::Data::F32($v) => $crate::array::Data::F32($body),
            $crate::array::Data::I32($v) => $crate::array::Data::I32($body),
            $crate::array::Data::Bool($v) => $crate::array::Data::Bool($body),
        }
    };
}
pub(crate) use map_data;

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::Bool(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A dense array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The size of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The elements; their number is the product of the sizes in `shape`.
    pub data: Data,
}

impl Array {
    /// A tensor of floats.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Self {
        Array { shape: shape.to_vec(), data: Data::F32(data) }
    }

    /// A tensor of integers.
    pub fn i32(shape: &[usize], data: Vec<i32>) -> Self {
        Array { shape: shape.to_vec(), data: Data::I32(data) }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::I32(_) => DType::I32,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// The elements, if they are floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements, if they are integers.
    pub fn as_i32(&self) -> Option<&[i32]> {
        match &self.data {
            Data::I32(v) => Some(v),
            _ => None,
        }
    }

    /// Checks that the number of elements agrees with the shape.
    ///
    /// # Errors
    /// If it does not; the message has both numbers.
    pub fn check(&self) -> Result<(), String> {
        let count = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if count == Some(self.data.len()) {
            return Ok(());
        }
        Err(format!("shape {:?} does not have {} elements", self.shape, self.data.len()))
    }

    /// The elements of an operand that inference has accepted as f32.
    pub(crate) fn floats(&self) -> Result<&[f32], String> {
        self.as_f32().ok_or_else(|| format!("expected f32, found {}", self.dtype()))
    }

    /// The elements of an operand that inference has accepted as i32.
    pub(crate) fn integers(&self) -> Result<&[i32], String> {
        self.as_i32().ok_or_else(|| format!("expected i32, found {}", self.dtype()))
    }

    /// The size of the last axis (1 for a scalar).
    pub(crate) fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

/// A scalar, of rank 0.
pub(crate) fn scalar(value: Literal) -> Array {
    let data = match value {
        Literal::F32(v) => Data::F32(vec![v.get()]),
        Literal::I32(v) => Data::I32(vec![v]),
        Literal::Bool(v) => Data::Bool(vec![v]),
    };
    Array { shape: Vec::new(), data }
}
