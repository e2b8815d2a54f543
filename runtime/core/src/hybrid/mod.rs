//! WebGPU and WebAssembly together: a device for the executor that runs the steps that exceed a limit of the adapter by
//! the fallback kernels of a bundle, and everything else on the adapter.
//!
//! Every buffer has a home. What the adapter can bind lives there; what is too large for it lives in linear memory, and
//! only fallback kernels bind it. Buffers of the adapter that fallback kernels bind as well have a copy in linear memory, which
//! is brought up to date when a segment of steps ends. Without offloaded steps, all goes straight to the adapter.

mod buffer;
mod device;
mod run;
mod sides;
#[cfg(test)]
mod tests;

pub use buffer::Buffer;
pub use device::{Group, Hybrid, Pipeline};
pub use sides::Recorded;
