//! Destinations for the files of a bundle.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::files;
use crate::unfinished::{self, Unfinished};
use crate::validate::{MANIFEST, MAX_JSON};

/// A destination for the files of a bundle: a directory ([`DirSink`]), memory ([`MemorySink`]), or the storage of a
/// browser.
///
/// Calls are synchronous. This works in a browser, too: in a worker, the compiler writes to the origin private file
/// system through synchronous handles (`FileSystemSyncAccessHandle`).
pub trait Sink: fmt::Debug + Send {
    /// Adds a file. Each path is added once.
    ///
    /// # Errors
    /// If it cannot be written.
    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error>;

    /// Appends to the current nameless file, and begins one if there is none. Weight files are written in this way,
    /// because their names are hashes of their content. Other files may be added in between.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    fn append(&mut self, content: &[u8]) -> Result<(), Error>;

    /// Ends the current nameless file and names it. A file with this name and the same content may exist already.
    ///
    /// # Errors
    /// If the file cannot be completed.
    fn name(&mut self, path: &str) -> Result<(), Error>;

    /// Adds the manifest, the last file, which completes the bundle. A sink that is dropped before that leaves nothing.
    ///
    /// # Errors
    /// If it cannot be written, or the bundle cannot be moved to its target.
    fn finish(&mut self, manifest: &[u8]) -> Result<(), Error>;
}

/// A temporary directory that replaces its target when it is complete.
#[derive(Debug)]
pub struct DirSink {
    target: PathBuf,
    temp: Unfinished,
    open: Option<File>,
}

impl DirSink {
    /// Prepares to write a bundle at `target`, which may be missing, an empty directory, or an older bundle.
    ///
    /// # Errors
    /// [`Error::Refused`] for anything else, or if no directory can be created beside it.
    pub fn create(target: impl AsRef<Path>) -> Result<Self, Error> {
        let target = resolve(target.as_ref())?;
        check_replaceable(&target)?;
        let temp = Unfinished::beside(&target)?;
        Ok(DirSink { target, temp, open: None })
    }

    /// The directory that becomes the bundle.
    pub fn dir(&self) -> &Path {
        &self.temp.path
    }

    /// The path of the nameless file.
    fn unnamed(&self) -> PathBuf {
        self.temp.path.join("weights/unfinished")
    }
}

impl Sink for DirSink {
    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        unfinished::check()?;
        let path = self.temp.path.join(path);
        make_parent(&path)?;
        fs::write(&path, content).map_err(|e| Error::io(&path, e))
    }

    fn append(&mut self, content: &[u8]) -> Result<(), Error> {
        unfinished::check()?;
        let path = self.unnamed();
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                make_parent(&path)?;
                self.open.insert(File::create(&path).map_err(|e| Error::io(&path, e))?)
            }
        };
        file.write_all(content).map_err(|e| Error::io(path, e))
    }

    fn name(&mut self, path: &str) -> Result<(), Error> {
        // An empty file has not been begun.
        self.append(&[])?;
        self.open = None;
        let path = self.temp.path.join(path);
        make_parent(&path)?;
        fs::rename(self.unnamed(), &path).map_err(|e| Error::io(path, e))
    }

    fn finish(&mut self, manifest: &[u8]) -> Result<(), Error> {
        check_replaceable(&self.target)?;
        self.temp.become_target(manifest, &self.target)
    }
}

fn make_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))
}

/// The path with links followed, so that a link to a bundle stays a link.
fn resolve(target: &Path) -> Result<PathBuf, Error> {
    if target.is_symlink() && !target.exists() {
        let reason = "is a broken link".to_string();
        return Err(Error::Refused { path: target.to_path_buf(), reason });
    }
    let resolved = if target.exists() { fs::canonicalize(target) } else { std::path::absolute(target) };
    let resolved = resolved.map_err(|e| Error::io(target, e))?;
    match resolved.file_name() {
        Some(_) => Ok(resolved),
        None => Err(Error::Refused { path: resolved, reason: "is not a directory name".to_string() }),
    }
}

/// Whether a directory is a bundle, by its manifest: web projects have a `manifest.json`, too, and must not be deleted.
fn check_replaceable(target: &Path) -> Result<(), Error> {
    let refuse = |reason: &str| Err(Error::Refused { path: target.to_path_buf(), reason: reason.to_string() });
    let Ok(meta) = fs::metadata(target) else { return Ok(()) };
    if !meta.is_dir() {
        return refuse("exists and is not a directory");
    }
    if fs::read_dir(target).map_err(|e| Error::io(target, e))?.next().is_none() {
        return Ok(());
    }
    let is_ours = || {
        let manifest = files::read(&target.join(MANIFEST), MAX_JSON).ok().and_then(|t| serde_json::from_slice(&t).ok());
        let manifest: serde_json::Value = manifest.unwrap_or_default();
        manifest["generator"].as_str().is_some_and(|g| g.starts_with("gristmill")) && manifest["format"].is_u64()
    };
    // Twice, because another bundle may replace it between the steps of resolving the path.
    if is_ours() || is_ours() { Ok(()) } else { refuse("contains something other than a gristmill bundle") }
}

/// A bundle in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemorySink(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    files: BTreeMap<String, Vec<u8>>,
    open: Vec<u8>,
}

impl MemorySink {
    /// Takes the files out, by path. Without a manifest they are not a bundle.
    pub fn take(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|written| std::mem::take(&mut written.files))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Written) -> T) -> T {
        // Files are complete, whatever a thread was doing when it panicked.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for MemorySink {
    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        self.with(|written| written.files.insert(path.to_string(), content.to_vec()));
        Ok(())
    }

    fn append(&mut self, content: &[u8]) -> Result<(), Error> {
        self.with(|written| written.open.extend_from_slice(content));
        Ok(())
    }

    fn name(&mut self, path: &str) -> Result<(), Error> {
        self.with(|written| {
            let content = std::mem::take(&mut written.open);
            written.files.insert(path.to_string(), content)
        });
        Ok(())
    }

    fn finish(&mut self, manifest: &[u8]) -> Result<(), Error> {
        self.add(MANIFEST, manifest)
    }
}

/// A sink that several threads write to.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<dyn Sink>>);

impl Shared {
    pub(crate) fn new(sink: impl Sink + 'static) -> Self {
        Shared(Arc::new(Mutex::new(sink)))
    }

    /// Calls a function with the sink.
    ///
    /// # Errors
    /// Those of the function; also if another thread has panicked in its own.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut dyn Sink) -> Result<T, Error>) -> Result<T, Error> {
        match self.0.lock() {
            Ok(mut sink) => work(&mut *sink),
            Err(_) => Err(Error::io("weights", io::Error::other("writing was interrupted"))),
        }
    }
}
