//! Executes bundles.

pub mod backend;
pub mod error;

pub use backend::{Backend, Data, Tensor};
pub use error::Error;
