//! Steps with several kernels or several results, on a device. A synthetic profile selects every algorithm that the
//! shipped ones do not use yet, with different tiles and workgroups.
//!
//! At f32, outputs are compared with the original model. With quantized weights, which are the only ones that
//! workgroups share or that are computed together, they are compared with the reference backend.

use std::collections::BTreeSet;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Programs};
use gristmill_compiler::CompileOptions;
use gristmill_runtime::native::{Lowered, Options, Wgpu};
use gristmill_tests::backends::{check_run, compiled, options, to_runtime};
use gristmill_tests::devices;
use gristmill_tests::goldens::Case;
use gristmill_tests::profiles::several_kernels_file;
use gristmill_tests::twins::{Task, Twins};

/// Explained by rounding in a different order, as for all quantized bundles.
const TOLERANCE: f64 = 1e-4;

const SPLIT: &str = "matvec_split";
const TOGETHER: &str = "matvec_together";
const ATTENTION: &str = "attention_split";
const ARGMAX: &str = "argmax_split";

fn target() -> String {
    several_kernels_file().display().to_string()
}

/// The variants with several kernels or results that an entry uses, recognized by the names of their kernels.
fn variants(programs: &Programs, entry: &str) -> BTreeSet<&'static str> {
    let steps = &programs.programs[entry].steps;
    let names = steps.iter().flat_map(|s| &s.dispatches).map(|d| programs.kernels[d.kernel as usize].name.as_str());
    let variant = |name: &str| match name.split_once('_')? {
        ("attention", rest) if rest.contains("_merge") => Some(ATTENTION),
        ("argmax", rest) if rest.starts_with("merge") => Some(ARGMAX),
        ("matvec", rest) if rest.contains("_sum") => Some(SPLIT),
        // The rows of each layer, and no format.
        ("matvec", rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => Some(TOGETHER),
        _ => None,
    };
    names.filter_map(variant).collect()
}

