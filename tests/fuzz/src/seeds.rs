//! Seeds: the initial inputs of targets.

use std::fs;
use std::path::{Path, PathBuf};

use crate::target::Target;

/// Has tensors of all types, but is not a model.
const TENSORS_ONLY: &str = "types.gguf";

/// An input and its file.
#[derive(Debug)]
pub struct Seed {
    /// The path of the file.
    pub path: PathBuf,
    /// The content of the file.
    pub content: Vec<u8>,
}

impl Seed {
    /// Whether the reader must accept it: a reader that rejects all of its seeds would test nothing. Other seeds are
    /// findings of earlier fuzzing, or are meant to be rejected; their names start with `bad`.
    pub fn is_good(&self) -> bool {
        self.path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with("bad") && name != TENSORS_ONLY)
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Target {
    /// The folders with its inputs.
    pub fn places(&self) -> Vec<PathBuf> {
        let own = root().join("tests/fuzz/corpus").join(self.name);
        self.shared().into_iter().chain(own.is_dir().then_some(own)).collect()
    }

    /// A folder of the repository whose files it uses as well.
    fn shared(&self) -> Option<PathBuf> {
        self.seeds.map(|(folder, _)| root().join(folder))
    }

    /// All inputs, sorted by path.
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
