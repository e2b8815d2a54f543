//! A model in a GGUF file, or in the parts of a split one.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::header::{self, TensorInfo};
use super::value::Value;
use crate::source::{Opened, ReadAt, Source};
use crate::weights::WeightError;

/// A model in a GGUF file, or in the parts of a split one.
#[derive(Debug)]
pub(crate) struct Gguf {
    /// The first file.
    pub(crate) path: PathBuf,
    /// Metadata of the first file.
    pub(crate) metadata: BTreeMap<String, Value>,
    /// All files.
    pub(crate) files: Vec<(PathBuf, Opened)>,
    /// All tensors, each with the index of its file.
    pub(crate) tensors: Vec<(usize, TensorInfo)>,
}

/// Whether `path` is a file with the magic number of GGUF.
pub fn is_gguf(path: &Path) -> bool {
    let begins = |file: File| {
        let mut bytes = [0; 4];
        ReadAt::read_at(&file, &mut bytes, 0).is_ok() && bytes == header::MAGIC
    };
    path.is_file() && File::open(path).is_ok_and(begins)
}

/// The paths of all parts of a split model, given the first one; only `path` itself if it is not split.
pub fn parts(path: &Path) -> Vec<PathBuf> {
    /// More parts than any model has.
    const MOST: u64 = 512;
    let part = part_of(path).filter(|(_, _, count)| *count <= MOST);
    let Some((stem, 1, count)) = part else { return vec![path.to_path_buf()] };
    (1..=count).map(|i| path.with_file_name(part_name(&stem, i, count))).collect()
}

/// Whether a file is a part of a split model other than the first.
pub fn is_later_part(path: &Path) -> bool {
    part_of(path).is_some_and(|(_, number, _)| number != 1)
}

/// `model`, 2 and 3 for `model-00002-of-00003.gguf`.
fn part_of(path: &Path) -> Option<(String, u64, u64)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
    let (rest, count) = name.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(number) || !digits(count) {
        return None;
    }
    Some((stem.to_string(), number.parse().ok()?, count.parse().ok()?))
}

fn part_name(stem: &str, number: u64, count: u64) -> String {
    format!("{stem}-{number:05}-of-{count:05}.gguf")
}

/// The name of the model in a file.
pub(crate) fn name(path: &Path) -> String {
    match part_of(path) {
        Some((stem, ..)) => stem,
        None => path.file_stem().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned()),
    }
}

impl Gguf {
    /// Reads the headers of a file and, if the model is split, of all other parts.
    ///
    /// # Errors
    /// If a header is invalid, or the parts do not belong together.
    pub(crate) fn open(source: &dyn Source, name: &str) -> Result<Self, WeightError> {
        let (path, file, header) = open(source, name)?;
        let split = split(&path, &header.metadata)?;
        let mut gguf = Gguf {
            path: path.clone(),
            metadata: header.metadata,
            files: vec![(path.clone(), file)],
            tensors: header.tensors.into_iter().map(|tensor| (0, tensor)).collect(),
        };
        match split {
            Some((number, _, _)) if number != 0 => {
                let message = format!("is part {} of a split model", number + 1);
                Err(WeightError::new(&path, message, "name the first part; the others are found next to it"))
            }
            Some((_, count, tensors)) if count > 1 => {
                gguf.add_parts(source, count, tensors)?;
                Ok(gguf)
            }
            Some(_) | None => Ok(gguf),
        }
    }

    fn add_parts(&mut self, source: &dyn Source, count: u64, tensors: u64) -> Result<(), WeightError> {
        let first = self.path.clone();
        let Some((stem, 1, _)) = part_of(&first).filter(|(_, _, named)| *named == count) else {
            let message =
                format!("is the first of {count} parts, but its name does not end in `-00001-of-{count:05}.gguf`");
            return Err(WeightError::new(&first, message, "restore the original file names"));
        };
        for number in 1..count {
            let (path, file, header) = open(source, &part_name(&stem, number + 1, count))?;
            if split(&path, &header.metadata)?.is_none_or(|(own, of, _)| own != number || of != count) {
                let message = format!("does not say that it is part {} of {count}", number + 1);
                return Err(WeightError::new(&path, message, "the files do not belong together; download them again"));
            }
            let index = self.files.len();
            self.tensors.extend(header.tensors.into_iter().map(|tensor| (index, tensor)));
            self.files.push((path, file));
        }
        let mut names: Vec<&str> = self.tensors.iter().map(|(_, tensor)| tensor.name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[a, b]| a == b) {
            let message = "is in several parts of the model";
            return Err(WeightError::new(&first, message, "download the files again").in_tensor(twice));
        }
        if self.tensors.len() as u64 != tensors {
            let message = format!("says that the parts have {tensors} tensors, but they have {}", self.tensors.len());
            return Err(WeightError::new(&first, message, "download the files again"));
        }
        Ok(())
    }

    /// All values of a small tensor; `None` if there is no such tensor.
    pub(crate) fn vector(&self, name: &str) -> Result<Option<Vec<f32>>, WeightError> {
        /// Maximum size in bytes of a tensor that is read this way.
        const LARGEST: u64 = 1 << 16;
        let Some((file, tensor)) = self.tensors.iter().find(|(_, t)| t.name == name) else { return Ok(None) };
        let (path, file) = &self.files[*file];
        let Some(storage) = tensor.kind.storage().filter(|_| tensor.bytes <= LARGEST) else {
            let message = format!("is stored as {} in {} bytes; expected a few numbers", tensor.kind, tensor.bytes);
            return Err(WeightError::new(path, message, "convert the model to GGUF again").in_tensor(name));
        };
        let mut bytes = vec![0; tensor.bytes as usize];
        file.read_at(&mut bytes, tensor.start).map_err(|e| WeightError::io(path, "read", &e).in_tensor(name))?;
        let mut values = Vec::new();
        storage.decode(&bytes, &mut values);
        Ok(Some(values))
    }
}

fn open(source: &dyn Source, name: &str) -> Result<(PathBuf, Opened, header::Header), WeightError> {
    let path = source.place(name);
    let file = source.open(name).map_err(|e| WeightError::io(&path, "open", &e))?;
    let header = header::read(file.as_ref(), &path)?;
    Ok((path, file, header))
}

/// The index of this part, the number of parts, and the number of tensors in all parts; `None` for a model that is not
/// split.
fn split(path: &Path, metadata: &BTreeMap<String, Value>) -> Result<Option<(u64, u64, u64)>, WeightError> {
    /// More parts than any model has. Each is an open file.
    const MOST: u64 = 512;
    let number = |key: &str| metadata.get(key).and_then(Value::as_u64);
    match ["split.no", "split.count", "split.tensors.count"].map(number) {
        [_, None, _] => Ok(None),
        [Some(no), Some(count), Some(tensors)] if no < count.max(1) && count <= MOST => Ok(Some((no, count, tensors))),
        _ => {
            let message = "has metadata `split.*` without the number of the part or of all parts";
            Err(WeightError::new(path, message, "split the model again, or use one file"))
        }
    }
}
