//! Steps that exceed a limit of the adapter run as WebAssembly while all others stay on the GPU, and the outputs equal
//! those of the original model. The tests lower the limits, and wgpu rejects anything beyond them.

use std::sync::Arc;

use gristmill_bundle::{Bundle, sha256_hex};
use gristmill_compiler::{CompileOptions, KvPrecision};
use gristmill_runtime::backend::{Pending, Request, Tensors};
use gristmill_runtime::blocking::{begin, run_tensors};
use gristmill_runtime::native::{Lowered, Options, WasmOptions, Wgpu};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::{Backend, Error};
use gristmill_tests::backends::{check_run, compiled, options, to_runtime};
use gristmill_tests::goldens::Case;

/// Makes room for as many tokens as the model supports, so that small models have large states.
struct Roomy(Wgpu, u32);

impl Backend for Roomy {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn depth(&self) -> usize {
        self.0.depth()
    }

    fn begin(&mut self, batch: u32, _: u32) -> Pending<'_, ()> {
        self.0.begin(batch, self.1)
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        self.0.start(request, want)
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        self.0.finish()
    }
}

/// Compiles a case so that steps beyond these limits have fallback kernels.
fn bundle(case: &Case, change: &dyn Fn(&mut CompileOptions)) -> (tempfile::TempDir, Arc<Bundle>) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(case);
    change(&mut options);
    let bundle = compiled(case, &options, dir.path()).unwrap();
    (dir, bundle)
}

fn load(bundle: &Arc<Bundle>, lowered: Lowered, threads: usize) -> Result<Wgpu, Error> {
    let fallbacks = WasmOptions { threads: Some(threads), relaxed: None, ..WasmOptions::default() };
    Wgpu::load(bundle.clone(), &Options { lowered, fallbacks, ..Options::default() }, &mut |_, _| {})
}

/// Runs a case with room for `room` tokens. Returns which steps were offloaded.
fn check(case: &Case, bundle: &Arc<Bundle>, lowered: Lowered, room: u32) -> String {
    for threads in [1, 2] {
        let mut wgpu = Roomy(load(bundle, lowered, threads).unwrap(), room);
        for run in case.runs() {
            let wrong = check_run("hybrid", &mut wgpu, bundle.manifest(), &run);
            assert!(wrong.is_empty(), "{}: {}", case.name, wrong.join("\n"));
        }
    }
    load(bundle, lowered, 1).unwrap().admission().to_string()
}

fn bytes(n: u64) -> Lowered {
    Lowered { binding_bytes: Some(n), ..Lowered::default() }
}

fn buffers(n: u32) -> Lowered {
    Lowered { storage_buffers: Some(n), ..Lowered::default() }
}

/// Enough for 32 rows of the largest weight of `llama/wide`, but not for its states in a long session.
const WIDE: u64 = 32 * 392 * 4;

#[test]
fn long_states_live_in_linear_memory() {
    let case = Case::open("llama/wide");
    let (_dir, bundle) = bundle(&case, &|o| o.binding_bytes = Some(WIDE));
    let offloaded = check(&case, &bundle, bytes(WIDE), 512);
    let decode = offloaded.lines().find(|l| l.contains("`decode`")).unwrap();
    let states = "6 of 79 steps of `decode` run on WebAssembly in sessions of more than 392 tokens: state \
        `layers.0.key` needs 65536 bytes at 512 tokens, but maxStorageBufferBindingSize is 50176";
    assert_eq!(decode, states);

    let mut wgpu = load(&bundle, bytes(WIDE), 1).unwrap();
    begin(&mut wgpu, 1, 392).unwrap();
    assert_eq!((wgpu.states_aside(), wgpu.depth()), (0, 2), "a short session is the adapter's");
    begin(&mut wgpu, 1, 393).unwrap();
    assert!(wgpu.states_aside() >= 4 * 393 * 128);
    assert_eq!(wgpu.depth(), 1);
    assert!(wgpu.describe().contains("beyond its limits wasm: "), "{}", wgpu.describe());
    begin(&mut wgpu, 1, 16).unwrap();
    assert_eq!(wgpu.states_aside(), 0, "and is so again");
}

#[test]
fn kernels_with_many_buffers_move() {
    for (name, room) in [("llama/wide", 512), ("qwen2/tied", 128)] {
        let case = Case::open(name);
        let (_dir, bundle) = bundle(&case, &|o| o.storage_buffers = Some(4));
        let offloaded = check(&case, &bundle, buffers(4), room);
        let decode = offloaded.lines().find(|l| l.contains("`decode`")).unwrap();
        assert!(decode.contains("binds 5 buffers, but maxStorageBuffersPerShaderStage is 4"), "{decode}");
        assert!(!decode.contains("sessions"), "always: {decode}");
        // An adapter with more buffers runs everything.
        let wgpu = load(&bundle, buffers(5), 1).unwrap();
        assert_eq!((wgpu.admission().offloaded.len(), wgpu.depth()), (0, 2));
    }
}

