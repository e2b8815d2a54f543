//! Finds settings and tensors of a model directory that the architecture does not read. Nothing is ignored silently:
//! what may matter is a warning, and what would make the results wrong is an error, unless `models/known` or the
//! `ignores` of the architecture say that it does not matter.

mod config;
mod findings;
mod known;
mod tensors;

use gristmill_graph::text::Usage;
use serde_json::{Map, Value};

use crate::error::CompileError;
use crate::weights::Checkpoint;

pub use findings::Findings;

pub(crate) use known::{ConfigEntries, Tensors, Verdict};

/// Compares what an architecture (given by its file name) has read with what the directory contains.
///
/// # Errors
/// If the shipped tables cannot be read, which is a bug.
pub fn unused(
    config: &Value,
    checkpoint: &Checkpoint,
    usage: &Usage,
    architecture: &str,
) -> Result<Findings, CompileError> {
    let nothing = Map::new();
    let config = config.as_object().unwrap_or(&nothing);
    let mut all = tensors::check(checkpoint, config, usage, &Tensors::load()?, architecture);
    let entries = config::check(config, usage, &ConfigEntries::load()?, architecture);
    all.warnings.extend(entries.warnings);
    all.faults.extend(entries.faults);
    Ok(all)
}

#[cfg(test)]
mod tests;
