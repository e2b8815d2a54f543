//! What storing the weights cost and lost.

use serde::Serialize;

/// One tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// Path in the architecture.
    pub name: String,
    /// How it is stored: `f16`, `q4.g32`.
    pub precision: String,
    /// Number of elements.
    pub weights: u64,
    /// Bits of a code, without scales and padding.
    pub payload_bits: u32,
    /// Bits per weight of everything that is stored.
    pub real_bits: f64,
    /// Bytes in the weight stream.
    pub bytes: u64,
    /// Root mean square error relative to the root mean square of the weights.
    pub relative_error: f64,
}

/// What storing has added to the errors of weights that were quantized before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requantized {
    /// The formats they come in, sorted.
    pub formats: Vec<String>,
    /// Sum of squared differences to the values that the source stands for, relative to the sum of their squares.
    pub relative_squared_error: f64,
}

/// All tensors and their totals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightReport {
    /// In the order of the weight stream.
    pub tensors: Vec<TensorReport>,
    /// Number of weights.
    pub weights: u64,
    /// Bytes of the weight stream, with padding between tensors.
    pub bytes: u64,
    /// Bits of codes per weight.
    pub payload_bits: f64,
    /// Stored bits per weight, with scales and padding.
    pub real_bits: f64,
    /// `1 - payload_bits / 16`: the usual claim, which leaves scales out.
    pub payload_reduction: f64,
    /// `1 - real_bits / 16`: what is really smaller than at f16.
    pub real_reduction: f64,
    /// If there are weights that were quantized before.
    pub requantized: Option<Requantized>,
}

impl WeightReport {
    /// Adds up tensors that take `bytes` in all.
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
