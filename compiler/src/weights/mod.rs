//! Weights: from safetensors files to the weight stream of a bundle.
//!
//! In the order of the pipeline: a [`Checkpoint`] lists the tensors of a model directory and reads their rows as f32;
//! [`quantize`] chooses codes and scales for rows; [`encode`] turns a tile of 32 rows into the planes of the stored
//! layout; [`mod@write`] streams all tensors of a [`crate::prepare::Prepared`] model into shards. No tensor is ever
//! held in full as f32, except for constant expressions over weights.

pub(crate) mod blocks;

pub mod checkpoint;

mod computed;

pub(crate) mod convert;

pub mod encode;

pub mod error;

pub mod files;

pub(crate) mod header;

pub mod index;

pub mod quantize;

pub mod report;

mod simd;

pub mod write;

pub use checkpoint::Checkpoint;
pub use error::WeightError;
pub(crate) use error::shown;
pub use report::{Requantized, TensorReport, WeightReport};
pub use write::{Progress, Silent, Written, write};

#[cfg(test)]
mod tests;
