//! What the names that files give to tokenizers stand for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::CompileError;

const FILE: &str = "tokenizers/ggml.ron";

/// The name of the way to split that files have whose maker did not know it.
pub(super) const UNSTATED: &str = "default";

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename = "Tokenizers")]
pub(super) struct Table {
    /// For people.
    #[serde(rename = "doc")]
    _doc: String,
    /// By `tokenizer.ggml.model`.
    pub(super) models: BTreeMap<String, Method>,
    /// By `tokenizer.ggml.pre`.
    pub(super) pre: Vec<Pre>,
}

/// What tokens are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Method {
    /// Bytes, each written as a letter; words are found first.
    Bytes,
    /// Letters, with bytes for those that are no tokens.
    Pieces,
}

/// How text is split into words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pre {
    /// Names of the same way.
    pub(super) names: Vec<String>,
    /// One after the other.
    pub(super) steps: Vec<Step>,
    /// Whether a word that is a token is not taken apart.
    #[serde(default)]
    pub(super) ignore_merges: bool,
    /// Whether texts begin with a token unless the file says otherwise.
    #[serde(default)]
    pub(super) bos: bool,
}

/// One way to split.
#[derive(Debug, Deserialize)]
pub(super) enum Step {
    /// Matches of a regular expression, and what is between them.
    Split(String),
    /// Each digit.
    Digits,
    /// Words, numbers and signs, as the expression of the tokenizers library for bytes has them.
    Words,
}

impl Table {
    /// Reads the file that ships.
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
