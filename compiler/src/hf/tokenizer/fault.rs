//! Errors in a tokenizer's files.

use crate::error::CompileError;
use crate::hf::files::Files;

/// The settings file.
pub(super) const SETTINGS: &str = "tokenizer_config.json";

/// A message about one file of a directory. The file name is added when the error is converted.
#[derive(Debug)]
pub(super) struct Fault {
    /// `None` means the vocabulary file.
    file: Option<&'static str>,
    message: String,
}

impl Fault {
    /// An error in this file.
    pub(super) fn of(file: &'static str, message: impl Into<String>) -> Self {
        Fault { file: Some(file), message: message.into() }
    }

    /// An error in `tokenizer_config.json`.
    pub(super) fn settings(message: impl Into<String>) -> Self {
        Fault::of(SETTINGS, message)
    }

    /// Adds the path of the file; `vocabulary` is the name of the vocabulary file.
    pub(super) fn at(self, files: &Files, vocabulary: &str) -> CompileError {
        CompileError::Config(format!("{}: {}", files.place(self.file.unwrap_or(vocabulary)), self.message))
    }
}

/// An error in the vocabulary file, usually `tokenizer.json`.
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
