//! The bundle format: reader and writer. `docs/bundle.md` describes the format.
//!
//! [`Bundle`] reads from a [`Source`]. [`BundleWriter`] writes to a [`Sink`], weights through a [`WeightWriter`]. A
//! [`Manifest`] from either of them is valid: its indices are in range, its paths are clean, and its sizes only use its
//! symbols. File contents are verified when they are read.
//!
//! # Example
//!
//! A bundle with nothing but a tokenizer, written, read, and damaged:
//!
//! ```
//! use gristmill_bundle::{Bundle, BundleWriter, FORMAT, Manifest};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("bundle");
//! let mut writer = BundleWriter::create(&path)?;
//! writer.add("tokenizer.json", b"{}")?;
//! let manifest: Manifest = serde_json::from_value(serde_json::json!({
//!     "format": FORMAT, "generator": "an example",
//!     "model": {
//!         "name": "empty", "architecture": "none", "precision": "f32", "parameters": 0,
//!         "max_context": 1, "prefill_chunk": 1, "eos_token_ids": [],
//!     },
//!     "symbols": [], "inputs": [], "states": [], "entries": [], "profiles": [],
//!     // The writer knows these.
//!     "tensors": [], "shards": [], "components": [], "files": {},
//! }))?;
//! writer.finish(manifest)?; // the directory appears now, and whole
//!
//! let bundle = Bundle::open(&path)?;
//! assert_eq!(bundle.read("tokenizer.json")?, b"{}");
//! std::fs::write(path.join("tokenizer.json"), "[]")?;
//! let error = bundle.read("tokenizer.json").unwrap_err();
//! assert!(error.to_string().contains("tokenizer.json"), "{error}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod components;
pub mod embedding;
mod error;
pub mod extent;
pub mod files;
pub mod manifest;
pub mod order;
mod reader;
mod shader;
mod sink;
pub mod size;
mod source;
pub mod task;
mod unfinished;
mod validate;
mod weights;
mod writer;

pub use components::Span;
pub use embedding::{Embedding, SimilarityFunction};
pub use error::Error;
pub use manifest::*;
pub use reader::{Bundle, Piece, parse_manifest, parse_programs, sha256_hex, shard_path, verify};
pub use shader::shader_fault;
pub use sink::{DirSink, MemorySink, Sink};
pub use size::{Size, SizeOp};
pub use source::{DirSource, Source};
pub use task::{
    AudioInput, CLEAN_UP, Cut, EncodedAudio, Fallback, Fill, Filter, IMAGE_SYMBOLS, Images, InputSource, Resized,
    Step as ImageStep, TIMED_OUTPUTS, Task, TaskInput, TaskOutput, Timestamps,
};
pub use unfinished::{abandon, move_away, remove_unused};
pub use validate::{GRAPH, MANIFEST, MAX_JSON, MAX_SHARD, is_clean_path, programs_path};
pub use weights::{WeightWriter, WrittenWeights};
pub use writer::BundleWriter;
