//! Writes into the cache of the Hub in a form that the Hub's own client can read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::cache::Repository;
use super::hash::{Hash, Hasher};
use crate::failure::{Failure, Outcome};

/// The content of a file in the cache, named by the ETag of the server.
pub(super) struct Blob {
    /// The path of the complete file.
    pub(super) path: PathBuf,
    lock: PathBuf,
}

/// A partially downloaded blob.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    hasher: Hasher,
}

impl Blob {
    /// The blob with this ETag; `None` if the ETag is not a valid file name.
    pub(super) fn of(repository: &Repository<'_>, etag: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if etag.is_empty() || etag.len() > 128 || etag.starts_with('.') || !etag.bytes().all(plain) {
            return None;
        }
        let folder = repository.name.folder();
        let lock = repository.path.with_file_name(".locks").join(folder).join(format!("{etag}.lock"));
        Some(Blob { path: repository.path.join("blobs").join(etag), lock })
    }

    /// Waits, after calling `say`, until no other process downloads the blob. The lock is held until the returned file
    /// is closed.
    pub(super) fn lock(&self, say: impl FnOnce()) -> Outcome<File> {
        make_parent(&self.lock)?;
        let failed = |e: io::Error| Failure::io(&self.lock, &e);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.lock).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                say();
                file.lock().map_err(failed)?;
            }
            // Some file systems do not support locks; then there is no waiting.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(file)
    }

    /// The part of the blob that was downloaded so far, which may be empty.
    pub(super) fn partial(&self, hash: Option<&Hash>, size: Option<u64>) -> Outcome<Partial> {
        make_parent(&self.path)?;
        let mut path = self.path.clone().into_os_string();
        path.push(".incomplete");
        let path = PathBuf::from(path);
        let failed = |e: io::Error| full(&path, &e);
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut partial = Partial { file, length, hasher: Hasher::new(hash, size), path };
        if size.is_some_and(|size| length > size) {
            partial.restart(hash, size)?;
        } else if length > 0 {
            partial.read_again()?;
        }
        Ok(partial)
    }

    /// Links a file of a snapshot to this blob. A `fresh` blob is not used by anyone else yet.
    pub(super) fn link(&self, to: &Path, depth: usize, fresh: bool) -> Outcome<()> {
        // Another process may have added it in the meantime, and may be using it.
        if to.exists() {
            return Ok(());
        }
        make_parent(to)?;
        let failed = |e: io::Error| full(to, &e);
        if to.symlink_metadata().is_ok() {
            std::fs::remove_file(to).map_err(failed)?;
        }
        let up: PathBuf = std::iter::repeat_n("..", depth).collect();
        let target = up.join("blobs").join(self.path.file_name().unwrap_or_default());
        match symlink(&target, to) {
            Ok(()) => Ok(()),
            // Some systems do not allow links; there, the Hub's client moves the file as well.
            Err(_) if fresh => std::fs::rename(&self.path, to).map_err(failed),
            Err(_) => std::fs::copy(&self.path, to).map(|_| ()).map_err(failed),
        }
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Partial {
    /// Number of bytes downloaded so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.file.write_all(bytes).map_err(|e| full(&self.path, &e))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Discards what was downloaded.
    pub(super) fn restart(&mut self, hash: Option<&Hash>, size: Option<u64>) -> Outcome<()> {
        self.file.set_len(0).map_err(|e| full(&self.path, &e))?;
        (self.length, self.hasher) = (0, Hasher::new(hash, size));
        Ok(())
    }

    /// Closes the file. Returns its hash, if there is one to compare with.
    pub(super) fn digits(&mut self) -> Option<String> {
        std::mem::replace(&mut self.hasher, Hasher::None).digits()
    }

    /// Moves the file to its final path.
    pub(super) fn finish(self, blob: &Blob) -> Outcome<()> {
        drop(self.file);
        std::fs::rename(&self.path, &blob.path).map_err(|e| full(&blob.path, &e))
    }

    /// Deletes the file.
    pub(super) fn remove(self) -> Outcome<()> {
        drop(self.file);
        std::fs::remove_file(&self.path).map_err(|e| Failure::io(&self.path, &e))
    }

    fn read_again(&mut self) -> Outcome<()> {
        let failed = |e: io::Error| Failure::io(&self.path, &e);
        let mut file = File::open(&self.path).map_err(failed)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => return Ok(()),
                n => self.hasher.update(&buffer[..n]),
            }
        }
    }
}

/// Records the commit of a branch or tag.
pub(super) fn write_reference(path: &Path, commit: &str) -> Outcome<()> {
    make_parent(path)?;
    let failed = |e: &io::Error| full(path, e);
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| failed(&e))?;
    file.write_all(commit.as_bytes()).map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e.error))?;
    Ok(())
}

fn make_parent(path: &Path) -> Outcome<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|e| full(folder, &e))
}

/// The error for a failed write to the cache.
fn full(path: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or set HF_HUB_CACHE to another directory; the downloaded part is kept, and the same \
             command resumes"
        }
        _ => "set HF_HUB_CACHE to a writable directory",
    };
    Failure::lacking(format!("{}: {error}; {remedy}", path.display()))
}
