//! Selects the kernels of an entry graph: divides it into pieces, and chooses an algorithm for each.
//!
//! `cut` decides what is computed separately and what together, [`variants`] is the table of algorithms, [`signature`]
//! finds equal kernels before they are built, and [`dispatch`] turns all of it into steps. Nothing before this module
//! knows which language a target uses.

mod cut;
pub mod dispatch;
mod limits;
pub mod signature;
pub mod variants;

pub use dispatch::{Call, KernelSet, Step, lower, lower_again};

#[cfg(test)]
mod tests;
