//! The small files of a model: in a directory, or in memory.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::json;
use crate::error::CompileError;
use crate::source::{Folder, Source, join};

/// Maximum size of a small file in bytes; it keeps a hostile directory from exhausting memory.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// The settings, tokenizer and templates of a model, by file name.
#[derive(Debug)]
pub struct Files {
    from: From,
    /// The folder to read files from.
    folder: String,
}

#[derive(Debug)]
enum From {
    /// The files of a model directory.
    Source(Arc<dyn Source>),
    /// Files that were generated from the file at this path.
    Made(PathBuf, BTreeMap<&'static str, Vec<u8>>),
}

impl Files {
    /// The files of a directory.
    pub fn of_dir(dir: &Path) -> Self {
        Files::of(Arc::new(Folder::new(dir)))
    }

    /// The files of a source.
    pub fn of(source: Arc<dyn Source>) -> Self {
        Files { from: From::Source(source), folder: String::new() }
    }

    /// Files generated from another format; `place` is the path of the source file.
    pub(crate) fn in_memory(place: &Path, files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        Files { from: From::Made(place.to_path_buf(), files), folder: String::new() }
    }

    /// The files in a subfolder; the same files if `name` is empty.
    pub(crate) fn folder(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.folder = join(&self.folder, name);
        }
        self
    }

    /// The path of a file, for messages.
    pub fn place(&self, name: &str) -> String {
        match &self.from {
            From::Source(source) => source.place(&self.path(name)).display().to_string(),
            From::Made(place, _) => format!("{} ({name} made from its metadata)", place.display()),
        }
    }

    /// Whether the file exists.
    pub fn has(&self, name: &str) -> bool {
        match &self.from {
            From::Source(source) => source.has(&self.path(name)),
            From::Made(_, files) => files.contains_key(name),
        }
    }

    /// Whether the files were generated from another format.
    pub fn are_made(&self) -> bool {
        matches!(self.from, From::Made(..))
    }

    /// The content of a file; `None` if it does not exist.
    ///
    /// # Errors
    /// If it cannot be read, leads out of the directory, or is larger than any settings or tokenizer file.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CompileError> {
        match &self.from {
            From::Made(_, files) => Ok(files.get(name).cloned()),
            From::Source(source) => {
                let path = self.path(name);
                source.read(&path, MAX_BYTES).map_err(|e| CompileError::io(&source.place(&path), &e))
            }
        }
    }

    /// The path of a file within the source.
    fn path(&self, name: &str) -> String {
        join(&self.folder, name)
    }

    /// The names of the files in a folder, sorted; none if there is no such folder.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, CompileError> {
        match &self.from {
            From::Made(_, files) => {
                let inside = |path: &&str| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_string);
                Ok(files.keys().filter_map(inside).collect())
            }
            From::Source(source) => {
                let path = self.path(folder);
                match source.list(&path) {
                    Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
                    names => names.map_err(|e| CompileError::io(&source.place(&path), &e)),
                }
            }
        }
    }

    /// The content of a JSON file; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`Files::read`]; also if it is not JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>, CompileError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let fault = |fault: String| CompileError::Config(format!("{}{fault}", self.place(name)));
        json::parse(&bytes).map(Some).map_err(fault)
    }
}
