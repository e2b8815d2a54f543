//! Prints kernels as WGSL.
//!
//! The printer makes no decisions: a kernel comes from [legalisation](gristmill_kernel) and is written down
//! statement by statement. The text is meant to be read by people. [`validate`] is the judge of every emitted
//! shader.

mod expr;
mod names;
mod print;
mod validate;

pub use print::print;
pub use validate::validate;

use thiserror::Error;

/// Why a kernel cannot be printed: it was not legalised for this target, or it is ill-typed. Both are bugs of the
/// caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("kernel `{kernel}`: {message}")]
pub struct PrintError {
    /// Name of the kernel.
    pub kernel: String,
    /// What was found.
    pub message: String,
}
