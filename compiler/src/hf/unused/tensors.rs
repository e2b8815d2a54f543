//! Tensors of the checkpoint that the architecture does not read.
//!
//! What matters is where they are. A tensor in the same module or layer as one that is read belongs to something that
//! is computed, which it would change. A layer after the last one that is read means that config.json has too few
//! layers.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::text::Usage;
use serde_json::{Map, Value};

use super::findings::{Findings, list};
use super::known::Tensors;
use crate::weights::{Checkpoint, shown};

/// Checks all tensors that are neither read nor listed as ignorable.
pub(super) fn check(
    checkpoint: &Checkpoint,
    config: &Map<String, Value>,
    usage: &Usage,
    known: &Tensors,
    architecture: &str,
) -> Findings {
    let mut sorted = Sorted::default();
    let floats = checkpoint.tensors();
    let all = floats.keys().chain(checkpoint.skipped().keys());
    for name in all.filter(|n| !usage.tensors.contains(*n)) {
        if let Some(read) = usage.spellings.get(name) {
            if !checkpoint.same_values(name, read) {
                sorted.rivals.push((name.clone(), read.clone()));
            }
            continue;
        }
        if usage.ignores(name) || known.ignores(name) {
            continue;
        }
        // Integer tensors are tables and counters, unless they belong to packed weights.
        let is_weight = floats.contains_key(name) || known.packer(name).is_some();
        match place(name, &usage.tensors) {
            Place::Beyond { layers, last } if is_weight => {
                sorted.beyond.entry((layers, last)).or_default().push(name.clone());
            }
            Place::Computed if is_weight && name.contains("lora_") => sorted.adapters.push(name.clone()),
            Place::Computed if is_weight => sorted.computed.push(name.clone()),
            _ if is_copy(checkpoint, &floats, name, &usage.tensors) => {}
            _ => sorted.elsewhere.push(name.clone()),
        }
    }
    sorted.told(&checkpoint.shown_files(), config, architecture)
}

/// Where an unread tensor is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In a layer or module with tensors that are read.
    Computed,
    /// In a layer after the last one that is read.
    Beyond {
        /// The name up to the layer number: `model.layers.`.
        layers: String,
        /// The last layer that is read.
        last: u64,
    },
    /// Far from anything that is read.
    Elsewhere,
}

fn place(name: &str, read: &BTreeSet<String>) -> Place {
    let is_read = |prefix: &str| below(read, prefix).next().is_some();
    let dots: Vec<usize> = name.match_indices('.').map(|(i, _)| i).collect();
    // From the innermost number outwards: a layer number has dots on both sides.
    for pair in dots.windows(2).rev() {
        let Ok(number) = name[pair[0] + 1..pair[1]].parse::<u64>() else { continue };
        if is_read(&name[..=pair[1]]) {
            return Place::Computed;
        }
        let layers = &name[..=pair[0]];
        let numbers =
            below(read, layers).filter_map(|other| other[layers.len()..].split('.').next()?.parse::<u64>().ok());
        if let Some(last) = numbers.max() {
            // A gap in the numbers is as much of a contradiction.
            return if number > last { Place::Beyond { layers: layers.to_string(), last } } else { Place::Computed };
        }
    }
    match name.rsplit_once('.') {
        // Only tensors of the same module count, not those of modules inside it.
        Some((module, _)) if below(read, &format!("{module}.")).any(|n| !n[module.len() + 1..].contains('.')) => {
            Place::Computed
        }
        _ => Place::Elsewhere,
    }
}

/// The names that start with a prefix.
fn below<'a>(names: &'a BTreeSet<String>, prefix: &'a str) -> impl Iterator<Item = &'a String> {
    names.range(prefix.to_string()..).take_while(move |name| name.starts_with(prefix))
}

/// Whether a matrix has the same values as a matrix that is read, like a tied embedding.
fn is_copy(checkpoint: &Checkpoint, shapes: &BTreeMap<String, Vec<u64>>, name: &str, read: &BTreeSet<String>) -> bool {
    let Some(shape) = shapes.get(name).filter(|shape| shape.len() > 1) else { return false };
    let mut alike = read.iter().filter(|other| shapes.get(*other) == Some(shape));
    alike.any(|other| checkpoint.same_values(name, other))
}

/// Unread tensors, grouped by their effect.
#[derive(Default)]
struct Sorted {
    computed: Vec<String>,
    adapters: Vec<String>,
    beyond: BTreeMap<(String, u64), Vec<String>>,
    rivals: Vec<(String, String)>,
    elsewhere: Vec<String>,
}

