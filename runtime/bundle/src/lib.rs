//! The bundle format: reader and writer. The format itself is described in `docs/bundle.md`.
//!
//! [`Bundle`] reads from a [`Source`], [`BundleWriter`] writes to a [`Sink`], weights through a [`WeightWriter`]. A [`Manifest`] that came through either
//! of them is valid: all its
//! indices are in range, its paths are clean, its sizes are over its symbols. File contents are verified when they are read.

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
    AudioInput, Cut, EncodedAudio, Fallback, Fill, Filter, IMAGE_SYMBOLS, Images, InputSource, Resized,
    Step as ImageStep, TIMED_OUTPUTS, Task, TaskInput, TaskOutput, Timestamps,
};
pub use unfinished::{abandon, move_away, remove_unused};
pub use validate::{GRAPH, MANIFEST, MAX_JSON, MAX_SHARD, is_clean_path, programs_path};
pub use weights::{WeightWriter, WrittenWeights};
pub use writer::BundleWriter;