/// Compares with the original model at f32.
fn check_floats(name: &str) {
    let case = &Case::open(name);
    let dir = tempfile::tempdir().expect("a folder");
    let options = CompileOptions { targets: vec![target()], ..options(case) };
    let bundle = compiled(case, &options, dir.path()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let manifest = bundle.manifest().clone();
    let mut devices = devices::open(&bundle).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let [adapter] = devices.as_mut_slice() else { panic!("{}: programs for an adapter alone", case.name) };
    for run in case.runs() {
        let wrong = check_run(&adapter.name, adapter.backend.as_mut(), &manifest, &run);
        assert!(wrong.is_empty(), "{}:\n{}", case.name, wrong.join("\n"));
    }
}

/// Compares with the reference backend for quantized weights. Returns the variants that `entry` uses.
fn check_quantized(case: &Case, entry: &str, precision: &str) -> BTreeSet<&'static str> {
    let dir = tempfile::tempdir().expect("a folder");
    let options =
        CompileOptions { precision: precision.into(), targets: vec![target()], narrow: true, ..options(case) };
    let bundle = compiled(case, &options, dir.path()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let mut twins = Twins::open(&dir.path().join("bundle")).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    for run in case.runs() {
        // Rows with padding contain values that are not compared, but only the f32 goldens say so.
        let padded = run.inputs.get("attention_mask").is_some_and(|m| m.as_i32().unwrap_or_default().contains(&0));
        if padded {
            continue;
        }
        let inputs = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let greedy = run.outputs.get("greedy.tokens").map(|t| t.shape[1] as u32);
        let task = Task { inputs, greedy, padding: vec![0; 64], tolerance: TOLERANCE };
        let error = twins.check(&task).unwrap_or_else(|e| panic!("{} {}: {e}", case.name, run.name));
        println!("{} {} {precision}: {error:.1e}", case.name, run.name);
    }
    variants(&bundle.programs("several_kernels").expect("programs"), entry)
}

/// Checks a model that generates text with quantized weights, and the variants that `decode` uses.
fn check_decoder(name: &str, expected: &[&str]) {
    let case = Case::open(name);
    let found = check_quantized(&case, "decode", "q4");
    assert_eq!(found, expected.iter().copied().collect(), "{name}");
}

/// One model for each kind of difference in the steps; other models have the same kernels in other sizes.
macro_rules! decoders {
    ($($test:ident: $name:literal uses $expected:expr,)*) => {
        $(#[test] fn $test() { check_decoder($name, &$expected); })*
    };
}

decoders! {
    // Grouped heads, and an untied head.
    llama: "llama/gqa_untied" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
    // Keys that a window hides from some parts.
    mistral: "mistral/sliding" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
    // Norms between layers and attention.
    qwen3: "qwen3/qk_norm" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
    // Biases, and a tied head.
    qwen2: "qwen2/tied" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
    // Capped scores.
    gemma2: "gemma2/softcap" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
    // Query, key and value in one matrix.
    gpt2: "gpt2/base" uses [ARGMAX, ATTENTION, SPLIT],
    // States that calls overwrite.
    gated_conv: "gated_conv/mixed" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
    // Cross-attention, with score biases.
    t5: "t5/v1_0" uses [ARGMAX, ATTENTION, SPLIT, TOGETHER],
}

/// Every golden model at f32.
mod floats {
    use super::check_floats;

    gristmill_tests::golden_cases!(check_floats);
}

/// Nothing is split where there are many rows, but tiles and workgroups differ.
#[test]
fn an_encoder() {
    let found = check_quantized(&Case::open("bert/mlm"), "forward", "q8");
    assert_eq!(found, BTreeSet::new());
}

/// Steps with several kernels are offloaded as a whole if an adapter cannot bind their buffers, and still compute the
/// same.
#[test]
fn steps_of_several_kernels_have_fallbacks() {
    let case = Case::open("llama/gqa_untied");
    let few = Lowered { storage_buffers: Some(4), ..Lowered::default() };
    let dir = tempfile::tempdir().expect("a folder");
    for precision in ["f32", "q4"] {
        let options = CompileOptions {
            precision: precision.into(),
            targets: vec![target(), "wasm".into()],
            storage_buffers: Some(4),
            narrow: true,
            ..options(&case)
        };
        let bundle = compiled(&case, &options, dir.path()).expect("compiles");
        let programs = bundle.programs("several_kernels").expect("programs");
        // Layers are only combined if their buffers fit, and the sums of a layer bind few.
        assert_eq!(offloaded(&programs), BTreeSet::from([ATTENTION]), "{precision}");
        let load = |lowered| {
            let options = Options { lowered, ..Options::default() };
            Wgpu::load(bundle.clone(), &options, &mut |_, _| {}).unwrap_or_else(|e| panic!("{precision}: {e}"))
        };
        let mut low = load(few);
        assert!(low.admission().to_string().contains("binds "), "{}", low.admission());
        if precision == "f32" {
            for run in case.runs() {
                let wrong = check_run("hybrid", &mut low, bundle.manifest(), &run);
                assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            }
        } else {
            same_tokens(&case, &bundle, &mut low, &mut load(Lowered::default()));
        }
    }
}

/// The variants whose steps can be offloaded to WebAssembly.
fn offloaded(programs: &Programs) -> BTreeSet<&'static str> {
    let mut rest = programs.clone();
    rest.programs.values_mut().for_each(|p| p.steps.retain(|s| !s.fallback.is_empty()));
    variants(&rest, "decode")
}

/// Checks that both decode the same tokens.
fn same_tokens(case: &Case, bundle: &Arc<Bundle>, one: &mut Wgpu, other: &mut Wgpu) {
    use gristmill_runtime::blocking::run_tensors;
    use gristmill_runtime::tensors::TensorRun;
    let run = &case.runs()[0];
    let inputs = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
    let what = TensorRun { greedy: Some(8), ..TensorRun::default() };
    let [one, other] = [one, other].map(|backend| {
        let found = run_tensors(backend, bundle.manifest(), &inputs, &what).expect("runs");
        (found["greedy.tokens"].clone(), found["greedy.logits"].clone())
    });
    assert_eq!(one.0, other.0);
    let (a, b) = (one.1.as_f32().expect("floats"), other.1.as_f32().expect("floats"));
    let largest = a.iter().fold(0f32, |m, x| m.max(x.abs()));
    let error = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0f32, f32::max);
    assert!(error <= 1e-4 * largest, "{error} of {largest}");
}
