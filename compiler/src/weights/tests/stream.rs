use std::collections::BTreeMap;
use std::path::Path;

use gristmill_bundle::{BundleWriter, DirSink, MemorySink};
use gristmill_graph::quant::{decode_stored, stored_bytes};
use gristmill_graph::{Binary, DType, Dim, Input, Literal, Model, Op, Precision, Weight};
use safetensors::Dtype;
use tempfile::tempdir;

use super::super::quantize::tests::gaussian;
use super::super::write::write_shards;
use super::*;
use crate::prepare::{Prepared, Recipe, prepare, split};
use crate::weights::{Checkpoint, Silent, WeightError, Written};

const MATRIX: (u64, u64) = (70, 300);

/// One matrix in each stored element type, and a vector.
fn tensors() -> Vec<Given> {
    let (rows, columns) = (MATRIX.0 as usize, MATRIX.1 as usize);
    let matrix =
        |i: usize, dtype| given(&format!("m{i}"), dtype, &[rows, columns], &gaussian(rows * columns, i as u64));
    vec![
        matrix(0, Dtype::F32),
        matrix(1, Dtype::F16),
        matrix(2, Dtype::BF16),
        matrix(3, Dtype::F64),
        given("v", Dtype::BF16, &[5], &[1.0, -2.0, 0.5, 3.0, 0.0]),
    ]
}

/// All tensors, with matrices stored as `precision`.
fn prepared(precision: Precision) -> Prepared {
    let shape = |name: &str| if name == "v" { vec![5] } else { vec![MATRIX.0, MATRIX.1] };
    let names = ["m3", "m0", "m1", "v", "m2"];
    let weights: Vec<Weight> = names
        .iter()
        .map(|name| Weight {
            name: format!("layers.{name}"),
            source: name.to_string(),
            shape: shape(name),
            component: 0,
        })
        .collect();
    let recipes = names.iter().map(|name| Recipe::Direct(name.to_string())).collect();
    let precisions = names.iter().map(|name| if *name == "v" { Precision::F32 } else { precision }).collect();
    Prepared { model: Model { weights, ..Model::default() }, recipes, precisions }
}

/// Files by their paths.
type Files = BTreeMap<String, Vec<u8>>;

/// Writes the stream to memory.
fn write(checkpoint: &Checkpoint, prepared: &Prepared) -> Result<(Written, Files), WeightError> {
    let files = MemorySink::default();
    let written = super::super::write(checkpoint, prepared, &BundleWriter::new(files.clone()), &Silent)?;
    Ok((written, files.take()))
}

/// The whole stream. Checks the names, sizes and hashes of its files.
fn stream(files: &Files, written: &Written) -> Vec<u8> {
    let (mut all, mut names) = (Vec::new(), BTreeMap::new());
    for shard in &written.weights.shards {
        let name = gristmill_bundle::shard_path(&shard.sha256);
        let bytes = &files[&name];
        assert_eq!((gristmill_bundle::sha256_hex(bytes), bytes.len() as u64), (shard.sha256.clone(), shard.bytes));
        all.extend(bytes);
        names.insert(name, ());
    }
    assert!(names.keys().eq(files.keys()), "files that are no shards");
    all
}

fn every_precision() -> Vec<Precision> {
    let mut all = vec![Precision::F32, Precision::F16];
    for bits in [2, 3, 4, 8] {
        for group in [16, 32, 64, 128] {
            for suffix in ["", ".asym"] {
                all.push(format!("q{bits}.g{group}{suffix}").parse().unwrap());
            }
        }
    }
    all
}

#[test]
fn every_precision_decodes_to_what_the_report_says() {
    let source = tempdir().unwrap();
    write_single(source.path(), &tensors());
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    for precision in every_precision() {
        let prepared = prepared(precision);
        let (written, files) = write(&checkpoint, &prepared).unwrap();
        let bytes = stream(&files, &written);
        assert_eq!(bytes.len() as u64, written.report.bytes);
        for (i, tensor) in written.weights.tensors.iter().enumerate() {
            assert_eq!((tensor.offset % 256, tensor.bytes % 16), (0, 0));
            let stored = &bytes[tensor.offset as usize..(tensor.offset + tensor.bytes) as usize];
            let values = decode_stored(prepared.precisions[i], &tensor.shape, stored).unwrap();
            let mut exact = Vec::new();
            checkpoint.read_rows_f32(&prepared.model.weights[i].source, 0..tensor.shape[0], &mut exact).unwrap();
            let square = |v: f64| v * v;
            let error: f64 = exact.iter().zip(&values).map(|(a, b)| square(f64::from(a - b))).sum();
            let energy: f64 = exact.iter().map(|a| square(f64::from(*a))).sum();
            let (relative, report) = ((error / energy).sqrt(), &written.report.tensors[i]);
            assert!((relative - report.relative_error).abs() <= 1e-3 * relative, "{precision}: {relative}, {report:?}");
            assert_eq!(report.real_bits, 8.0 * tensor.bytes as f64 / exact.len() as f64);
            // Nothing is lost if the source has no more digits than the stored format; bf16 has fewer digits than f16.
            let halves = precision == Precision::F16 && ["layers.m1", "layers.m2"].contains(&report.name.as_str());
            let lossless = precision == Precision::F32 || halves || report.name == "layers.v";
            assert_eq!(relative == 0.0, lossless, "{precision} {}", report.name);
        }
    }
}

