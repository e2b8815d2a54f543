//! Runs golden cases through compiled bundles.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Manifest};
use gristmill_compiler::{CompileError, CompileOptions, Quiet, compile};
use gristmill_graph::Array as Golden;
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::{Backend, Data, Tensor};

use crate::devices;
use crate::goldens::{Case, Run, TOLERANCE};

/// Converts a tensor of the graph IR to one of the runtime.
pub fn to_runtime(t: &Golden) -> Tensor {
    match (t.as_f32(), t.as_i32()) {
        (Some(data), _) => Tensor::f32(t.shape.clone(), data.to_vec()),
        (_, Some(data)) => Tensor::i32(t.shape.clone(), data.to_vec()),
        _ => panic!("goldens hold numbers"),
    }
}

/// Converts a tensor of the runtime to one of the graph IR.
pub fn to_golden(t: &Tensor) -> Golden {
    match &t.data {
        Data::F32(data) => Golden::f32(&t.shape, data.clone()),
        Data::I32(data) => Golden::i32(&t.shape, data.clone()),
    }
}

/// Executes a run with and without intermediate values. Returns the differences found.
pub fn check_run(name: &str, backend: &mut dyn Backend, manifest: &Manifest, run: &Run) -> Vec<String> {
    let inputs: BTreeMap<String, Tensor> = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
    let greedy = run.outputs.get("greedy.tokens").map(|t| t.shape[1] as u32);
    let what = TensorRun { greedy, taps: true, start: run.start(), ..TensorRun::default() };
    let produced = match run_tensors(backend, manifest, &inputs, &what) {
        Ok(produced) => produced.iter().map(|(n, t)| (n.clone(), to_golden(t))).collect::<BTreeMap<_, _>>(),
        Err(e) => return vec![format!("{}: {e}", run.name)],
    };
    let plain = TensorRun::default();
    let without_taps = match run_tensors(backend, manifest, &inputs, &plain) {
        Ok(produced) => produced.iter().map(|(n, t)| (n.clone(), to_golden(t))).collect::<BTreeMap<_, _>>(),
        Err(e) => return vec![format!("{}: {e}", run.name)],
    };
    let mut wrong = Vec::new();
    for judgement in run.judge(&produced).into_iter().chain(run.judge(&without_taps)) {
        println!("{name} {} {}: {:.1e}", run.name, judgement.name, judgement.error);
        if judgement.error > TOLERANCE {
            wrong.push(format!("{} {}: {:.1e}", run.name, judgement.name, judgement.error));
        }
    }
    wrong.extend(run.required().filter(|n| !produced.contains_key(*n)).map(|n| format!("{} {n}: missing", run.name)));
    wrong
}

/// The options for compiling a case: f32, for all devices.
pub fn options(case: &Case) -> CompileOptions {
    CompileOptions {
        arch: case.architecture_file(),
        precision: "f32".into(),
        targets: devices::targets(),
        ..CompileOptions::default()
    }
}

/// Compiles the model of a case into a folder.
///
/// # Errors
/// If it cannot be compiled.
pub fn compiled(case: &Case, options: &CompileOptions, dir: &Path) -> Result<Arc<Bundle>, CompileError> {
    let out = dir.join("bundle");
    compile(&case.model_dir(), &out, options, &Quiet)?;
    Ok(Arc::new(Bundle::open(&out)?))
}

/// Compiles a case and executes its runs on all devices and on the reference backend. Returns the differences found.
///
/// # Panics
/// If there is no adapter.
pub fn check_case(case: &Case) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = match compiled(case, &options(case), dir.path()) {
        Ok(bundle) => bundle,
        Err(e) => return vec![format!("does not compile: {e}")],
    };
    let manifest = bundle.manifest().clone();
    let mut devices = devices::open(&bundle).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let again = Bundle::open(dir.path().join("bundle")).expect("a bundle");
    let mut reference = ReferenceBackend::open(again).expect("a graph");
    let mut wrong = Vec::new();
    for run in case.runs() {
        for device in &mut devices {
            let found = check_run(&device.name, device.backend.as_mut(), &manifest, &run);
            wrong.extend(found.into_iter().map(|w| format!("{} {w}", device.name)));
        }
        wrong.extend(
            check_run("reference", &mut reference, &manifest, &run).into_iter().map(|w| format!("reference {w}")),
        );
    }
    wrong
}
