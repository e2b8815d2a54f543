//! The settings that sentence-transformers saves beside a model: the modules after it, the maximum text length, and
//! prompts. Files, keys and defaults are those of sentence-transformers 6.2 and of the older versions that it reads.

mod modules;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gristmill_bundle::SimilarityFunction;
use serde_json::{Map, Value, json};

use super::files::Files;
use crate::error::CompileError;

/// The list of modules. A directory without it is not one of sentence-transformers.
pub(crate) const MODULES: &str = "modules.json";
/// Prompts, similarity function, and the kind of model.
const SETTINGS: &str = "config_sentence_transformers.json";
/// The entry of the config under which architectures find the modules.
pub(crate) const KEY: &str = "sentence_modules";
/// The weights in a module's folder.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Prompts that always exist; they are empty unless the files define them.
const ALWAYS: [&str; 2] = ["query", "document"];

/// The settings of a directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sentence {
    /// The modules after the model, for formulas (see `models/parts/sentence.ron`); null without [`MODULES`].
    pub(crate) modules: Value,
    /// The folder of the model itself; empty for the top directory.
    pub(crate) folder: String,
    /// Folders with further weights. Their tensors are named after them: `2_Dense/linear.weight`.
    pub(crate) weights: Vec<String>,
    /// Maximum number of tokens of a text.
    pub(crate) max_tokens: Option<u32>,
    /// Whether texts are converted to lower case before tokenization.
    pub(crate) lowers: bool,
    /// Prompts to prepend to texts, by name.
    pub(crate) prompts: BTreeMap<String, String>,
    /// The name of the default prompt.
    pub(crate) default_prompt: Option<String>,
    /// Number of leading elements of a vector to keep; null for all of them.
    truncate_dim: Option<u32>,
    /// The function that compares vectors.
    pub(crate) similarity: SimilarityFunction,
    /// Parts of the files that have no effect.
    pub(crate) warnings: Vec<String>,
}

impl Sentence {
    /// Reads the settings from the files of a directory.
    ///
    /// # Errors
    /// Names the file, the entry that cannot be used, and the remedy.
    pub(crate) fn read(files: &Files) -> Result<Self, CompileError> {
        let mut found = Sentence::default();
        let listed = files.json(MODULES)?;
        let settings = Table::read(files, SETTINGS)?;
        match (listed, &settings) {
            (None, None) => {}
            (None, Some(_)) => {
                found
                    .warnings
                    .push(format!("{SETTINGS}: has no effect without {MODULES}, as in sentence-transformers"));
            }
            (Some(_), Some(settings)) if settings.text("model_type")?.is_some_and(|kind| kind == "CrossEncoder") => {
                let message = "it is a cross-encoder, which is compiled as config.json describes it";
                found.warnings.push(format!("{SETTINGS}: `model_type`: {message}; {MODULES} is ignored"));
            }
            (Some(listed), settings) => {
                if let Some(settings) = settings {
                    found.settings(settings)?;
                }
                found.modules(files, &listed)?;
            }
        }
        for name in ALWAYS {
            found.prompts.entry(name.to_string()).or_default();
        }
        found.transformer(files)?;
        Ok(found)
    }

    /// The limit in `sentence_bert_config.json` or that of the tokenizer, if there is one.
    pub(crate) fn limit(&self, tokenizer: &Value) -> Option<u32> {
        // There, "no limit" is 10^30.
        let own = tokenizer["model_max_length"].as_f64().filter(|n| (1.0..f64::from(u32::MAX)).contains(n));
        let own = own.map(|n| n as u32);
        [self.max_tokens, own].into_iter().flatten().min()
    }

    /// Makes a tokenizer convert texts to lower case first, unless it already does: the effect of `do_lower_case` in
    /// sentence-transformers.
    pub(crate) fn lower(tokenizer: &mut Value) {
        let lowers = |normalizer: &Value| normalizer["type"] == "Lowercase";
        // If this is not a tokenizer, its reader reports that.
        let Some(tokenizer) = tokenizer.as_object_mut() else { return };
        let own = tokenizer.remove("normalizer").unwrap_or_default();
        let mut all = match (own["type"].as_str(), own["normalizers"].as_array()) {
            (Some("Sequence"), Some(all)) => all.clone(),
            (Some(_), _) => vec![own.clone()],
            (None, _) => Vec::new(),
        };
        if !all.iter().any(lowers) {
            all.insert(0, json!({"type": "Lowercase"}));
        }
        tokenizer.insert("normalizer".to_string(), json!({"type": "Sequence", "normalizers": all}));
    }
}

/// A JSON object from a file. Its errors name the file and the entry.
struct Table {
    file: String,
    entries: Map<String, Value>,
}

impl Table {
    /// The object in a file; `None` if the file does not exist.
    fn read(files: &Files, file: &str) -> Result<Option<Self>, CompileError> {
        match files.json(file)? {
            None => Ok(None),
            Some(Value::Object(entries)) => Ok(Some(Table { file: file.to_string(), entries })),
            Some(_) => Err(CompileError::Config(format!("{file}: expected an object"))),
        }
    }

    fn fault<T>(&self, key: &str, message: impl std::fmt::Display) -> Result<T, CompileError> {
        Err(CompileError::Config(format!("{}: `{key}`: {message}", self.file)))
    }

    /// The value of a key; `None` if it is missing or null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).filter(|v| !v.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&str>, CompileError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => self.fault(key, format!("expected a text, found {}", short(other))),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, CompileError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => self.fault(key, format!("expected true or false, found {}", short(other))),
        }
    }

    /// A positive integer.
    fn count(&self, key: &str) -> Result<Option<u32>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(n) => Ok(Some(n)),
            None => self.fault(key, format!("expected a whole number above 0, found {}", short(value))),
        }
    }

    /// A size that must be there.
    fn size(&self, key: &str) -> Result<u32, CompileError> {
        self.count(key)?.map_or_else(|| self.fault(key, "is missing"), Ok)
    }
}

/// A value for messages, shortened if it is long.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
