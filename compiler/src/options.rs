//! Compiler options and progress callbacks.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Precision of the key and value caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvPrecision {
    /// 32-bit float.
    #[default]
    F32,
    /// 16-bit float; half the memory.
    F16,
}

/// The value of [`CompileOptions::precision`] that lets the architecture choose.
pub const DEFAULT_PRECISION: &str = "default";

/// Options of [`crate::compile()`]. The bundle is a pure function of these and the model directory.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// An architecture file to use instead of the shipped one.
    pub arch: Option<PathBuf>,
    /// The precision of weights: `default` for what the architecture asks for; `f32`, `f16`, `q8`, `q4`, `q3`, `q2`
    /// (with suffixes such as `q4.g64.asym`); the name of a shipped policy (`mixed`); or the path of a policy file.
    pub precision: String,
    /// Columns per block for quantized weights whose precision does not state it: 16, 32, 64 or 128.
    pub group: Option<u16>,
    /// Whether all quantized weights use asymmetric blocks.
    pub asymmetric: bool,
    /// Precision of the key and value caches.
    pub kv: KvPrecision,
    /// Names of shipped target profiles, `all`, or paths of profile files. If empty, all shipped profiles are used.
    pub targets: Vec<String>,
    /// Maximum number of tokens per session; the model's limit if absent.
    pub max_context: Option<u32>,
    /// The page and the browser runtime, which become part of every bundle with a browser among its targets.
    pub page: Vec<PageFile>,
    /// Size in bytes above which weights are split. If absent, the smallest limit of all targets. A small number makes
    /// a small model take the path of a large one.
    pub binding_bytes: Option<u64>,
    /// Storage buffers per kernel for all WebGPU targets, instead of the number that every adapter supports. A small
    /// number makes fallbacks appear in a small model.
    pub storage_buffers: Option<u32>,
    /// Quantizes matrices even where padding makes them larger than f16, in which they would otherwise be stored. Shows
    /// on a small model what low precision costs a large one.
    pub narrow: bool,
    /// Makes unread weights and config.json entries that would change the results warnings instead of errors.
    pub allow_unused: bool,
}

/// A file to copy into a bundle.
#[derive(Clone, PartialEq, Eq)]
pub struct PageFile {
    /// Path in the bundle.
    pub path: Cow<'static, str>,
    /// Content.
    pub content: Cow<'static, [u8]>,
}

/// Shows only the length of the content.
impl fmt::Debug for PageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.content.len())
    }
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            arch: None,
            precision: DEFAULT_PRECISION.into(),
            group: None,
            asymmetric: false,
            kv: KvPrecision::F32,
            targets: Vec::new(),
            max_context: None,
            page: Vec::new(),
            binding_bytes: None,
            storage_buffers: None,
            narrow: false,
            allow_unused: false,
        }
    }
}

/// Receives progress of a compilation. Methods are called on the thread that called the compiler.
pub trait Progress {
    /// A stage begins: `reading`, `rewriting`, `kernels for native`, `weights`, ...
    fn stage(&self, name: &str);
    /// `done` of `total` bytes of source weights are processed.
    fn bytes(&self, done: u64, total: u64);
    /// Something in the model directory has no effect, or a different one than its author may expect. Compilation
    /// continues. `text` is one sentence that names the file and the entry, without a leading `warning:`.
    fn warning(&self, text: &str);
    /// The model directory lacks an optional file, so the bundle supports fewer tasks. `text` is one sentence that
    /// names the file.
    fn note(&self, text: &str);
}

/// Ignores all progress.
pub struct Quiet;

impl Progress for Quiet {
    fn stage(&self, _name: &str) {}
    fn bytes(&self, _done: u64, _total: u64) {}
    fn warning(&self, _text: &str) {}
    fn note(&self, _text: &str) {}
}
