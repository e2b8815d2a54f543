//! From what the user named to a bundle: bundles as they are, models through the cache.

use std::path::{Path, PathBuf};

use gristmill_bundle::MANIFEST;
use gristmill_compiler::gguf;
use gristmill_compiler::hf::adapter::SETTINGS as ADAPTER;
use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::{CompileOptions, KvPrecision};

use crate::args::{CompileFlags, Kv};
use crate::cached;
use crate::failure::{Failure, Outcome};
use crate::hub;

/// What `compile` makes of weights when nothing is said: what the architecture takes by default.
pub(crate) const COMPACT: &str = gristmill_compiler::options::DEFAULT_PRECISION;
/// What tensor mode and `verify` compile a model directory to when nothing is said: values as exact as stored.
#[cfg(feature = "run")]
pub(crate) const EXACT: &str = "f32";

/// Who will run a bundle that is made from a model directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// This program.
    Here,
    /// Browsers.
    Browsers,
}

/// What the user named, on this machine: a bundle or a model.
pub(crate) fn locate(model: &Path, flags: &CompileFlags) -> Outcome<PathBuf> {
    hub::locate(model, flags.revision.as_deref())
}

/// The compiler's options for these flags.
pub(crate) fn options(flags: &CompileFlags, precision: &str) -> CompileOptions {
    CompileOptions {
        arch: flags.arch.clone(),
        precision: flags.precision.clone().unwrap_or_else(|| precision.to_string()),
        group: flags.group,
        asymmetric: flags.asymmetric,
        kv: match flags.kv {
            Kv::F32 => KvPrecision::F32,
            Kv::F16 => KvPrecision::F16,
        },
        targets: flags.target.clone(),
        max_context: flags.max_context,
        page: Vec::new(),
        binding_bytes: None,
        storage_buffers: None,
        narrow: false,
        allow_unused: flags.allow_unused,
    }
}

/// The bundle to use for what the user named.
pub(crate) fn bundle_for(model: &Path, flags: &CompileFlags, precision: &str, purpose: Purpose) -> Outcome<PathBuf> {
    bundle_of(&locate(model, flags)?, flags, precision, purpose)
}

/// The bundle to use for `model`, as [`locate`] has found it. A model is compiled into the cache unless the cache has it;
/// `precision` is the default there, and `purpose` says for which targets.
pub(crate) fn bundle_of(model: &Path, flags: &CompileFlags, precision: &str, purpose: Purpose) -> Outcome<PathBuf> {
    if model.join(MANIFEST).is_file() {
        if let Some(flag) = given(flags) {
            return Err(Failure::wrong(format!(
                "{}: already a compiled bundle; {flag} applies to models only",
                model.display()
            )));
        }
        return Ok(model.to_path_buf());
    }
    if model.join(ADAPTER).is_file() {
        // Says which model it is for; with a model beside it, that is compiled.
        ModelDir::open(model)?;
    }
    // Old directories of sentence-transformers have everything else in folders.
    let is_dir = ["config.json", "modules.json"].iter().any(|file| model.join(file).is_file());
    if !is_dir && !gguf::is_gguf(model) {
        let what = match (model.exists(), model.is_dir()) {
            (false, _) => "no such directory or GGUF file",
            (true, false) => "neither a directory nor a GGUF file; name a bundle or a model",
            (true, true) => "neither a bundle (no manifest.json) nor a Hugging Face model directory (no config.json)",
        };
        return Err(Failure::wrong(format!("{}: {what}", model.display())));
    }
    let mut options = options(flags, precision);
    if flags.target.is_empty() && purpose == Purpose::Here {
        // Whichever backend is asked for next time, the weights are the same.
        options.targets = vec!["native".to_string(), "wasm".to_string()];
    }
    // Browsers notice damage, but cannot mend it.
    cached::bundle(model, &options, purpose == Purpose::Browsers)
}

/// The first flag given that only makes sense when something is compiled.
fn given(flags: &CompileFlags) -> Option<&'static str> {
    [
        ("--arch", flags.arch.is_some()),
        ("--revision", flags.revision.is_some()),
        ("--precision", flags.precision.is_some()),
        ("--group", flags.group.is_some()),
        ("--asymmetric", flags.asymmetric),
        ("--kv", flags.kv != Kv::F32),
        ("--target", !flags.target.is_empty()),
        ("--max-context", flags.max_context.is_some()),
        ("--allow-unused", flags.allow_unused),
    ]
    .into_iter()
    .find_map(|(name, is_given)| is_given.then_some(name))
}
