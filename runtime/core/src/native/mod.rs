//! Native devices: WebGPU through wgpu (Vulkan, Metal or DirectX 12), and CPUs through wasmtime.

mod adapters;
mod device;
mod failures;
mod gpu;
mod open;
mod readback;
mod wasm;
mod weights;

pub use adapters::{AdapterSummary, Lowered, Options, list_adapters};
pub use device::Device;
pub use gpu::Wgpu;
pub use open::{Choice, is_for_wasm, open};
pub use wasm::{Stopper, Wasm, WasmOptions};
