//! Finds the weight files of a model directory: those that transformers reads, with the same precedence.

use std::path::{Path, PathBuf};

use super::error::{WeightError, shown};
use crate::source::Source;

/// The file for unsplit weights.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The index of split weights, which maps tensors to files.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The weights of an adapter, which is not a model.
pub(crate) const ADAPTER: &str = "adapter_model.safetensors";

/// Maximum number of file names that a message lists.
const MAX_LISTED: usize = 4;

/// Weights in unsupported formats: prefix and suffix of the name, what it is, and the remedy.
const OTHERS: [(&str, &str, &str, &str); 9] = [
    ("pytorch_model", ".bin", "a PyTorch pickle", SAVE),
    ("pytorch_model", ".bin.index.json", "a PyTorch pickle", SAVE),
    ("tf_model", ".h5", "weights of TensorFlow", FROM_TF),
    ("flax_model", ".msgpack", "weights of Flax", FROM_FLAX),
    ("consolidated", ".pth", "the format of the original release", ORIGINAL),
    ("consolidated", ".safetensors", "the format of the original release, with other names", ORIGINAL),
    ("", ".onnx", "a compiled graph", COMPILED),
    (
        "",
        ".gguf",
        "weights in the form of GGUF",
        "compile the .gguf file itself, or use the model that it was made from",
    ),
    ("", ".tflite", "a compiled graph", COMPILED),
];

const SAVE: &str = "save it with transformers: `Auto...from_pretrained(DIR).save_pretrained(NEW)` writes safetensors";
const FROM_TF: &str = "save it with transformers 4: `Auto...from_pretrained(DIR, from_tf=True).save_pretrained(NEW)`";
const FROM_FLAX: &str =
    "save it with transformers 4: `Auto...from_pretrained(DIR, from_flax=True).save_pretrained(NEW)`";
const ORIGINAL: &str = "use the directory in the format of transformers, or its conversion script for this model";
const COMPILED: &str = "use the model that it was exported from";

/// The file to open first.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A file with all tensors.
    Single(PathBuf),
    /// An index.
    Sharded(PathBuf),
}

/// Finds the weights in a folder.
///
/// # Errors
/// See [`choose`]; also if the folder cannot be read.
pub(super) fn find(source: &dyn Source, folder: &str) -> Result<Found, WeightError> {
    let place = source.place(folder);
    choose(&place, &source.list(folder).map_err(|e| WeightError::io(&place, "read", &e))?)
}

/// Finds the weights among the files of a directory, which may be on another machine: `model.safetensors`, else
/// `model.safetensors.index.json`, else the only other `.safetensors` file.
///
/// # Errors
/// Lists what there is instead, and the remedy.
pub fn choose(dir: &Path, names: &[String]) -> Result<Found, WeightError> {
    let has = |file: &str| names.iter().any(|name| name == file);
    if has(SINGLE) {
        return Ok(Found::Single(dir.join(SINGLE)));
    }
    if has(INDEX) {
        return Ok(Found::Sharded(dir.join(INDEX)));
    }
    if names.iter().any(|n| n == ADAPTER) {
        let help = "merge it into its base with `merge_and_unload()` of peft, and save the model";
        return Err(WeightError::new(
            dir,
            format!("has the weights of an adapter ({ADAPTER}), but not those of a model"),
            help,
        ));
    }
    let other = |name: &&String| OTHERS.iter().find(|(start, end, ..)| name.starts_with(start) && name.ends_with(end));
    let candidates: Vec<&String> = names.iter().filter(|n| n.ends_with(".safetensors") && other(n).is_none()).collect();
    match candidates.as_slice() {
        [only] => Ok(Found::Single(dir.join(only))),
        [] => Err(nothing(dir, names)),
        several => {
            let (n, names) = (several.len(), listed(several));
            let message = format!("has {n} safetensors files, but neither {SINGLE} nor {INDEX}: {names}");
            Err(WeightError::new(dir, message, format!("add {INDEX}, or keep one file and name it {SINGLE}")))
        }
    }
}

