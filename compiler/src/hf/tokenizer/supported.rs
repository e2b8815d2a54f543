//! What both runtimes know of tokenizers, and what would make the tokenizers library panic.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

use super::ranks::base64;
use super::regex;

/// An entry of our own: special tokens that are written out in a text are text.
pub(super) const SPLIT_SPECIAL: &str = "split_special_tokens";

/// Kinds by part. The page's tests hold it to the same list.
static KINDS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let read = serde_json::from_str(include_str!("supported.json"));
    read.unwrap_or_else(|e| unreachable!("supported.json: {e}"))
});

/// Parts in parts.
const MAX_DEPTH: usize = 32;
/// Longest text that a normalizer may make of one character, as many times as long.
const MAX_GROWTH: f64 = 1024.0;

/// Visits every object of a part.
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

/// Makes regular expressions those that both engines read, and refuses what the library would panic at.
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
            if entry["type"] == "Strip" && entry["stop"].as_u64().is_some_and(|stop| stop > 0) {
                return Err(format!(
                    "{part}: Strip with `stop`, at which the tokenizers library fails for short tokens"
                ));
            }
            match entry["precompiled_charsmap"].as_str() {
                Some(map) if !is_charsmap(map) => Err(format!("{part}: precompiled_charsmap is damaged")),
                Some(_) | None => Ok(()),
            }
        })
        .map_err(|m| if m.contains(part) { m } else { format!("{part}: {m}") })?;
    }
    growth(&json["normalizer"])?;
    template(&mut json["post_processor"])?;
    merges(&json["model"])
}

/// Whether this is a map of characters whose table lies within it.
fn is_charsmap(map: &str) -> bool {
    let Some(bytes) = base64(map) else { return false };
    if bytes.is_empty() {
        return true;
    }
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return false };
    let size = u32::from_le_bytes(*size) as usize;
    let Some(table) = rest.get(..size) else { return false };
    size > 0 && size.is_multiple_of(4) && walks(table) && std::str::from_utf8(&rest[size..]).is_ok()
}

/// Whether every step of the double-array trie from a node of it stays in the table.
fn walks(table: &[u8]) -> bool {
    let units: Vec<u32> = table.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    let offset = |unit: u32| ((unit >> 10) << ((unit & 0x200) >> 6)) as usize;
    // Steps XOR a byte to a place, so they stay in its block of 256.
    let within = |at: usize| at | 0xFF;
    let mut todo = vec![offset(units[0])];
    let mut seen = vec![false; units.len()];
    while let Some(base) = todo.pop() {
        if within(base) >= units.len() {
            return false;
        }
        for byte in 1..=0xFFusize {
            let at = base ^ byte;
            let unit = units[at];
            if (unit & 0x8000_00FF) as usize != byte || std::mem::replace(&mut seen[at], true) {
                continue;
            }
            let next = at ^ offset(unit);
            if (unit >> 8) & 1 == 1 && next >= units.len() {
                return false;
            }
            todo.push(next);
        }
    }
    true
}

/// Refuses normalizers that make a short text fill the memory.
fn growth(normalizer: &Value) -> Result<(), String> {
    fn factor(part: &Value) -> f64 {
        match part["type"].as_str() {
            Some("Sequence") => part["normalizers"].as_array().into_iter().flatten().map(factor).product(),
            Some("Replace") => {
                let from = part["pattern"]["String"].as_str().map_or(1, |p| p.chars().count().max(1));
                (part["content"].as_str().map_or(0, |c| c.chars().count()) as f64 / from as f64).max(1.0)
            }
            _ => 1.0,
        }
    }
    let factor = factor(normalizer);
    if factor > MAX_GROWTH {
        return Err(format!("normalizer: its replacements make a text {factor:.0} times as long"));
    }
    Ok(())
}

/// Refuses templates with tokens that are not defined.
fn template(post: &mut Value) -> Result<(), String> {
    let around = ["BertProcessing", "RobertaProcessing", "TemplateProcessing"];
    let adds = |part: &Value| part["type"].as_str().is_some_and(|kind| around.contains(&kind));
    each(post, 0, &mut |entry| {
        if entry["processors"].as_array().is_some_and(|all| all.iter().filter(|p| adds(p)).count() > 1) {
            return Err("post_processor: a Sequence with two processors that put tokens around a text".into());
        }
        let used = ["single", "pair"].into_iter().filter_map(|key| entry[key].as_array()).flatten();
        let used = used.filter_map(|item| item["SpecialToken"]["id"].as_str());
        let missing = used.into_iter().find(|id| entry["special_tokens"][*id].is_null());
        match missing {
            Some(id) => Err(format!("post_processor: special_tokens has no {id:?}")),
            None => Ok(()),
        }
    })
}

/// Refuses a prefix of subwords that second halves of merges do not have.
fn merges(model: &Value) -> Result<(), String> {
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    let Some(merges) = model["merges"].as_array().filter(|_| !prefix.is_empty()) else { return Ok(()) };
    for (at, merge) in merges.iter().enumerate() {
        let second = merge[1].as_str().or_else(|| merge.as_str()?.split_once(' ').map(|(_, second)| second));
        if second.is_some_and(|s| !s.is_char_boundary(prefix.len().min(s.len())) || s.len() < prefix.len()) {
            return Err(format!("model: merge {at} does not continue with {prefix:?}"));
        }
    }
    Ok(())
}

/// Where a file is wrong: the first part that the library cannot read by itself.
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

/// Refuses kinds of parts that one of the runtimes does not know.
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
