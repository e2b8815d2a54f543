//! Validates emitted modules, and prints them as text.

use wasmparser::{Validator, WasmFeatures};

use crate::variant::Variant;

/// Validates a module with the features of its variant: SIMD, and relaxed SIMD and threads if the variant has them.
/// Engines with these features accept it.
///
/// # Errors
/// What is invalid, and at which byte.
pub fn validate(module: &[u8], variant: Variant) -> Result<(), String> {
    let mut features = WasmFeatures::MVP | WasmFeatures::WASM2;
    features.set(WasmFeatures::RELAXED_SIMD, variant.relaxed);
    features.set(WasmFeatures::THREADS, variant.threads);
    Validator::new_with_features(features).validate_all(module).map_err(|e| e.to_string())?;
    Ok(())
}

/// The text format of a module, or of a single function.
///
/// # Errors
/// If the bytes are not a module, or it has no such function.
pub fn text(module: &[u8], function: Option<&str>) -> Result<String, String> {
    let whole = wasmprinter::print_bytes(module).map_err(|e| e.to_string())?;
    let Some(name) = function else { return Ok(whole) };
    let heads = [format!("  (func ${name} "), format!("  (func $\"{name}\" ")];
    let begins = |line: &str| heads.iter().any(|h| line.starts_with(h.as_str()));
    let lines: Vec<&str> = whole.lines().collect();
    let first = lines.iter().position(|l| begins(l)).ok_or_else(|| format!("the module has no function `{name}`"))?;
    let last = lines[first..].iter().position(|l| *l == "  )").map_or(lines.len() - 1, |n| first + n);
    Ok(lines[first..=last].join("\n") + "\n")
}
