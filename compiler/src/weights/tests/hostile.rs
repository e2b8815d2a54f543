use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors};
use tempfile::tempdir;

use super::*;
use crate::weights::{Checkpoint, WeightError};

/// A file with this header text and `data` bytes of data.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn open(bytes: &[u8]) -> Result<Checkpoint, WeightError> {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
    Checkpoint::open(dir.path())
}

/// The error, without the random name of the directory.
fn rendered(error: &WeightError) -> String {
    let text = error.to_string();
    let at = text.find("model").unwrap_or(0);
    text[at..].to_string()
}

#[test]
fn damaged_headers_say_what_is_wrong() {
    let f32 = |shape: &str, start: u64, end: u64| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let two = |a: String, b: String| format!(r#"{{"a":{a},"b":{b}}}"#);
    let one = |a: String| format!(r#"{{"a":{a}}}"#);
    for (header, data, expected) in [
        (two(f32("[2]", 0, 8), f32("[2]", 4, 12)), 12, "tensor `b`: its data at 4..12 overlaps the data of `a`"),
        (two(f32("[2]", 0, 8), f32("[2]", 16, 24)), 24, "tensor `b`: the data before it has a gap: 8..16"),
        (one(f32("[2]", 0, 8)), 4, "tensor `a`: its data at 0..8 ends after the file, which has 4 bytes of data"),
        (one(f32("[2]", 0, 8)), 12, "4 bytes at its end belong to no tensor"),
        (one(f32("[2]", 8, 0)), 8, "tensor `a`: its data ends at 0, before it begins at 8"),
        (one(f32("[3]", 0, 8)), 8, "F32 of shape [3] needs 96 bits, but has 8 bytes of data"),
        (one(f32("[4294967296,4294967296]", 0, 8)), 8, "the size of shape [4294967296, 4294967296] overflows"),
        (one(f32("[18446744073709551615]", 0, 8)), 8, "the size of shape [18446744073709551615] overflows"),
        (one(f32("[-2]", 0, 8)), 8, "tensor `a`: invalid value: integer `-2`"),
        (two(f32("[2]", 0, 8), f32("[2]", 8, 16)).replace(r#""b""#, r#""a""#), 16, "`a` occurs twice"),
        (one(f32("[2]", 0, 8)).replace("F32", "F33"), 8, "tensor `a`: unknown variant `F33`"),
        ("[]".into(), 0, "expected an object of tensors by name"),
        ("{\"a\":".into(), 0, "the header is not valid: tensor `a`: EOF while parsing"),
    ] {
        let error = rendered(&open(&with_header(&header, data)).unwrap_err());
        assert!(error.contains(expected), "{header}: {error}");
        assert!(error.starts_with("model.safetensors: ") && error.contains("\n  help: "), "{error}");
    }
    for (bytes, expected) in [
        (vec![], "has 0 bytes, too few"),
        (u64::MAX.to_le_bytes().to_vec(), "claims a header of 18446744073709551615 bytes; at most 100000000"),
        (90_000_000u64.to_le_bytes().to_vec(), "claims a header of 90000000 bytes, but has only 8 bytes"),
        ([&4u64.to_le_bytes()[..], &[b'{', b'"', 0xFF, b'"']].concat(), "the header is not UTF-8"),
    ] {
        let error = rendered(&open(&bytes).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn names_are_printed_safely() {
    let name = "\\u001b[31m".repeat(400);
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}}}"#);
    let error = open(&with_header(&header, 4)).unwrap_err().to_string();
    assert!(!error.contains('\u{1b}') && error.len() < 1000, "{error}");
}

#[test]
fn what_is_not_a_weight_is_listed() {
    let dir = tempdir().unwrap();
    write_single(
        dir.path(),
        &[
            given("ids", Dtype::I64, &[2], &[0.0, 1.0]),
            given("none", Dtype::F32, &[0, 4], &[]),
            given("scalar", Dtype::F32, &[], &[2.5]),
        ],
    );
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(checkpoint.tensors().into_iter().collect::<Vec<_>>(), vec![("scalar".to_string(), vec![])]);
    assert_eq!(checkpoint.skipped()["ids"], "is stored as I64, which is not supported");
    assert_eq!(checkpoint.skipped()["none"], "has shape [0, 4], without any element");
    let mut values = Vec::new();
    checkpoint.read_rows_f32("scalar", 0..1, &mut values).unwrap();
    assert_eq!(values, [2.5]);
    let error =
        |name, rows| Checkpoint::open(dir.path()).unwrap().read_rows_f32(name, rows, &mut Vec::new()).unwrap_err();
    assert!(error("ids", 0..1).to_string().contains("tensor `ids`: is stored as I64"));
    assert!(error("nobody", 0..1).to_string().contains("tensor `nobody`: is not in the model directory"));
    assert!(error("scalar", 0..2).to_string().contains("has 1 rows, but rows 0..2"));
}

#[test]
fn values_that_are_not_numbers_are_found() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
        for bad in [f32::NAN, f32::INFINITY] {
            let dir = tempdir().unwrap();
            let mut values = vec![0.5; 12];
            values[7] = bad;
            write_single(dir.path(), &[given("w", dtype, &[3, 2, 2], &values)]);
            let checkpoint = Checkpoint::open(dir.path()).unwrap();
            let error = checkpoint.read_rows_f32("w", 1..3, &mut Vec::new()).unwrap_err();
            assert!(rendered(&error).contains("tensor `w`: the element at [1, 1, 1] is "), "{error}");
            checkpoint.read_rows_f32("w", 2..3, &mut Vec::new()).unwrap();
        }
    }
}

#[test]
fn which_files_are_read() {
    let dir = tempdir().unwrap();
    let error = || Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(error().contains("has no weights: neither model.safetensors nor model.safetensors.index.json"));
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let tensor = |name: &str| file(&[given(name, Dtype::F32, &[1], &[1.0])]);
    write("some.safetensors", &tensor("a"));
    assert_eq!(Checkpoint::open(dir.path()).unwrap().tensors().len(), 1);
    write("other.safetensors", &tensor("b"));
    assert!(error().contains("has 2 safetensors files, but neither"));
    let index = |map: &str| write("model.safetensors.index.json", format!(r#"{{"weight_map":{map}}}"#).as_bytes());
    index(r#"{"a":"some.safetensors","b":"other.safetensors"}"#);
    assert_eq!(Checkpoint::open(dir.path()).unwrap().tensors().len(), 2);
    index(r#"{"b":"some.safetensors"}"#);
    assert!(error().contains("some.safetensors: tensor `b`: is not in this file, but"), "{}", error());
    index(r#"{"a":"missing.safetensors"}"#);
    assert!(error().contains("missing.safetensors: cannot open: "));
    index(r#"{"a":"../some.safetensors"}"#);
    assert!(error().contains("names the file `../some.safetensors`, which is not a plain file name"));
    index("[1]");
    assert!(error().contains("model.safetensors.index.json: is not a valid index"));
}

/// Opens and reads everything. What is accepted here, the reference implementation accepts as well.
fn survives(bytes: &[u8]) {
    let Ok(checkpoint) = open(bytes) else { return };
    let reference = SafeTensors::deserialize(bytes).expect("accepted here only");
    let mut values = Vec::new();
    for (name, shape) in checkpoint.tensors() {
        assert_eq!(shape.iter().map(|d| *d as usize).collect::<Vec<_>>(), reference.tensor(&name).unwrap().shape());
        let rows = shape.first().copied().unwrap_or(1);
        if checkpoint.read_rows_f32(&name, 0..rows, &mut values).is_ok() {
            assert_eq!(values.len() as u64, shape.iter().product::<u64>());
        }
    }
}

fn valid() -> Vec<u8> {
    file(&[
        given("layers.0.weight", Dtype::BF16, &[4, 6], &[0.25; 24]),
        given("layers.0.bias", Dtype::F16, &[6], &[1.0; 6]),
        given("positions", Dtype::I64, &[3], &[0.0, 1.0, 2.0]),
        given("norm", Dtype::F64, &[2], &[1.0, 2.0]),
    ])
}

#[test]
fn a_valid_file_survives_and_its_beginnings_do_not_open() {
    let bytes = valid();
    assert_eq!(open(&bytes).unwrap().tensors().len(), 3);
    survives(&bytes);
    for n in 0..bytes.len() {
        assert!(open(&bytes[..n]).is_err(), "{n} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn raw_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn raw_headers(text in r#"(\{|\}|\[|\]|,|:|"|a|dtype|shape|data_offsets|F32|0|4|-1|9e99|__metadata__){0,40}"#, data in 0usize..16) {
        survives(&with_header(&text, data));
    }

    #[test]
    fn changed_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = valid();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        survives(&bytes);
    }

    #[test]
    fn changed_numbers(old in 0usize..12, new in prop_oneof![0u64..80, Just(u64::MAX), Just(1 << 40)]) {
        let bytes = valid();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
        let numbers: Vec<_> = header.match_indices(|c: char| c.is_ascii_digit()).collect();
        let (at, digit) = numbers[old % numbers.len()];
        let header = format!("{}{new}{}", &header[..at], &header[at + digit.len()..]);
        let mut changed = with_header(&header, 0);
        changed.extend(&bytes[8 + length..]);
        survives(&changed);
    }
}
