//! What low precision costs: `cargo run -p gristmill-tests --example precisions -- DIR [--only PART] [--device NAME] [PRECISION..]`.
//!
//! Compiles every golden case below `DIR` (laid out as `tests/goldens`) with each precision (`q8`, `q4` and that of the
//! model's kind if none is given) and prints a Markdown table: the size of the weights as a part of their f32 size, and
//! the smallest cosine of a final output with the golden one over all runs, by processor (whose kernels also round
//! activations to bytes) unless `--device wgpu`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::CompileOptions;
use gristmill_runtime::Backend;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::native::{Options, Wgpu};
use gristmill_runtime::tensors::TensorRun;
use gristmill_tests::backends::{compiled, options, to_golden, to_runtime};
use gristmill_tests::devices;
use gristmill_tests::goldens::Case;

/// What the command line asks for.
struct Args {
    dir: PathBuf,
    only: String,
    wgpu: bool,
    precisions: Vec<String>,
}

fn args() -> Result<Args, Box<dyn Error>> {
    let usage = "usage: precisions DIR [--only PART] [--device wasm|wgpu] [PRECISION..]";
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or(usage)?.into();
    let mut args = Args { dir, only: String::new(), wgpu: false, precisions: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => args.only = words.next().ok_or(usage)?,
            "--device" => args.wgpu = words.next().ok_or(usage)? == "wgpu",
            _ => args.precisions.push(word),
        }
    }
    if args.precisions.is_empty() {
        args.precisions = ["q8", "q4", "default"].map(String::from).to_vec();
    }
    Ok(args)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    let titles: Vec<String> = args.precisions.iter().map(|p| format!(" {p} | size |")).collect();
    println!("| case | output |{}", titles.concat());
    println!("| --- | --- |{}", " ---: | ---: |".repeat(titles.len()));
    for case in Case::all_below(&args.dir).into_iter().filter(|c| c.name.contains(&args.only)) {
        let mut cells = Vec::new();
        let mut worst_output = String::new();
        for precision in &args.precisions {
            match measure(&case, precision, args.wgpu) {
                Ok((output, cosine, size)) => {
                    worst_output = output;
                    cells.push(format!(" {cosine:.5} | {:.0} % |", 100.0 * size));
                }
                Err(e) => cells.push(format!(" {e} | |")),
            }
        }
        println!("| {} | {worst_output} |{}", case.name, cells.concat());
    }
    Ok(())
}

/// The final output that suffers most, its cosine, and the size of the weights as a part of their f32 size.
fn measure(case: &Case, precision: &str, wgpu: bool) -> Result<(String, f64, f64), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let target = if wgpu { "native" } else { "wasm" };
    let options = CompileOptions { precision: precision.into(), targets: vec![target.into()], ..options(case) };
    let bundle = compiled(case, &options, dir.path())?;
    let mut backend: Box<dyn Backend> = if wgpu {
        Box::new(Wgpu::load(bundle.clone(), &Options::default(), &mut |_, _| {})?)
    } else {
        devices::wasm(&bundle, true, 1)?.backend
    };
    let mut worst = (String::new(), f64::INFINITY);
    for run in case.runs() {
        let inputs = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let produced = run_tensors(backend.as_mut(), bundle.manifest(), &inputs, &TensorRun::default())?;
        let produced: BTreeMap<_, _> = produced.iter().map(|(n, t)| (n.clone(), to_golden(t))).collect();
        for (name, cosine) in run.cosines(&produced) {
            if !(cosine >= worst.1) {
                worst = (name, cosine);
            }
        }
    }
    Ok((worst.0, worst.1, size(&bundle)))
}

/// Bytes of the weights over those of as many f32 numbers.
fn size(bundle: &Arc<Bundle>) -> f64 {
    let manifest = bundle.manifest();
    let stored: u64 = manifest.shards.iter().map(|s| s.bytes).sum();
    let plain: u64 = manifest.tensors.iter().map(|t| 4 * t.shape.iter().product::<u64>()).sum();
    stored as f64 / plain as f64
}
