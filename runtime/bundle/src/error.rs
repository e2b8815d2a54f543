//! Errors of reading and writing bundles.

use std::path::PathBuf;

/// Why a bundle cannot be read or written. Messages name the file, what was expected, what was found, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The disk is full.
    #[error("{}: the disk is full; free some space, or choose another place", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Writing was abandoned.
    #[error("interrupted")]
    Interrupted,
    /// The directory holds no bundle.
    #[error("{}: no manifest.json; make a bundle with `gristmill compile MODEL_DIR -o BUNDLE`", path.display())]
    NotABundle {
        /// The directory.
        path: PathBuf,
    },
    /// The bundle has another format version.
    #[error(
        "manifest.json: format {found}, but this gristmill reads format {}; {}",
        crate::FORMAT,
        remedy(*found)
    )]
    Format {
        /// The format number in the manifest.
        found: u64,
    },
    /// A JSON file does not have the expected structure.
    #[error("{file}: {message}; the file is damaged or was not written by gristmill: compile the model again")]
    Json {
        /// Path in the bundle.
        file: String,
        /// The place and the fault.
        message: String,
    },
    /// A file contradicts itself or another file.
    #[error("{file}: {place}: {fault}")]
    Invalid {
        /// Path in the bundle.
        file: String,
        /// The place: `tensors[3] (layers.0.q)`.
        place: String,
        /// What was expected, and what was found.
        fault: String,
    },
    /// The size or the hash of a file differs from the manifest.
    #[error("{file}: expected {expected}, found {found}; the file is damaged: copy or compile the bundle again")]
    Integrity {
        /// Path in the bundle.
        file: String,
        /// Size or SHA-256 in the manifest.
        expected: String,
        /// Size or SHA-256 of the file.
        found: String,
    },
    /// The manifest does not list a file.
    #[error("{file}: not in this bundle")]
    Missing {
        /// Path in the bundle.
        file: String,
    },
    /// The output directory must not be replaced.
    #[error("{}: {reason}; remove it or choose another output", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The remedy for a bundle of another format version.
fn remedy(found: u64) -> &'static str {
    if found < u64::from(crate::FORMAT) {
        "compile the model again: `gristmill compile MODEL_DIR -o BUNDLE`"
    } else {
        "update gristmill, or compile the model again with this one: `gristmill compile MODEL_DIR -o BUNDLE`"
    }
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded => Error::Full { path: path.into() },
            _ => Error::Io { path: path.into(), source },
        }
    }

    /// Whether the bundle itself is damaged, as opposed to an error of the system.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::NotABundle { .. }
            | Error::Format { .. }
            | Error::Json { .. }
            | Error::Invalid { .. }
            | Error::Integrity { .. }
            | Error::Missing { .. } => true,
            Error::Io { .. } | Error::Full { .. } | Error::Interrupted | Error::Refused { .. } => false,
        }
    }
}
