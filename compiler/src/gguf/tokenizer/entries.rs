//! The tokenizer entries in a file's metadata, checked as they are read.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::table::{self, Method, Table};
use crate::error::CompileError;
use crate::gguf::file::Gguf;
use crate::gguf::value::Value;
use crate::weights::error::shown;

/// The key of the tokenizer's name.
pub(crate) const MODEL: &str = "tokenizer.ggml.model";

/// Maximum length of a token in bytes; real ones have up to a few hundred.
const LONGEST: usize = 1 << 10;

/// Kinds of tokens, as numbered by llama.cpp.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// The tokenizer entries of a file.
pub(super) struct Entries<'a> {
    /// The file.
    pub(super) gguf: &'a Gguf,
    /// Texts by id.
    pub(super) tokens: Vec<&'a str>,
    /// The id of each text.
    pub(super) ids: HashMap<&'a str, u32>,
    /// Kinds by id; all 0 if the file does not say.
    pub(super) kinds: Vec<u64>,
}

impl<'a> Entries<'a> {
    pub(super) fn read(gguf: &'a Gguf) -> Result<Self, CompileError> {
        let mut entries = Entries { gguf, tokens: Vec::new(), ids: HashMap::new(), kinds: Vec::new() };
        entries.tokens = entries
            .texts("tokens")?
            .ok_or_else(|| entries.fault(format!("has metadata `{MODEL}`, but no `tokenizer.ggml.tokens`")))?;
        for (id, token) in entries.tokens.iter().enumerate() {
            if token.len() > LONGEST {
                return Err(
                    entries.fault(format!("token {id} has {} bytes; at most {LONGEST} are supported", token.len()))
                );
            }
            if let Some(other) = entries.ids.insert(token, id as u32) {
                return Err(entries.fault(format!("tokens {other} and {id} are both `{}`", shown(token))));
            }
        }
        let kinds = entries.numbers("token_type", Value::as_u64)?;
        entries.kinds = kinds.unwrap_or_else(|| vec![0; entries.tokens.len()]);
        Ok(entries)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.gguf.metadata.get(&format!("tokenizer.ggml.{key}"))
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_text()
    }

    pub(super) fn truth(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    pub(super) fn fault(&self, message: impl std::fmt::Display) -> CompileError {
        CompileError::Config(format!("{}: {message}", self.gguf.path.display()))
    }

    /// A list of texts, if the key exists.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let texts = value.as_list().and_then(|all| all.iter().map(Value::as_text).collect());
        texts.map(Some).ok_or_else(|| self.fault(format!("metadata `tokenizer.ggml.{key}` is not a list of texts")))
    }

    /// A list with a number for each token, if the key exists.
    pub(super) fn numbers<T>(
        &self,
        key: &str,
        number: fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let numbers = value.as_list().and_then(|all| all.iter().map(number).collect::<Option<Vec<T>>>());
        match numbers.filter(|all| all.len() == self.tokens.len()) {
            Some(all) => Ok(Some(all)),
            None => {
                let n = self.tokens.len();
                Err(self.fault(format!("metadata `tokenizer.ggml.{key}` is not a list of {n} numbers, one per token")))
            }
        }
    }

    /// The id under a key; it must be the id of a token.
    pub(super) fn id(&self, key: &str) -> Result<Option<u32>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().filter(|id| *id < self.tokens.len() as u64) {
            Some(id) => Ok(Some(id as u32)),
            None => {
                let n = self.tokens.len();
                Err(self.fault(format!("metadata `tokenizer.ggml.{key}` is not the id of one of the {n} tokens")))
            }
        }
    }

    /// How text is split into words. Warns if the file does not say.
    pub(super) fn pre<'t>(&self, table: &'t Table, warnings: &mut Vec<String>) -> Result<&'t table::Pre, CompileError> {
        const KEY: &str = "tokenizer.ggml.pre";
        let name = self.text("pre").unwrap_or(table::UNSTATED);
        let Some(pre) = table.pre.iter().find(|pre| pre.names.iter().any(|n| n == name)) else {
            let known: Vec<&str> = table.pre.iter().flat_map(|pre| pre.names.iter().map(String::as_str)).collect();
            let remedy = "use the Hugging Face model directory";
            let name = shown(name);
            return Err(self.fault(format!(
                "metadata `{KEY}` is `{name}`, which is not supported; supported are {}; {remedy}",
                known.join(", ")
            )));
        };
        if name == table::UNSTATED {
            warnings.push(format!(
                "{}: metadata `{KEY}` does not say how text is split; splitting into words, numbers and punctuation",
                self.gguf.path.display()
            ));
        }
        Ok(pre)
    }

    /// Rejects settings that would change texts and are not supported.
    pub(super) fn refuse_settings(&self) -> Result<(), CompileError> {
        let cleans = self.truth("remove_extra_whitespaces") == Some(true);
        let maps = self.get("precompiled_charsmap").and_then(Value::as_list).is_some_and(|all| !all.is_empty());
        let found = [("remove_extra_whitespaces", cleans), ("precompiled_charsmap", maps)];
        match found.iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => {
                Err(self.fault(format!("metadata `tokenizer.ggml.{key}` is not read for this tokenizer")))
            }
            None => Ok(()),
        }
    }

    /// Tokens that are matched in a text before anything else.
    pub(super) fn added(&self, method: Method) -> Vec<Json> {
        let is_added = |id: usize| match self.kinds[id] {
            UNKNOWN | CONTROL => true,
            // Runs of spaces are built from single spaces.
            USER_DEFINED => method == Method::Bytes || !is_spaces(self.tokens[id]),
            _ => false,
        };
        let added = (0..self.tokens.len()).filter(|id| is_added(*id));
        added
            .map(|id| {
                json!({
                    "id": id, "content": self.tokens[id], "special": self.kinds[id] != USER_DEFINED,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                })
            })
            .collect()
    }
}

/// Whether a token is two or more spaces and nothing else.
pub(super) fn is_spaces(token: &str) -> bool {
    token.len() > 1 && token.bytes().all(|b| b == b' ')
}
