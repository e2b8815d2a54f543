//! What is wrong with a tokenizer, and in which file.

use crate::error::CompileError;
use crate::hf::files::Files;

/// The file with settings.
pub(super) const SETTINGS: &str = "tokenizer_config.json";

/// A message about one file of a directory. The file is said once, where the message is shown.
#[derive(Debug)]
pub(super) struct Fault {
    /// None is the file of the vocabulary.
    file: Option<&'static str>,
    message: String,
}

impl Fault {
    /// About this file.
    pub(super) fn of(file: &'static str, message: impl Into<String>) -> Self {
        Fault { file: Some(file), message: message.into() }
    }

    /// About `tokenizer_config.json`.
    pub(super) fn settings(message: impl Into<String>) -> Self {
        Fault::of(SETTINGS, message)
    }

    /// With the place of the file; `vocabulary` is the one that the tokenizer is made of.
    pub(super) fn at(self, files: &Files, vocabulary: &str) -> CompileError {
        CompileError::Config(format!("{}: {}", files.place(self.file.unwrap_or(vocabulary)), self.message))
    }
}

/// About the file of the vocabulary, mostly `tokenizer.json`.
impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault { file: None, message }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Fault::from(message.to_string())
    }
}
