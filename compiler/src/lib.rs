//! Compiles a model directory into a bundle. The compiler is a pure function: the same directory, options and profiles
//! give the same bytes.
//!
//! In the order of the pipeline: [`source`] provides files; [`hf`], [`gguf`] and [`library`] find what to compile;
//! [`prepare`] folds constants and assigns precisions; [`activations`] inserts 8-bit activations for targets that want
//! them; [`rewrite`] finds fused operations in a graph of primitives; [`mod@size`] turns dimensions into sizes of
//! buffers and grids; [`codegen`] has the tools to build kernels with; [`kernels`] has the algorithms; [`select`]
//! divides graphs into steps and chooses an algorithm for each; [`plan`] assembles programs; [`fallback`] adds kernels
//! for adapters with low limits; [`emit`] does all of that for one target; [`weights`] streams weights; and
//! [`compile()`] runs the pipeline. [`draft`] drafts an architecture file for a model that has none.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! use gristmill_bundle::Bundle;
//! use gristmill_compiler::{CompileOptions, Quiet, compile};
//!
//! let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/stories260K");
//! let folder = tempfile::tempdir()?;
//! let out = folder.path().join("story");
//! let options = CompileOptions { targets: vec!["wasm".into()], precision: "q8".into(), ..Default::default() };
//! compile(&model, &out, &options, &Quiet)?;
//!
//! let bundle = Bundle::open(&out)?;
//! let entries: Vec<&str> = bundle.manifest().entries.iter().map(|e| e.name.as_str()).collect();
//! assert!(entries.contains(&"prefill") && entries.contains(&"decode"), "{entries:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod error;

pub mod options;

pub mod source;

pub mod gguf;

pub mod hf;

pub mod library;

pub mod precision;

pub mod prepare;

pub mod profile;

pub mod activations;

pub mod rewrite;

pub mod size;

pub mod codegen;

pub mod kernels;

pub mod select;

pub mod plan;

pub mod simulate;

pub mod entries;

pub mod fallback;

pub mod emit;

pub mod weights;

pub mod compile;

pub mod draft;

mod embedding;

mod rows;

mod tasks;

pub use compile::{CompileReport, compile, compile_from};
pub use error::CompileError;
pub use options::{CompileOptions, KvPrecision, PageFile, Progress, Quiet};
