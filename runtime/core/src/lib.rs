//! Runs bundles.
//!
//! - [`backend`]: the interface of a backend; [`call`]: prepares and checks calls, the same for all backends.
//! - [`gpu`]: executes programs on WebGPU, given a device; [`cpu`]: a device made of WebAssembly; [`hybrid`]: both
//!   together; [`native`]: the devices of this machine.
//! - [`tensors`]: runs entries on tensors. [`generate`](mod@generate): generates tokens from a prompt, with
//!   [`decode_loop`] and [`sample`]. [`prompt`]: what a generation starts from; [`prompter`]: makes prompts of texts,
//!   conversations and images.
//! - [`task`]: runs tasks on images, audio and texts; [`image`]: turns images into tensors. [`embedding`]: embeds
//!   texts.
//! - [`transcribe`]: transcribes audio, with the options of [`choices`]; [`audio`]: turns audio into tensors;
//!   [`speech`]: decodes with timestamps.
//! - [`text`], [`tokenizer`], [`template`], [`stream`]: from text to text.
//! - [`capabilities`](mod@capabilities): what a bundle can do. [`file_kind`](mod@file_kind): recognizes files by their
//!   first bytes. [`gather`](mod@gather): maps and sets of a few elements.
//!
//! The crate reads no clock, starts threads only in [`native`], and reads files only through
//! [`gristmill_bundle::Bundle`], so it also runs in a browser. The feature `native` adds wgpu, wasmtime and
//! [`blocking`] functions; `tokenizer` and `template` add text.
//!
//! # Examples
//!
//! Choosing the next token from logits:
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use gristmill_runtime::sample::{Sampler, Sampling};
//!
//! let logits = [0.5, 2.5, 1.0];
//! let mut best = Sampler::new(Sampling::default());
//! assert_eq!(best.choose(&[10, 11, 12], &logits, &BTreeSet::new()), Some(11));
//! // Tokens that occurred already are less likely.
//! let mut varied = Sampler::new(Sampling { repetition_penalty: 5.0, ..Sampling::default() });
//! assert_eq!(varied.choose(&[10, 11, 12], &logits, &BTreeSet::from([11])), Some(12));
//! ```
//!
//! Continuing a text on the CPU of this machine:
//!
//! ```no_run
//! # #[cfg(all(feature = "native", feature = "tokenizer"))] {
//! use std::sync::Arc;
//!
//! use gristmill_bundle::Bundle;
//! use gristmill_runtime::generate::{Options, Progress};
//! use gristmill_runtime::native::{Wasm, WasmOptions};
//! use gristmill_runtime::tokenizer::Tokenizer;
//! use gristmill_runtime::blocking;
//!
//! let bundle = Arc::new(Bundle::open("story")?);
//! let tokenizer = Tokenizer::from_bundle(&bundle)?;
//! let mut backend = Wasm::load(bundle.clone(), &WasmOptions::default(), &mut |_, _| {})?;
//! let prompt = tokenizer.encode("Once upon a time", true)?;
//! let options = Options { max_new_tokens: 50, ..Options::default() };
//! let mut clock = || 0.0;
//! let outcome = blocking::generate(&mut backend, bundle.manifest(), &prompt, &options, &mut clock, &mut |_| None)?;
//! println!("{}", tokenizer.decode(&outcome.tokens)?);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
