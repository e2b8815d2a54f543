//! Which kernels compute an entry graph: how it is cut into steps, and which algorithm computes each.
//!
//! [`mod@steps`] finds out what is computed on its own, [`variants`] is the table of algorithms, [`signature`] finds equal
//! kernels before they are built, and [`dispatch`] makes calls of all of it. Nothing before this module knows what
//! language a target speaks.

pub mod dispatch;
mod limits;
pub mod signature;
mod steps;
pub mod variants;

pub use dispatch::{Call, KernelSet, lower, lower_again};
