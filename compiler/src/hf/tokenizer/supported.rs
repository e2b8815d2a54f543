//! The tokenizer parts that both runtimes support.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use super::regex;

/// An entry of gristmill's own: special tokens that occur in a text are treated as text.
pub(super) const SPLIT_SPECIAL: &str = "split_special_tokens";

/// Another one: if it is `left`, texts that are too long are truncated at their beginning.
pub(super) const TRUNCATION_SIDE: &str = "truncation_side";

/// Supported types, by part. The tests of the page check the same list.
static KINDS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let read = serde_json::from_str(include_str!("supported.json"));
    read.unwrap_or_else(|e| unreachable!("supported.json: {e}"))
});

/// Maximum nesting of parts.
const MAX_DEPTH: usize = 32;

/// Visits every object in a part.
fn each(part: &mut Value, depth: usize, visit: &mut dyn FnMut(&mut Value) -> Result<(), String>) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("parts are nested more than {MAX_DEPTH} deep"));
    }
    match part {
        Value::Array(items) => items.iter_mut().try_for_each(|item| each(item, depth + 1, visit)),
        Value::Object(_) => {
            visit(part)?;
            let Some(fields) = part.as_object_mut() else { return Ok(()) };
            fields.values_mut().try_for_each(|item| each(item, depth + 1, visit))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Translates regular expressions into ones that both engines read.
///
/// # Errors
/// Names the entry.
pub(super) fn prepare(json: &mut Value) -> Result<(), String> {
    for part in ["normalizer", "pre_tokenizer", "decoder"] {
        each(&mut json[part], 0, &mut |entry| {
            if let Some(Value::String(pattern)) = entry.get_mut("Regex") {
                let fault =
                    |what| format!("{part}: the regular expression {pattern:?} has {what}, which is not supported");
                *pattern = regex::translate(pattern).map_err(fault)?;
            }
            Ok(())
        })
        .map_err(|m| if m.contains(part) { m } else { format!("{part}: {m}") })?;
    }
    Ok(())
}

/// The location of an error: the first part that the library cannot read by itself.
pub(super) fn place(json: &Value, whole: &str) -> String {
    fn wrong<T: DeserializeOwned>(json: &Value, part: &str) -> Option<String> {
        let value = &json[part];
        let kind = value["type"].as_str().map(|k| format!(" {k:?}")).unwrap_or_default();
        let error = if value.is_null() { None } else { serde_json::from_value::<T>(value.clone()).err() };
        error.map(|e| format!("{part}{kind}: {e}"))
    }
    if json["model"].is_null() {
        return "model: missing".to_string();
    }
    wrong::<NormalizerWrapper>(json, "normalizer")
        .or_else(|| wrong::<PreTokenizerWrapper>(json, "pre_tokenizer"))
        .or_else(|| wrong::<PostProcessorWrapper>(json, "post_processor"))
        .or_else(|| wrong::<DecoderWrapper>(json, "decoder"))
        .or_else(|| wrong::<ModelWrapper>(json, "model"))
        .unwrap_or_else(|| whole.to_string())
}

/// Rejects types of parts that one of the runtimes does not support.
pub(super) fn finish(json: &Value) -> Result<(), String> {
    for (part, kinds) in KINDS.iter() {
        let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
        let mut todo = vec![&json[part]];
        while let Some(entry) = todo.pop() {
            let Some(kind) = entry["type"].as_str() else { continue };
            if !kinds.iter().any(|k| k == kind) {
                return Err(format!("{part} {kind:?} is not supported; supported are {}", kinds.join(", ")));
            }
            todo.extend(lists.iter().filter_map(|list| entry[*list].as_array()).flatten());
        }
    }
    Ok(())
}
