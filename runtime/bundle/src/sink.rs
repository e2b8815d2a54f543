//! Where the files of a bundle go.

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

/// Takes the files of a bundle. A directory is one ([`DirSink`]), memory another ([`MemorySink`]); in a browser it is
/// whatever keeps files there.
///
/// Calls return when the bytes are taken. In a browser that is possible, too, where a compiler runs: a worker writes to
/// the browser's own file system with handles that do not wait (`FileSystemSyncAccessHandle`).
pub trait Sink: fmt::Debug + Send {
    /// Adds a file; no path comes twice.
    ///
    /// # Errors
    /// If it cannot be written.
    fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error>;

    /// Appends to the file that is being written, and begins it if there is none. Files of weights are written so: each is
    /// named by its content, and therefore when it is complete. Other files may be added meanwhile.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    fn append(&mut self, content: &[u8]) -> Result<(), Error>;

    /// Ends the file that is being written and gives it its name. Equal files have one name: it may exist already.
    ///
    /// # Errors
    /// If the file cannot be completed.
    fn name(&mut self, path: &str) -> Result<(), Error>;

    /// Adds the manifest, which is the last file: the bundle is complete. A sink that is dropped without this leaves nothing.
    ///
    /// # Errors
    /// If it cannot be written, or the bundle cannot be put in its place.
    fn finish(&mut self, manifest: &[u8]) -> Result<(), Error>;
}

/// A directory in the making, which takes the place of its target when it is complete.
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
    /// [`Error::Refused`] for anything else, or if no directory can be made beside it.
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

    /// The path of the file that has no name yet.
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
        let reason = "is a link that leads to nothing".to_string();
        return Err(Error::Refused { path: target.to_path_buf(), reason });
    }
    let resolved = if target.exists() { fs::canonicalize(target) } else { std::path::absolute(target) };
    let resolved = resolved.map_err(|e| Error::io(target, e))?;
    match resolved.file_name() {
        Some(_) => Ok(resolved),
        None => Err(Error::Refused { path: resolved, reason: "is not a name for a directory".to_string() }),
    }
}

/// A bundle is only recognised by a manifest of ours: web projects have a `manifest.json` too, and must not vanish.
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
    // Twice, because another one may take its place between the steps of the path.
    if is_ours() || is_ours() { Ok(()) } else { refuse("holds something that is not a bundle of gristmill") }
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
    /// Takes the files out, by their paths. Without a manifest they are no bundle.
    pub fn take(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|written| std::mem::take(&mut written.files))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Written) -> T) -> T {
        // Files are whole whatever a thread was doing.
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

/// A sink that several write to.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<dyn Sink>>);

impl Shared {
    pub(crate) fn new(sink: impl Sink + 'static) -> Self {
        Shared(Arc::new(Mutex::new(sink)))
    }

    /// Does something with the sink.
    ///
    /// # Errors
    /// Those of the work, or if a thread ended in the middle of its own.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut dyn Sink) -> Result<T, Error>) -> Result<T, Error> {
        match self.0.lock() {
            Ok(mut sink) => work(&mut *sink),
            Err(_) => Err(Error::io("weights", io::Error::other("writing was stopped"))),
        }
    }
}
