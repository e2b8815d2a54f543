//! Writes a bundle to a sink, the manifest last.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Error;
use crate::manifest::{FileInfo, Manifest, Programs};
use crate::reader::sha256_hex;
use crate::sink::{DirSink, Shared, Sink};
use crate::validate::{MANIFEST, is_clean_path, programs_path};
use crate::weights::{WeightWriter, WrittenWeights};

/// Writes the files of a bundle. Nothing appears at the target before [`BundleWriter::finish`]; dropping the writer
/// removes all it has written.
#[derive(Debug)]
pub struct BundleWriter {
    sink: Shared,
    weights: WrittenWeights,
    files: BTreeMap<String, FileInfo>,
}

impl BundleWriter {
    /// Writes into a sink.
    pub fn new(sink: impl Sink + 'static) -> Self {
        BundleWriter { sink: Shared::new(sink), weights: WrittenWeights::default(), files: BTreeMap::new() }
    }

    /// Prepares to write a bundle to the directory `target`; see [`DirSink::create`].
    ///
    /// # Errors
    /// Those of [`DirSink::create`].
    pub fn create(target: impl AsRef<Path>) -> Result<Self, Error> {
        DirSink::create(target).map(Self::new)
    }

    /// Adds a file other than weights. A path must not be added twice.
    ///
    /// # Errors
    /// If a bundle cannot have a file with this path, or the file cannot be written.
    pub fn add(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        let reserved = path == MANIFEST || path.starts_with("weights/") || self.files.contains_key(path);
        if reserved || !is_clean_path(path) {
            return Err(Error::Invalid {
                file: path.to_string(),
                place: "path".to_string(),
                fault: "is not a clean path, is reserved, or was written twice".to_string(),
            });
        }
        self.sink.with(|sink| sink.add(path, content))?;
        let info = FileInfo { sha256: sha256_hex(content), bytes: content.len() as u64 };
        self.files.insert(path.to_string(), info);
        Ok(())
    }

    /// Adds the programs of a profile, which the manifest must list when [`BundleWriter::finish`] is called.
    ///
    /// # Errors
    /// As [`BundleWriter::add`].
    pub fn add_programs(&mut self, profile: &str, programs: &Programs) -> Result<(), Error> {
        let path = programs_path(profile);
        let text = to_json(&path, programs, false)?;
        self.add(&path, &text)
    }

    /// Starts the only weight stream of the bundle, with files of `shard_bytes`: see [`WeightWriter`]. Pass its result
    /// to [`BundleWriter::adopt_weights`].
    ///
    /// # Errors
    /// If the system cannot start a thread to write with.
    pub fn weights(&self, shard_bytes: u64) -> Result<WeightWriter, Error> {
        WeightWriter::new(self.sink.clone(), shard_bytes)
    }

    /// Takes over the result of a weight stream that [`BundleWriter::weights`] has started.
    pub fn adopt_weights(&mut self, weights: WrittenWeights) {
        self.weights = weights;
    }

    /// Completes the manifest with tensors, shards, components and files, checks and writes it, and moves the bundle to
    /// its target.
    ///
    /// # Errors
    /// If the manifest is invalid, or the bundle cannot be moved to its target.
    pub fn finish(mut self, mut manifest: Manifest) -> Result<Manifest, Error> {
        let WrittenWeights { tensors, shards, components } = std::mem::take(&mut self.weights);
        (manifest.tensors, manifest.shards, manifest.components) = (tensors, shards, components);
        manifest.files = std::mem::take(&mut self.files);
        manifest.validate()?;
        let text = to_json(MANIFEST, &manifest, true)?;
        self.sink.with(|sink| sink.finish(&text))?;
        Ok(manifest)
    }
}

/// JSON with a newline at the end. Maps are ordered, so equal values give equal bytes.
fn to_json<T: serde::Serialize>(file: &str, value: &T, pretty: bool) -> Result<Vec<u8>, Error> {
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    let mut text = text.map_err(|e| Error::Json { file: file.to_string(), message: e.to_string() })?;
    text.push(b'\n');
    Ok(text)
}
