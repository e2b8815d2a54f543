//! Memory does not grow with the size of the weights. A separate process, because it measures the peak of the whole
//! process.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use gristmill_bundle::BundleWriter;
use gristmill_compiler::prepare::{Prepared, Recipe};
use gristmill_compiler::weights::{Checkpoint, Silent, write};
use gristmill_graph::{Model, Precision, Weight};

const ROWS: u64 = 16384;
const COLUMNS: u64 = 2048;

/// The peak resident size of this process so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A sparse file with a matrix of 128 MiB, of which only the first value is not zero.
fn write_model(dir: &Path) {
    let bytes = ROWS * COLUMNS * 4;
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{ROWS},{COLUMNS}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = File::create(dir.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.write_all(&1f32.to_le_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + bytes).unwrap();
}

#[test]
fn a_matrix_is_never_in_memory_as_a_whole() {
    let source = tempfile::tempdir().unwrap();
    write_model(source.path());
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    for precision in ["f16", "q3"] {
        let out = tempfile::tempdir().unwrap();
        let weight = Weight { name: "w".into(), source: "w".into(), shape: vec![ROWS, COLUMNS], component: 0 };
        let prepared = Prepared {
            model: Model { weights: vec![weight], ..Model::default() },
            recipes: vec![Recipe::Direct("w".into())],
            precisions: vec![precision.parse::<Precision>().unwrap()],
        };
        let bundle = BundleWriter::create(out.path()).unwrap();
        let written = write(&checkpoint, &prepared, &bundle, &Silent).unwrap();
        assert_eq!(written.report.weights, ROWS * COLUMNS);
        assert!(peak() < 96 << 20, "{precision}: {} bytes at the peak", peak());
    }
}
