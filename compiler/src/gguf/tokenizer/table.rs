//! The names of tokenizers in GGUF files, and what they stand for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::CompileError;

const FILE: &str = "tokenizers/ggml.ron";

/// The name of the splitting method in files whose author did not know it.
pub(super) const UNSTATED: &str = "default";

/// The contents of `models/tokenizers/ggml.ron`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Tokenizers")]
pub(super) struct Table {
    /// For readers of the file.
    #[serde(rename = "doc")]
    _doc: String,
    /// Kinds of tokenizers, by `tokenizer.ggml.model`.
    pub(super) models: BTreeMap<String, Method>,
    /// Splitting methods, by `tokenizer.ggml.pre`.
    pub(super) pre: Vec<Pre>,
}

/// The units that tokens are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Method {
    /// Bytes, each written as a printable character; text is split into words first.
    Bytes,
    /// Characters, with bytes for those without a token.
    Pieces,
}

/// A method to split text into words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pre {
    /// Names of this method.
    pub(super) names: Vec<String>,
    /// Its steps, in order.
    pub(super) steps: Vec<Step>,
    /// Whether a word that is a token is kept as it is.
    #[serde(default)]
    pub(super) ignore_merges: bool,
    /// Whether texts start with the BOS token unless the file says otherwise.
    #[serde(default)]
    pub(super) bos: bool,
}

/// One step of splitting.
#[derive(Debug, Deserialize)]
pub(super) enum Step {
    /// At matches of a regular expression; matches and the text between them are kept.
    Split(String),
    /// At every digit.
    Digits,
    /// Words, numbers and punctuation, with the regular expression of the tokenizers library's byte-level step.
    Words,
}

impl Table {
    /// Reads the shipped file.
    pub(super) fn read() -> Result<Self, CompileError> {
        let library = crate::library::library();
        let text = library.files.get(FILE).map(String::as_str).unwrap_or_default();
        ron::from_str(text).map_err(|e| CompileError::Internal(format!("{FILE}: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_file_that_ships_is_valid() {
        let table = Table::read().unwrap();
        let names: Vec<&String> = table.pre.iter().flat_map(|pre| &pre.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name is there twice");
        assert!(names.iter().any(|name| *name == UNSTATED));
    }
}
