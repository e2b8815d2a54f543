//! The kernels of whole models, one by one with real memory contents: printed modules compared with the interpreter.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_bundle::GRAPH;
use gristmill_compiler::activations::quantize_activations;
use gristmill_compiler::codegen::context::Setting;
use gristmill_compiler::entries::entry_plans;
use gristmill_compiler::options::KvPrecision;
use gristmill_compiler::profile::shipped;
use gristmill_compiler::rewrite::Rewriter;
use gristmill_compiler::select::{KernelSet, lower};
use gristmill_compiler::simulate::Session;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_graph::{Array, Bindings, DType, EntryRole, Model, Precision};
use gristmill_kernel::Kernel;
use gristmill_runtime::Data;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::tensors::TensorRun;
use gristmill_tests::backends::to_runtime;
use gristmill_tests::devices;
use gristmill_tests::goldens::Case;
use gristmill_tests::models::Numbers;
use gristmill_tests::module::{Loaded, Symbols, difference, grid, interpret, legal};

/// Explained by a different order of sums and by fused multiply-add, for values of about 1.
const TOLERANCE: f32 = 2e-5;

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Inputs of any kind: small integers, floats below 1.
fn inputs(model: &Model, bindings: &Bindings, numbers: &mut Numbers) -> BTreeMap<String, Array> {
    let one = |input: &gristmill_graph::Input| {
        let shape: Vec<usize> = input.shape.iter().map(|d| d.eval(bindings).expect("a size") as usize).collect();
        let n = shape.iter().product();
        let tensor = match input.dtype {
            DType::F32 => Array::f32(&shape, (0..n).map(|_| numbers.uniform().abs()).collect()),
            _ => Array::i32(&shape, (0..n).map(|_| numbers.below(2) as i32).collect()),
        };
        (input.name.clone(), tensor)
    };
    model.inputs.iter().map(one).collect()
}

/// Runs a kernel on the interpreter and in both modules, and compares the results.
fn both(
    modules: &mut [Loaded],
    n: usize,
    kernel: &Kernel,
    symbols: &Symbols,
    memory: &mut [Vec<u32>],
) -> Result<(), String> {
    let want = interpret(kernel, symbols, memory);
    for (module, loaded) in ["baseline", "relaxed"].iter().zip(modules) {
        let mut got = memory.to_vec();
        let end = grid(kernel, symbols);
        loaded.run(n, symbols, &mut got, &[0..end / 3, end / 3..end])?;
        if let Some(d) = difference(kernel, &want, &got, TOLERANCE) {
            let (want, got) = (f32::from_bits(d.want), f32::from_bits(d.got));
            return Err(format!("{module}: {d:?}, as floats {want} and {got}"));
        }
    }
    memory.clone_from_slice(&want);
    Ok(())
}

/// Compiles a golden model and runs its entries. Returns the number of kernels.
fn check(case: &str, precision: &str, kv: KvPrecision) -> usize {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("bundle");
    let options =
        CompileOptions { precision: precision.into(), targets: vec!["wasm".into()], kv, ..Default::default() };
    compile(&Case::open(case).model_dir(), &out, &options, &Quiet).unwrap_or_else(|e| panic!("{case}: {e}"));
    let bundle = Bundle::open(&out).expect("a bundle");
    let model: Model = serde_json::from_str(&bundle.read_text(GRAPH).expect("a graph")).expect("a model");
    let tensors = &bundle.manifest().tensors;
    let precisions: Vec<Precision> = tensors.iter().map(|t| t.precision.parse().expect("a precision")).collect();
    let weights: Vec<Vec<u32>> = (0..tensors.len()).map(|i| words(&bundle.tensor(i).expect("a weight"))).collect();
    let profile = shipped("wasm").expect("a profile");
    let setting = Setting { model: &model, precisions: &precisions, kv, profile: &profile, has_fallback: false };

    let (mut set, mut rewriter) = (KernelSet::default(), Rewriter::new(&profile.cost));
    let lowered: Vec<_> = entry_plans(&model)
        .into_iter()
        .filter(|plan| !plan.taps)
        .map(|plan| {
            let graph = model.entry_graph(&model.entries[plan.entry], false);
            let (graph, _) = rewriter.run(&quantize_activations(&graph, &precisions));
            let calls = lower(&setting, &graph, &plan.outputs, &mut set).unwrap_or_else(|e| panic!("{case}: {e}"));
            (plan, graph, calls)
        })
        .collect();
    let legal: Vec<Kernel> = set.kernels.iter().map(legal).collect();
    let mut modules = [false, true].map(|relaxed| Loaded::new(&legal, relaxed));
    let at: BTreeMap<&str, usize> = legal.iter().enumerate().map(|(n, k)| (k.name.as_str(), n)).collect();
    let mut session = Session::new(&setting, &weights, 2, 24).expect("a session");
    let mut numbers = Numbers::new(3);
    for (plan, graph, calls) in &lowered {
        // The states hold the preceding tokens, if any.
        let next = model.entries[plan.entry].role == EntryRole::Decode;
        let (new, past) = if next { (1, 9) } else { (9, 0) };
        let text = [("B", 2), ("N", 3), ("T", new), ("P", past)];
        // Far fewer samples than any real audio file: the comparison does not depend on their number, but takes longer
        // with more.
        let senses = [("F", 21), ("H", 70), ("W", 45), ("D", 2), ("V", 24), ("S", 2400)];
        let sizes = text.into_iter().chain(senses);
        let bindings: Bindings = sizes.map(|(k, v)| (k.into(), v)).collect();
        let inputs = inputs(&model, &bindings, &mut numbers);
        let execute = &mut |kernel: &Kernel, symbols: &Symbols, memory: &mut [Vec<u32>]| {
            let n = at[kernel.name.as_str()];
            both(&mut modules, n, &legal[n], symbols, memory)
        };
        session
            .run_by(graph, &plan.outputs, (calls, &set), &inputs, &bindings, execute)
            .unwrap_or_else(|e| panic!("{case} at {precision}, {}: {e}", plan.name));
    }
    legal.len()
}

