//! Turns what the user named into a bundle: a bundle is used as it is, a model is compiled into the cache.

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

/// The precision that `compile` uses by default: what the architecture chooses.
pub(crate) const COMPACT: &str = gristmill_compiler::options::DEFAULT_PRECISION;
/// The precision that tensor mode and `verify` use by default for a model directory: values as exact as stored.
#[cfg(feature = "run")]
pub(crate) const EXACT: &str = "f32";

/// Who will run a bundle that is compiled from a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// This program.
    Here,
    /// Browsers.
    Browsers,
}

/// The local path of what the user named, a bundle or a model.
pub(crate) fn locate(model: &Path, flags: &CompileFlags) -> Outcome<PathBuf> {
    hub::locate(model, flags.revision.as_deref())
}

/// The compiler options for these flags.
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

/// The bundle for what the user named.
pub(crate) fn bundle_for(model: &Path, flags: &CompileFlags, precision: &str, purpose: Purpose) -> Outcome<PathBuf> {
    bundle_of(&locate(model, flags)?, flags, precision, purpose)
}

/// The bundle for `model`, which [`locate`] has found. A model is compiled into the cache unless it is there already.
/// `precision` is the default precision, and `purpose` determines the targets.
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
        // Reports which model it modifies. If a model is beside it, that is compiled.
        ModelDir::open(model)?;
    }
    // Old directories of sentence-transformers have all other files in folders.
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
        // The weights are the same for whichever backend is used next time.
        options.targets = vec!["native".to_string(), "wasm".to_string()];
    }
    // Browsers notice damage, but cannot repair it.
    cached::bundle(model, &options, purpose == Purpose::Browsers)
}

/// The first given flag that only makes sense when something is compiled.
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
