//! The memory layout of [`Op::QuantizeActivations`](gristmill_graph::Op::QuantizeActivations): activations as bytes.
//!
//! A row of `K` elements is cut into chunks of 128 columns; the last one is padded with zeros. A chunk is [`VECTORS`]
//! vectors of four words: eight hold the bytes in column order, one holds the step of each block of 32 columns, and two
//! hold the sums of 16 columns each, multiplied by their step.

use gristmill_graph::{Dim, ROUND_BLOCK, numel};

/// Columns per chunk.
pub const CHUNK: u32 = 128;
/// Vectors of four words per chunk.
pub const VECTORS: u32 = 11;
/// Offset of the steps within a chunk, in vectors.
pub const STEPS: u32 = 8;
/// Offset of the sums within a chunk, in vectors.
pub const SUMS: u32 = 9;
/// Columns that share a step.
pub const BLOCK: u32 = ROUND_BLOCK as u32;

/// Size in bytes of activations of this shape (`[.., K]`).
pub fn size(shape: &[Dim]) -> Dim {
    let one = Dim::constant(1);
    let (columns, rows) = shape.split_last().unwrap_or((&one, &[]));
    // The divisor is not zero, so the division succeeds.
    let chunks = columns.ceil_div(i64::from(CHUNK)).unwrap_or_else(|| columns.clone());
    &(&numel(rows) * &chunks) * &Dim::constant(i64::from(VECTORS) * 16)
}
