//! Rejects checkpoints with weights packed by other quantization methods, which are not supported.

use serde_json::Value;

use super::unused::Tensors;
use crate::error::CompileError;
use crate::weights::files::listed;
use crate::weights::{Checkpoint, shown};

/// Entries of config.json that describe the quantization of weights, newest first.
pub(crate) const ENTRIES: [&str; 2] = ["quantization_config", "compression_config"];

const UNPACKED: &str = "use the original checkpoint with unquantized weights; gristmill quantizes it (--precision q4)";

/// Rejects packed weights if config.json says that they are quantized. Returns a warning if it says so but the weights
/// are not packed.
///
/// # Errors
/// Names the method, its bits, some tensors, and the remedy.
pub(crate) fn check(config: &Value, checkpoint: &Checkpoint) -> Result<Option<String>, CompileError> {
    let Some((entry, said)) = said(config) else { return Ok(None) };
    let known = Tensors::load()?;
    let packed = packed(checkpoint, &known);
    if packed.is_empty() {
        return Ok(Some(format!(
            "config.json: `{entry}` says that weights are quantized with {}, but those of {} are not packed; they are \
             used as they are",
            method(said),
            checkpoint.shown_files()
        )));
    }
    let name = said["quant_method"].as_str().unwrap_or_default();
    Err(refusal(&format!("config.json: `{entry}`"), &method(said), known.remedy(name), &packed))
}

/// A better error for weights that could not be bound, if they are packed by a method that config.json does not name.
pub(crate) fn explain(checkpoint: &Checkpoint) -> Result<Option<CompileError>, CompileError> {
    let known = Tensors::load()?;
    let packed = packed(checkpoint, &known);
    let method = packed.iter().find_map(|name| known.packer(name));
    let refused = |method: &str| refusal(&checkpoint.shown_files(), method, known.remedy(method), &packed);
    Ok(method.map(refused))
}

fn refusal(place: &str, method: &str, remedy: Option<&str>, packed: &[String]) -> CompileError {
    let remedy = remedy.map(|text| format!("; or dequantize them: {text}")).unwrap_or_default();
    CompileError::Config(format!(
        "{place}: weights quantized with {method} and packed are not supported: {}\n  help: {UNPACKED}{remedy}",
        listed(packed)
    ))
}

/// The entry that describes the quantization, in the config or in one that it contains.
fn said(config: &Value) -> Option<(String, &Value)> {
    let inner = config.as_object()?.iter().filter(|(_, value)| value.is_object());
    let all =
        std::iter::once((String::new(), config)).chain(inner.map(|(key, value)| (format!("{}.", shown(key)), value)));
    all.into_iter().find_map(|(path, object)| {
        ENTRIES.iter().find_map(|entry| Some((format!("{path}{entry}"), object.get(entry).filter(|v| !v.is_null())?)))
    })
}

/// `gptq (4 bits, groups of 128)`.
fn method(said: &Value) -> String {
    let name = said["quant_method"].as_str().unwrap_or("an unnamed method");
    let number = |keys: &[&str]| keys.iter().find_map(|key| said[*key].as_u64());
    let bits = match (said["load_in_4bit"].as_bool(), said["load_in_8bit"].as_bool()) {
        (Some(true), _) => Some(4),
        (_, Some(true)) => Some(8),
        _ => number(&["bits", "w_bit", "nbits", "weight_bits"]).or_else(|| grouped(said)?["num_bits"].as_u64()),
    };
    let group = number(&["group_size", "q_group_size"]).or_else(|| grouped(said)?["group_size"].as_u64());
    let details = [
        bits.map(|n| format!("{n} bits")),
        group.map(|n| format!("groups of {n}")),
        said["format"].as_str().or_else(|| said["fmt"].as_str()).map(shown),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    if details.is_empty() { shown(name) } else { format!("{} ({})", shown(name), details.join(", ")) }
}

/// The settings of compressed-tensors for the weights of its first group of layers.
fn grouped(said: &Value) -> Option<&Value> {
    said["config_groups"].as_object()?.values().next()?.get("weights")
}

/// Tensors that are parts of packed weights: recognized by their names, or by a type that holds codes.
fn packed(checkpoint: &Checkpoint, known: &Tensors) -> Vec<String> {
    let coded = |name: &&String| name.ends_with(".weight") || known.packer(name).is_some();
    let floats = checkpoint.tensors();
    let plain = floats.keys().filter(|name| known.packer(name).is_some());
    let mut all: Vec<String> = checkpoint.skipped().keys().filter(coded).chain(plain).cloned().collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn methods_are_described_as_they_are_written() {
        for (said, expected) in [
            (json!({"quant_method": "gptq", "bits": 4, "group_size": 128}), "gptq (4 bits, groups of 128)"),
            (json!({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}), "awq (4 bits, groups of 64)"),
            (json!({"quant_method": "bitsandbytes", "load_in_4bit": true}), "bitsandbytes (4 bits)"),
            (json!({"quant_method": "bitsandbytes", "load_in_8bit": true}), "bitsandbytes (8 bits)"),
            (json!({"quant_method": "fp8", "fmt": "e4m3"}), "fp8 (e4m3)"),
            (json!({"quant_method": "mxfp4"}), "mxfp4"),
            (
                json!({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
                    {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}}}),
                "compressed-tensors (4 bits, groups of 128, pack-quantized)",
            ),
            (json!([1]), "an unnamed method"),
        ] {
            assert_eq!(method(&said), expected);
        }
        assert_eq!(
            said(&json!({"text_config": {"quantization_config": {}}})).unwrap().0,
            "text_config.quantization_config"
        );
        assert!(said(&json!({"quantization_config": null})).is_none());
    }
}
