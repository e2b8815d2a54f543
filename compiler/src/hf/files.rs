//! The small files of a model: those of a directory, or files in memory that stand for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{inside, json};
use crate::error::CompileError;

/// No small file is larger than this; it keeps a hostile directory from filling the memory.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Settings, tokenizer and templates of a model by file name.
#[derive(Debug)]
pub struct Files {
    /// The directory of the model.
    root: PathBuf,
    /// The folder in it that files are read from.
    place: PathBuf,
    /// Absent for a directory.
    in_memory: Option<BTreeMap<&'static str, Vec<u8>>>,
}

impl Files {
    /// The files of a directory.
    pub fn of_dir(dir: &Path) -> Self {
        Files { root: dir.to_path_buf(), place: dir.to_path_buf(), in_memory: None }
    }

    /// Files made from what another format says; `place` is the file it says it in.
    pub(crate) fn in_memory(place: &Path, files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        Files { root: place.to_path_buf(), place: place.to_path_buf(), in_memory: Some(files) }
    }

    /// Those in a folder of the directory; the same ones if its name is empty.
    pub(crate) fn folder(mut self, name: &str) -> Self {
        if !name.is_empty() {
            self.place.push(name);
        }
        self
    }

    /// Where a file is, for messages.
    pub fn place(&self, name: &str) -> String {
        match self.in_memory {
            None => self.place.join(name).display().to_string(),
            Some(_) => format!("{} ({name} made from its metadata)", self.place.display()),
        }
    }

    /// Whether there is such a file.
    pub fn has(&self, name: &str) -> bool {
        match &self.in_memory {
            None => self.place.join(name).exists(),
            Some(files) => files.contains_key(name),
        }
    }

    /// Whether the files were made from what another format says.
    pub fn are_made(&self) -> bool {
        self.in_memory.is_some()
    }

    /// The content of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, leads out of the directory, or is larger than settings and tokenizers can be.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CompileError> {
        if let Some(files) = &self.in_memory {
            return Ok(files.get(name).cloned());
        }
        let path = self.place.join(name);
        inside::read(&self.root, &path, MAX_BYTES).map_err(|e| CompileError::io(&path, &e))
    }

    /// The names of the files in a folder, sorted.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, CompileError> {
        if let Some(files) = &self.in_memory {
            let inside = |path: &&str| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_string);
            return Ok(files.keys().filter_map(inside).collect());
        }
        let path = self.place.join(folder);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(CompileError::io(&path, &e)),
        };
        let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
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
