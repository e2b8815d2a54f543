//! Architecture files: RON declarations with formulas, bound to a `config.json`.
//!
//! `models/README.md` is the manual of the language. The stages: a file is parsed (`file`), what it extends is merged
//! (`extend`), names and calls are checked in all branches (`lint`), and the body is evaluated with a config (`body`,
//! `binder`, `calls`, `tensor`, `weights`), which builds the graph (`builder`). A formula evaluates to a number, text,
//! list or vector if it can, and to a node only if a tensor is involved.
//!
//! This module does not read files, and knows no model by name; a [`Library`] has the texts.

mod arith;
mod binder;
mod blocks;
mod body;
mod builder;
mod calls;
mod circles;
mod conversion;
mod diagnostics;
mod expr;
mod extend;
mod file;
mod functions;
mod lexer;
mod library;
mod lint;
mod load;
mod manual;
mod outline;
mod parser;
mod policy;
mod reads;
mod record;
mod settings;
mod tasks;
mod tensor;
#[cfg(test)]
mod tests;
mod usage;
mod value;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

pub use conversion::{Conversion, Converted, MergeOrder, Stored, TensorRule};
pub use diagnostics::{Diagnostic, Diagnostics, nearest};
pub use library::Library;
pub use manual::manual;
pub use outline::{Outline, OutlinedWeight, outline};
pub use policy::{Place, Policy};
pub use record::{at_field, read_record};
pub use settings::Settings;
pub use usage::{Usage, fits_pattern};
pub use value::FLOAT_TAG;

use crate::graph::Model;
use binder::Binder;
use load::load;

/// Diagnostics in the order of the text. Some problems are found both without and with the config; the latter
/// diagnostics are more precise, and are kept.
fn sorted(first: Vec<Diagnostic>, second: Vec<Diagnostic>) -> Diagnostics {
    let key = |d: &Diagnostic| (d.file.clone(), d.line, d.column);
    let again: BTreeSet<_> = second.iter().map(key).collect();
    let mut all: Vec<Diagnostic> = first.into_iter().filter(|d| !again.contains(&key(d))).chain(second).collect();
    all.sort_by_key(key);
    all.dedup();
    Diagnostics(all)
}

/// Checks an architecture file as far as possible without a config: RON, formulas, names, calls.
///
/// # Errors
/// All problems found.
pub fn check(library: &Library, file: &str) -> Result<(), Diagnostics> {
    let loaded = load(library, file)?;
    if loaded.diagnostics.is_empty() { Ok(()) } else { Err(sorted(loaded.diagnostics, Vec::new())) }
}

/// As [`bind_settings`], for a model directory with only a `config.json`.
///
/// # Errors
/// Those of [`bind_settings`].
pub fn bind(
    library: &Library,
    file: &str,
    config: &Json,
    tensors: Option<&BTreeMap<String, Vec<u64>>>,
) -> Result<Model, Diagnostics> {
    bind_settings(library, file, Settings { config, generation: &Json::Null, processors: &Json::Null }, tensors)
}

/// Binds the architecture `file` (with or without `.ron`) to the settings of a model.
///
/// `tensors` has the names and shapes in the checkpoint. Without it, every declared tensor counts as present, with its
/// declared shape and the first alternative of its name.
///
/// # Errors
/// All problems in the files, and all tensors that are missing or have another shape.
pub fn bind_settings(
    library: &Library,
    file: &str,
    settings: Settings<'_>,
    tensors: Option<&BTreeMap<String, Vec<u64>>>,
) -> Result<Model, Diagnostics> {
    bind_with_usage(library, file, settings, tensors).map(|(model, _)| model)
}

/// As [`bind_settings`]; also returns what was read of the settings and the checkpoint.
///
/// # Errors
/// Those of [`bind_settings`].
pub fn bind_with_usage(
    library: &Library,
    file: &str,
    settings: Settings<'_>,
    tensors: Option<&BTreeMap<String, Vec<u64>>>,
) -> Result<(Model, Usage), Diagnostics> {
    let loaded = load(library, file)?;
    if loaded.circular {
        return Err(sorted(loaded.diagnostics, Vec::new()));
    }
    let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".ron").to_string();
    let binder = Binder::new(loaded.sources, loaded.arch, loaded.blocks, settings, tensors);
    let (bound, found) = binder.run(name);
    match bound {
        Some(bound) if loaded.diagnostics.is_empty() => Ok(bound),
        _ => Err(sorted(loaded.diagnostics, found)),
    }
}