#[test]
fn totals_of_the_report() {
    let source = tempdir().unwrap();
    write_single(source.path(), &tensors());
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    let (written, _) = write(&checkpoint, &prepared("q4".parse().unwrap())).unwrap();
    let report = &written.report;
    assert_eq!(report.weights, 4 * 70 * 300 + 5);
    assert!((report.payload_reduction - 0.75).abs() < 1e-3, "{}", report.payload_reduction);
    assert_eq!(report.real_bits, 8.0 * report.bytes as f64 / report.weights as f64);
    assert!(report.real_bits > report.payload_bits);
}

#[test]
fn files_threads_and_shards_do_not_change_bytes() {
    let (single, sharded) = (tempdir().unwrap(), tempdir().unwrap());
    write_single(single.path(), &tensors());
    write_sharded(sharded.path(), &tensors());
    let run = |source: &Path, threads: usize, shard_bytes: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (checkpoint, files) = (Checkpoint::open(source).unwrap(), MemorySink::default());
        let (prepared, bundle) = (prepared("q3".parse().unwrap()), BundleWriter::new(files.clone()));
        let written = pool.install(|| write_shards(&checkpoint, &prepared, &bundle, shard_bytes, &Silent)).unwrap();
        let bytes = stream(&files.take(), &written);
        (written, bytes)
    };
    let (first, bytes) = run(single.path(), 1, 4096);
    assert!(first.weights.shards.len() > 3 && first.weights.shards.iter().rev().skip(1).all(|s| s.bytes == 4096));
    assert_eq!(run(single.path(), 2, 4096), (first.clone(), bytes.clone()));
    assert_eq!(run(sharded.path(), 2, 4096), (first.clone(), bytes.clone()));
    let (other, same) = run(single.path(), 3, 1 << 20);
    assert_eq!((other.weights.shards.len(), same), (1, bytes));
    assert_eq!((other.weights.tensors, other.report), (first.weights.tensors, first.report));
}

#[test]
fn computed_weights_are_what_their_expressions_say() {
    let source = tempdir().unwrap();
    let values = gaussian(64 * 48, 9);
    write_single(
        source.path(),
        &[given("merged", Dtype::F32, &[64, 48], &values), given("norm", Dtype::F16, &[2], &[0.5, -1.0])],
    );
    let mut model = Model::default();
    for (name, shape) in [("merged", vec![64, 48]), ("norm", vec![2])] {
        model.weights.push(Weight { name: name.into(), source: name.into(), shape, component: 0 });
    }
    let merged = model.add(Op::Weight(0), &[], "merged").unwrap();
    let norm = model.add(Op::Weight(1), &[], "norm").unwrap();
    let one = model.add(Op::Const(Literal::f32(1.0)), &[], "one").unwrap();
    let slice = |axis, start: i64, len: i64| Op::Slice { axis, start: Dim::constant(start), len: Dim::constant(len) };
    let rows = model.add(slice(0, 20, 32), &[merged], "rows").unwrap();
    let fewer = model.add(slice(0, 3, 16), &[rows], "fewer").unwrap();
    let columns = model.add(slice(1, 8, 4), &[merged], "columns").unwrap();
    let transposed = model.add(Op::Transpose(vec![1, 0]), &[columns], "transposed").unwrap();
    let scale = model.add(Op::Binary(Binary::Add), &[norm, one], "scale").unwrap();
    for (name, id) in [("a", fewer), ("b", transposed), ("c", scale)] {
        model.graph.outputs.insert(name.into(), id);
    }
    let prepared = prepare(model, false, &|_| Precision::F32).unwrap();
    let (written, files) = write(&Checkpoint::open(source.path()).unwrap(), &prepared).unwrap();
    let bytes = stream(&files, &written);
    let decoded: Vec<Vec<f32>> = written
        .weights
        .tensors
        .iter()
        .map(|t| {
            let stored = &bytes[t.offset as usize..(t.offset + t.bytes) as usize];
            decode_stored(Precision::F32, &t.shape, stored).unwrap()
        })
        .collect();
    let names: Vec<&str> = written.weights.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["fewer", "transposed", "scale"]);
    assert_eq!(decoded[0], values[23 * 48..39 * 48]);
    let transposed: Vec<f32> = (0..4 * 64).map(|i| values[(i % 64) * 48 + 8 + i / 64]).collect();
    assert_eq!(decoded[1], transposed);
    assert_eq!(decoded[2], [1.5, 0.0]);
}

