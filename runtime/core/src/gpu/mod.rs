//! Executes programs on WebGPU.
//!
//! All work of a call is one compute pass. Buffers and bind groups are made when an entry is first used, or when a
//! call needs more space than any before it, and never during ordinary decoding. Every WebGPU call sits in an
//! `async fn`, because a browser cannot wait; [`Wgpu`] implements [`crate::Backend`] natively by waiting.

mod buffers;
mod device;
mod exec;
mod pipelines;
mod readback;
mod schedule;
mod weights;

pub use device::{AdapterSummary, Options, list_adapters};
pub use exec::Wgpu;
