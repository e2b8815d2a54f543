//! Where models come from. A [`Source`] provides files that can be read at any position.

mod files;
mod folder;
mod inside;
mod memory;

pub(crate) use files::join;
pub use files::{Opened, ReadAt, Source};
pub use folder::Folder;
pub use memory::Memory;
