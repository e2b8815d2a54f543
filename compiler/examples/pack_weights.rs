//! Measures packing weights into a bundle: `pack_weights MODEL_DIR OUT_DIR [PRECISION]` stores every tensor of the
//! directory beside `OUT_DIR`, matrices at the precision (default `q4`) and all others as f32, deletes the result, and
//! prints time, memory and sizes.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gristmill_bundle::BundleWriter;
use gristmill_compiler::prepare::{Prepared, Recipe};
use gristmill_compiler::weights::{Checkpoint, Silent, write};
use gristmill_graph::{Model, Precision, Weight};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(source), Some(out)) = (args.next(), args.next()) else {
        return Err("usage: pack_weights MODEL_DIR OUT_DIR [PRECISION]".into());
    };
    let precision: Precision = args.next().as_deref().unwrap_or("q4").parse()?;
    let started = Instant::now();
    let checkpoint = Checkpoint::open(Path::new(&source))?;
    let mut prepared = Prepared { model: Model::default(), recipes: Vec::new(), precisions: Vec::new() };
    for (name, shape) in checkpoint.tensors() {
        prepared.precisions.push(if shape.len() == 2 { precision } else { Precision::F32 });
        prepared.recipes.push(Recipe::Direct(name.clone()));
        prepared.model.weights.push(Weight { name: name.clone(), source: name, shape, component: 0 });
    }
    // Never finished: dropping it deletes the files.
    let bundle = BundleWriter::create(&out)?;
    let report = write(&checkpoint, &prepared, &bundle, &Silent)?.report;
    let seconds = started.elapsed().as_secs_f64();
    println!("{} weights at {precision}: {} bytes in {seconds:.2} s", report.weights, report.bytes);
    println!("{:.3} payload bits, {:.3} real bits per weight", report.payload_bits, report.real_bits);
    println!("{:.2} % / {:.2} % below f16", 100.0 * report.payload_reduction, 100.0 * report.real_reduction);
    if let Some(line) = std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(peak) {
        println!("peak memory {line}");
    }
    Ok(())
}

/// The peak resident size of this process, if the system reports it.
fn peak(status: &str) -> Option<&str> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim)
}
