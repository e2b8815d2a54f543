//! The cache of bundles that are compiled when they are needed.
//!
//! A bundle is stored in `CACHE/PLACE/KEY`: the place is a hash of the directory and the options, the key a hash of the
//! content.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use gristmill_bundle::{Bundle, Error as BundleError, MANIFEST, MAX_JSON, files, sha256_hex};
use gristmill_compiler::{CompileOptions, gguf, profile};

use crate::failure::{Failure, Outcome};
use crate::output::note;
use crate::page;
use crate::progress::Bar;

/// How deep a model's files may be nested, and how many per folder are considered.
const FOLDERS: u32 = 2;
const MAX_FILES: usize = 1000;
/// A file in each place. A process that compiles into the place locks it, and then writes the SHA-256 of the manifest
/// into it.
pub(crate) const TURN: &str = ".turn";

/// Cached bundles that this process has used, and whether they turned out to be damaged.
static USED: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

fn used() -> MutexGuard<'static, BTreeMap<PathBuf, bool>> {
    USED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bundle of a model: from the cache, or compiled into it. With `whole`, all files of a cached bundle are checked
/// first, for users that cannot repair damage that they find later.
///
/// If the content of the model has changed, the previous bundle in its place is removed, so that the cache does not
/// grow forever.
pub(crate) fn bundle(model: &Path, options: &CompileOptions, whole: bool) -> Outcome<PathBuf> {
    // The last component is not resolved: in the cache of the Hub, files are links to blobs with other names.
    let full = match model.is_dir() {
        true => model.canonicalize(),
        false => std::path::absolute(model),
    };
    let full = full.map_err(|e| Failure::io(model, &e))?;
    let name: String = full.file_name().unwrap_or_default().to_string_lossy().chars().take(60).collect();
    let place = sha256_hex(format!("{}\n{options:?}", full.display()).as_bytes());
    let place = root()?.join(format!("{name}-{}", &place[..16]));
    let bundle = place.join(&key(&full, options)?[..16]);
    let damaged = used().insert(bundle.clone(), false) == Some(true);
    if !damaged && check_manifest(&bundle, &written(&place)).is_ok() {
        if whole {
            Bundle::open(&bundle)?.check_files()?;
        }
        return Ok(bundle);
    }
    let mut turn = take_turn(&place).map_err(|e| Failure::io(&place, &e))?;
    if bundle.exists() {
        match check(&bundle, &written(&place)) {
            // Another process has compiled it in the meantime.
            Ok(()) => return Ok(bundle),
            Err(fault) if !damaged => tell(&bundle, &fault.to_string()),
            Err(_) => {}
        }
        // A bundle that others may be reading is replaced. Anything that cannot be opened is not a bundle, and in the
        // way.
        if Bundle::open(&bundle).is_err() {
            gristmill_bundle::move_away(&bundle).map_err(|e| Failure::io(&bundle, &e))?;
        }
    }
    note(&format!("compiling {} ({}) into {}", model.display(), options.precision, bundle.display()));
    // The page is part of this program, which is already part of the key.
    let options = CompileOptions { page: page::files(), ..options.clone() };
    gristmill_compiler::compile(&full, &bundle, &options, &Bar::new())?;
    write_down(&mut turn, &bundle).map_err(|e| Failure::io(&place, &e))?;
    forget_others(&place, &bundle);
    Ok(bundle)
}

/// The SHA-256 of the manifest of a place's bundle; empty if there is none.
fn written(place: &Path) -> String {
    std::fs::read_to_string(place.join(TURN)).unwrap_or_default()
}

/// Checks the manifest, whose hash is in no other file of the bundle.
fn check_manifest(bundle: &Path, sha256: &str) -> Result<(), BundleError> {
    let missing = |_| BundleError::Missing { file: MANIFEST.to_string() };
    let manifest = files::read(&bundle.join(MANIFEST), MAX_JSON).map_err(missing)?;
    gristmill_bundle::verify(MANIFEST, &manifest, manifest.len() as u64, sha256)
}

/// Checks every file of a bundle.
fn check(bundle: &Path, sha256: &str) -> Result<(), BundleError> {
    Bundle::open(bundle)?.check_files()?;
    check_manifest(bundle, sha256)
}

/// Records the SHA-256 of the manifest.
fn write_down(turn: &mut File, bundle: &Path) -> io::Result<()> {
    let manifest = files::read(&bundle.join(MANIFEST), MAX_JSON)?;
    turn.set_len(0)?;
    turn.rewind()?;
    turn.write_all(sha256_hex(&manifest).as_bytes())
}

