//! Which kernels compute an entry graph: how it is cut into pieces, and which algorithm
//! computes each.
//!
//! `cut` finds out what is computed on its own and what together, [`variants`] is the table of algorithms, [`signature`] finds equal
//! kernels before they are built, and [`dispatch`] makes steps of all of it. Nothing before this module knows what
//! language a target speaks.

mod cut;
pub mod dispatch;
mod limits;
pub mod signature;
pub mod variants;

pub use dispatch::{Call, KernelSet, Step, lower, lower_again};

#[cfg(test)]
mod tests;
