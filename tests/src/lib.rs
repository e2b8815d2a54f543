//! What the cross-crate tests share.

pub mod backends;
pub mod goldens;
