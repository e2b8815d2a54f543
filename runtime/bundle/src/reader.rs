//! Reads a bundle and verifies everything it reads.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::manifest::{Manifest, Programs};
use crate::order::order;
use crate::source::{DirSource, Source};
use crate::validate::{MANIFEST, MAX_JSON, is_clean_path, programs_path};

/// Lower-case hexadecimal SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// The part of a tensor that lies in one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Index in [`Manifest::tensors`].
    pub tensor: usize,
    /// Its offset in the tensor, in bytes.
    pub offset: u64,
    /// Its byte range in the shard.
    pub range: Range<usize>,
}

/// An open bundle: a valid manifest, and access to verified files.
pub struct Bundle {
    source: Box<dyn Source>,
    manifest: Manifest,
    /// The offset of each shard in the weight stream.
    shard_begins: Vec<u64>,
    /// The shard that was read last, because neighbouring tensors share one.
    last_shard: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("model", &self.manifest.model.name).finish_non_exhaustive()
    }
}

impl Bundle {
    /// Opens a bundle directory. Reads and checks only the manifest.
    ///
    /// # Errors
    /// [`Error::NotABundle`] if there is no manifest, and everything that makes the manifest invalid.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Bundle::from_source(Box::new(DirSource::open(dir.as_ref())?))
    }

    /// Opens a bundle whose files come from `source`.
    ///
    /// # Errors
    /// If the manifest cannot be read, has another format version, or is invalid.
    pub fn from_source(source: Box<dyn Source>) -> Result<Self, Error> {
        let size = source.size(MANIFEST)?;
        if size > MAX_JSON {
            return Err(mismatch(MANIFEST, &format!("at most {MAX_JSON} bytes"), &format!("{size}")));
        }
        let manifest = parse_manifest(&source.read(MANIFEST)?)?;
        let begins = manifest.shards.iter().scan(0, |end, shard| {
            let begin = *end;
            *end += shard.bytes;
            Some(begin)
        });
        let shard_begins = begins.collect();
        Ok(Bundle { source, manifest, shard_begins, last_shard: Mutex::new(None) })
    }

    /// The manifest, which is valid.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the bundle has this file (apart from the manifest and the weights).
    pub fn has(&self, path: &str) -> bool {
        self.manifest.files.contains_key(path)
    }

    /// The verified content of a file that the manifest lists.
    ///
    /// # Errors
    /// [`Error::Missing`] if the manifest does not list the file, and [`Error::Integrity`] if its size or hash is
    /// wrong.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let info = self.manifest.files.get(path).filter(|_| is_clean_path(path));
        let info = info.ok_or_else(|| Error::Missing { file: path.to_string() })?;
        self.verified(path, info.bytes, &info.sha256)
    }

    /// The same as text.
    ///
    /// # Errors
    /// See [`Bundle::read`]; also if it is not UTF-8.
    pub fn read_text(&self, path: &str) -> Result<String, Error> {
        String::from_utf8(self.read(path)?)
            .map_err(|e| Error::Json { file: path.to_string(), message: format!("not UTF-8: {e}") })
    }

    /// The programs of a profile, which are valid. For an unknown profile, [`Error::Invalid`] lists the known ones.
    pub fn programs(&self, profile: &str) -> Result<Programs, Error> {
        if !self.manifest.profiles.iter().any(|p| p == profile) {
            return Err(Error::Invalid {
                file: MANIFEST.to_string(),
                place: "profiles".to_string(),
                fault: format!("no `{profile}`, only {}", self.manifest.profiles.join(", ")),
            });
        }
        let path = programs_path(profile);
        parse_programs(&self.manifest, &path, &self.read(&path)?)
    }

    /// The verified content of a shard, by its index in the manifest. An index out of range is [`Error::Missing`], not
    /// a panic.
    pub fn shard(&self, index: usize) -> Result<Vec<u8>, Error> {
        let Some(shard) = self.manifest.shards.get(index) else {
            return Err(Error::Missing { file: format!("weights (shard {index})") });
        };
        self.verified(&shard_path(&shard.sha256), shard.bytes, &shard.sha256)
    }

    /// Reads all files and weights once, to verify them.
    ///
    /// # Errors
    /// The first file that differs from the manifest; also if the bundle has no programs.
    pub fn check_files(&self) -> Result<(), Error> {
        for path in self.manifest.files.keys() {
            self.read(path)?;
        }
        for profile in &self.manifest.profiles {
            self.programs(profile)?;
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut shards = 0..self.manifest.shards.len();
        shards.try_for_each(|i| match seen.insert(&self.manifest.shards[i].sha256) {
            true => self.shard(i).map(drop),
            false => Ok(()),
        })
    }

    /// The bytes of a tensor, by its index in the manifest. Reading tensors in stream order reads each shard once.
    ///
    /// # Errors
    /// [`Error::Missing`] if the index is out of range; otherwise see [`Bundle::shard`].
    pub fn tensor(&self, index: usize) -> Result<Vec<u8>, Error> {
        let Some(tensor) = self.manifest.tensors.get(index) else {
            return Err(Error::Missing { file: format!("weights (tensor {index})") });
        };
        let (first, end) = (tensor.offset, tensor.offset + tensor.bytes);
        let mut out = Vec::with_capacity(tensor.bytes as usize);
        let start = self.shard_begins.partition_point(|begin| *begin <= first).saturating_sub(1);
        for (i, begin) in self.shard_begins.iter().enumerate().skip(start).take_while(|(_, begin)| **begin < end) {
            let (from, to) = (first.max(*begin), end.min(begin + self.manifest.shards[i].bytes));
            if from < to {
                let content = self.cached_shard(i)?;
                out.extend_from_slice(&content[(from - begin) as usize..(to - begin) as usize]);
            }
        }
        Ok(out)
    }

    fn cached_shard(&self, index: usize) -> Result<Arc<Vec<u8>>, Error> {
        // A poisoned lock still holds a verified shard or nothing.
        let mut last = self.last_shard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((i, content)) = last.as_ref()
            && *i == index
        {
            return Ok(content.clone());
        }
        let content = Arc::new(self.shard(index)?);
        *last = Some((index, content.clone()));
        Ok(content)
    }

    fn verified(&self, path: &str, bytes: u64, sha256: &str) -> Result<Vec<u8>, Error> {
        let size = self.source.size(path)?;
        if size != bytes {
            return Err(mismatch(path, &format!("{bytes} bytes"), &format!("{size}")));
        }
        let content = self.source.read(path)?;
        verify(path, &content, bytes, sha256)?;
        Ok(content)
    }
}

