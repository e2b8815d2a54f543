//! Element types of values, and precisions of stored weights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The element type of a value while it is computed with. Floats accumulate in f32 everywhere;
/// how a *stored* tensor is held is its [`Precision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer: token ids, positions, masks as Hugging Face passes them.
    I32,
    /// Result of a comparison, condition of a select.
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

/// A block-wise linear weight format: `bits`-wide codes, one header per `group` consecutive columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QuantSpec {
    /// Width of a code: 2, 3, 4 or 8.
    pub bits: u8,
    /// Columns per block: 16, 32, 64 or 128.
    pub group: u16,
    /// Whether a block also has its own minimum (a two-byte header) instead of a grid centred near zero.
    pub asymmetric: bool,
}

/// How a weight is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// 32-bit float.
    F32,
    /// 16-bit float, decoded to f32 when read.
    F16,
    /// Block-wise quantized.
    Quant(QuantSpec),
}

impl Precision {
    /// The bits of payload per weight, without scales and padding.
    pub fn payload_bits(&self) -> u32 {
        match self {
            Precision::F32 => 32,
            Precision::F16 => 16,
            Precision::Quant(q) => u32::from(q.bits),
        }
    }
}

/// Default block size of quantized formats.
pub const DEFAULT_GROUP: u16 = 32;

impl FromStr for Precision {
    type Err = String;

    /// `f32`, `f16`, `q8`, `q4`, `q3`, `q2`, optionally with `.gN` (block size) and `.asym`: `q4.g64.asym`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let head = parts.next().unwrap_or_default();
        let bits = match head {
            "f32" | "f16" if parts.clone().next().is_some() => return Err(format!("`{head}` takes no block size")),
            "f32" => return Ok(Precision::F32),
            "f16" => return Ok(Precision::F16),
            "q8" => 8,
            "q4" => 4,
            "q3" => 3,
            "q2" => 2,
            _ => return Err(format!("unknown precision `{text}`; expected one of f32, f16, q8, q4, q3, q2")),
        };
        let mut spec = QuantSpec { bits, group: DEFAULT_GROUP, asymmetric: false };
        for part in parts {
            match part {
                "g16" => spec.group = 16,
                "g32" => spec.group = 32,
                "g64" => spec.group = 64,
                "g128" => spec.group = 128,
                "asym" => spec.asymmetric = true,
                _ => return Err(format!("unknown precision suffix `.{part}`; expected g16, g32, g64, g128 or asym")),
            }
        }
        Ok(Precision::Quant(spec))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Precision::F32 => f.write_str("f32"),
            Precision::F16 => f.write_str("f16"),
            Precision::Quant(q) => {
                write!(f, "q{}.g{}{}", q.bits, q.group, if q.asymmetric { ".asym" } else { "" })
            }
        }
    }
}