#[test]
fn decoders_at_every_precision() {
    for precision in ["f32", "f16", "q8", "q4", "q3", "q2", "q4.g16", "q2.asym"] {
        let kernels = check("llama/gqa_untied", precision, KvPrecision::F32);
        assert!(kernels > 10, "{kernels} kernels at {precision}");
    }
}

/// Merged and transposed projections, and a window.
#[test]
fn other_decoders() {
    check("gpt2/base", "q3", KvPrecision::F32);
    check("mistral/sliding", "q2", KvPrecision::F32);
}

/// Soft caps, and norms after the branches.
#[test]
fn capped_decoders() {
    check("gemma2/softcap", "q4", KvPrecision::F32);
}

/// Parts of merged weights; keys that are rotated when they are read.
#[test]
fn decoders_that_turn_by_length() {
    check("phi3/longrope", "q8", KvPrecision::F16);
}

#[test]
fn caches_of_halves() {
    check("qwen3/qk_norm", "q4", KvPrecision::F16);
}

#[test]
fn encoders() {
    for precision in ["f32", "q8", "q3"] {
        check("bert/base", precision, KvPrecision::F32);
        check("mobilebert/mlm", precision, KvPrecision::F32);
    }
}

/// Two towers, each with a batch of its own.
#[test]
fn texts_and_images() {
    check("clip/eos_first", "q4", KvPrecision::F32);
}

/// Frames that exchange tokens, shifted windows, images of any size with queries.
#[test]
fn videos_audio_and_objects() {
    check("xclip/base", "q8", KvPrecision::F32);
    check("clap/fused", "q4", KvPrecision::F32);
    check("detr/timm", "f16", KvPrecision::F32);
}

/// Encoded images, cached for the calls that read a prompt.
#[test]
fn decoders_that_read_images() {
    check("llava/base", "q4", KvPrecision::F16);
    check("llava_next/anyres", "q8", KvPrecision::F32);
    check("qwen2_vl/mrope", "q3", KvPrecision::F32);
}

/// How a grid is divided among workers changes nothing, not even a rounding.
#[test]
fn results_do_not_depend_on_the_number_of_workers() {
    let case = Case::open("llama/gqa_untied");
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("bundle");
    let options = CompileOptions { targets: vec!["wasm".into()], ..CompileOptions::default() };
    compile(&case.model_dir(), &out, &options, &Quiet).expect("compiles");
    let bundle = Arc::new(Bundle::open(&out).expect("a bundle"));
    let run = &case.runs()[0];
    let inputs = run.inputs.iter().map(|(name, t)| (name.clone(), to_runtime(t))).collect();
    let what = TensorRun { greedy: Some(8), taps: true, ..TensorRun::default() };
    for relaxed in [false, true] {
        let results = [1, 2, 3].map(|threads| {
            let mut device = devices::wasm(&bundle, relaxed, threads).expect("a device");
            let found = run_tensors(device.backend.as_mut(), bundle.manifest(), &inputs, &what).expect("results");
            let bits = |data: &Data| match data {
                Data::F32(floats) => floats.iter().map(|x| x.to_bits()).collect::<Vec<u32>>(),
                Data::I32(numbers) => numbers.iter().map(|n| *n as u32).collect(),
            };
            found.iter().map(|(name, t)| (name.clone(), bits(&t.data))).collect::<BTreeMap<_, _>>()
        });
        assert!(results[0].len() > 5, "{:?}", results[0].keys());
        assert!(results[0] == results[1] && results[0] == results[2], "relaxed {relaxed}");
    }
}