impl Sorted {
    fn told(self, files: &str, config: &Map<String, Value>, architecture: &str) -> Findings {
        let mut found = Findings::default();
        if !self.computed.is_empty() {
            found.faults.push(format!(
                "{files}: {architecture} does not read {} of {} that it computes: {}",
                tensors(self.computed.len()),
                if self.computed.len() == 1 { "a block" } else { "blocks" },
                patterns(&self.computed)
            ));
        }
        if !self.adapters.is_empty() {
            found.faults.push(format!(
                "{files}: {} of an adapter (LoRA) that is not merged into the weights: {}; merge it with \
                 `merge_and_unload()` of peft, and save the model again",
                tensors(self.adapters.len()),
                patterns(&self.adapters)
            ));
        }
        for ((layers, last), names) in &self.beyond {
            let mut numbers: Vec<u64> =
                names.iter().filter_map(|n| n[layers.len()..].split('.').next()?.parse().ok()).collect();
            numbers.sort_unstable();
            numbers.dedup();
            let which = list(numbers.iter().map(|n| format!("{}{n}", shown(layers))));
            found.faults.push(format!(
                "{files}: has {which} ({}), but only {}0 to {last} are computed{}",
                tensors(names.len()),
                shown(layers),
                counted(config, last + 1)
            ));
        }
        for (name, read) in &self.rivals {
            found.faults.push(format!(
                "{files}: `{}` and `{}` are two names of one weight, but have different values; {architecture} reads \
                the latter",
                shown(name),
                shown(read)
            ));
        }
        if !self.elsewhere.is_empty() {
            let n = self.elsewhere.len();
            let are = if n == 1 { "is" } else { "are" };
            found.warnings.push(format!("{} of {files} {are} not used: {}", tensors(n), patterns(&self.elsewhere)));
        }
        found
    }
}

/// A clause with the config.json entries about layers that have this value.
fn counted(config: &Map<String, Value>, n: u64) -> String {
    let about_layers = |key: &str| key.contains("layer") || key.contains("depth");
    let nested = config.iter().filter_map(|(key, value)| Some((key, value.as_object()?)));
    let inner =
        nested.flat_map(|(outer, object)| object.iter().map(move |(key, value)| (format!("{outer}.{key}"), value)));
    let all = config.iter().map(|(key, value)| (key.clone(), value)).chain(inner);
    let same = |value: &Value| match value {
        Value::Array(items) => items.iter().any(|item| item.as_u64() == Some(n)),
        other => other.as_u64() == Some(n),
    };
    let found: Vec<String> = all
        .filter(|(key, value)| about_layers(key) && same(value))
        .map(|(key, value)| format!("`{}` is {value}", shown(&key)))
        .collect();
    if found.is_empty() { String::new() } else { format!("; in config.json {}", list(found)) }
}

/// `1 tensor`, `3 tensors`.
fn tensors(n: usize) -> String {
    format!("{n} tensor{}", if n == 1 { "" } else { "s" })
}

/// Names, merged where they differ only in numbers: `layers.*.q_proj.bias (4)`.
fn patterns(names: &[String]) -> String {
    let mut grouped: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in names {
        let parts = name.split('.').map(|part| if part.parse::<u64>().is_ok() { "*" } else { part });
        grouped.entry(parts.collect::<Vec<_>>().join(".")).or_default().push(name);
    }
    list(grouped.iter().map(|(pattern, names)| match names.as_slice() {
        [name] => shown(name),
        several => format!("{} ({})", shown(pattern), several.len()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> BTreeSet<String> {
        let names = [
            "embed.weight",
            "model.cls_token",
            "model.layers.0.attn.q.weight",
            "model.layers.1.attn.q.weight",
            "model.layers.1.experts.0.up.weight",
            "head.weight",
        ];
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn where_a_tensor_lies_says_what_it_means() {
        let beyond = |layers: &str, last| Place::Beyond { layers: layers.into(), last };
        for (name, expected) in [
            ("model.layers.0.attn.q.bias", Place::Computed),
            ("model.layers.0.attn.q_norm.weight", Place::Computed),
            ("model.layers.2.attn.q.weight", beyond("model.layers.", 1)),
            ("model.layers.10.attn.q.weight", beyond("model.layers.", 1)),
            ("model.layers.1.experts.1.up.weight", beyond("model.layers.1.experts.", 0)),
            ("head.bias", Place::Computed),
            ("model.mask_token", Place::Computed),
            ("model.pooler.weight", Place::Elsewhere),
            ("model.norms.0.weight", Place::Elsewhere),
            ("extra", Place::Elsewhere),
        ] {
            assert_eq!(place(name, &read()), expected, "{name}");
        }
    }

    #[test]
    fn many_names_become_few() {
        let names: Vec<String> = (0..30).map(|i| format!("layers.{i}.q.bias")).chain(["b.c".into()]).collect();
        assert_eq!(patterns(&names), "b.c, layers.*.q.bias (30)");
        let many: Vec<String> = (0..30).map(|i| format!("a{i}")).collect();
        assert!(patterns(&many).ends_with(" and 22 more"), "{}", patterns(&many));
    }
}
