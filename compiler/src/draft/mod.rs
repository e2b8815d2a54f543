//! Drafts architecture files for models that no shipped file describes.

mod golden;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use gristmill_graph::text::{Library, Outline, bind, fits_pattern, outline};
use serde_json::Value;

use crate::hf::unused::{ConfigEntries, Tensors, Verdict};

pub use golden::golden_script;
use pattern::{fits, general};

/// A draft, and how well its base fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The architecture file.
    pub text: String,
    /// Name of the shipped architecture that it extends.
    pub base: String,
    /// How many of the model's tensors the base has a name for.
    pub known: usize,
    /// How many tensors the model has.
    pub total: usize,
}

/// Drafts an architecture file from a model's config.json and the names and shapes of its tensors. It extends the
/// architecture `base`, or else the shipped one that fits with the fewest changes. The draft lists what the base does
/// not read, and what the base reads but the model lacks. Returns `None` if no shipped architecture knows any of the
/// names, or if there is no architecture called `base`.
pub fn draft(
    library: &Library,
    config: &Value,
    tensors: &BTreeMap<String, Vec<u64>>,
    base: Option<&str>,
) -> Option<Draft> {
    let files: Vec<String> = library.architectures().map(str::to_string).collect();
    let wanted = |file: &&String| base.is_none_or(|base| file.trim_end_matches(".ron") == base);
    let read = |file: &String| Some((file.trim_end_matches(".ron").to_string(), outline(library, file).ok()?));
    let candidates = files.iter().filter(wanted).filter_map(read);
    let judged = candidates.map(|(name, outlined)| (matches(&outlined, tensors), name, outlined));
    let known = judged.filter(|(found, _, _)| base.is_some() || !found.known.is_empty());
    // A tensor without a name costs as much work as a missing one. Ties go to the simplest architecture.
    let work = |found: &Matches, name: &str| {
        let faults = bind(library, name, config, Some(tensors)).err().map_or(0, |faults| faults.0.len());
        tensors.len() - found.known.len() + faults
    };
    let (found, base, outlined) =
        known.min_by_key(|(found, name, outlined)| (work(found, name), found.missing.len(), outlined.depth))?;
    let class = config["architectures"][0].as_str().unwrap_or("MyModel");
    let text = write(class, &base, &outlined, &found, config, tensors);
    Some(Draft { text, base, known: found.known.len(), total: tensors.len() })
}

/// How a base matches a model.
struct Matches {
    /// Tensors that the base has a name for.
    known: BTreeSet<String>,
    /// Weights that the base needs but the model lacks: name and pattern.
    missing: Vec<(String, String)>,
}

fn matches(base: &Outline, tensors: &BTreeMap<String, Vec<u64>>) -> Matches {
    let mut known = BTreeSet::new();
    let mut missing = Vec::new();
    for weight in &base.weights {
        let fitting: Vec<&String> = tensors.keys().filter(|name| fits(&weight.tensor, name)).collect();
        if fitting.is_empty() && !weight.optional {
            missing.push((weight.name.clone(), weight.tensor.clone()));
        }
        known.extend(fitting.into_iter().cloned());
    }
    Matches { known, missing }
}

