//! The bundle format: reader and writer. The format itself is described in `docs/bundle.md`.

mod error;
pub mod manifest;
pub mod size;

pub use error::Error;
pub use manifest::*;
pub use size::Size;
