//! The weights of a model, from a Hugging Face model directory or another source that lists its tensors.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_graph::text::Stored as Order;

use super::convert::{Storage, first_non_finite};
use super::error::{WeightError, shown};
use super::files::{self, Found, INDEX};
use super::header;
use super::index;
use crate::source::{Folder, Opened, ReadAt, Source, join};

/// The weight files of a model: the list of tensors, and access to their rows.
///
/// Only headers are held in memory; rows are read from the file when they are needed. Files are not memory-mapped: if a
/// mapped file shrinks while it is read, the process is killed instead of getting an error, and mapped pages count as
/// memory of the process.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    /// The source and the folder of the files; absent if they are not safetensors files.
    source: Option<(Arc<dyn Source>, String)>,
    files: Vec<(PathBuf, Opened)>,
    tensors: BTreeMap<String, Stored>,
    skipped: BTreeMap<String, String>,
}

/// The location and format of a tensor.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Index of the file.
    pub(crate) file: usize,
    /// Element format.
    pub(crate) storage: Storage,
    /// Shape, outermost dimension first.
    pub(crate) shape: Vec<u64>,
    /// Position of its first byte in the file.
    pub(crate) start: u64,
    /// The permutation to undo.
    pub(crate) order: Order,
}

impl Stored {
    /// Number of rows, and of elements per row. A scalar is one row.
    fn rows(&self) -> (u64, u64) {
        let rows = self.shape.first().copied().unwrap_or(1);
        (rows, self.shape.iter().skip(1).product())
    }

    /// The row of the file that holds row `row`.
    fn place_of(&self, row: u64) -> u64 {
        match self.order {
            Order::AsIs | Order::PlusOne => row,
            Order::Interleaved { heads } => {
                let stretch = self.rows().0 / heads;
                let (head, within, half) = (row / stretch, row % stretch, stretch / 2);
                head * stretch + within % half * 2 + within / half
            }
        }
    }

    /// Appends the elements `range`, counted in the order of the file.
    fn read(&self, file: &dyn ReadAt, range: Range<u64>, out: &mut Vec<f32>) -> std::io::Result<()> {
        /// Bytes to read at once. They are in memory together with the f32 values.
        const PIECE: u64 = 1 << 18;
        let (elements, bytes) = self.storage.unit();
        let (first, last) = (range.start / elements, range.end.div_ceil(elements));
        let from = out.len();
        // The header bounds the size of the tensor by that of the file, so nothing overflows from here on.
        let (mut at, end) = (self.start + first * bytes, self.start + last * bytes);
        let piece = PIECE / bytes * bytes;
        let mut buffer = vec![0; piece.min(end - at) as usize];
        while at < end {
            let buffer = &mut buffer[..piece.min(end - at) as usize];
            file.read_at(buffer, at)?;
            self.storage.decode(buffer, out);
            at += buffer.len() as u64;
        }
        // Removes the elements of the first and last block that are not wanted.
        out.drain(from..from + (range.start - first * elements) as usize);
        out.truncate(from + (range.end - range.start) as usize);
        Ok(())
    }
}

impl Checkpoint {
    /// Opens the weights in `dir`: `model.safetensors`, else the files listed in `model.safetensors.index.json`, else
    /// the only other `.safetensors` file. Reads and checks all headers.
    ///
    /// Fails if there are none, a header is malformed, or the index and the files disagree.
    pub fn open(dir: &Path) -> Result<Self, WeightError> {
        Self::read(Arc::new(Folder::new(dir)), "")
    }

    /// Like [`Checkpoint::open`], for a folder of a source.
    ///
    /// # Errors
    /// See [`Checkpoint::open`].
    pub fn read(source: Arc<dyn Source>, folder: &str) -> Result<Self, WeightError> {
        let found = files::find(source.as_ref(), folder)?;
        let mut checkpoint = Checkpoint {
            dir: source.place(folder),
            source: Some((source.clone(), folder.to_string())),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };
        let path = |found: &Path| join(folder, &found.file_name().unwrap_or_default().to_string_lossy());
        match found {
            Found::Single(file) => checkpoint.add(source.as_ref(), &path(&file), None)?,
            Found::Sharded(index) => {
                for (file, tensors) in index::of(source.as_ref(), &path(&index))? {
                    let tensors: Vec<&str> = tensors.iter().map(String::as_str).collect();
                    checkpoint.add(source.as_ref(), &join(folder, &file), Some(&tensors))?;
                }
            }
        }
        Ok(checkpoint)
    }