/// The error if there are no weights that can be read.
fn nothing(dir: &Path, names: &[String]) -> WeightError {
    for (start, end, what, help) in OTHERS {
        let found: Vec<&String> = names.iter().filter(|n| n.starts_with(start) && n.ends_with(end)).collect();
        if !found.is_empty() {
            let message = format!("has no safetensors weights, but {what}: {}", listed(&found));
            return WeightError::new(dir, message, help);
        }
    }
    let help = "use a completely downloaded Hugging Face model directory";
    WeightError::new(dir, format!("has no weights: neither {SINGLE} nor {INDEX}"), help)
}

/// Names of weight files at the top of a folder that were not read: other variants, other formats, and the shards of an
/// index that [`SINGLE`] takes precedence over.
pub(super) fn unread(source: &dyn Source, folder: &str, read: &[&Path]) -> Vec<String> {
    let read = |name: &String| read.iter().any(|path| path.file_name().is_some_and(|n| n.to_str() == Some(name)));
    let Ok(names) = source.list(folder) else { return Vec::new() };
    names.into_iter().filter(|name| name.ends_with(".safetensors") && name != ADAPTER && !read(name)).collect()
}

/// A list of names for messages.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let all: Vec<String> = names.iter().take(MAX_LISTED).map(|n| shown(n.as_ref())).collect();
    let more = names.len().saturating_sub(MAX_LISTED);
    if more == 0 { all.join(", ") } else { format!("{} and {more} more", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Memory;

    fn directory(names: &[&str]) -> Memory {
        Memory::new("model", names.iter().map(|name| (name.to_string(), Vec::new())))
    }

    #[test]
    fn what_transformers_prefers_comes_first() {
        let found = |names: &[&str]| match find(&directory(names), "").unwrap() {
            Found::Single(path) | Found::Sharded(path) => path.file_name().unwrap().to_str().unwrap().to_string(),
        };
        assert_eq!(found(&["model.safetensors", INDEX, "consolidated.safetensors"]), SINGLE);
        assert_eq!(found(&[INDEX, "model.fp16.safetensors", "pytorch_model.bin"]), INDEX);
        assert_eq!(found(&["model.fp16.safetensors", "pytorch_model.bin"]), "model.fp16.safetensors");
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for (names, expected) in [
            (&["pytorch_model.bin", "config.json"][..], &["PyTorch pickle: pytorch_model.bin", "save_pretrained"][..]),
            (&["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"], &["00001-of-00002.bin, pyt"]),
            (&["tf_model.h5"], &["TensorFlow: tf_model.h5", "from_tf=True"]),
            (&["flax_model.msgpack"], &["Flax: flax_model.msgpack", "from_flax=True"]),
            (&["model.onnx"], &["a compiled graph: model.onnx", "exported from"]),
            (&["consolidated.00.pth", "params.json"], &["original release: consolidated.00.pth"]),
            (&["consolidated.safetensors", "params.json"], &["with other names: consolidated.safetensors"]),
            (&["adapter_model.safetensors"], &["adapter (adapter_model.safetensors)", "merge_and_unload()"]),
            (&["a.safetensors", "b.safetensors"], &["has 2 safetensors files", ": a.safetensors, b.safetensors"]),
            (&[], &["has no weights: neither model.safetensors nor"]),
        ] {
            let text = find(&directory(names), "").unwrap_err().to_string();
            assert!(expected.iter().all(|part| text.contains(part)), "{names:?}: {text}");
        }
    }

    #[test]
    fn what_lies_beside_is_known() {
        let dir = directory(&["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin", ADAPTER]);
        assert_eq!(unread(&dir, "", &[Path::new(SINGLE)]), ["model.fp16.safetensors"]);
    }
}
