//! Executes programs on WebGPU, and on devices with the same interface.
//!
//! A call is one submission with one compute pass. Buffers and bind groups are created when an entry is first used, or
//! when a call needs more space than all calls before it, but not during normal decoding. [`Executor`] uses [`Gpu`],
//! which is implemented by wgpu natively ([`crate::native`]), by the browser in a page, and by [`crate::cpu`] without a
//! GPU.

mod admit;
mod buffers;
mod device;
mod executor;
mod files;
mod kernels;
mod schedule;
mod sizes;
mod staging;

pub use admit::{Admission, Offloaded, admit, choose_profile};
pub use device::{BufferSpec, Copy, DeviceInfo, Gpu, Limits, Reading, Usage, Work};
pub use executor::Executor;
pub use files::Files;
pub(crate) use kernels::choose;
pub use schedule::{EntryWork, entry_work};
pub(crate) use sizes::{elements, state_bytes};
