//! Constants in a graph: numbers and truth values.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dtype::DType;

/// An f32 constant that is compared and hashed by its bits, so that operations can be keys of maps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bits(u32);

impl Bits {
    /// Wraps a value.
    pub fn new(value: f32) -> Self {
        Bits(value.to_bits())
    }
    /// The value.
    pub fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

/// A literal of any element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Literal {
    /// 32-bit float.
    F32(Bits),
    /// 32-bit integer.
    I32(i32),
    /// Truth value.
    Bool(bool),
}

impl Literal {
    /// A float literal.
    pub fn f32(value: f32) -> Self {
        Literal::F32(Bits::new(value))
    }
    /// Its element type.
    pub fn dtype(self) -> DType {
        match self {
            Literal::F32(_) => DType::F32,
            Literal::I32(_) => DType::I32,
            Literal::Bool(_) => DType::Bool,
        }
    }
}
