//! WebGPU and WebAssembly together: a device for the executor that runs steps beyond a limit of the adapter by the
//! fallback kernels of a bundle, and all other steps on the adapter.
//!
//! Every buffer has a home: the adapter, or linear memory if the adapter cannot bind it, so that only fallback kernels
//! use it. Buffers of the adapter that fallback kernels also bind have a copy in linear memory, which is updated at the
//! end of each segment of steps. Without offloaded steps, all work goes directly to the adapter.

mod buffer;
mod device;
mod run;
mod sides;
#[cfg(test)]
mod tests;

pub use buffer::Buffer;
pub use device::{Group, Hybrid, Pipeline};
pub use sides::Recorded;
