//! Sources for the files of a bundle.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::files;
use crate::validate::MANIFEST;

/// Returns the content of files by their path in the bundle: from a directory, or from what a browser has fetched.
/// Sources check nothing; [`crate::Bundle`] does.
pub trait Source: Send + Sync {
    /// The size of a file in bytes. [`Error::Missing`] if there is no such file.
    fn size(&self, path: &str) -> Result<u64, Error>;
    /// The entire content of a file. It is called only after the size was checked, so that a damaged manifest cannot
    /// request absurd amounts of memory.
    fn read(&self, path: &str) -> Result<Vec<u8>, Error>;
}

/// A bundle on disk. It does not change while it is open, even if another bundle replaces it: the directory is held
/// open, and a lock on its manifest prevents its removal.
#[derive(Debug)]
pub struct DirSource {
    root: PathBuf,
    folder: Folder,
    /// Locked, if the system has locks.
    _manifest: File,
}

/// How often to try to open a directory that is being replaced, and how long to wait in between.
const ATTEMPTS: u32 = 200;
const WAIT: Duration = Duration::from_millis(5);

impl DirSource {
    /// Opens a bundle.
    ///
    /// # Errors
    /// [`Error::NotABundle`] if the directory has no manifest.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let mut missing = false;
        for _ in 0..ATTEMPTS {
            match Self::attempt(&root) {
                Ok(Some(source)) => return Ok(source),
                // Another process has locked it, to write this bundle or to remove it.
                Ok(None) => missing = false,
                // It may just have been removed, with another one in its place.
                Err(e) if e.kind() == ErrorKind::NotFound && !missing => missing = true,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => break,
                Err(e) => return Err(Error::io(root, e)),
            }
            std::thread::sleep(WAIT);
        }
        Err(Error::NotABundle { path: root })
    }

    /// `None` if the manifest cannot be opened right now.
    fn attempt(root: &Path) -> io::Result<Option<Self>> {
        let folder = Folder::open(root)?;
        let manifest = folder.open_file(MANIFEST)?;
        match manifest.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some file systems have no locks.
            Err(TryLockError::Error(_)) => {}
        }
        // It may have been removed before the lock was taken.
        folder.open_file(MANIFEST)?;
        Ok(Some(DirSource { root: root.to_path_buf(), folder, _manifest: manifest }))
    }

    fn error(&self, path: &str, source: io::Error) -> Error {
        match source.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidInput | ErrorKind::IsADirectory => {
                Error::Missing { file: path.to_string() }
            }
            _ => Error::io(self.root.join(path), source),
        }
    }
}

impl Source for DirSource {
    fn size(&self, path: &str) -> Result<u64, Error> {
        let about = self.folder.open_file(path).and_then(|file| file.metadata());
        about.map(|about| about.len()).map_err(|e| self.error(path, e))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let read = || {
            let mut file = self.folder.open_file(path)?;
            let mut content = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
            file.read_to_end(&mut content)?;
            Ok(content)
        };
        read().map_err(|e| self.error(path, e))
    }
}

/// A directory that is held open, because its path may later lead to another one.
#[cfg(unix)]
#[derive(Debug)]
struct Folder(File);

#[cfg(unix)]
impl Folder {
    fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Folder)
    }

    /// Opens a regular file.
    fn open_file(&self, path: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        // Opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.0, path, flags, Mode::empty())?);
        files::check(&file.metadata()?)?;
        Ok(file)
    }
}

/// On other systems, open files prevent a directory from being replaced.
#[cfg(not(unix))]
#[derive(Debug)]
struct Folder(PathBuf);

#[cfg(not(unix))]
impl Folder {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Folder(path.to_path_buf()))
    }

    fn open_file(&self, path: &str) -> io::Result<File> {
        files::open(&self.0.join(path))
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
