//! Prints kernels as SIMD WebAssembly.
//!
//! All kernels of a program are one module over one imported memory. A kernel is a function over a stretch of its
//! grid, so that workers share a dispatch by taking stretches. Kernels for a CPU have no threads in a group:
//! [`gristmill_kernel::Caps::CPU`] is what they are legalised for.
//!
//! In the order of data: `lower` makes a graph of values from a kernel (`expr` chooses the instructions), `code`
//! writes it with values in locals and fixed parts in front of loops, `driver` adds the functions that run
//! programs, `module` puts all together. [`validate`] is the judge of every emitted module.

mod code;
mod driver;
mod error;
mod expr;
mod lower;
mod module;
mod node;
mod validate;
mod variant;

pub use error::PrintError;
pub use module::print;
pub use validate::{text, validate};
pub use variant::Variant;
