//! The tokenizer of a model directory: `tokenizer.json`, or the vocabulary files to build it from. All settings that
//! the transformers library (5.24) applies on top are folded in, so that the result alone gives the ids of
//! `AutoTokenizer.from_pretrained(dir)`, natively and in the page.

mod added;
mod assemble;
mod classes;
mod fault;
mod merges;
mod pieces;
mod post;
mod ranks;
mod regex;
mod scripts;
mod sentencepiece;
mod settings;
mod spm;
mod supported;
mod template;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use self::classes::{Maker, Said, choose};
use self::fault::Fault;
use self::pieces::Base;
use self::settings::{Parsed, Settings};
use super::files::Files;
use super::json;
use crate::error::CompileError;

pub use self::pieces::FILE;

/// A tokenizer with all settings folded in.
#[derive(Debug)]
pub struct Tokenizer {
    /// The content of `tokenizer.json`.
    pub json: Vec<u8>,
    /// The texts of named special tokens, such as `bos_token`.
    pub special: Vec<(String, String)>,
    /// Added tokens that the directory lists, by id.
    pub added: Vec<(u32, String)>,
    /// Settings of the directory that have no effect.
    pub warnings: Vec<String>,
}

/// The tokenizer of a model with these files. `config` is the content of `config.json`. `None` if there is no
/// tokenizer.
///
/// # Errors
/// Names the file, the entry and the remedy, if a file cannot be read or asks for something that is not supported.
pub fn tokenizer(files: &Files, config: &Value) -> Result<Option<Tokenizer>, CompileError> {
    let directory = Directory { files, config };
    let own = files.json(FILE)?;
    let settings_file = directory.json("tokenizer_config.json")?;
    let maker = directory.maker(&settings_file, own.as_ref());
    let mut warnings = warnings(maker, &settings_file, own.is_some());
    let file = if own.is_some() { FILE } else { pieces::vocabulary(files).unwrap_or(FILE) };
    let fault = |fault: Fault| fault.at(files, file);
    let base = match &own {
        Some(json) => Some(Base::of_file(maker, json).map_err(Fault::from)),
        None => pieces::of_vocabulary(files, maker, &settings_file)?.map(Ok),
    };
    let Some(base) = base else { return Ok(None) };
    let parsed = Parsed {
        config: &settings_file,
        order: directory.order("tokenizer_config.json")?,
        special_map: &directory.json("special_tokens_map.json")?,
        added: &directory.json("added_tokens.json")?,
        tokenizer: own.as_ref(),
    };
    let settings = Settings::read(&parsed).map_err(fault)?;
    let assembled = base.and_then(|base| assemble::assemble(maker, settings, base)).map_err(fault)?;
    warnings.sort();
    let json = serde_json::to_vec(&assembled.json).map_err(|e| CompileError::Internal(format!("{FILE}: {e}")))?;
    Ok(Some(Tokenizer { json, special: assembled.special, added: assembled.added, warnings }))
}

/// A model directory whose tokenizer is being read.
struct Directory<'a> {
    files: &'a Files,
    config: &'a Value,
}

impl Directory<'_> {
    fn json(&self, name: &str) -> Result<Value, CompileError> {
        Ok(self.files.json(name)?.unwrap_or(Value::Null))
    }

    /// The keys of a file, then those of the objects in it, in the order of the file.
    fn order(&self, name: &str) -> Result<Vec<String>, CompileError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Entry {
            Keys(IndexMap<String, IgnoredAny>),
            Other(IgnoredAny),
        }
        let bytes = json::standard(self.files.read(name)?.unwrap_or_default()).unwrap_or_default();
        let entries: IndexMap<String, Entry> = serde_json::from_slice(&bytes).unwrap_or_default();
        let inner = entries.values().filter_map(|entry| match entry {
            Entry::Keys(keys) => Some(keys.keys()),
            Entry::Other(_) => None,
        });
        Ok(entries.keys().chain(inner.flatten()).cloned().collect())
    }

    /// The class that builds the tokenizer.
    fn maker(&self, settings: &Value, own: Option<&Value>) -> Maker {
        if self.files.are_made() {
            return Maker::Plain;
        }
        choose(&Said {
            model_type: self.config["model_type"].as_str().unwrap_or_default(),
            tokenizer: settings["tokenizer_class"].as_str(),
            model: self.config["tokenizer_class"].as_str(),
            remote: !remote(settings).is_null(),
            bytes: own.is_some_and(|json| ["pre_tokenizer", "decoder"].iter().any(|part| mentions_bytes(&json[part]))),
        })
    }
}

/// The custom code that a directory has for its tokenizer.
fn remote(settings: &Value) -> &Value {
    match &settings["auto_map"] {
        map @ Value::Object(_) => &map["AutoTokenizer"],
        other => other,
    }
}

fn mentions_bytes(part: &Value) -> bool {
    match part {
        Value::String(text) => text == "ByteLevel",
        Value::Array(items) => items.iter().any(mentions_bytes),
        Value::Object(fields) => fields.values().any(mentions_bytes),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Warnings about a tokenizer that is used without the changes its class would make.
fn warnings(maker: Maker, settings: &Value, own: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !remote(settings).is_null() {
        found.push(format!(
            "tokenizer_config.json: `auto_map` names Python code for the tokenizer, which is not run; using {FILE} \
             alone"
        ));
    }
    match maker {
        Maker::Undescribed(class) | Maker::Apart(class) if own => found.push(format!(
            "{FILE} is used as it is, but {class} of transformers changes it in code, so token ids may differ"
        )),
        Maker::Plain | Maker::Class(..) | Maker::Letters | Maker::Undescribed(_) | Maker::Apart(_) => {}
    }
    found
}
