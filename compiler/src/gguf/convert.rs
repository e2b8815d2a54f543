//! Turns a GGUF file into the contents of a model directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gristmill_graph::text::{Conversion, Converted, Diagnostics, Library, Stored as Order, TensorRule};
use serde_json::{Map, Value as Json, json};

use super::file::Gguf;
use super::header::TensorInfo;
use super::kinds::READ;
use super::tokenizer;
use super::value::{Value, nest};
use crate::error::CompileError;
use crate::hf::files::Files;
use crate::weights::checkpoint::Stored;
use crate::weights::error::shown;
use crate::weights::{Checkpoint, WeightError};

const ARCHITECTURE: &str = "general.architecture";
const TOKENS: &str = "tokenizer.ggml.tokens";

/// Keys of the tokens that end a document, a turn or a message.
const ENDS: [&str; 3] = ["eos_token_id", "eot_token_id", "eom_token_id"];

/// The settings of a model as files, and warnings.
pub(crate) fn model(gguf: &Gguf) -> Result<(Files, Vec<String>), CompileError> {
    let library = crate::library::library();
    let (conversion, converted, architecture) = converted(gguf, &library)?;
    let text = |value: &Json| value.to_string().into_bytes();
    let mut files = BTreeMap::from([("config.json", text(&converted.config))]);
    let ends = ends(gguf);
    if !ends.is_empty() {
        files.insert("generation_config.json", text(&json!({ "eos_token_id": ends })));
    }
    let mut warnings = unread(gguf, &conversion, &architecture);
    if gguf.metadata.contains_key(tokenizer::MODEL) {
        let made = tokenizer::make(gguf, conversion.merge_order())?;
        files.insert("tokenizer.json", text(&made.tokenizer));
        files.insert("tokenizer_config.json", text(&made.config));
        warnings.extend(made.warnings);
    }
    Ok((Files::in_memory(&gguf.path, files), warnings))
}

/// The weights of a file, under the names that architectures use.
///
/// # Errors
/// If the architecture is unknown, or a tensor that it reads has an unsupported format.
pub(crate) fn checkpoint(gguf: &Gguf) -> Result<Checkpoint, CompileError> {
    let library = crate::library::library();
    let (conversion, converted, _) = converted(gguf, &library)?;
    let read: BTreeSet<&str> = conversion.vectors().map(|(_, tensor)| tensor).collect();
    let (mut tensors, mut refused, mut skipped) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (file, tensor) in gguf.tensors.iter().filter(|(_, t)| !read.contains(t.name.as_str())) {
        let rule = converted.tensors.iter().find_map(|rule| Some((name_by(rule, &tensor.name)?, rule.stored)));
        let (file, shape, start) = (*file, tensor.shape.clone(), tensor.start);
        match (rule, tensor.kind.storage()) {
            (Some((name, order)), Some(storage)) => tensors.push((name, Stored { file, storage, shape, start, order })),
            (Some(_), None) => refused.push(tensor),
            // A tensor without a rule keeps its name, which no architecture looks for.
            (None, Some(storage)) => {
                let stored = Stored { file, storage, shape, start, order: Order::AsIs };
                tensors.push((tensor.name.clone(), stored));
            }
            (None, None) => {
                skipped.insert(tensor.name.clone(), format!("is stored as {}, which is not supported", tensor.kind));
            }
        }
    }
    refuse(gguf, &refused)?;
    Ok(Checkpoint::of(&gguf.path, gguf.files.clone(), tensors, skipped)?)
}

/// The name that a rule gives to a tensor, if it matches.
fn name_by(rule: &TensorRule, name: &str) -> Option<String> {
    const NUMBER: &str = "{i}";
    let Some((before, behind)) = rule.pattern.split_once(NUMBER) else {
        return (rule.pattern == name).then(|| rule.name.clone());
    };
    let number = name.strip_prefix(before)?.strip_suffix(behind)?;
    let plain = number == "0" || !number.starts_with('0');
    let is_number = !number.is_empty() && number.len() < 6 && number.bytes().all(|b| b.is_ascii_digit());
    (plain && is_number).then(|| rule.name.replace(NUMBER, number))
}

