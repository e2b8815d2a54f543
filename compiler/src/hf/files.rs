//! The small files of a model: those of a directory, or files in memory that stand for them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::json;
use crate::error::CompileError;
use crate::source::{Folder, Source, join};

/// No small file is larger than this; it keeps a hostile directory from filling the memory.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Settings, tokenizer and templates of a model by file name.
#[derive(Debug)]
pub struct Files {
    from: From,
    /// The folder that files are read from.
    folder: String,
}

#[derive(Debug)]
enum From {
    /// The files of a model directory.
    Source(Arc<dyn Source>),
    /// What the file at this place says, as files.
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

    /// Files made from what another format says; `place` is the file it says it in.
    pub(crate) fn in_memory(place: &Path, files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        Files { from: From::Made(place.to_path_buf(), files), folder: String::new() }
    }

    /// Those in a folder of the directory; the same ones if its name is empty.
    pub(crate) fn folder(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.folder = join(&self.folder, name);
        }
        self
    }

    /// Where a file is, for messages.
    pub fn place(&self, name: &str) -> String {
        match &self.from {
            From::Source(source) => source.place(&self.path(name)).display().to_string(),
            From::Made(place, _) => format!("{} ({name} made from its metadata)", place.display()),
        }
    }

    /// Whether there is such a file.
    pub fn has(&self, name: &str) -> bool {
        match &self.from {
            From::Source(source) => source.has(&self.path(name)),
            From::Made(_, files) => files.contains_key(name),
        }
    }

    /// Whether the files were made from what another format says.
    pub fn are_made(&self) -> bool {
        matches!(self.from, From::Made(..))
    }

    /// The content of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, leads out of the directory, or is larger than settings and tokenizers can be.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CompileError> {
        match &self.from {
            From::Made(_, files) => Ok(files.get(name).cloned()),
            From::Source(source) => {
                let path = self.path(name);
                source.read(&path, MAX_BYTES).map_err(|e| CompileError::io(&source.place(&path), &e))
            }
        }
    }

    /// The path of a file among those of the source.
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

    /// The content of a JSON file; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`Files::read`], or if it is not JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>, CompileError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let fault = |fault: String| CompileError::Config(format!("{}{fault}", self.place(name)));
        json::parse(&bytes).map(Some).map_err(fault)
    }
}
