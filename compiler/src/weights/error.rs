//! What can be wrong with weights.

use std::fmt;
use std::path::{Path, PathBuf};

/// A weight file, or a tensor in it, that cannot be used: where, which, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightError {
    /// The file, or the directory.
    pub place: PathBuf,
    /// The tensor, if it concerns one.
    pub tensor: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The remedy.
    pub help: String,
    /// Whether there is no room on the disk.
    pub disk_full: bool,
}

impl WeightError {
    /// An error about a file or directory.
    pub fn new(place: &Path, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place: place.to_path_buf(), tensor: None, message: message.into(), help: help.into(), disk_full: false }
    }

    /// An error of the operating system; `action` is what was tried (`read`, `create`).
    pub fn io(place: &Path, action: &str, error: &std::io::Error) -> Self {
        Self::new(place, format!("cannot {action}: {error}"), "check that the path exists, and its permissions")
    }

    /// The same error, about this tensor.
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

/// A name from a file as it may be printed: escaped, because it may hold control characters, and of bounded length.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut text: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}