/// Waits until no other process compiles into a place. The lock is held until the returned file is closed.
fn take_turn(place: &Path) -> io::Result<File> {
    std::fs::create_dir_all(place)?;
    let file = File::options().write(true).create(true).truncate(false).open(place.join(TURN))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            note("waiting for another process that is compiling this model");
            file.lock()?;
        }
        // Where locks are not supported, two processes may do the same work.
        Err(TryLockError::Error(e)) if e.kind() != io::ErrorKind::Unsupported => return Err(e),
        _ => {}
    }
    Ok(file)
}

/// Marks the cached bundles that this process has used as damaged, so that they are compiled again. Returns `false` if
/// there are none.
pub(crate) fn distrust(why: &str) -> bool {
    let mut used = used();
    for (bundle, damaged) in used.iter_mut() {
        tell(bundle, why);
        *damaged = true;
    }
    !used.is_empty()
}

fn tell(bundle: &Path, why: &str) {
    note(&format!("{}: damaged ({}); compiling it again", bundle.display(), why.lines().next().unwrap_or_default()));
}

/// A cached bundle.
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) made: Option<SystemTime>,
}

impl Kept {
    /// Checks every file.
    pub(crate) fn check(&self) -> Result<(), BundleError> {
        check(&self.path, &self.path.parent().map(written).unwrap_or_default())
    }
}

/// All bundles in the cache, sorted, including incomplete ones.
pub(crate) fn all(root: &Path) -> Outcome<Vec<Kept>> {
    let folders = |of: &Path| -> Outcome<Vec<PathBuf>> {
        match std::fs::read_dir(of) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Failure::io(of, &e)),
            Ok(entries) => Ok(entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect()),
        }
    };
    let mut all = Vec::new();
    for place in folders(root)? {
        for path in folders(&place)? {
            let made = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
            all.push(Kept { bytes: size_of(&path), made, path });
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// The size of all files in a folder and its subfolders, in bytes.
fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_of(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Removes older bundles from a place. Errors are ignored: old bundles are only clutter.
fn forget_others(place: &Path, keep: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for path in entries.flatten().map(|e| e.path()).filter(|p| p != keep && p.join(MANIFEST).is_file()) {
        gristmill_bundle::remove_unused(&path);
    }
}

/// `$XDG_CACHE_HOME/gristmill`, or its equivalent on this system.
pub(crate) fn root() -> Outcome<PathBuf> {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    from("XDG_CACHE_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|h| h.join(".cache")))
        .map(|p| p.join("gristmill"))
        .ok_or_else(|| Failure::lacking("no cache directory: set XDG_CACHE_HOME or HOME, or use `gristmill compile`"))
}

/// A hash of everything that the bundle depends on: names, sizes and times of the model's files, the files that the
/// options name, the options, and this program.
fn key(model: &Path, options: &CompileOptions) -> Outcome<String> {
    let mut text = format!("{} {options:?}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(program) = std::env::current_exe() {
        describe(&mut text, &program);
    }
    let mut found = match model.is_dir() {
        true => files_below(model, FOLDERS)?,
        false => gguf::parts(model),
    };
    found.sort();
    // config.json may be in a subfolder. If it is missing, the compiler reports that.
    text.push_str(&files::read_text(&model.join("config.json"), files::MAX_TEXT).unwrap_or_default());
    let targets = options.targets.iter().filter(|target| profile::is_path(target)).map(PathBuf::from);
    for file in options.arch.iter().cloned().chain([PathBuf::from(&options.precision)]).chain(targets) {
        text.push_str(&files::read_text(&file, files::MAX_TEXT).unwrap_or_default());
    }
    for file in found {
        describe(&mut text, &file);
    }
    Ok(sha256_hex(text.as_bytes()))
}

/// The files in a directory and its subfolders, down to `depth`: modules after a model have a folder each.
fn files_below(dir: &Path, depth: u32) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Failure::io(dir, &e))?;
    let mut files = Vec::new();
    for path in entries.flatten().map(|e| e.path()).take(MAX_FILES) {
        if path.is_dir() && depth > 0 {
            files.append(&mut files_below(&path, depth - 1)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn describe(text: &mut String, file: &Path) {
    // If a file cannot be examined, the compiler reports that with a better message.
    let Ok(meta) = std::fs::metadata(file) else { return };
    let time = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
    let _ = writeln!(text, "{} {} {time}", file.display(), meta.len());
}