    /// The weights of another source: its location for messages, its files, and its tensors by name. All tensors must
    /// lie within their files. Tensors without elements are skipped.
    ///
    /// Fails if a tensor has too few rows for its permutation.
    pub(crate) fn of(
        place: &Path,
        files: Vec<(PathBuf, Opened)>,
        tensors: impl IntoIterator<Item = (String, Stored)>,
        skipped: BTreeMap<String, String>,
    ) -> Result<Self, WeightError> {
        let dir = place.to_path_buf();
        let mut checkpoint = Checkpoint { dir, source: None, files, tensors: BTreeMap::new(), skipped };
        for (name, stored) in tensors {
            let (rows, width) = stored.rows();
            if rows == 0 || width == 0 {
                checkpoint.skipped.insert(name, format!("has shape {:?}, without any element", stored.shape));
                continue;
            }
            if let Order::Interleaved { heads } = stored.order
                && (heads == 0 || rows % (2 * heads) != 0)
            {
                let message = format!("has {rows} rows, which cannot be split into {heads} heads of pairs of rows");
                let path = &checkpoint.files[stored.file].0;
                return Err(WeightError::new(path, message, "the file contradicts itself; convert the model again")
                    .in_tensor(&name));
            }
            checkpoint.tensors.insert(name, stored);
        }
        Ok(checkpoint)
    }