/// A lookup table: the matrix `m0`, or its transpose.
fn table(transposed: bool, precision: Precision) -> Prepared {
    let mut model = Model::default();
    let (name, dtype, shape) = ("ids".to_string(), DType::I32, vec![Dim::constant(3)]);
    model.inputs.push(Input { name, dtype, shape, default: None, advance: None });
    model.weights.push(Weight { name: "w".into(), source: "m0".into(), shape: vec![MATRIX.0, MATRIX.1], component: 0 });
    let ids = model.add(Op::Input(0), &[], "ids").unwrap();
    let mut w = model.add(Op::Weight(0), &[], "w").unwrap();
    if transposed {
        w = model.add(Op::Transpose(vec![1, 0]), &[w], "transposed").unwrap();
    }
    let picked = model.add(Op::Gather, &[w, ids], "picked").unwrap();
    model.graph.outputs.insert("picked".into(), picked);
    prepare(model, false, &|_| precision).unwrap()
}

#[test]
fn parts_hold_the_rows_of_the_whole_exactly() {
    let source = tempdir().unwrap();
    write_single(source.path(), &tensors());
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    let written = |prepared: &Prepared| {
        let (written, files) = write(&checkpoint, prepared).unwrap();
        let bytes = stream(&files, &written);
        let values = |t: &gristmill_bundle::StoredWeight| {
            let stored = &bytes[t.offset as usize..(t.offset + t.bytes) as usize];
            decode_stored(prepared.precisions[0], &t.shape, stored).unwrap()
        };
        let values: Vec<f32> = written.weights.tensors.iter().flat_map(values).collect();
        (written.weights.tensors, values, written.report)
    };
    for precision in every_precision() {
        // A tensor that is stored as it is, and a computed one: 70 rows, and 300.
        for transposed in [false, true] {
            let prepared = table(transposed, precision);
            let (whole, values, report) = written(&prepared);
            let [rows, columns] = *whole[0].shape.as_slice() else { panic!("one matrix") };
            let limit = stored_bytes(prepared.precisions[0], &[32, columns]).unwrap();
            let (parts, same, parts_report) = written(&split(prepared, limit).unwrap());
            assert!(values == same, "{precision}, transposed: {transposed}");
            assert_eq!(parts.len() as u64, rows.div_ceil(32));
            assert!(parts.iter().all(|t| t.bytes <= limit && t.precision == whole[0].precision));
            let last = format!("{}[{}..{rows}]", whole[0].name, rows / 32 * 32);
            assert_eq!(parts.last().map(|t| &t.name), Some(&last));
            assert_eq!((report.weights, parts_report.weights), (21000, 21000));
        }
    }
}

/// The error of writing the weights after a change.
fn failure(change: impl Fn(&mut Vec<Given>, &mut Prepared)) -> WeightError {
    let source = tempdir().unwrap();
    let (mut tensors, mut prepared) = (tensors(), prepared(Precision::F16));
    change(&mut tensors, &mut prepared);
    write_single(source.path(), &tensors);
    write(&Checkpoint::open(source.path()).unwrap(), &prepared).unwrap_err()
}

#[test]
fn wrong_weights_are_refused() {
    let missing = failure(|tensors, _| drop(tensors.pop()));
    assert!(missing.to_string().contains("tensor `v`: is not in the model directory"), "{missing}");
    let shape = failure(|_, prepared| prepared.model.weights[3].shape = vec![6]);
    let expected = "tensor `v`: has shape [5], but `layers.v` of the architecture has [6]";
    assert!(shape.to_string().contains(expected), "{shape}");
    let large = failure(|tensors, _| tensors[0] = given("m0", Dtype::F32, &[70, 300], &[70000.0; 21000]));
    assert!(large.to_string().contains("`layers.m0` has a value in row 0 that is too large for f16"), "{large}");
    let mut values = vec![1.0; 21000];
    values[300 * 69] = f32::NAN;
    let nan = failure(|tensors, _| tensors[2] = given("m2", Dtype::BF16, &[70, 300], &values));
    assert!(nan.to_string().contains("tensor `m2`: the element at [69, 0] is NaN"), "{nan}");
    let vector = failure(|_, prepared| prepared.precisions[3] = "q4".parse().unwrap());
    assert!(vector.to_string().contains("only matrices can be quantized"), "{vector}");
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error() {
    let (source, dir) = (tempdir().unwrap(), tempdir().unwrap());
    write_single(source.path(), &tensors());
    let sink = DirSink::create(dir.path().join("bundle")).unwrap();
    std::fs::write(sink.dir().join("weights"), b"a file").unwrap();
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    let bundle = BundleWriter::new(sink);
    let error = super::super::write(&checkpoint, &prepared(Precision::F32), &bundle, &Silent).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
}
