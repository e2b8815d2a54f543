//! GGUF files as models.
//!
//! A GGUF file holds everything: metadata in place of `config.json` and a tokenizer, and tensors under other names,
//! some in another order. `file` reads it, `convert` turns it into the contents of a model directory by the rules in
//! `models/gguf`, and `tokenizer` builds `tokenizer.json`. Everything in the file is bounded and checked before it is
//! used.

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
