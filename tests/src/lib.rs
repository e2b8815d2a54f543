//! Shared code of the cross-crate tests.

pub mod backends;
pub mod browser;
pub mod compared;
pub mod devices;
pub mod goldens;
pub mod models;
pub mod module;
pub mod precision;
pub mod profiles;
pub mod prompts;
pub mod random_kernel;
pub mod sentences;
pub mod speech;
pub mod twins;