/// States and values of several entries at 16 bits, with both limits lowered at once.
#[test]
fn halves_move_as_well() {
    let case = Case::open("qwen2/tied");
    let limit = 32 * 120 * 4;
    let (_dir, bundle) = bundle(&case, &|o| {
        (o.binding_bytes, o.storage_buffers, o.kv) = (Some(limit), Some(4), KvPrecision::F16);
    });
    let tokens = |lowered: Lowered| {
        let inputs = case.runs()[0].inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let mut wgpu = load(&bundle, lowered, 2).unwrap();
        let what = TensorRun { entry: None, greedy: Some(8), taps: false, start: Vec::new() };
        let outputs = run_tensors(&mut wgpu, bundle.manifest(), &inputs, &what).unwrap();
        (outputs["greedy.tokens"].clone(), wgpu.admission().offloaded.is_empty())
    };
    let both = Lowered { binding_bytes: Some(limit), storage_buffers: Some(4) };
    let (whole, offloaded) = (tokens(Lowered::default()), tokens(both));
    assert_eq!((whole.1, offloaded.1), (true, false));
    assert_eq!(whole.0, offloaded.0);
}

#[test]
fn without_webassembly_limits_are_errors_with_a_remedy() {
    let case = Case::open("llama/wide");
    let native = |o: &mut CompileOptions| o.targets = vec!["native".into()];
    let (_dir, plain) = bundle(&case, &native);
    let text = load(&plain, buffers(4), 1).unwrap_err().to_string();
    assert!(text.contains("maxStorageBuffersPerShaderStage") && text.contains("add --target wasm"), "{text}");

    let cut = |o: &mut CompileOptions| (o.binding_bytes = Some(WIDE), native(o)).1;
    let (_dir, cut) = bundle(&case, &cut);
    assert!(cut.programs("native").unwrap().fallbacks.is_empty());
    let mut wgpu = load(&cut, bytes(WIDE), 1).unwrap();
    begin(&mut wgpu, 1, 100).unwrap();
    let text = begin(&mut wgpu, 1, 512).unwrap_err().to_string();
    assert!(text.contains("state `layers.0.key`") && text.contains("add --target wasm"), "{text}");

    let dir = tempfile::tempdir().unwrap();
    let few = CompileOptions { targets: vec!["native".into()], storage_buffers: Some(4), ..options(&case) };
    let text = compiled(&case, &few, dir.path()).unwrap_err().to_string();
    assert!(text.contains("also compile for the target wasm"), "{text}");
}

#[test]
fn only_bundles_that_need_them_have_fallback_kernels() {
    let case = Case::open("qwen2/tied");
    let (_dir, bundle) = bundle(&case, &|_| {});
    let programs = bundle.programs("native").unwrap();
    assert!(programs.fallbacks.is_empty());
    assert!(programs.programs.values().flat_map(|p| &p.steps).all(|s| s.fallback.is_empty()));
    assert!(!bundle.manifest().files.keys().any(|f| f.contains("fallbacks")));
}

/// The numbers of a bundle are checked against each other, but the exports of a module only when it runs.
#[test]
fn a_fallback_kernel_that_the_module_lacks_is_an_error() {
    let case = Case::open("llama/wide");
    let (dir, bundle) = bundle(&case, &|o| o.storage_buffers = Some(4));
    let mut programs = bundle.programs("native").unwrap();
    let beyond = programs.fallbacks.len() as u32;
    programs.fallbacks.extend(programs.fallbacks.clone());
    let steps = programs.programs.values_mut().flat_map(|p| &mut p.steps);
    steps.flat_map(|s| &mut s.fallback).for_each(|dispatch| dispatch.kernel += beyond);
    let folder = dir.path().join("bundle");
    let content = serde_json::to_vec(&programs).unwrap();
    std::fs::write(folder.join("programs/native.json"), &content).unwrap();
    let mut manifest = bundle.manifest().clone();
    let info = manifest.files.get_mut("programs/native.json").unwrap();
    (info.bytes, info.sha256) = (content.len() as u64, sha256_hex(&content));
    std::fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();

    let forged = Arc::new(Bundle::open(&folder).unwrap());
    for threads in [1, 2] {
        let mut wgpu = load(&forged, buffers(4), threads).unwrap();
        let inputs = case.runs()[0].inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let what = TensorRun { entry: None, greedy: None, taps: false, start: Vec::new() };
        let text = run_tensors(&mut wgpu, forged.manifest(), &inputs, &what).unwrap_err().to_string();
        assert!(text.contains("running kernels"), "{text}");
    }
}
