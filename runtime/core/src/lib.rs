//! Executes bundles.
//!
//! - [`backend`]: what a backend is; [`call`]: what a call means, for all of them alike.
//! - [`gpu`]: executes programs on WebGPU, given a device; [`cpu`]: such a device made of WebAssembly; [`hybrid`]: both
//!   together; [`native`]: the devices of this machine.
//! - [`tensors`]: tensors in, tensors out. [`generate`](mod@generate): prompt in, tokens out, by way of [`decode_loop`] and
//!   [`sample`]. [`prompt`]: what a generation starts from; [`prompter`]: made of texts, conversations and images.
//! - [`file_kind`](mod@file_kind): what a file is by its first bytes; [`gather`](mod@gather): maps and sets of a few elements.
//! - [`capabilities`](mod@capabilities): what a bundle can do. [`task`]: images and texts in, labels, boxes and similarities out; [`image`]: from images to tensors.
//! - [`embedding`]: texts in, vectors out.
//! - [`transcribe`]: audio files in, what is said in them out, in the language of [`choices`]; [`audio`]: from audio files
//!   to tensors.
//! - [`speech`]: which tokens may be next where times are marked, and what follows from those that were chosen.
//! - [`text`], [`tokenizer`], [`template`], [`stream`]: from text to text.
//!
//! The crate has no clock, starts no threads but in [`native`], and reads files only through
//! [`gristmill_bundle::Bundle`], so that it also runs in a browser. The feature `native` adds wgpu, wasmtime and
//! [`blocking`] functions, `tokenizer` and `template` text.

pub mod audio;
pub mod backend;
#[cfg(feature = "native")]
pub mod blocking;
pub mod call;
pub mod capabilities;
pub mod choices;
pub mod cpu;
pub mod decode_loop;
pub mod embedding;
pub mod error;
pub mod file_kind;
pub mod gather;
pub mod generate;
pub mod gpu;
pub mod hybrid;
pub mod image;
mod join;
#[cfg(feature = "native")]
pub mod native;
pub mod prompt;
#[cfg(all(feature = "template", feature = "tokenizer"))]
pub mod prompter;
pub mod sample;
pub mod speech;
pub mod stream;
pub mod task;
#[cfg(feature = "template")]
pub mod template;
pub mod tensors;
#[cfg(test)]
mod testing;
pub mod text;
mod token_selector;
#[cfg(feature = "tokenizer")]
pub mod tokenizer;
pub mod transcribe;

pub use backend::{Backend, Data, Request, Tensor, Tensors};
pub use error::Error;
