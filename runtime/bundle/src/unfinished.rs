//! Bundles that are being written, in directories beside their targets, and how they replace the targets.
//!
//! A writer holds an exclusive lock on the manifest, readers hold shared ones. A directory without a lock is therefore
//! unused, whatever happened to the program that created it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::validate::MANIFEST;

/// Unfinished directories of this process.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static ABANDONED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn live() -> MutexGuard<'static, Vec<PathBuf>> {
    // Paths are valid whatever a thread was doing.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all unfinished bundles of this process and allows no new ones: for a process that was told to terminate. A
/// bundle that is being moved to its target at this moment still gets there.
pub fn abandon() {
    ABANDONED.store(true, Ordering::SeqCst);
    let mut live = live();
    for path in live.drain(..) {
        // Threads that still write may put something into it once more.
        for _ in 0..5 {
            if fs::remove_dir_all(&path).is_ok() || !path.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Fails after [`abandon`].
pub(crate) fn check() -> Result<(), Error> {
    if ABANDONED.load(Ordering::SeqCst) { Err(Error::Interrupted) } else { Ok(()) }
}

/// A directory that becomes a bundle; it is removed when dropped before that.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    /// Empty, and locked.
    manifest: File,
}

impl Unfinished {
    /// A new directory beside `target`, so that a rename stays on one file system.
    pub(crate) fn beside(target: &Path) -> Result<Self, Error> {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
            sweep(parent, target);
        }
        let mut last = io::Error::other("no free name next to it");
        let mut live = live();
        check()?;
        for _ in 0..100 {
            // Never the same name twice, so that nobody takes one directory for another.
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = target.with_file_name(format!("{}{}-{n}", prefix(target), std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    last = e;
                    continue;
                }
                Err(e) => return Err(Error::io(path, e)),
            }
            match locked(&path) {
                Ok(manifest) => {
                    live.push(path.clone());
                    return Ok(Unfinished { path, manifest });
                }
                Err(e) => {
                    // Nothing is in it.
                    let _ = fs::remove_dir_all(&path);
                    last = e;
                }
            }
        }
        Err(Error::io(target, last))
    }

    /// Writes the manifest and moves the directory to `target`. On failure the old content stays there. Readers of the
    /// old bundle can continue to read it.
    pub(crate) fn become_target(&mut self, manifest: &[u8], target: &Path) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |e| Error::io(path, e)
        };
        let path = self.path.join(MANIFEST);
        self.manifest.write_all(manifest).and_then(|()| self.manifest.sync_all()).map_err(failed(&path))?;
        // Otherwise names may reach the disk before contents, and a failure of power leaves empty files.
        sync(&self.path).map_err(failed(&self.path))?;
        let mut live = live();
        check()?;
        replace(&self.path, target).map_err(failed(target))?;
        live.retain(|path| *path != self.path);
        drop(live);
        if let Some(parent) = target.parent() {
            sync_folder(parent).map_err(failed(parent))?;
        }
        if self.path.exists() {
            remove_unused(&self.path);
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut live = live();
        if let Some(at) = live.iter().position(|path| *path == self.path) {
            live.remove(at);
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The prefix of names of unfinished directories.
fn prefix(target: &Path) -> String {
    format!(".{}.tmp-", target.file_name().unwrap_or_default().to_string_lossy())
}

/// A new manifest, with its lock.
fn locked(dir: &Path) -> io::Result<File> {
    let path = dir.join(MANIFEST);
    // Who sweeps may have made it, too: whoever has the lock first has the directory.
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
    match file.try_lock() {
        Ok(()) if is_at(&file, &path) => Ok(file),
        Ok(()) => Err(io::Error::other("another process removed it")),
        // Where there are no locks, nobody sweeps either.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(e) => Err(e.into()),
    }
}

/// Whether a path still leads to this file: before it was locked, another process may have removed or replaced it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |about: fs::Metadata| (about.dev(), about.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(own), Ok(found)) => place(own) == place(found),
        _ => false,
    }
}

/// On other systems, open files cannot be removed or renamed.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Removes what earlier processes have left beside `target`: unfinished bundles of killed compilations, and replaced
/// bundles that had readers. Errors are ignored, because such directories do no harm.
fn sweep(parent: &Path, target: &Path) {
    let prefix = prefix(target);
    let Ok(entries) = fs::read_dir(parent) else { return };
    let left = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&prefix));
    left.for_each(|entry| remove_unused(&entry.path()));
}

/// Removes the directory of a bundle that nobody writes or reads.
pub fn remove_unused(path: &Path) {
    let place = path.join(MANIFEST);
    // One without a manifest is just being made, or was when its program was killed.
    let Ok(manifest) = File::open(&place).or_else(|_| File::create_new(&place)) else { return };
    if manifest.try_lock().is_ok() && is_at(&manifest, &place) {
        // It is only in the way.
        let _ = fs::remove_dir_all(path);
    }
}

/// Removes a directory that is not a bundle. If another process has put a bundle there meanwhile, its readers can
/// continue to read it.
///
/// # Errors
/// If it cannot be renamed. It is no error if it does not exist.
pub fn move_away(target: &Path) -> io::Result<()> {
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let away = target.with_file_name(format!("{}{}-{n}", prefix(target), std::process::id()));
    match fs::rename(target, &away) {
        Ok(()) => remove_unused(&away),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Moves `new` to `target`, atomically if the system can. Afterwards, `new` is the old directory or does not exist.
fn replace(new: &Path, target: &Path) -> io::Result<()> {
    if !target.exists() {
        return fs::rename(new, target);
    }
    if exchange(new, target) {
        return Ok(());
    }
    let name = new.file_name().unwrap_or_default().to_string_lossy();
    let old = new.with_file_name(format!("{name}.old"));
    fs::rename(target, &old)?;
    if let Err(e) = fs::rename(new, target) {
        // Nothing better can be done if this fails as well; the first error is the one to report.
        let _ = fs::rename(&old, target);
        return Err(e);
    }
    remove_unused(&old);
    Ok(())
}

/// Exchanges two directories; `false` if the system cannot do that.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// Flushes the files of a directory, and their names, to the disk.
fn sync(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            // Windows syncs only what may be written.
            fs::OpenOptions::new().read(true).append(true).open(&path)?.sync_all()?;
        }
    }
    sync_folder(dir)
}

#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// On other systems, directories cannot be flushed, and need not be.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
