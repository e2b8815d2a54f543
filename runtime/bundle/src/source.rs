//! Where the files of a bundle come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Gives the content of files by their path in the bundle. A directory is one; in a browser it is whatever was
/// fetched. Sources check nothing: [`crate::Bundle`] does.
pub trait Source: Send + Sync {
    /// The size of a file in bytes. [`Error::Missing`] if there is none.
    fn size(&self, path: &str) -> Result<u64, Error>;
    /// The whole content of a file. Called only after the size was found to be as expected, so a damaged
    /// manifest cannot ask for absurd amounts of memory.
    fn read(&self, path: &str) -> Result<Vec<u8>, Error>;
}

/// A directory on disk.
#[derive(Clone, Debug)]
pub struct DirSource {
    root: PathBuf,
}

impl DirSource {
    /// Files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        DirSource { root: root.into() }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn error(&self, path: &str, source: std::io::Error) -> Error {
        match source.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { file: path.to_string() },
            _ => Error::io(self.root.join(path), source),
        }
    }
}

impl Source for DirSource {
    fn size(&self, path: &str) -> Result<u64, Error> {
        let meta = std::fs::metadata(self.root.join(path)).map_err(|e| self.error(path, e))?;
        if meta.is_file() { Ok(meta.len()) } else { Err(Error::Missing { file: path.to_string() }) }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        std::fs::read(self.root.join(path)).map_err(|e| self.error(path, e))
    }
}

/// Files in memory, by path.
impl Source for BTreeMap<String, Vec<u8>> {
    fn size(&self, path: &str) -> Result<u64, Error> {
        self.get(path).map(|c| c.len() as u64).ok_or_else(|| Error::Missing { file: path.to_string() })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.get(path).cloned().ok_or_else(|| Error::Missing { file: path.to_string() })
    }
}
