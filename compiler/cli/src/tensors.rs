//! Reads and writes tensors in safetensors files.

use std::io::Write;
use std::path::Path;

use gristmill_runtime::{Data, Tensor, Tensors};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::failure::{Failure, Outcome};
use crate::output::parent;

/// Reads all tensors of a safetensors file. Floats of any width become f32. Integers and booleans become i32; a value
/// that does not fit is an error.
pub(crate) fn read(path: &Path) -> Outcome<Tensors> {
    let bytes = gristmill_bundle::files::read(path, u64::MAX).map_err(|e| Failure::io(path, &e))?;
    parse(&bytes).map_err(|what| Failure::wrong(format!("{}: {what}", path.display())))
}

fn parse(bytes: &[u8]) -> Result<Tensors, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| format!("not a safetensors file, or cut short: {e} ({} bytes)", bytes.len()))?;
    let mut out = Tensors::new();
    for (name, view) in file.iter() {
        let data = decode(&view).map_err(|e| format!("tensor `{name}`: {e}"))?;
        out.insert(name.to_string(), Tensor { shape: view.shape().to_vec(), data });
    }
    Ok(out)
}

fn decode(view: &TensorView<'_>) -> Result<Data, String> {
    let d = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => Data::F32(each(d, f32::from_le_bytes)),
        Dtype::F64 => Data::F32(each(d, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F16 => Data::F32(each(d, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Data::F32(each(d, |b| bf16::from_le_bytes(b).to_f32())),
        Dtype::I64 => integers(each(d, i64::from_le_bytes))?,
        Dtype::U64 => integers(each(d, u64::from_le_bytes))?,
        Dtype::U32 => integers(each(d, u32::from_le_bytes))?,
        Dtype::I32 => Data::I32(each(d, i32::from_le_bytes)),
        Dtype::I16 => integers(each(d, i16::from_le_bytes))?,
        Dtype::U16 => integers(each(d, u16::from_le_bytes))?,
        Dtype::I8 => integers(each(d, i8::from_le_bytes))?,
        Dtype::U8 | Dtype::BOOL => integers(d.to_vec())?,
        other => return Err(format!("its element type {other:?} is not supported; store F32 or I64")),
    })
}

fn each<const N: usize, T>(bytes: &[u8], make: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| make(*chunk)).collect()
}

fn integers<T: TryInto<i32> + Copy + std::fmt::Display>(values: Vec<T>) -> Result<Data, String> {
    let narrow = |v: T| v.try_into().map_err(|_| format!("the value {v} does not fit into 32 bits"));
    values.into_iter().map(narrow).collect::<Result<Vec<i32>, String>>().map(Data::I32)
}

/// Writes a safetensors file, with floats as F32 and integers as I64 (as Hugging Face stores ids). The file is written
/// completely or not at all.
pub(crate) fn write(path: &Path, tensors: &Tensors) -> Outcome<()> {
    let failed = |e: &dyn std::fmt::Display| Failure::wrong(format!("{}: {e}", path.display()));
    let encoded: Vec<(&str, Dtype, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| {
            let (dtype, bytes) = encode(&t.data);
            (name.as_str(), dtype, t.shape.as_slice(), bytes)
        })
        .collect();
    let views = encoded
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| failed(&e))?;
    let bytes = safetensors::serialize(views, None).map_err(|e| failed(&e))?;
    let mut file = tempfile::NamedTempFile::new_in(parent(path)).map_err(|e| failed(&e))?;
    file.write_all(&bytes).map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e))?;
    Ok(())
}

fn encode(data: &Data) -> (Dtype, Vec<u8>) {
    match data {
        Data::F32(v) => (Dtype::F32, v.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Data::I32(v) => (Dtype::I64, v.iter().flat_map(|x| i64::from(*x).to_le_bytes()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn file_with(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> tempfile::NamedTempFile {
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&safetensors::serialize([("x", view)], None).unwrap()).unwrap();
        file
    }

    #[test]
    fn round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.safetensors");
        let tensors = Tensors::from([
            ("logits".to_string(), Tensor::f32([2, 2], vec![1.0, -0.5, f32::MAX, 0.0])),
            ("greedy.tokens".to_string(), Tensor::i32([1, 3], vec![0, -1, i32::MAX])),
            ("empty".to_string(), Tensor::f32([0, 4], Vec::new())),
        ]);
        write(&path, &tensors).unwrap();
        assert_eq!(read(&path).unwrap(), tensors);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn narrow_types_widen() {
        let f = file_with(Dtype::BF16, &[2], &[0x80, 0x3f, 0x00, 0xc0]);
        assert_eq!(read(f.path()).unwrap()["x"], Tensor::f32([2], vec![1.0, -2.0]));
        let f = file_with(Dtype::F16, &[1], &[0x00, 0x3c]);
        assert_eq!(read(f.path()).unwrap()["x"], Tensor::f32([1], vec![1.0]));
        let f = file_with(Dtype::BOOL, &[2], &[1, 0]);
        assert_eq!(read(f.path()).unwrap()["x"], Tensor::i32([2], vec![1, 0]));
    }

    #[test]
    fn large_integers_are_refused() {
        let f = file_with(Dtype::I64, &[1], &(1i64 << 40).to_le_bytes());
        let e = read(f.path()).unwrap_err();
        assert!(e.message.contains("tensor `x`: the value 1099511627776 does not fit into 32 bits"), "{e}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in vec(any::<u8>(), 0..64), header in "[\\{\\}\\[\\]:,0-9a-zF\"]{0,60}") {
            let _ = parse(&bytes);
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.as_bytes());
            file.extend(bytes);
            let _ = parse(&file);
        }

        #[test]
        fn any_shape_and_offsets_are_judged(
            shape in vec(prop_oneof![any::<u64>(), 0..4u64], 0..4), from in 0..20u64, to in 0..20u64, bytes in 0..20usize,
        ) {
            let header = format!(r#"{{"x":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{from},{to}]}}}}"#);
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.as_bytes());
            file.resize(file.len() + bytes, 0);
            if let Ok(tensors) = parse(&file) {
                let x = &tensors["x"];
                prop_assert_eq!(x.shape.iter().product::<usize>(), x.data.len());
                prop_assert_eq!(x.data.len() * 2, bytes);
            }
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let f = file_with(Dtype::F32, &[4], &[0; 16]);
        let whole = std::fs::read(f.path()).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(f.path(), &whole[..cut]).unwrap();
            let e = read(f.path()).unwrap_err();
            assert!(e.message.contains("not a safetensors file, or cut short"), "{cut}: {e}");
        }
        let mut huge = whole.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        std::fs::write(f.path(), &huge).unwrap();
        assert!(read(f.path()).is_err());
    }
}
