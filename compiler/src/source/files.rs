//! The interface of sources.
//!
//! Reading is synchronous, because threads read rows of weights in the middle of their work, and otherwise every
//! function on the way would have to be asynchronous. Nothing is lost: in a browser the compiler runs in a worker,
//! where `FileReaderSync` reads the user's files and `FileSystemSyncAccessHandle` those of the browser's own file
//! system without waiting. Data from a network is stored there first, since rows are read in any order and some more
//! than once.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_bundle::files;

/// The files of a model. Paths are relative and use `/`.
pub trait Source: Debug + Send + Sync {
    /// The name of the model, unless its files say otherwise.
    fn name(&self) -> String;

    /// The path of the model file, if the model is a single file rather than a directory.
    fn whole(&self) -> Option<&str> {
        None
    }

    /// The location of a file, for messages.
    fn place(&self, path: &str) -> PathBuf;

    /// The names of the files in a folder, sorted. The top folder is `""`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such folder, or the reason why it cannot be read.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file, or the reason why it may not be read.
    fn open(&self, path: &str) -> io::Result<Opened>;

    /// Whether there is something at a path. It may still be something that may not be read.
    fn has(&self, path: &str) -> bool {
        !matches!(self.open(path), Err(e) if e.kind() == ErrorKind::NotFound)
    }

    /// The content of a small file; `None` if there is no such file.
    ///
    /// # Errors
    /// See [`Source::open`]; also if it cannot be read, or is larger than `most` bytes.
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

/// Bytes that can be read at any position.
pub trait ReadAt: Debug + Send + Sync {
    /// The number of bytes.
    ///
    /// # Errors
    /// If it cannot be determined.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// If the bytes cannot be read, or there are not enough.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// The path of a file in a folder. The top folder is `""`.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") }
}
