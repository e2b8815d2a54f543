//! The error of the printer.

use thiserror::Error;

/// Why a kernel cannot be printed: it was not legalized for this target, or it is ill-typed. Both are bugs of the
/// caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("kernel `{kernel}`: {message}")]
pub struct PrintError {
    /// Name of the kernel.
    pub kernel: String,
    /// The fault.
    pub message: String,
}
