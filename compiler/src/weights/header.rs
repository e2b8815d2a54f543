//! Reads the header of a safetensors file strictly.
//!
//! The `safetensors` crate validates a buffer that is already in memory, and its errors say little. Here, only the
//! header is read; every rule of the format is checked against the length of the file before memory of that size is
//! allocated; and each error names the tensor.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::error::{WeightError, shown};
use crate::source::ReadAt;

/// The maximum length of a header according to the format.
const MAX_HEADER: u64 = 100_000_000;

/// Maximum number of dimensions of a tensor, as in numpy and torch.
const MAX_RANK: usize = 64;

/// Bytes of the header's length, which precedes it.
const LENGTH_BYTES: u64 = 8;

const DAMAGED: &str = "the file is damaged or was not fully downloaded; fetch it again";

/// A tensor, as its file describes it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Element type.
    pub(crate) dtype: Dtype,
    /// Shape; the number of elements does not overflow.
    pub(crate) shape: Vec<u64>,
    /// Position of its first byte in the file.
    pub(crate) start: u64,
    /// Number of bytes, all inside the file.
    pub(crate) bytes: u64,
}

/// A tensor in the header. The type of the `safetensors` crate uses `usize` for offsets, which are too large for it on
/// 32-bit targets.
#[derive(Deserialize)]
struct TensorInfo {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Reads and checks the header of `file`. Tensors are in the order of their data.
pub(crate) fn read(file: &dyn ReadAt, path: &Path) -> Result<Vec<Entry>, WeightError> {
    let wrong = |message: String| WeightError::new(path, message, DAMAGED);
    let length = file.size().map_err(|e| WeightError::io(path, "read", &e))?;
    if length < LENGTH_BYTES {
        return Err(wrong(format!("has {length} bytes, too few for a safetensors file")));
    }
    let mut prefix = [0; LENGTH_BYTES as usize];
    file.read_at(&mut prefix, 0).map_err(|e| WeightError::io(path, "read", &e))?;
    let header_bytes = u64::from_le_bytes(prefix);
    if header_bytes > MAX_HEADER {
        return Err(wrong(format!("claims a header of {header_bytes} bytes; at most {MAX_HEADER} are allowed")));
    }
    if header_bytes > length - LENGTH_BYTES {
        return Err(wrong(format!("claims a header of {header_bytes} bytes, but has only {length} bytes")));
    }
    let mut text = vec![0; header_bytes as usize];
    file.read_at(&mut text, LENGTH_BYTES).map_err(|e| WeightError::io(path, "read", &e))?;
    let text = std::str::from_utf8(&text).map_err(|e| wrong(format!("the header is not UTF-8: {e}")))?;
    let Header(tensors) = serde_json::from_str(text).map_err(|e| wrong(format!("the header is not valid: {e}")))?;
    check(tensors, LENGTH_BYTES + header_bytes, length, path)
}

/// Checks sizes, and that the tensors cover the data without overlaps or gaps.
fn check(
    mut tensors: Vec<(String, TensorInfo)>,
    data: u64,
    length: u64,
    path: &Path,
) -> Result<Vec<Entry>, WeightError> {
    tensors.sort_by(|a, b| (a.1.data_offsets, &a.0).cmp(&(b.1.data_offsets, &b.0)));
    let mut entries = Vec::with_capacity(tensors.len());
    let (mut covered, mut previous) = (0u64, None);
    for (name, info) in tensors {
        let wrong = |message: String| WeightError::new(path, message, DAMAGED).in_tensor(&name);
        let (start, end) = info.data_offsets;
        if info.shape.len() > MAX_RANK {
            return Err(wrong(format!("it has {} dimensions; at most {MAX_RANK} are supported", info.shape.len())));
        }
        let shape = info.shape;
        let count = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        let bits = count.and_then(|n| n.checked_mul(info.dtype.bitsize() as u64));
        let Some(bits) = bits else {
            return Err(wrong(format!("the size of shape {shape:?} overflows")));
        };
        if end < start {
            return Err(wrong(format!("its data ends at {end}, before it begins at {start}")));
        }
        if bits % 8 != 0 || bits / 8 != end - start {
            let (dtype, got) = (info.dtype, end - start);
            return Err(wrong(format!("{dtype:?} of shape {shape:?} needs {bits} bits, but has {got} bytes of data")));
        }
        if start < covered {
            let other = shown(previous.as_deref().unwrap_or_default());
            return Err(wrong(format!("its data at {start}..{end} overlaps the data of `{other}`")));
        }
        if start > covered {
            return Err(wrong(format!("the data before it has a gap: {covered}..{start} belongs to no tensor")));
        }
        // This cannot overflow: `end` comes from the header and is compared before anything is added to it.
        if end > length - data {
            let has = length - data;
            return Err(wrong(format!(
                "its data at {start}..{end} ends after the file, which has {has} bytes of data"
            )));
        }
        covered = end;
        previous = Some(name.clone());
        entries.push(Entry { name, dtype: info.dtype, shape, start: data + start, bytes: end - start });
    }
    if covered != length - data {
        let rest = length - data - covered;
        return Err(WeightError::new(path, format!("{rest} bytes at its end belong to no tensor"), DAMAGED));
    }
    Ok(entries)
}

/// The JSON object. A name that occurs twice is an error: a map would silently keep one of them.
struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let (mut seen, mut tensors) = (BTreeSet::new(), Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format!("`{}` occurs twice", shown(&name))));
            }
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let info = map
                .next_value::<TensorInfo>()
                .map_err(|e| A::Error::custom(format!("tensor `{}`: {e}", shown(&name))))?;
            tensors.push((name, info));
        }
        Ok(Header(tensors))
    }
}
