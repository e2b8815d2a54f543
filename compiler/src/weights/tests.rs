//! Tests of whole model directories.

mod hostile;

mod stream;

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

/// A tensor of a file that a test writes.
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// A tensor whose values are stored in this element type.
pub(crate) fn given(name: &str, dtype: Dtype, shape: &[usize], values: &[f32]) -> Given {
    let bytes = match dtype {
        Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Dtype::F64 => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::I64 => values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect(),
        other => panic!("no test needs {other:?}"),
    };
    Given { name: name.into(), dtype, shape: shape.to_vec(), bytes }
}

/// The bytes of a safetensors file.
pub(crate) fn file(tensors: &[Given]) -> Vec<u8> {
    let views = tensors.iter().map(|t| (&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap()));
    serialize(views, None).unwrap()
}

/// Writes `model.safetensors`.
pub(crate) fn write_single(dir: &Path, tensors: &[Given]) {
    std::fs::write(dir.join("model.safetensors"), file(tensors)).unwrap();
}

/// Writes one file per tensor and the index.
pub(crate) fn write_sharded(dir: &Path, tensors: &[Given]) {
    let mut map = serde_json::Map::new();
    for (i, tensor) in tensors.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", i + 1, tensors.len());
        std::fs::write(dir.join(&name), file(std::slice::from_ref(tensor))).unwrap();
        map.insert(tensor.name.clone(), name.into());
    }
    let index = serde_json::json!({ "metadata": { "total_size": 0 }, "weight_map": map });
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}
