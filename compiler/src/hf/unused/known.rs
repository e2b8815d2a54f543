//! Tables of entries and tensors that architectures may leave unread: `models/known/*.ron`.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::text::fits_pattern;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::CompileError;

/// The row that applies to all models.
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
    /// Values for which it does not.
    #[serde(default)]
    unless: Vec<Value>,
    /// The entry matters only if the checkpoint lacks one of these tensors.
    #[serde(default)]
    pub(crate) lacking: Option<Lacking>,
    /// What the model computes with other values. Without it, the entry is known to matter only for other models.
    #[serde(default)]
    pub(crate) wrong: Option<String>,
}

/// Optional tensors that a checkpoint may lack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lacking {
    /// Patterns of their names.
    tensors: Vec<String>,
    /// What is computed in their place.
    pub(crate) instead: String,
}

impl Lacking {
    /// The first of the tensors that is absent.
    pub(crate) fn find<'a>(&self, absent: &'a BTreeSet<String>) -> Option<&'a String> {
        absent.iter().find(|name| self.tensors.iter().any(|pattern| fits_pattern(pattern, name)))
    }
}

/// The effect of an entry with a given value.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// Changes nothing.
    Harmless,
    /// Changes what is computed.
    Computing(&'a Effect),
    /// Not in the tables.
    Unknown,
}

impl ConfigEntries {
    /// Reads the shipped table.
    pub(crate) fn load() -> Result<Self, CompileError> {
        load("known/config.ron")
    }

    /// The effect of the entry at `path` (`rope_scaling.factor`) in a config with these names (model type and classes).
    pub(crate) fn judge(&self, names: &[&str], path: &str, value: &Value) -> Verdict<'_> {
        names.iter().copied().chain([ALL]).find_map(|row| self.in_row(row, path, value)).unwrap_or(Verdict::Unknown)
    }

    /// The effect according to one row. Entries that are specific to a model take precedence over those for all.
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

/// Whether a pattern matches the entry at a path: the whole path, or the end of it after a dot.
fn is_entry(pattern: &str, path: &str) -> bool {
    let ends = std::iter::once(path).chain(path.match_indices('.').map(|(dot, _)| &path[dot + 1..]));
    ends.into_iter().any(|end| fits_pattern(pattern, end))
}

/// Whether two values are equal; 1 equals 1.0.
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
    /// Patterns of tensors that no model needs.
    ignores: Vec<String>,
    /// Last parts of the names of tensors in packed weights, and the method that packs them.
    packed: BTreeMap<String, String>,
    /// How to unpack weights, by packing method.
    remedies: BTreeMap<String, String>,
}

impl Tensors {
    /// Reads the shipped table.
    pub(crate) fn load() -> Result<Self, CompileError> {
        load("known/tensors.ron")
    }

    /// Whether no model needs the tensor.
    pub(crate) fn ignores(&self, tensor: &str) -> bool {
        self.ignores.iter().any(|pattern| fits_pattern(pattern, tensor))
    }

    /// The method that packs weights into tensors with such names.
    pub(crate) fn packer(&self, tensor: &str) -> Option<&str> {
        let last = tensor.rsplit('.').next().unwrap_or(tensor);
        self.packed.iter().find(|(pattern, _)| fits_pattern(pattern, last)).map(|(_, method)| method.as_str())
    }

    /// How to unpack the weights of a method, beyond the remedies that always work.
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
