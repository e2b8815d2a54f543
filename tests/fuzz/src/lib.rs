//! Fuzz targets for everything that reads untrusted bytes, one function each. `cargo xtask fuzz` searches for inputs
//! that make one panic, hang or use too much memory. The tests run the seeds, earlier findings, and some mutations of
//! both.

mod bundles;
mod change;
mod kernels;
mod media;
mod models;
mod scratch;
mod seeds;
mod target;
mod texts;

pub use change::Changer;
pub use seeds::Seed;
use target::of;
pub use target::{Accepted, Target};

/// All readers, in the order of the pipeline.
pub const TARGETS: &[Target] = &[
    of("architecture", Some(("models", "ron")), 16 << 10, models::architecture),
    of("compile", None, 8 << 10, models::compile),
    of("policy", Some(("models/precision", "ron")), 4 << 10, models::policy),
    of("config", None, 8 << 10, models::config),
    of("settings", None, 16 << 10, models::settings),
    of("weights", None, 16 << 10, models::weights),
    of("index", None, 8 << 10, models::index),
    of("gguf", Some(("tests/fixtures/gguf", "gguf")), 64 << 10, models::gguf),
    of("tokenizer", Some(("runtime/web/test/fixtures/tokenizers", "json")), 32 << 10, texts::tokenizer),
    of("template", Some(("tests/fixtures/chat/templates", "jinja")), 16 << 10, texts::template),
    of("manifest", None, 32 << 10, bundles::manifest),
    of("programs", None, 16 << 10, bundles::programs),
    of("graph", None, 16 << 10, bundles::graph),
    of("size", None, 256, bundles::size),
    of("shader", Some(("tests/golden/wgsl/chrome", "wgsl")), 16 << 10, kernels::shader),
    of("module", None, 16 << 10, kernels::module),
    of("image", None, 16 << 10, media::image),
    of("audio", None, 16 << 10, media::audio),
    of("inputs", None, 8 << 10, media::inputs),
];

/// The target with this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.name == name)
}
