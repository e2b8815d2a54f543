//! Reads the header of a GGUF file strictly: metadata, and the positions of tensors.
//!
//! The layout follows the specification (ggml's docs/gguf.md), versions 2 and 3, which are the same for readers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::cursor::Cursor;
use super::kinds::Kind;
use super::value::{self, MAX_ELEMENTS, Value};
use crate::source::ReadAt;
use crate::weights::WeightError;
use crate::weights::error::shown;

/// The magic number.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";

const ALIGNMENT: &str = "general.alignment";
const USUAL_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const MAX_KEYS: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 17;
/// Maximum length in bytes of a key or a tensor name.
const MAX_NAME: u64 = 1 << 10;
const MAX_DIMENSIONS: u32 = 4;

/// A tensor, as the file describes it.
#[derive(Clone, Debug)]
pub(crate) struct TensorInfo {
    /// Name in the file.
    pub(crate) name: String,
    /// How it is stored.
    pub(crate) kind: Kind,
    /// Shape, outermost dimension first (the file stores it the other way round).
    pub(crate) shape: Vec<u64>,
    /// Position of the first byte in the file.
    pub(crate) start: u64,
    /// Number of bytes, all inside the file; 0 if the format is unknown.
    pub(crate) bytes: u64,
}

/// The part of a file that precedes the tensor data.
#[derive(Debug)]
pub(crate) struct Header {
    /// Metadata by key.
    pub(crate) metadata: BTreeMap<String, Value>,
    /// Tensors, in the order of the file.
    pub(crate) tensors: Vec<TensorInfo>,
}

/// Reads and checks the header of `file`.
pub(crate) fn read(file: &dyn ReadAt, path: &Path) -> Result<Header, WeightError> {
    let mut cursor = Cursor::new(path, file)?;
    let cursor = &mut cursor;
    if cursor.length() < 4 || cursor.take()? != MAGIC {
        let help = "use a .gguf file or a Hugging Face model directory";
        return Err(WeightError::new(path, "is not a GGUF file: it does not begin with `GGUF`", help));
    }
    version(cursor, path)?;
    let (tensors, keys) = (cursor.u64()?, cursor.u64()?);
    if keys > MAX_KEYS || tensors > MAX_TENSORS {
        return Err(cursor.wrong(format!(
            "claims {keys} metadata keys and {tensors} tensors; at most {MAX_KEYS} and {MAX_TENSORS} are supported"
        )));
    }
    let metadata = metadata(cursor, keys)?;
    let alignment = alignment(cursor, metadata.get(ALIGNMENT))?;
    let tensors = (0..tensors).map(|_| tensor(cursor, alignment)).collect::<Result<Vec<TensorInfo>, _>>()?;
    let data = cursor.at().next_multiple_of(alignment);
    Ok(Header { metadata, tensors: placed(cursor, tensors, data)? })
}

fn version(cursor: &mut Cursor<'_>, path: &Path) -> Result<(), WeightError> {
    let version = cursor.u32()?;
    let fault = |message: String| Err(WeightError::new(path, message, "convert the model to GGUF again"));
    match version {
        2 | 3 => Ok(()),
        1 => fault("is a GGUF file of version 1; versions 2 and 3 are supported".into()),
        other if other.swap_bytes() <= 0xffff => {
            fault("is a big-endian GGUF file; only little-endian files are supported".into())
        }
        other => fault(format!("is a GGUF file of version {other}; versions 2 and 3 are supported")),
    }
}

fn metadata(cursor: &mut Cursor<'_>, keys: u64) -> Result<BTreeMap<String, Value>, WeightError> {
    let mut all = BTreeMap::new();
    let mut left = MAX_ELEMENTS;
    for _ in 0..keys {
        let key = cursor.text(MAX_NAME, "the name of a metadata key")?;
        let value = value::read(cursor, &shown(&key), &mut left)?;
        if all.contains_key(&key) {
            return Err(cursor.wrong(format!("metadata `{}` occurs twice", shown(&key))));
        }
        all.insert(key, value);
    }
    Ok(all)
}

fn alignment(cursor: &Cursor<'_>, value: Option<&Value>) -> Result<u64, WeightError> {
    let Some(value) = value else { return Ok(USUAL_ALIGNMENT) };
    value.as_u64().filter(|n| n.is_power_of_two() && *n <= MAX_ALIGNMENT).ok_or_else(|| {
        cursor.wrong(format!("metadata `{ALIGNMENT}` is not a power of two that is at most {MAX_ALIGNMENT}"))
    })
}

/// A tensor. Its `start` is still relative to the tensor data.
fn tensor(cursor: &mut Cursor<'_>, alignment: u64) -> Result<TensorInfo, WeightError> {
    let name = cursor.text(MAX_NAME, "the name of a tensor")?;
    let dimensions = cursor.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(cursor.wrong(format!("has {dimensions} dimensions, more than {MAX_DIMENSIONS}")).in_tensor(&name));
    }
    let mut shape = (0..dimensions).map(|_| cursor.u64()).collect::<Result<Vec<u64>, _>>()?;
    let kind = Kind(cursor.u32()?);
    let start = cursor.u64()?;
    let wrong = |message: String| Err(cursor.wrong(message).in_tensor(&name));
    if start % alignment != 0 {
        return wrong(format!("its data begins at {start}, which is not a multiple of {alignment}"));
    }
    let row = shape.first().copied().unwrap_or(1);
    shape.reverse();
    let Some(count) = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d)) else {
        return wrong(format!("the size of shape {shape:?} overflows"));
    };
    let bytes = match kind.unit() {
        None => 0,
        Some((values, _)) if row % values != 0 => {
            return wrong(format!("has rows of {row} values, but is stored as {kind}, in blocks of {values}"));
        }
        Some((values, bytes)) => match (count / values).checked_mul(bytes) {
            Some(bytes) => bytes,
            None => return wrong(format!("the size of shape {shape:?} overflows")),
        },
    };
    Ok(TensorInfo { name, kind, shape, start, bytes })
}

/// Checks names and positions: every tensor is inside the file, and no two share bytes.
fn placed(cursor: &Cursor<'_>, mut tensors: Vec<TensorInfo>, data: u64) -> Result<Vec<TensorInfo>, WeightError> {
    let length = cursor.length();
    let mut names = BTreeSet::new();
    for tensor in &mut tensors {
        let wrong = |message: String| cursor.wrong(message).in_tensor(&tensor.name);
        if !names.insert(tensor.name.clone()) {
            return Err(wrong("occurs twice".into()));
        }
        let start = tensor.start.checked_add(data).filter(|start| *start <= length);
        let end = start.and_then(|start| start.checked_add(tensor.bytes)).filter(|end| *end <= length);
        let (Some(start), Some(_)) = (start, end) else {
            let (at, bytes) = (tensor.start, tensor.bytes);
            return Err(wrong(format!("its {bytes} bytes at {at} of the data end after the file, which has {length}")));
        };
        tensor.start = start;
    }
    let mut in_order: Vec<&TensorInfo> = tensors.iter().filter(|t| t.bytes > 0).collect();
    in_order.sort_by_key(|t| t.start);
    if let Some([a, b]) = in_order.array_windows().find(|[a, b]| a.start + a.bytes > b.start) {
        let message = format!("its data overlaps that of `{}`", shown(&a.name));
        return Err(cursor.wrong(message).in_tensor(&b.name));
    }
    Ok(tensors)
}
