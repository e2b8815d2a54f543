//! Where a model comes from: files that are read at positions, whoever has them. [`Source`] says what is asked of it.

mod files;
mod folder;
mod inside;
mod memory;

pub(crate) use files::join;
pub use files::{Opened, ReadAt, Source};
pub use folder::Folder;
pub use memory::Memory;
