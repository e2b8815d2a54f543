//! What is asked of a source.
//!
//! Reading is synchronous, because threads read rows of weights in the middle of their work, and every function in between
//! would have to wait otherwise. Nothing is lost by that: a compiler in a browser runs in a worker, where files of the
//! user are read by `FileReaderSync` and those of the browser's own file system by `FileSystemSyncAccessHandle`, which do
//! not wait either. What comes from a network is put there first, since rows are read more than once and in any order.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_bundle::files;

/// The files of a model. Paths are relative, with `/` between their parts.
pub trait Source: Debug + Send + Sync {
    /// What the model is called, unless its files say otherwise.
    fn name(&self) -> String;

    /// The file that is the model by itself, if it is one rather than a directory.
    fn whole(&self) -> Option<&str> {
        None
    }

    /// Where a file is, for messages.
    fn place(&self, path: &str) -> PathBuf;

    /// The names of the files in a folder, sorted; the first folder is called `""`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such folder, or what keeps it from being read.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file, or why it must not be read.
    fn open(&self, path: &str) -> io::Result<Opened>;

    /// Whether there is something at a path, which may still be something that must not be read.
    fn has(&self, path: &str) -> bool {
        !matches!(self.open(path), Err(e) if e.kind() == ErrorKind::NotFound)
    }

    /// The content of a small file; `None` if there is no such file.
    ///
    /// # Errors
    /// As [`Source::open`], or if it cannot be read, or has more than `most` bytes.
    fn read(&self, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let size = file.size()?;
        let size = usize::try_from(size).ok().filter(|_| size <= most).ok_or_else(|| files::too_large(most))?;
        let mut content = vec![0; size];
        file.read_at(&mut content, 0)?;
        Ok(Some(content))
    }
}

/// A file that several threads read.
pub type Opened = Arc<dyn ReadAt>;

/// Bytes that are read at positions.
pub trait ReadAt: Debug + Send + Sync {
    /// How many there are.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// If the bytes cannot be read, or there are fewer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A path in a folder; the first folder is called `""`.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") }
}
