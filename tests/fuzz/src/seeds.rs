//! Inputs to begin with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::target::Target;

/// Has tensors of all types, but is no model.
const TENSORS_ONLY: &str = "types.gguf";

/// An input from a file.
#[derive(Debug)]
pub struct Seed {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Seed {
    /// Whether its reader must take it: one that refuses all of its seeds would test nothing. Others were found by fuzzing,
    /// or are there because they are refused; their names begin with `bad`.
    pub fn is_good(&self) -> bool {
        self.path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with("bad") && name != TENSORS_ONLY)
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Target {
    /// Folders of its inputs.
    pub fn places(&self) -> Vec<PathBuf> {
        let own = root().join("tests/fuzz/corpus").join(self.name);
        self.shared().into_iter().chain(own.is_dir().then_some(own)).collect()
    }

    /// The folder that it shares with others.
    fn shared(&self) -> Option<PathBuf> {
        self.seeds.map(|(folder, _)| root().join(folder))
    }

    /// All of its inputs, sorted by path.
    ///
    /// # Panics
    /// If there are none, or one cannot be read.
    pub fn seeds(&self) -> Vec<Seed> {
        let shared = self.shared();
        let ends = |p: &PathBuf| self.seeds.is_some_and(|(_, end)| p.extension().is_some_and(|e| e == end));
        let mut paths: Vec<PathBuf> = self.places().iter().flat_map(|place| files(place)).collect();
        paths.retain(|path| path.parent() != shared.as_deref() || ends(path));
        paths.sort();
        assert!(!paths.is_empty(), "{}: no seeds", self.name);
        paths
            .into_iter()
            .map(|path| Seed { content: fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())), path })
            .collect()
    }
}

/// The files of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|e| e.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path());
    paths.filter(|p| p.is_file()).collect()
}
