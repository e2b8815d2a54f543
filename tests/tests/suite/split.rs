//! Weights that are too large for one binding: a bundle with split weights computes the same as one without.

use std::collections::BTreeMap;

use gristmill_bundle::Manifest;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_graph::Precision;
use gristmill_graph::quant::stored_bytes;
use gristmill_runtime::Tensor;
use gristmill_tests::backends::to_runtime;
use gristmill_tests::devices;
use gristmill_tests::goldens::Case;
use gristmill_tests::models::Decoder;
use gristmill_tests::twins::{Task, Twins};

/// Explained by rounding in a different order; the outer limit is 1e-3.
const TOLERANCE: f64 = 1e-4;

const SHAPE: Decoder =
    Decoder { hidden: 64, ffn: 48, head_dim: 16, kv_heads: 1, group: 3, layers: 1, vocab: 150, tied: true };

fn options(precision: &str, binding_bytes: Option<u64>) -> CompileOptions {
    CompileOptions { precision: precision.into(), binding_bytes, ..CompileOptions::default() }
}

/// The limit at which exactly `rows` rows of the residual stream's width fit.
fn limit(precision: &str, rows: u64) -> u64 {
    let precision: Precision = precision.parse().expect("a precision");
    stored_bytes(precision, &[rows, SHAPE.hidden as u64]).expect("a size")
}

/// Two rows of tokens: all tokens on both sides of the boundaries between parts of 32 rows, and others.
fn task(vocab: usize) -> Task {
    let last = vocab as i32 - 1;
    let ids = [
        [0, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129, 1, 2, last],
        [last, 5, 7, last - 1, 0, last - 2, 70, 100, 110, 120, 40, 50, 60, 3, 4, 96],
    ];
    let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32([2, 16], ids.concat()))]);
    Task { inputs, greedy: Some(6), padding: vec![0, 0], tolerance: TOLERANCE }
}

/// The parts of a weight, in the order of the stream. Checks that there are no others.
fn parts(manifest: &Manifest, weight: &str) -> Vec<String> {
    let rows = |name: &str| name.strip_prefix(weight)?.strip_prefix('[')?.strip_suffix(']').map(str::to_string);
    manifest.tensors.iter().filter_map(|t| rows(&t.name)).collect()
}

/// Compares the bundle with split weights with the one without: bit-identical on the reference backend, and close on
/// devices.
fn check(whole: &mut Twins, cut: &mut Twins, task: &Task, limit: u64) -> Result<(), String> {
    let (whole, found) = (whole.expected(task)?, cut.expected(task)?);
    if whole.keys().ne(found.keys()) {
        return Err(format!("outputs {:?} and {:?}", whole.keys(), found.keys()));
    }
    for (name, value) in &whole {
        let same = match (value.as_f32(), found[name].as_f32()) {
            (Some(a), Some(b)) => a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())),
            _ => value.data == found[name].data,
        };
        if !same || value.shape != found[name].shape {
            return Err(format!("{name} is not the same"));
        }
    }
    let error = cut.check(task)?;
    let largest = cut.manifest.tensors.iter().map(|t| t.bytes).max().unwrap_or(0);
    println!("{limit} bytes: {error:.1e}, {} tensors", cut.manifest.tensors.len());
    if largest > limit { Err(format!("a tensor has {largest} bytes")) } else { Ok(()) }
}

/// [`check`] for a random decoder. Returns the manifest of the bundle with split weights.
fn check_decoder(shape: &Decoder, precision: &str, limit: u64) -> Result<Manifest, String> {
    let files = shape.files(7);
    let mut whole = Twins::compile(&files, &options(precision, None))?;
    let mut cut = Twins::compile(&files, &options(precision, Some(limit)))?;
    check(&mut whole, &mut cut, &task(shape.vocab), limit)?;
    Ok(cut.manifest)
}

