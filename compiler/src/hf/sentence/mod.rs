//! What sentence-transformers has saved beside a model: the modules behind it, how long texts may be, what is put in
//! front of them. Files, keys and defaults are those of sentence-transformers 6.2 and of the versions that it reads.

mod modules;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gristmill_bundle::SimilarityFunction;
use serde_json::{Map, Value, json};

use super::files::Files;
use crate::error::CompileError;

/// The list of modules; a directory without it is none of sentence-transformers.
pub(crate) const MODULES: &str = "modules.json";
/// Prompts, similarity, and what kind of model it is.
const SETTINGS: &str = "config_sentence_transformers.json";
/// Under which entry of the config architectures find the modules.
pub(crate) const KEY: &str = "sentence_modules";
/// Weights in the folder of a module.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Prompts that always exist; they are empty unless the files say otherwise.
const ALWAYS: [&str; 2] = ["query", "document"];

/// What is known of a directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sentence {
    /// The modules behind the model, for formulas (see `models/parts/sentence.ron`); null without [`MODULES`].
    pub(crate) modules: Value,
    /// The folder of the model itself; empty for the directory.
    pub(crate) folder: String,
    /// Folders whose weights are tensors of the model, as `2_Dense/linear.weight`.
    pub(crate) weights: Vec<String>,
    /// Most tokens of a text.
    pub(crate) max_tokens: Option<u32>,
    /// Whether texts are lowered before they become tokens.
    pub(crate) lowers: bool,
    /// Texts that can be put in front of others, by name.
    pub(crate) prompts: BTreeMap<String, String>,
    /// The one that is used unless another is named.
    pub(crate) default_prompt: Option<String>,
    /// Numbers of a vector that are kept; null if all are.
    truncate_dim: Option<u32>,
    /// How vectors are compared.
    pub(crate) similarity: SimilarityFunction,
    /// What is in the files and has no effect.
    pub(crate) warnings: Vec<String>,
}

impl Sentence {
    /// Reads what is among the files of a directory.
    ///
    /// # Errors
    /// Names the file and the entry that cannot be used, and what to do.
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

    /// The limit of `sentence_bert_config.json` and that of the tokenizer, if they have one.
    pub(crate) fn limit(&self, tokenizer: &Value) -> Option<u32> {
        // "No limit" is 10^30 there.
        let own = tokenizer["model_max_length"].as_f64().filter(|n| (1.0..f64::from(u32::MAX)).contains(n));
        let own = own.map(|n| n as u32);
        [self.max_tokens, own].into_iter().flatten().min()
    }

    /// Makes a tokenizer lower texts first, unless it does so already: what sentence-transformers makes of
    /// `do_lower_case`.
    pub(crate) fn lower(tokenizer: &mut Value) {
        let lowers = |normalizer: &Value| normalizer["type"] == "Lowercase";
        // What is no tokenizer is refused where it is read.
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

/// A JSON object of a file, with errors that name file and entry.
struct Table {
    file: String,
    entries: Map<String, Value>,
}

impl Table {
    /// The object in a file; none if there is no such file.
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

    /// The value of a key; none if it is missing or null.
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

    /// A whole number from 1 on.
    fn count(&self, key: &str) -> Result<Option<u32>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(n) => Ok(Some(n)),
            None => self.fault(key, format!("expected a whole number above 0, found {}", short(value))),
        }
    }

    /// The size of something that has to be there.
    fn size(&self, key: &str) -> Result<u32, CompileError> {
        self.count(key)?.map_or_else(|| self.fault(key, "is missing"), Ok)
    }
}

/// A value for messages; hostile ones are long.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