/// Checks a file's content against the manifest's size and SHA-256.
///
/// # Errors
/// [`Error::Integrity`] if one of them differs.
pub fn verify(path: &str, content: &[u8], bytes: u64, sha256: &str) -> Result<(), Error> {
    if content.len() as u64 != bytes {
        return Err(mismatch(path, &format!("{bytes} bytes"), &format!("{}", content.len())));
    }
    let found = sha256_hex(content);
    if found == sha256 { Ok(()) } else { Err(mismatch(path, &format!("SHA-256 {sha256}"), &found)) }
}

/// The path of a shard.
pub fn shard_path(sha256: &str) -> String {
    format!("weights/{sha256}.bin")
}

fn mismatch(file: &str, expected: &str, found: &str) -> Error {
    Error::Integrity { file: file.to_string(), expected: expected.to_string(), found: found.to_string() }
}

fn parse<T: DeserializeOwned>(file: &str, text: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|e| Error::Json { file: file.to_string(), message: e.to_string() })
}

/// Parses and validates the text of a manifest. The format version comes first, so that a bundle of another version
/// gives the right error.
pub fn parse_manifest(text: &[u8]) -> Result<Manifest, Error> {
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let version: Version = parse(MANIFEST, text)?;
    if version.format != u64::from(crate::FORMAT) {
        return Err(Error::Format { found: version.format });
    }
    let manifest: Manifest = parse(MANIFEST, text)?;
    manifest.validate()?;
    Ok(manifest)
}

/// Parses and checks the programs at `path`, whose content was verified.
///
/// # Errors
/// If the content is not JSON of this form, or contradicts itself or the manifest.
pub fn parse_programs(manifest: &Manifest, path: &str, content: &[u8]) -> Result<Programs, Error> {
    let programs: Programs = parse(path, content)?;
    programs.validate(manifest, path)?;
    Ok(programs)
}

impl Manifest {
    /// The parts of tensors in each shard, in stream order. The manifest must be valid.
    pub fn pieces(&self) -> Vec<Vec<Piece>> {
        let offset = |i: usize| self.tensors[i].offset;
        let mut next = order(self.tensors.len(), &|a, b| offset(a).cmp(&offset(b))).into_iter().peekable();
        let mut begin = 0;
        let mut all = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let end = begin + shard.bytes;
            let mut pieces = Vec::new();
            while let Some(&i) = next.peek() {
                let t = &self.tensors[i];
                let (from, to) = (t.offset.max(begin), (t.offset + t.bytes).min(end));
                if from < to {
                    let range = (from - begin) as usize..(to - begin) as usize;
                    pieces.push(Piece { tensor: i, offset: from - t.offset, range });
                }
                if t.offset + t.bytes > end {
                    break;
                }
                next.next();
            }
            all.push(pieces);
            begin = end;
        }
        all
    }
}