fn write(
    class: &str,
    base: &str,
    outlined: &Outline,
    found: &Matches,
    config: &Value,
    tensors: &BTreeMap<String, Vec<u64>>,
) -> String {
    let mut text = String::new();
    let (known, total) = (found.known.len(), tensors.len());
    let _ = writeln!(text, "// A draft: {base}.ron names {known} of {total} tensors. The others are listed below.");
    let _ =
        writeln!(text, "// The manual of this language is models/README.md; a worked example is docs/authoring.md.");
    let _ = writeln!(text, "Architecture(\n    doc: \"{class}: like {base}, but for ..\",\n    extends: \"{base}\",");
    let _ = writeln!(text, "    classes: [\"{class}\"],\n");
    write_config(&mut text, base, outlined, config);
    write_weights(&mut text, base, outlined, found, config, tensors);
    if !found.missing.is_empty() {
        let _ = writeln!(
            text,
            "    // {base} reads these, but this model does not have them. Replace the statements that use them."
        );
        for (name, tensor) in &found.missing {
            let _ = writeln!(text, "    //   {name}: {tensor}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "    // Where {base} computes something else, replace statements by name, or add some:");
    let _ = writeln!(
        text,
        "    //   Replace(\"layers.a\", [Let(\"a = layer_norm(h, input_norm, input_norm_bias, eps: eps) :: norm\")]),"
    );
    let _ = writeln!(text, "    // Statements of {base}:");
    for line in wrapped(&outlined.statements) {
        let _ = writeln!(text, "    //   {line}");
    }
    text.push_str("    edits: [\n    ],\n)\n");
    text
}

/// Lists entries of config.json that the base does not read.
fn write_config(text: &mut String, base: &str, outlined: &Outline, config: &Value) {
    let formulas: String = outlined.config.iter().map(|(_, formula)| format!("{formula}\n")).collect();
    let read = |key: &str| formulas.contains(&format!("config.{key}")) || formulas.contains(&format!("'{key}'"));
    let known = ConfigEntries::load().ok();
    let names: Vec<&str> = config["model_type"].as_str().into_iter().collect();
    let silent = |key: &str, value: &Value| {
        let verdict = known.as_ref().map(|known| known.judge(&names, key, value));
        value.is_null() || matches!(verdict, Some(Verdict::Harmless))
    };
    let unread = config.as_object().into_iter().flatten().filter(|(key, value)| !silent(key, value) && !read(key));
    let unread: Vec<String> = unread.map(|(key, value)| format!("{key} = {value}")).collect();
    if unread.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "    // {base} does not read these keys of config.json. Does one of them change what is computed?"
    );
    for entry in unread {
        let shown: String = entry.chars().take(100).collect();
        let _ = writeln!(text, "    //   {shown}");
    }
    text.push_str("    config: [\n    ],\n\n");
}

/// Lists tensors that the base has no name for.
fn write_weights(
    text: &mut String,
    base: &str,
    outlined: &Outline,
    found: &Matches,
    config: &Value,
    tensors: &BTreeMap<String, Vec<u64>>,
) {
    let mut unknown: BTreeMap<String, &Vec<u64>> = BTreeMap::new();
    let buffers = Tensors::load().ok();
    let is_buffer = |name: &str| buffers.as_ref().is_some_and(|known| known.ignores(name));
    let ignored = |name: &str| outlined.ignores.iter().any(|pattern| fits_pattern(pattern, name));
    let unnamed = |name: &str| !found.known.contains(name) && !is_buffer(name) && !ignored(name);
    for (name, shape) in tensors.iter().filter(|(name, _)| unnamed(name)) {
        unknown.entry(general(name).0).or_insert(shape);
    }
    if unknown.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "    // {base} does not name these tensors. Name those that the model uses, and list the others in `ignores`."
    );
    text.push_str("    weights: {\n");
    let mut names: BTreeSet<String> = outlined.weights.iter().map(|w| w.name.clone()).collect();
    names.extend(outlined.config.iter().map(|(name, _)| name.clone()));
    names.extend(outlined.statements.iter().filter_map(|s| s.rsplit('.').next()).map(str::to_string));
    for (tensor, shape) in unknown {
        let name = free_name(&tensor, &mut names);
        let shape: Vec<String> = shape.iter().map(|n| dimension(*n, outlined, config)).collect();
        let _ = writeln!(text, "        \"{name}\": (tensor: \"{tensor}\", shape: \"{}\"),", shape.join(", "));
    }
    text.push_str("    },\n\n");
}

/// An unused name, made of the last parts of a tensor's name.
fn free_name(tensor: &str, taken: &mut BTreeSet<String>) -> String {
    let word =
        |part: &str| -> String { part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect() };
    let parts: Vec<String> = tensor.split('.').filter(|p| *p != "{i}" && *p != "weight").map(word).collect();
    for count in 2.min(parts.len())..=parts.len() {
        let name = parts[parts.len() - count..].join("_");
        let usable = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if usable && taken.insert(name.clone()) {
            return name;
        }
    }
    let mut n = 2;
    while !taken.insert(format!("tensor_{n}")) {
        n += 1;
    }
    format!("tensor_{n}")
}

/// A size, written as the config value that equals it if the base reads one, else as a number.
fn dimension(size: u64, outlined: &Outline, config: &Value) -> String {
    let same = |(_, formula): &&(String, String)| {
        let key = formula.split_whitespace().next().and_then(|f| f.strip_prefix("config."));
        let plain =
            key.filter(|k| formula == &format!("config.{k}") || formula.starts_with(&format!("config.{k} ?? ")));
        plain.and_then(|k| k.split('.').try_fold(config, |v, part| v.get(part))).and_then(Value::as_u64) == Some(size)
    };
    outlined.config.iter().find(same).map_or_else(|| size.to_string(), |(name, _)| name.clone())
}

/// Joins names into lines of at most a hundred characters.
fn wrapped(names: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for name in names.iter().filter(|n| !n.contains('{')) {
        let line = lines.last_mut().filter(|l| l.len() + name.len() < 100);
        match line {
            Some(line) if line.is_empty() => line.push_str(name),
            Some(line) => *line += &format!(" {name}"),
            None => lines.push(name.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
