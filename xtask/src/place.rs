//! Where things are, and the files that tasks read and write.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Outcome;
use crate::runtime::{DIST, STAMP};

/// Kept in `dist`, so that the folder exists in every clone and cargo can watch it.
const KEPT: &str = ".gitkeep";

/// A copy of the sources and its output folders.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The root of the workspace.
    pub(crate) root: PathBuf,
    /// `runtime/web`.
    pub(crate) web: PathBuf,
    /// Build output, below `target`.
    pub(crate) target: PathBuf,
    /// What will be `dist`.
    pub(crate) stage: PathBuf,
}

impl Place {
    /// The repository that this program was built from.
    pub(crate) fn of_this_repository() -> Outcome<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().map_err(|e| at(&root, &e))?;
        Ok(Self::below(&root))
    }

    /// A copy of the sources at `root`.
    pub(crate) fn below(root: &Path) -> Self {
        let target = root.join("target/web");
        Place { root: root.to_path_buf(), web: root.join("runtime/web"), stage: target.join("dist"), target }
    }

    /// The JavaScript that wasm-bindgen generates, where TypeScript finds its types.
    pub(crate) fn bindings(&self) -> PathBuf {
        self.web.join("pkg")
    }

    /// A program that npm installed.
    pub(crate) fn npm_program(&self, name: &str) -> PathBuf {
        let name = if cfg!(windows) { format!("{name}.cmd") } else { name.to_string() };
        self.web.join("node_modules/.bin").join(name)
    }

    /// An empty folder for the result.
    pub(crate) fn clear_stage(&self) -> Outcome {
        if self.stage.exists() {
            fs::remove_dir_all(&self.stage).map_err(|e| at(&self.stage, &e))?;
        }
        fs::create_dir_all(&self.stage).map_err(|e| at(&self.stage, &e))
    }

    /// Puts the result into `dist`, in place of what was there.
    pub(crate) fn publish(&self) -> Outcome {
        let dist = self.root.join(DIST);
        fs::create_dir_all(&dist).map_err(|e| at(&dist, &e))?;
        for old in list(&dist)?.into_iter().filter(|p| !p.ends_with(KEPT)) {
            let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
            removed.map_err(|e| at(&old, &e))?;
        }
        // The stamp says when the runtime was built. It comes last, so that a result that is not whole has none.
        for path in list(&self.stage)?.iter().filter(|p| !p.ends_with(STAMP)) {
            copy_into(path, &dist)?;
        }
        copy_into(&self.stage.join(STAMP), &dist)
    }
}

/// The entries of a folder, sorted.
pub(crate) fn list(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|all| all.map(|e| Ok(e?.path())).collect::<Result<Vec<_>, _>>());
    let mut paths = entries.map_err(|e| at(folder, &e))?;
    paths.sort();
    Ok(paths)
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| at(path, &e))
}

/// Writes a file.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Outcome {
    fs::write(path, content).map_err(|e| at(path, &e))
}

/// Copies a file, and makes the folder for it.
pub(crate) fn copy(from: &Path, to: &Path) -> Outcome {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| at(folder, &e))?;
    }
    fs::copy(from, to).map(drop).map_err(|e| at(from, &e))
}

/// Copies a file, or a folder with all that is in it.
fn copy_into(path: &Path, folder: &Path) -> Outcome {
    let target = folder.join(path.file_name().unwrap_or_default());
    if !path.is_dir() {
        return copy(path, &target);
    }
    list(path)?.iter().try_for_each(|inner| copy_into(inner, &target))
}

/// A message about a file.
pub(crate) fn at(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
