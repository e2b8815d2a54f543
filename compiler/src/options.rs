//! What a caller can ask of the compiler.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Storage of the key and value caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvPrecision {
    /// 32-bit float.
    #[default]
    F32,
    /// 16-bit float: half the memory.
    F16,
}

/// What [`CompileOptions::precision`] says if the architecture shall choose.
pub const DEFAULT_PRECISION: &str = "default";

/// Options of [`crate::compile()`]. The bundle is a pure function of the model directory and these.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// An architecture file to use instead of the shipped one.
    pub arch: Option<PathBuf>,
    /// `default` for what the architecture asks for, `f32`, `f16`, `q8`, `q4`, `q3`, `q2` (with suffixes such as
    /// `q4.g64.asym`), the name of a shipped policy (`mixed`), or the path of a policy file.
    pub precision: String,
    /// Block size for all quantized weights whose precision does not name one: 16, 32, 64 or 128.
    pub group: Option<u16>,
    /// Asymmetric blocks for all quantized weights.
    pub asymmetric: bool,
    /// Storage of the key and value caches.
    pub kv: KvPrecision,
    /// Names of shipped target profiles, `all` for all of them, and paths of profile files; empty means all that ship.
    pub targets: Vec<String>,
    /// Most tokens a session can hold; the model's own limit if absent.
    pub max_context: Option<u32>,
    /// The page and the runtime for browsers: part of every bundle that has a browser among its targets.
    pub page: Vec<PageFile>,
    /// Largest weight that stays in one piece, in bytes; what all targets can bind if absent. A small number is a
    /// way to see on a small model what happens to a large one.
    pub binding_bytes: Option<u64>,
    /// Storage buffers per kernel of all WebGPU targets, instead of those that every adapter has. A small number is a
    /// way to see what happens where a kernel needs more.
    pub storage_buffers: Option<u32>,
    /// Matrices are quantized also where padding makes them larger than f16, which is what they would be stored as. A
    /// way to see on a small model what low precision costs a large one.
    pub narrow: bool,
    /// Weights and entries of config.json that would change the results and are not read are warnings, not errors.
    pub allow_unused: bool,
}

/// A file that goes into a bundle as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct PageFile {
    /// Path in the bundle.
    pub path: Cow<'static, str>,
    /// Content.
    pub content: Cow<'static, [u8]>,
}

/// Content is long; only its length is shown.
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

/// Told about long work. Calls come from the thread that called the compiler.
pub trait Progress {
    /// A named stage begins: `reading`, `rewriting`, `kernels for native`, `weights`, ...
    fn stage(&self, name: &str);
    /// Bytes of source weights done so far, of a total.
    fn bytes(&self, done: u64, total: u64);
    /// Something in the model directory has no effect, or another one than its author may expect; compilation goes on.
    /// One sentence that names the file and the entry, without a leading `warning:`.
    fn warning(&self, text: &str);
    /// Something that a model directory may have is missing, so that less can be done with the bundle. One sentence that
    /// names the file.
    fn note(&self, text: &str);
}

/// Tells nobody.
pub struct Quiet;

impl Progress for Quiet {
    fn stage(&self, _name: &str) {}
    fn bytes(&self, _done: u64, _total: u64) {}
    fn warning(&self, _text: &str) {}
    fn note(&self, _text: &str) {}
}
