//! Executes bundles.

pub mod backend;
pub mod call;
pub mod error;
pub mod feed;
pub mod generate;
pub mod gpu;
pub mod sample;
pub mod tensors;
#[cfg(test)]
mod testing;

pub use backend::{Backend, Data, Tensor};
pub use error::Error;
