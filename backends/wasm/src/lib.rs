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
mod expr;
mod lower;
mod module;
mod node;
mod validate;

pub use module::{Variant, print};
pub use validate::{text, validate};

use thiserror::Error;

/// Why a kernel cannot be printed: it was not legalised for a CPU, or it is ill-typed. Both are bugs of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("kernel `{kernel}`: {message}")]
pub struct PrintError {
    /// Name of the kernel.
    pub kernel: String,
    /// What was found.
    pub message: String,
}