    /// The block format of a tensor, if it has one.
    pub fn block_format(&self, name: &str) -> Option<&'static str> {
        match self.tensors.get(name)?.storage {
            Storage::Block(block) => Some(block.name()),
            Storage::F16 | Storage::Bf16 | Storage::F32 | Storage::F64 => None,
        }
    }

    /// The name of the file, or of the index if there are several, for messages.
    pub fn shown_files(&self) -> String {
        match self.files.as_slice() {
            // Files of other sources and of module folders have no index; the first one is shown.
            [(path, _), more @ ..]
                if self.source.is_none() || more.iter().all(|(other, _)| other.parent() != path.parent()) =>
            {
                shown(&path.file_name().unwrap_or_default().to_string_lossy())
            }
            _ => INDEX.to_string(),
        }
    }

    /// Names of other weight files in the directory, which are not read.
    pub fn unread_files(&self) -> Vec<String> {
        let Some((source, folder)) = &self.source else { return Vec::new() };
        let read: Vec<&Path> = self.files.iter().map(|(path, _)| path.as_path()).collect();
        files::unread(source.as_ref(), folder, &read)
    }

    /// Whether two tensors have the same shape and values. False if one cannot be read.
    pub fn same_values(&self, a: &str, b: &str) -> bool {
        /// Values to compare at once.
        const PIECE: u64 = 1 << 18;
        let (Ok(first), Ok(second)) = (self.stored(a), self.stored(b)) else { return false };
        if first.shape != second.shape {
            return false;
        }
        let (count, width) = first.rows();
        let rows = (PIECE / width.max(1)).max(1);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        (0..count).step_by(usize::try_from(rows).unwrap_or(usize::MAX)).all(|start| {
            let part = start..count.min(start + rows);
            let read =
                [(a, &mut x), (b, &mut y)].map(|(name, out)| self.read_rows_f32(name, part.clone(), out).is_ok());
            read == [true, true] && x == y
        })
    }

    /// Adds the tensors of the file `name` in another folder of the source. The folder becomes part of their names:
    /// `2_Dense/linear.weight`.
    ///
    /// Fails if the file cannot be read, or its header is malformed.
    pub fn add_folder(&mut self, folder: &str, name: &str) -> Result<(), WeightError> {
        let Some((source, _)) = self.source.clone() else {
            return Err(WeightError::new(&self.dir, "has no folders", "use a Hugging Face model directory"));
        };
        let mut other = Checkpoint {
            dir: self.dir.clone(),
            source: None,
            files: std::mem::take(&mut self.files),
            tensors: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };
        let added = other.add(source.as_ref(), &join(folder, name), None);
        self.files = other.files;
        self.tensors.extend(other.tensors.into_iter().map(|(name, t)| (format!("{folder}/{name}"), t)));
        self.skipped.extend(other.skipped.into_iter().map(|(name, why)| (format!("{folder}/{name}"), why)));
        added
    }

    /// The directory or file that was opened.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All float tensors (f16, bf16, f32, f64) that have elements, with their shapes.
    pub fn tensors(&self) -> BTreeMap<String, Vec<u64>> {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.shape.clone())).collect()
    }

    /// The other tensors, which cannot be weights, and the reason: integer buffers, unsupported float formats, tensors
    /// without elements.
    pub fn skipped(&self) -> &BTreeMap<String, String> {
        &self.skipped
    }

    /// The shape of a tensor in [`Self::tensors`].
    ///
    /// # Errors
    /// If there is no such tensor.
    pub fn shape(&self, name: &str) -> Result<&[u64], WeightError> {
        Ok(&self.stored(name)?.shape)
    }

    /// Replaces the content of `out` with the rows `rows` (indices of the first dimension) of a tensor, as f32.
    ///
    /// Fails if there is no such tensor or row, the file cannot be read, or a value is infinite or NaN (including an
    /// f64 that is too large for f32). Can be called from several threads.
    pub fn read_rows_f32(&self, name: &str, rows: Range<u64>, out: &mut Vec<f32>) -> Result<(), WeightError> {
        out.clear();
        let stored = self.stored(name)?;
        let (path, file) = &self.files[stored.file];
        let (count, width) = stored.rows();
        if rows.start > rows.end || rows.end > count {
            let message = format!("has {count} rows, but rows {}..{} are needed", rows.start, rows.end);
            return Err(WeightError::new(path, message, "use the shape that the file has").in_tensor(name));
        }
        let wanted = usize::try_from((rows.end - rows.start) * width).ok();
        if wanted.is_none_or(|wanted| out.try_reserve_exact(wanted).is_err()) {
            let message = format!("{} of its rows do not fit into memory at once", rows.end - rows.start);
            return Err(WeightError::new(path, message, "compile it on a machine with more memory").in_tensor(name));
        }
        let read = match stored.order {
            Order::AsIs | Order::PlusOne => stored.read(file.as_ref(), rows.start * width..rows.end * width, out),
            Order::Interleaved { .. } => rows.clone().try_for_each(|row| {
                let place = stored.place_of(row);
                stored.read(file.as_ref(), place * width..(place + 1) * width, out)
            }),
        };
        read.map_err(|e| WeightError::io(path, "read", &e).in_tensor(name))?;
        if stored.order == Order::PlusOne {
            out.iter_mut().for_each(|value| *value -= 1.0);
        }
        match first_non_finite(out) {
            None => Ok(()),
            Some(i) => {
                let place = unravel(rows.start * width + i as u64, &stored.shape);
                let message = format!("the element at {place:?} is {}, not a finite number", out[i]);
                Err(WeightError::new(
                    path,
                    message,
                    "the checkpoint is broken or was saved incorrectly; convert it again",
                )
                .in_tensor(name))
            }
        }
    }

    /// An error about a tensor of this checkpoint, with the name of its file.
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

    /// Adds the tensors of a file: all of them, or only those that an index assigns to it.
    fn add(&mut self, source: &dyn Source, path: &str, wanted: Option<&[&str]>) -> Result<(), WeightError> {
        let (file, path) = (source.open(path), source.place(path));
        let file = file.map_err(|e| WeightError::io(&path, "open", &e))?;
        let mut entries: BTreeMap<String, header::Entry> =
            header::read(file.as_ref(), &path)?.into_iter().map(|e| (e.name.clone(), e)).collect();
        if let Some(wanted) = wanted {
            let mut kept = BTreeMap::new();
            for name in wanted {
                let Some(entry) = entries.remove(*name) else {
                    let message = format!("is not in this file, but {INDEX} names it");
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
                    self.skipped.insert(name, format!("is stored as {:?}, which is not supported", entry.dtype));
                }
                Some(storage) => {
                    let (file, shape, start) = (self.files.len(), entry.shape, entry.start);
                    let stored = Stored { file, storage, shape, start, order: Order::AsIs };
                    self.tensors.insert(name, stored);
                }
            }
        }
        self.files.push((path, file));
        Ok(())
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