#[test]
fn parts_compute_what_the_whole_does() {
    let mut wrong = Vec::new();
    for precision in ["f32", "f16", "q8", "q4", "q3", "q2.g64.asym"] {
        for (tied, rows, expected) in [
            (true, 128, vec!["0..96", "96..150"]),
            (false, 64, vec!["0..64", "64..128", "128..150"]),
            (true, 32, vec!["0..32", "32..64", "64..96", "96..128", "128..150"]),
        ] {
            match check_decoder(&Decoder { tied, ..SHAPE }, precision, limit(precision, rows)) {
                Err(e) => wrong.push(format!("{precision}, {rows} rows: {e}")),
                Ok(manifest) => {
                    assert_eq!(parts(&manifest, "embed_tokens"), expected, "{precision}");
                    let head = parts(&manifest, "lm_head");
                    assert_eq!(head, if tied { Vec::new() } else { expected }, "{precision}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A device has 8 storage buffers per kernel; a lookup in more parts needs several kernels.
#[test]
fn more_parts_than_a_kernel_can_bind() {
    let shape = Decoder { vocab: 32 * 20 + 1, tied: false, ..SHAPE };
    let manifest = check_decoder(&shape, "q4", limit("q4", 32)).expect("the same");
    assert_eq!(parts(&manifest, "embed_tokens").len(), 21);
    assert_eq!(parts(&manifest, "lm_head").len(), 21);
}

/// Products with parts write into one buffer and keep their epilogues, so each part costs one dispatch and nothing
/// else.
#[test]
fn parts_are_not_copied_together() {
    let steps = |binding_bytes| {
        let dir = tempfile::tempdir().expect("a directory");
        SHAPE.files(1).write(&dir.path().join("model"));
        let out = dir.path().join("bundle");
        compile(&dir.path().join("model"), &out, &options("q8", binding_bytes), &Quiet).expect("compiles").dispatches
    };
    let (whole, cut) = (steps(None), steps(Some(limit("q8", 32))));
    // Head: 5 parts instead of one. Query, output, gate with up, and down: 2 each. The lookup stays one kernel. Only
    // the sum after `down` is a kernel of its own, because it adds a value that is needed as a whole.
    for (entry, dispatches) in whole.iter().filter(|(entry, _)| !entry.ends_with(".taps")) {
        assert_eq!(cut[entry], dispatches + 4 + 4 + 1, "{entry}");
    }
}

/// The smallest limit at which all weights can be split: 32 rows of a matrix, and unsplit vectors.
fn smallest_limit(manifest: &Manifest) -> u64 {
    let bytes = |t: &gristmill_bundle::StoredWeight| match t.shape.as_slice() {
        [rows, columns] => {
            let precision: Precision = t.precision.parse().expect("a precision");
            stored_bytes(precision, &[*rows.min(&32), *columns]).expect("a size")
        }
        _ => t.bytes,
    };
    manifest.tensors.iter().map(bytes).max().unwrap_or(0)
}

/// A golden case at a precision, split as much as possible, on the inputs of all runs.
fn check_case(name: &str, precision: &str) -> Result<(), String> {
    let case = Case::open(name);
    let compiled = |binding_bytes| -> Result<Twins, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let options = CompileOptions { targets: devices::targets(), ..options(precision, binding_bytes) };
        let out = dir.path().join("bundle");
        compile(&case.model_dir(), &out, &options, &Quiet).map_err(|e| e.to_string())?;
        Twins::open(&out)
    };
    let mut whole = compiled(None)?;
    let limit = smallest_limit(&whole.manifest);
    let mut cut = compiled(Some(limit))?;
    if cut.manifest.tensors.len() == whole.manifest.tensors.len() {
        return Err("nothing is cut".into());
    }
    for run in case.runs() {
        let inputs: BTreeMap<String, Tensor> = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let generates = run.outputs.contains_key("greedy.tokens");
        // Positions before the first real token are not compared.
        let padding = match inputs.get("attention_mask").and_then(|m| Some((m.shape[1], m.as_i32()?))) {
            Some((tokens, mask)) if generates => {
                mask.chunks(tokens).map(|row| row.iter().take_while(|m| **m == 0).count()).collect()
            }
            _ => vec![0; inputs["input_ids"].shape[0]],
        };
        let task = Task { inputs, greedy: generates.then_some(5), padding, tolerance: TOLERANCE };
        check(&mut whole, &mut cut, &task, limit).map_err(|e| format!("{}: {e}", run.name))?;
    }
    Ok(())
}

/// Merged and transposed projections, biases, tied heads, position tables, encoders with heads, several towers.
#[test]
fn golden_models_in_parts() {
    let mut wrong = Vec::new();
    for (name, precision) in [
        ("gpt2/base", "f32"),
        ("gpt2/base", "q3"),
        ("bert/mlm", "q8"),
        ("roberta/cls", "f32"),
        ("qwen2/tied", "q4"),
        ("qwen3/qk_norm", "q8"),
        ("mistral/sliding", "q2"),
        ("phi3/plain", "q8"),
        ("mobilebert/mlm", "f32"),
        ("clip/eos_argmax", "q8"),
        ("xclip/base", "f32"),
        ("llava/base", "q8"),
    ] {
        println!("{name} {precision}");
        wrong.extend(check_case(name, precision).err().map(|e| format!("{name} {precision}: {e}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
