//! The index of weights that are split into several files: `model.safetensors.index.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::{WeightError, shown};
use crate::source::{Folder, Source};

/// Maximum length of an index file; real ones have a few hundred bytes per layer.
const MAX_INDEX: u64 = 100_000_000;

/// The relevant part of an index.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The names of tensors, by the name of their file in the same directory.
///
/// # Errors
/// If the index cannot be read, or contains anything but plain file names.
pub fn read(index: &Path) -> Result<BTreeMap<String, Vec<String>>, WeightError> {
    let source = Folder::new(index.parent().unwrap_or(Path::new(".")));
    of(&source, &index.file_name().unwrap_or_default().to_string_lossy())
}

/// Like [`read`], for an index at a path of a source.
pub(super) fn of(source: &dyn Source, path: &str) -> Result<BTreeMap<String, Vec<String>>, WeightError> {
    let damaged = "download the index file again";
    let index = &source.place(path);
    let text = source.read(path, MAX_INDEX).map_err(|e| WeightError::io(index, "read", &e))?;
    let text = text.ok_or_else(|| WeightError::new(index, "is missing", damaged))?;
    let Index { weight_map } = crate::hf::json::parse(&text)
        .map_err(|fault| WeightError::new(index, format!("is not a valid index{fault}"), damaged))?;
    let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, file) in weight_map {
        // A name that contains a path could lead anywhere on the machine.
        if file.is_empty() || file == ".." || file.contains(['/', '\\', ':', '\0']) {
            let message = format!("names the file `{}`, which is not a plain file name", shown(&file));
            return Err(WeightError::new(index, message, damaged));
        }
        by_file.entry(file).or_default().push(tensor);
    }
    Ok(by_file)
}
