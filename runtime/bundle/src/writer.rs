//! Writes a bundle: into a directory beside the target, which takes the target's place at the very end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::files;
use crate::manifest::{FileInfo, Manifest, Programs};
use crate::reader::sha256_hex;
use crate::unfinished::{self, Unfinished};
use crate::validate::{MANIFEST, MAX_JSON, is_clean_path, programs_path};
use crate::weights::WrittenWeights;

/// Writes the files of a bundle. Until [`BundleWriter::finish`] nothing is visible at the target; dropping the
/// writer removes what was written.
#[derive(Debug)]
pub struct BundleWriter {
    target: PathBuf,
    temp: Unfinished,
    weights: WrittenWeights,
    files: BTreeMap<String, FileInfo>,
}

impl BundleWriter {
    /// Prepares to write a bundle at `target`, which may be missing, an empty directory, or an older bundle;
    /// anything else is [`Error::Refused`].
    pub fn create(target: impl AsRef<Path>) -> Result<Self, Error> {
        let target = resolve(target.as_ref())?;
        check_replaceable(&target)?;
        let temp = Unfinished::beside(&target)?;
        Ok(BundleWriter { target, temp, weights: WrittenWeights::default(), files: BTreeMap::new() })
    }

    /// Adds a file. The same path must not be added twice, and weights are not added this way.
    pub fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        let reserved = path == MANIFEST || path.starts_with("weights/") || self.files.contains_key(path);
        if reserved || !is_clean_path(path) {
            return Err(Error::Invalid {
                file: path.to_string(),
                place: "path".to_string(),
                fault: "is not clean, reserved, or written twice".to_string(),
            });
        }
        self.put(path, content)?;
        let info = FileInfo { sha256: sha256_hex(content), bytes: content.len() as u64 };
        self.files.insert(path.to_string(), info);
        Ok(())
    }

    /// Adds the programs of a profile. [`BundleWriter::finish`] still needs the profile in the manifest.
    pub fn add_programs(&mut self, profile: &str, programs: &Programs) -> Result<(), Error> {
        let path = programs_path(profile);
        let text = to_json(&path, programs, false)?;
        self.add(&path, &text)
    }

    /// The directory that becomes the bundle. A [`crate::WeightWriter`] writes weights there;
    /// [`BundleWriter::adopt_weights`] takes them over.
    pub fn dir(&self) -> &Path {
        &self.temp.path
    }

    /// Takes over the weight stream that was written to [`BundleWriter::dir`].
    pub fn adopt_weights(&mut self, weights: WrittenWeights) {
        self.weights = weights;
    }

    /// Completes the manifest with tensors, shards, components and files, checks it, writes it, and puts the bundle in its place.
    pub fn finish(mut self, mut manifest: Manifest) -> Result<Manifest, Error> {
        let WrittenWeights { tensors, shards, components } = std::mem::take(&mut self.weights);
        (manifest.tensors, manifest.shards, manifest.components) = (tensors, shards, components);
        manifest.files = std::mem::take(&mut self.files);
        manifest.validate()?;
        let text = to_json(MANIFEST, &manifest, true)?;
        check_replaceable(&self.target)?;
        self.temp.become_target(&text, &self.target)?;
        Ok(manifest)
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        unfinished::check()?;
        let path = self.temp.path.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        }
        fs::write(&path, content).map_err(|e| Error::io(&path, e))
    }
}

/// JSON with a newline at the end. Maps are ordered, so equal values give equal bytes.
fn to_json<T: serde::Serialize>(file: &str, value: &T, pretty: bool) -> Result<Vec<u8>, Error> {
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    let mut text = text.map_err(|e| Error::Json { file: file.to_string(), message: e.to_string() })?;
    text.push(b'\n');
    Ok(text)
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
