//! Prints kernels as WGSL.
//!
//! The printer makes no decisions: a kernel comes from [legalisation](gristmill_kernel) and is written down
//! statement by statement. The text is meant to be read by people. [`validate`] is the judge of every emitted
//! shader.

mod error;
mod expr;
mod names;
mod print;
mod validate;

pub use error::PrintError;
pub use print::print;
pub use validate::validate;
