//! The weights of a Hugging Face model directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::convert::{Storage, first_non_finite};
use super::error::{WeightError, shown};
use super::header;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The longest index file that is read; real ones have a few hundred bytes per layer.
const MAX_INDEX: u64 = 100_000_000;

/// The safetensors files of a model directory: which tensors there are, and their rows.
///
/// Only headers are held in memory. Rows are read at their position in the file when they are asked for; files are
/// not mapped, because a mapped file that shrinks while it is read kills the process instead of giving an error, and
/// because pages of a map count as memory of the process.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    files: Vec<(PathBuf, File)>,
    tensors: BTreeMap<String, Stored>,
    skipped: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Stored {
    file: usize,
    storage: Storage,
    shape: Vec<u64>,
    start: u64,
}

impl Stored {
    /// Rows, and elements per row. A scalar is one row.
    fn rows(&self) -> (u64, u64) {
        let rows = self.shape.first().copied().unwrap_or(1);
        (rows, self.shape.iter().skip(1).product())
    }
}

/// What `model.safetensors.index.json` says; other keys do not matter here.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens the weights in `dir`: `model.safetensors`, or the files that `model.safetensors.index.json` names, or
    /// the only other `.safetensors` file. Reads and checks all headers.
    ///
    /// Fails if there are none, or a header breaks a rule of the format, or the index and the files disagree.
    pub fn open(dir: &Path) -> Result<Self, WeightError> {
        let mut checkpoint = Checkpoint {
            dir: dir.to_path_buf(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };
        let (single, index) = (dir.join(SINGLE), dir.join(INDEX));
        if single.is_file() {
            checkpoint.add(single, None)?;
        } else if index.is_file() {
            checkpoint.add_sharded(&index)?;
        } else {
            checkpoint.add(only_file(dir)?, None)?;
        }
        Ok(checkpoint)
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All float tensors (f16, bf16, f32, f64) that have elements, with their shapes.
    pub fn tensors(&self) -> BTreeMap<String, Vec<u64>> {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.shape.clone())).collect()
    }

    /// The other tensors, which cannot be weights, and why: integer buffers, float formats that are not read,
    /// tensors without elements.
    pub fn skipped(&self) -> &BTreeMap<String, String> {
        &self.skipped
    }

    /// The shape of a tensor of [`Self::tensors`].
    pub fn shape(&self, name: &str) -> Result<&[u64], WeightError> {
        Ok(&self.stored(name)?.shape)
    }

    /// Replaces the content of `out` by the rows `rows` (indices of the first dimension) of a tensor, as f32.
    ///
    /// Fails if there is no such tensor or row, the file cannot be read, or a value is infinite or not a number
    /// (also when an f64 is too large for f32). May be called from many threads.
    pub fn read_rows_f32(&self, name: &str, rows: Range<u64>, out: &mut Vec<f32>) -> Result<(), WeightError> {
        /// Bytes that are read at once; they lie beside the f32 values.
        const PIECE: u64 = 1 << 18;
        out.clear();
        let stored = self.stored(name)?;
        let (path, file) = &self.files[stored.file];
        let (count, width) = stored.rows();
        if rows.start > rows.end || rows.end > count {
            let message = format!("has {count} rows, but rows {}..{} are asked for", rows.start, rows.end);
            return Err(WeightError::new(path, message, "give it the shape that the file has").in_tensor(name));
        }
        // The header bounds the size of the whole tensor by that of the file: no overflow from here on.
        let row_bytes = width * stored.storage.bytes();
        let mut at = stored.start + rows.start * row_bytes;
        let end = stored.start + rows.end * row_bytes;
        out.reserve_exact(((rows.end - rows.start) * width) as usize);
        let mut buffer = vec![0; PIECE.min(end - at) as usize];
        while at < end {
            let piece = &mut buffer[..PIECE.min(end - at) as usize];
            header::read_at(file, piece, at).map_err(|e| WeightError::io(path, "read", &e).in_tensor(name))?;
            stored.storage.decode(piece, out);
            at += piece.len() as u64;
        }
        match first_non_finite(out) {
            None => Ok(()),
            Some(i) => {
                let place = unravel(rows.start * width + i as u64, &stored.shape);
                let message = format!("the element at {place:?} is {}, not a finite number", out[i]);
                Err(WeightError::new(path, message, "the model is broken, or was saved wrongly; convert it again")
                    .in_tensor(name))
            }
        }
    }

    /// An error about a tensor of this checkpoint, with the file it lies in.
    pub fn error(&self, name: &str, message: impl Into<String>, help: impl Into<String>) -> WeightError {
        let place = self.tensors.get(name).map_or(&self.dir, |t| &self.files[t.file].0);
        WeightError::new(place, message, help).in_tensor(name)
    }

    fn stored(&self, name: &str) -> Result<&Stored, WeightError> {
        if let Some(stored) = self.tensors.get(name) {
            return Ok(stored);
        }
        let help = "check the weight names of the architecture against the file";
        Err(match self.skipped.get(name) {
            Some(reason) => WeightError::new(&self.dir, reason.clone(), "convert the model to bf16, f16 or f32"),
            None => WeightError::new(&self.dir, "is not in the model directory", help),
        }
        .in_tensor(name))
    }

    /// Adds the tensors of a file; all of them, or only those that an index places there.
    fn add(&mut self, path: PathBuf, wanted: Option<&[&str]>) -> Result<(), WeightError> {
        let file = File::open(&path).map_err(|e| WeightError::io(&path, "open", &e))?;
        let mut entries: BTreeMap<String, header::Entry> =
            header::read(&file, &path)?.into_iter().map(|e| (e.name.clone(), e)).collect();
        if let Some(wanted) = wanted {
            let mut kept = BTreeMap::new();
            for name in wanted {
                let Some(entry) = entries.remove(*name) else {
                    let message = format!("is not in this file, though {INDEX} says so");
                    let help = "the files do not belong together; download the model again";
                    return Err(WeightError::new(&path, message, help).in_tensor(name));
                };
                kept.insert(entry.name.clone(), entry);
            }
            entries = kept;
        }
        for (name, entry) in entries {
            match Storage::of(entry.dtype) {
                _ if entry.bytes == 0 => {
                    self.skipped.insert(name, format!("has shape {:?}, without any element", entry.shape));
                }
                None => {
                    self.skipped.insert(name, format!("is stored as {:?}, which is not read", entry.dtype));
                }
                Some(storage) => {
                    let stored = Stored { file: self.files.len(), storage, shape: entry.shape, start: entry.start };
                    self.tensors.insert(name, stored);
                }
            }
        }
        self.files.push((path, file));
        Ok(())
    }

    fn add_sharded(&mut self, index: &Path) -> Result<(), WeightError> {
        let damaged = "download the index file again";
        let bytes = std::fs::metadata(index).map_err(|e| WeightError::io(index, "read", &e))?.len();
        if bytes > MAX_INDEX {
            return Err(WeightError::new(index, format!("has {bytes} bytes; at most {MAX_INDEX} are read"), damaged));
        }
        let text = std::fs::read(index).map_err(|e| WeightError::io(index, "read", &e))?;
        let Index { weight_map } = serde_json::from_slice(&text)
            .map_err(|e| WeightError::new(index, format!("is not a valid index: {e}"), damaged))?;
        let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tensor, file) in &weight_map {
            by_file.entry(file).or_default().push(tensor);
        }
        for (file, tensors) in by_file {
            // A name with a folder in it could lead anywhere on the machine.
            if file.is_empty() || file == ".." || file.contains(['/', '\\', ':', '\0']) {
                let message = format!("names the file `{}`, which is not a plain file name", shown(file));
                return Err(WeightError::new(index, message, damaged));
            }
            self.add(self.dir.join(file), Some(&tensors))?;
        }
        Ok(())
    }
}

/// The only `.safetensors` file in a directory that has none of the usual names.
fn only_file(dir: &Path) -> Result<PathBuf, WeightError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| WeightError::io(dir, "read", &e))? {
        let path = entry.map_err(|e| WeightError::io(dir, "read", &e))?.path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            found.push(path);
        }
    }
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let help = "give a Hugging Face model directory; convert .bin weights with `save_pretrained(..)`";
            Err(WeightError::new(dir, format!("has no weights: neither {SINGLE} nor {INDEX}"), help))
        }
        n => {
            let message = format!("has {n} safetensors files, but neither {SINGLE} nor {INDEX}");
            Err(WeightError::new(dir, message, format!("add {INDEX}, or keep one file and name it {SINGLE}")))
        }
    }
}

/// The index per dimension of element `i` in row-major order.
fn unravel(mut i: u64, shape: &[u64]) -> Vec<u64> {
    let mut place: Vec<u64> = shape
        .iter()
        .rev()
        .map(|d| {
            let at = i % d;
            i /= d;
            at
        })
        .collect();
    place.reverse();
    place
}