fn refuse(gguf: &Gguf, tensors: &[&TensorInfo]) -> Result<(), CompileError> {
    let Some(first) = tensors.first() else { return Ok(()) };
    let kinds: BTreeSet<String> = tensors.iter().map(|t| t.kind.to_string()).collect();
    let more = match tensors.len() {
        1 => String::new(),
        n => format!(", like {n} tensors in unsupported formats ({})", Vec::from_iter(kinds).join(", ")),
    };
    let message = format!("is stored as {}, which is not supported{more}", first.kind);
    let help = format!("use a file in one of {READ}, or the Hugging Face model directory");
    Err(WeightError::new(&gguf.path, message, help).in_tensor(&first.name).into())
}

type Parts<'a> = (Conversion<'a>, Converted, String);

fn converted<'a>(gguf: &Gguf, library: &'a Library) -> Result<Parts<'a>, CompileError> {
    let in_file = |text: String| CompileError::Config(format!("{}: {text}", gguf.path.display()));
    let Some(architecture) = gguf.metadata.get(ARCHITECTURE).and_then(Value::as_text) else {
        return Err(in_file(format!("has no metadata `{ARCHITECTURE}`, which names the architecture")));
    };
    let mut printable = shown(architecture);
    if printable != architecture || architecture.contains(['/', '\\']) {
        printable.truncate(40);
        return Err(in_file(format!(
            "metadata `{ARCHITECTURE}` is `{printable}`, which is not the name of an architecture"
        )));
    }
    let found = |d: Diagnostics| in_file(d.to_string());
    let conversion = Conversion::load(library, architecture).map_err(found)?;
    let facts = facts(gguf, architecture, &conversion)?;
    let converted = conversion.apply(&facts).map_err(found)?;
    Ok((conversion, converted, architecture.to_string()))
}

/// The values that formulas can read, by name.
fn facts(gguf: &Gguf, architecture: &str, conversion: &Conversion<'_>) -> Result<Map<String, Json>, CompileError> {
    let mut facts = Map::new();
    for name in ["arch", "general", "tokenizer"] {
        let prefix = format!("{}.", if name == "arch" { architecture } else { name });
        let mut values = Map::new();
        for (key, value) in &gguf.metadata {
            let Some(key) = key.strip_prefix(&prefix) else { continue };
            let fault = |text| CompileError::Config(format!("{}: {text}", gguf.path.display()));
            nest(&mut values, &shown(key), value).map_err(fault)?;
        }
        facts.insert(name.into(), Json::Object(values));
    }
    for (name, tensor) in conversion.vectors() {
        let values = gguf.vector(tensor)?.map_or(Json::Null, Json::from);
        facts.insert(name.into(), values);
    }
    let tensors = gguf.tensors.iter().map(|(_, t)| (t.name.clone(), Json::from(t.shape.clone()))).collect();
    facts.insert("tensors".into(), Json::Object(tensors));
    let count = gguf.metadata.get(TOKENS).and_then(Value::as_list).map(<[Value]>::len);
    facts.insert("token_count".into(), count.map_or(Json::Null, Json::from));
    Ok(facts)
}

/// Ids of tokens that end generation.
fn ends(gguf: &Gguf) -> Vec<u64> {
    let id = |key: &&str| gguf.metadata.get(&format!("tokenizer.ggml.{key}")).and_then(Value::as_u64);
    let mut ids: Vec<u64> = ENDS.iter().filter_map(id).collect();
    ids.dedup();
    ids
}

/// A warning for each metadata key of the architecture that is not read.
fn unread(gguf: &Gguf, conversion: &Conversion<'_>, architecture: &str) -> Vec<String> {
    let place: &Path = &gguf.path;
    let prefix = format!("{architecture}.");
    let own = gguf.metadata.keys().filter(|key| key.strip_prefix(&prefix).is_some_and(|key| !conversion.knows(key)));
    own.map(|key| {
        let key = shown(key);
        format!("{}: metadata `{key}` is not read; it may affect the results", place.display())
    })
    .collect()
}
