//! Executes bundles.

pub mod backend;
pub mod call;
pub mod error;
#[cfg(test)]
mod testing;

pub use backend::{Backend, Data, Tensor};
pub use error::Error;
