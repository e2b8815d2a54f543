//! What is known about entries and tensors that architectures do not read: `models/known/*.ron`.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::text::fits_pattern;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::CompileError;

/// The row that is for all models.
const ALL: &str = "*";

/// `known/config.ron`: entries of config.json.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "ConfigEntries")]
pub(crate) struct ConfigEntries {
    /// Entries that change what is computed, by model type or class.
    computing: BTreeMap<String, BTreeMap<String, Effect>>,
    /// Patterns of entries that do not, by model type or class.
    harmless: BTreeMap<String, Vec<String>>,
}

/// An entry that changes what is computed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Effect {
    /// Values with which it does not.
    #[serde(default)]
    unless: Vec<Value>,
    /// Where it matters only if the checkpoint lacks a tensor.
    #[serde(default)]
    pub(crate) lacking: Option<Lacking>,
    /// What the model computes with other values; without it, only other models are known to compute with the entry.
    #[serde(default)]
    pub(crate) wrong: Option<String>,
}

/// Optional tensors that a checkpoint lacks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lacking {
    /// Patterns of their names.
    tensors: Vec<String>,
    /// What is computed without them.
    pub(crate) instead: String,
}

impl Lacking {
    /// The first of the tensors that are absent.
    pub(crate) fn find<'a>(&self, absent: &'a BTreeSet<String>) -> Option<&'a String> {
        absent.iter().find(|name| self.tensors.iter().any(|pattern| fits_pattern(pattern, name)))
    }
}

/// What is known about an entry with a certain value.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// It changes nothing.
    Harmless,
    /// It changes what is computed.
    Computing(&'a Effect),
    /// Nothing is.
    Unknown,
}

impl ConfigEntries {
    /// What ships.
    pub(crate) fn load() -> Result<Self, CompileError> {
        load("known/config.ron")
    }

    /// What is known about the entry at `path` (`rope_scaling.factor`) of a config with these names (model type and
    /// classes).
    pub(crate) fn judge(&self, names: &[&str], path: &str, value: &Value) -> Verdict<'_> {
        names.iter().copied().chain([ALL]).find_map(|row| self.in_row(row, path, value)).unwrap_or(Verdict::Unknown)
    }

    /// What one row says; what it says of models of its own goes before what holds for all.
    fn in_row(&self, row: &str, path: &str, value: &Value) -> Option<Verdict<'_>> {
        let computing = self.computing.get(row).into_iter().flatten().find(|(pattern, _)| is_entry(pattern, path));
        if let Some((_, effect)) = computing {
            let harmless = effect.unless.iter().any(|other| equal(other, value));
            return Some(if harmless { Verdict::Harmless } else { Verdict::Computing(effect) });
        }
        let mut harmless = self.harmless.get(row).into_iter().flatten();
        harmless.any(|pattern| is_entry(pattern, path)).then_some(Verdict::Harmless)
    }
}

/// Whether a pattern stands for the entry at a path: for all of it, or for the end of it behind a dot.
fn is_entry(pattern: &str, path: &str) -> bool {
    let ends = std::iter::once(path).chain(path.match_indices('.').map(|(dot, _)| &path[dot + 1..]));
    ends.into_iter().any(|end| fits_pattern(pattern, end))
}

/// Whether two values are the same; 1 and 1.0 are.
fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => match (a, b) {
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
            _ => a == b,
        },
    }
}

/// `known/tensors.ron`: tensors of checkpoints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Tensors")]
pub(crate) struct Tensors {
    /// Patterns of tensors that no model computes with.
    ignores: Vec<String>,
    /// Last parts of the names of tensors that belong to packed weights, and what packs them.
    packed: BTreeMap<String, String>,
    /// How weights become plain again, by the method that packs them.
    remedies: BTreeMap<String, String>,
}

impl Tensors {
    /// What ships.
    pub(crate) fn load() -> Result<Self, CompileError> {
        load("known/tensors.ron")
    }

    /// Whether no model computes with it.
    pub(crate) fn ignores(&self, tensor: &str) -> bool {
        self.ignores.iter().any(|pattern| fits_pattern(pattern, tensor))
    }

    /// What packs weights so that there are tensors with such names.
    pub(crate) fn packer(&self, tensor: &str) -> Option<&str> {
        let last = tensor.rsplit('.').next().unwrap_or(tensor);
        self.packed.iter().find(|(pattern, _)| fits_pattern(pattern, last)).map(|(_, method)| method.as_str())
    }

    /// How weights that a method has packed become plain again, beyond what always helps.
    pub(crate) fn remedy(&self, method: &str) -> Option<&str> {
        self.remedies.get(method).map(String::as_str)
    }
}

fn load<T: DeserializeOwned>(name: &str) -> Result<T, CompileError> {
    let text =
        gristmill_models::file(name).ok_or_else(|| CompileError::Internal(format!("models/{name} does not ship")))?;
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).map_err(|e| CompileError::Internal(format!("models/{name}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_ships_can_be_read() {
        let entries = ConfigEntries::load().unwrap();
        assert!(matches!(entries.judge(&["llama"], "attention_bias", &json!(false)), Verdict::Harmless));
        assert!(matches!(entries.judge(&["llama"], "text_config.attention_bias", &json!(true)), Verdict::Computing(_)));
        assert!(matches!(entries.judge(&["llama"], "residual_multiplier", &json!(1)), Verdict::Harmless));
        assert!(matches!(entries.judge(&["llama"], "some_dropout", &json!(0.1)), Verdict::Harmless));
        assert!(matches!(entries.judge(&["llama"], "my_own_entry", &json!(0.1)), Verdict::Unknown));
        let Verdict::Computing(effect) = entries.judge(&["bert"], "is_decoder", &json!(true)) else { panic!() };
        assert!(effect.wrong.is_some());
        let tensors = Tensors::load().unwrap();
        assert!(tensors.ignores("a.norm.num_batches_tracked") && !tensors.ignores("a.norm.weight"));
        assert_eq!(tensors.packer("layers.0.q_proj.qweight"), Some("gptq or awq"));
        assert_eq!(tensors.packer("layers.0.q_proj.weight"), None);
    }
}
