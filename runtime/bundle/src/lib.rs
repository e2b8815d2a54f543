//! The bundle format: reader and writer.

pub mod manifest;
pub mod size;

pub use manifest::*;
pub use size::Size;
