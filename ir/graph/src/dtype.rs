//! Element types of values, and precisions of stored weights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::format::{self, QuantSpec};

/// The element type of a value in a computation. Floats accumulate in f32 on all targets. The form in which a tensor is
/// *stored* is its [`Precision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer: token ids, positions, masks of padding.
    I32,
    /// Truth value: the result of a comparison, the condition of a select.
    Bool,
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::I32 => "i32",
            DType::Bool => "bool",
        })
    }
}

/// How a weight is stored. In files and messages it is a text: `f16`, `q4.g32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Precision {
    /// 32-bit float.
    F32,
    /// 16-bit float, decoded to f32 when read.
    F16,
    /// Quantized in blocks.
    Quant(QuantSpec),
}

impl Precision {
    /// The bits of a code, without scales and padding.
    pub fn payload_bits(&self) -> u32 {
        match self {
            Precision::F32 => 32,
            Precision::F16 => 16,
            Precision::Quant(spec) => u32::from(spec.format().bits()),
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    /// `f32`, `f16`, or a quantized format, optionally with a block size and a suffix: `q4.g64.asym`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.').map_or(text, |(head, _)| head) {
            head @ ("f32" | "f16") if head != text => Err(format!("`{head}` has no block size")),
            "f32" => Ok(Precision::F32),
            "f16" => Ok(Precision::F16),
            head if format::FORMATS.iter().any(|f| f.name == head) => text.parse().map(Precision::Quant),
            _ => Err(format!("unknown precision `{text}`; expected one of {}", precision_names())),
        }
    }
}

/// The names of all precisions, without block sizes and suffixes: `f32, f16, q8, ..`.
pub fn precision_names() -> String {
    format!("f32, f16, {}", format::names())
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Precision::F32 => f.write_str("f32"),
            Precision::F16 => f.write_str("f16"),
            Precision::Quant(spec) => spec.fmt(f),
        }
    }
}

impl TryFrom<String> for Precision {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Precision> for String {
    fn from(precision: Precision) -> Self {
        precision.to_string()
    }
}
