//! What [`Op::QuantizeActivations`](gristmill_graph::Op::QuantizeActivations) is in memory: activations as bytes.
//!
//! A row of `K` elements is cut into chunks of 128 columns, padded with zeros. A chunk is [`VECTORS`] vectors of four
//! words: eight with the bytes in order of columns, one with the step of each block of 32, and two with the sums of
//! 16 columns each, times their step.

use gristmill_graph::{Dim, ROUND_BLOCK, numel};

/// Columns of a chunk.
pub const CHUNK: u32 = 128;
/// Vectors of a chunk.
pub const VECTORS: u32 = 11;
/// Where the steps stand in a chunk, in vectors.
pub const STEPS: u32 = 8;
/// Where the sums stand in a chunk, in vectors.
pub const SUMS: u32 = 9;
/// Columns with one step.
pub const BLOCK: u32 = ROUND_BLOCK as u32;

/// Bytes of rows of this shape.
pub fn size(shape: &[Dim]) -> Dim {
    let one = Dim::constant(1);
    let (columns, rows) = shape.split_last().unwrap_or((&one, &[]));
    // The divisor is not zero, so there is a quotient.
    let chunks = columns.ceil_div(i64::from(CHUNK)).unwrap_or_else(|| columns.clone());
    &(&numel(rows) * &chunks) * &Dim::constant(i64::from(VECTORS) * 16)
}
