//! Errors about weight files.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error about a weight file or a tensor in it: the location, the problem and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightError {
    /// The file or directory.
    pub place: PathBuf,
    /// The tensor, if the error is about one.
    pub tensor: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The remedy.
    pub help: String,
    /// Whether the disk is full.
    pub disk_full: bool,
}

impl WeightError {
    /// An error about a file or directory.
    pub fn new(place: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place: place.to_path_buf(), tensor: None, message: message.into(), help: help.into(), disk_full: false }
    }

    /// An error of the operating system; `action` is what failed (`read`, `create`).
    pub fn io(place: &Path, action: &str, error: &std::io::Error) -> Self {
        Self::new(place, format!("cannot {action}: {error}"), "check that the path exists, and its permissions")
    }

    /// The same error, attributed to this tensor.
    pub fn in_tensor(mut self, name: &str) -> Self {
        self.tensor = Some(name.to_string());
        self
    }
}

impl From<gristmill_bundle::Error> for WeightError {
    fn from(error: gristmill_bundle::Error) -> Self {
        match error {
            gristmill_bundle::Error::Io { path, source } => Self::io(&path, "write", &source),
            gristmill_bundle::Error::Full { path } => {
                let help = "free some space, or choose another place";
                WeightError { disk_full: true, ..Self::new(&path, "cannot write: the disk is full", help) }
            }
            other => Self::new(Path::new("weights"), other.to_string(), "free memory or disk space and try again"),
        }
    }
}

impl fmt::Display for WeightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place.display())?;
        if let Some(tensor) = &self.tensor {
            write!(f, "tensor `{}`: ", shown(tensor))?;
        }
        write!(f, "{}\n  help: {}", self.message, self.help)
    }
}

impl std::error::Error for WeightError {}

/// A name from a file, made safe to print: control characters are escaped, and its length is limited.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut text: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}
