//! From a model directory to a bundle, stage by stage. The compiler is a pure function: the same directory,
//! options and profiles give the same bytes.
//!
//! In the order of the road: [`source`] is where files come from, [`hf`], [`gguf`] and [`library`] find what to compile, [`prepare`] folds constants and applies
//! precisions, [`activations`] makes activations bytes where a target wants them, [`rewrite`] finds fused operations in a
//! graph of primitives, [`mod@size`] says how large
//! buffers and grids are, [`codegen`] is what kernels are built with, [`kernels`] are the algorithms, [`select`] cuts graphs into steps and
//! chooses an algorithm for each, [`plan`] assembles programs,
//! [`fallback`] adds kernels for adapters with low limits, [`emit`] does all of that for a target, [`weights`] streams
//! weights, and [`compile()`] is the whole. [`draft`] begins an architecture file for a model that has none.
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
