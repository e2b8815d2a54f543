//! GGUF files as models: the other format that checkpoints are published in.
//!
//! A file has everything in one: metadata in place of `config.json` and a tokenizer, and tensors under names of its own,
//! some in another order. `file` reads it; `convert` makes of it what a model directory would say, by the files of
//! `models/gguf`; `tokenizer` makes `tokenizer.json`. What a file says is bounded and checked before it is used.

mod convert;

mod cursor;

mod file;

mod header;

pub(crate) mod kinds;

mod tokenizer;

mod value;

pub use file::{is_gguf, is_later_part, parts};

pub(crate) use convert::{checkpoint, model};
pub(crate) use file::{Gguf, name};
pub(crate) use tokenizer::MODEL as TOKENIZER;

#[cfg(test)]
mod tests;
