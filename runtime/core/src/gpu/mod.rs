//! Executes programs on WebGPU, and on what looks like it.
//!
//! All work of a call is one submission with one compute pass. Buffers and bind groups are made when an entry is first
//! used, or when a call needs more space than any before it, and never during ordinary decoding. [`Executor`] is
//! written against [`Gpu`]: natively that is wgpu ([`crate::native`]), in a page the browser, and without a graphics
//! adapter the CPU ([`crate::cpu`]).

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
