//! Runs every golden case with every profile: `cargo run --release --example profiles -- [FILTER]`, for nightly tests.
//!
//! Each case is compiled at f32 for each shipped profile and each one in `tests/profiles`, run on the devices that can
//! run it, and compared with the original model. At q8, q4 and q2 it is only compiled, which parses and validates
//! everything that is emitted. Prints one line per case and profile; the exit code is 1 if one fails.

use std::process::ExitCode;

use gristmill_compiler::CompileOptions;
use gristmill_compiler::profile::shipped_names;
use gristmill_tests::backends::{check_run, compiled, options};
use gristmill_tests::devices;
use gristmill_tests::goldens::Case;
use gristmill_tests::profiles::several_kernels_file;

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let mut targets: Vec<String> = shipped_names().map(String::from).collect();
    targets.push(several_kernels_file().display().to_string());
    let mut wrong = 0;
    for case in Case::all().into_iter().filter(|case| case.name.contains(&filter)) {
        for target in &targets {
            let faults = [run(&case, target), emit(&case, target)].concat();
            let verdict = if faults.is_empty() { "ok   " } else { "WRONG" };
            println!("{verdict} {} {target}", case.name);
            faults.iter().for_each(|fault| println!("      {fault}"));
            wrong += usize::from(!faults.is_empty());
        }
    }
    println!("{wrong} wrong");
    ExitCode::from(u8::from(wrong > 0))
}

/// What is wrong with the outputs at f32.
fn run(case: &Case, target: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let options = CompileOptions { targets: vec![target.into()], ..options(case) };
    let bundle = match compiled(case, &options, dir.path()) {
        Ok(bundle) => bundle,
        Err(e) => return vec![format!("f32: {e}")],
    };
    let mut devices = match devices::open(&bundle) {
        Ok(devices) => devices,
        Err(e) => return vec![e],
    };
    let manifest = bundle.manifest().clone();
    let mut faults = Vec::new();
    for run in case.runs() {
        for device in &mut devices {
            faults.extend(check_run(&device.name, device.backend.as_mut(), &manifest, &run));
        }
    }
    faults
}

/// What is wrong with the code for quantized weights.
fn emit(case: &Case, target: &str) -> Vec<String> {
    let one = |precision: &str| {
        let dir = tempfile::tempdir().expect("a folder");
        let options = CompileOptions { targets: vec![target.into()], precision: precision.into(), ..options(case) };
        compiled(case, &options, dir.path()).err().map(|e| format!("{precision}: {e}"))
    };
    ["q8", "q4", "q2"].into_iter().filter_map(one).collect()
}
