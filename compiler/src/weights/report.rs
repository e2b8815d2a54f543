//! Sizes and errors of the stored weights.

use serde::Serialize;

/// One tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// Path of the weight in the architecture.
    pub name: String,
    /// Stored precision: `f16`, `q4.g32`.
    pub precision: String,
    /// Number of elements.
    pub weights: u64,
    /// Bits per code, without scales and padding.
    pub payload_bits: u32,
    /// Stored bits per weight, everything included.
    pub real_bits: f64,
    /// Bytes in the weight stream.
    pub bytes: u64,
    /// Root mean square error relative to the root mean square of the weights.
    pub relative_error: f64,
}

/// The additional error of storing weights that were quantized before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requantized {
    /// The formats of the source, sorted.
    pub formats: Vec<String>,
    /// Sum of squared differences from the values of the source, relative to the sum of their squares.
    pub relative_squared_error: f64,
}

/// All tensors and their totals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightReport {
    /// Tensors, in the order of the weight stream.
    pub tensors: Vec<TensorReport>,
    /// Number of weights.
    pub weights: u64,
    /// Bytes of the weight stream, including padding between tensors.
    pub bytes: u64,
    /// Bits of codes per weight.
    pub payload_bits: f64,
    /// Stored bits per weight, including scales and padding.
    pub real_bits: f64,
    /// `1 - payload_bits / 16`: the figure that is usually quoted, which ignores scales.
    pub payload_reduction: f64,
    /// `1 - real_bits / 16`: the real reduction relative to f16.
    pub real_reduction: f64,
    /// Present if some weights were quantized before.
    pub requantized: Option<Requantized>,
}

impl WeightReport {
    /// Totals the tensors, which take `bytes` in the weight stream.
    pub fn new(tensors: Vec<TensorReport>, bytes: u64) -> Self {
        let weights: u64 = tensors.iter().map(|t| t.weights).sum();
        let payload: f64 = tensors.iter().map(|t| t.weights as f64 * f64::from(t.payload_bits)).sum();
        let per_weight = |bits: f64| if weights == 0 { 0.0 } else { bits / weights as f64 };
        let (payload_bits, real_bits) = (per_weight(payload), per_weight(8.0 * bytes as f64));
        Self {
            tensors,
            weights,
            bytes,
            payload_bits,
            real_bits,
            payload_reduction: 1.0 - payload_bits / 16.0,
            real_reduction: 1.0 - real_bits / 16.0,
            requantized: None,
        }
    }
}
