//! Executes bundles.
//!
//! - [`backend`]: what a backend is; [`call`]: what a call means, for all of them alike.
//! - [`gpu`]: the backend for WebGPU.
//! - [`tensors`]: tensors in, tensors out. [`generate`](mod@generate): prompt in, tokens out, by way of [`feed`] and
//!   [`sample`].
//! - [`text`], [`tokenizer`], [`template`], [`stream`]: from text to text.
//!
//! The crate has no clock, starts no threads, and reads files only through [`gristmill_bundle::Bundle`], so that it
//! also runs in a browser. The feature `native` adds functions that wait, `tokenizer` and `template` add text.

pub mod backend;
pub mod call;
pub mod error;
pub mod feed;
pub mod generate;
pub mod gpu;
pub mod sample;
pub mod stream;
#[cfg(feature = "template")]
mod strftime;
#[cfg(feature = "template")]
pub mod template;
pub mod tensors;
#[cfg(test)]
mod testing;
#[cfg(feature = "tokenizer")]
pub mod text;
#[cfg(feature = "tokenizer")]
pub mod tokenizer;

pub use backend::{Backend, Data, Tensor};
pub use error::Error;
