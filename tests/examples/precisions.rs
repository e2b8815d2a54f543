//! What low precision costs: `cargo run -p gristmill-tests --example precisions -- DIR [--only PART] [--device NAME]
//! [--text FILE] [PRECISION..]`.
//!
//! Compiles every golden case below `DIR` (laid out as `tests/goldens`) with each precision (`q8`, `q4` and the default of
//! the architecture if none is given) and prints a Markdown table: the size of the weights as a part of their f32 size, and
//! the smallest cosine of a final output with the golden one over all runs, by processor (whose kernels also round
//! activations to bytes) unless `--device wgpu`.
//!
//! With `--text`, `DIR` is a model directory: eight stretches of 64 tokens of that file go in, and what comes out (logits,
//! or embeddings of sentences) is compared with the same at f32: the smallest cosine of a stretch, and for logits how
//! often the best token is the same.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_bundle::{Bundle, EntryRole};
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::native::{Options, Wgpu};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::{Backend, Tensor};
use gristmill_tests::backends::{compiled, options, to_golden, to_runtime};
use gristmill_tests::devices;
use gristmill_tests::goldens::{Case, cosine};

/// What the command line asks for.
struct Args {
    dir: PathBuf,
    only: String,
    wgpu: bool,
    text: Option<PathBuf>,
    precisions: Vec<String>,
}

fn args() -> Result<Args, Box<dyn Error>> {
    let usage = "usage: precisions DIR [--only PART] [--device wasm|wgpu] [--text FILE] [PRECISION..]";
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or(usage)?.into();
    let mut args = Args { dir, only: String::new(), wgpu: false, text: None, precisions: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => args.only = words.next().ok_or(usage)?,
            "--device" => args.wgpu = words.next().ok_or(usage)? == "wgpu",
            "--text" => args.text = Some(words.next().ok_or(usage)?.into()),
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
    if let Some(text) = &args.text {
        return real(&args, &std::fs::read_to_string(text)?);
    }
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

/// A bundle, ready to run on the device asked for.
fn load(bundle: &Arc<Bundle>, wgpu: bool) -> Result<Box<dyn Backend>, Box<dyn Error>> {
    if wgpu {
        return Ok(Box::new(Wgpu::load(bundle.clone(), &Options::default(), &mut |_, _| {})?));
    }
    Ok(devices::wasm(bundle, true, 1)?.backend)
}

fn target(wgpu: bool) -> Vec<String> {
    vec![if wgpu { "native" } else { "wasm" }.into()]
}

/// Compares a trained model with itself at f32.
fn real(args: &Args, text: &str) -> Result<(), Box<dyn Error>> {
    println!("| precision | size | cosine at worst | same best token |\n| --- | ---: | ---: | ---: |");
    let expected = outputs_of(args, "f32", text)?.1;
    for precision in &args.precisions {
        let (size, found) = outputs_of(args, precision, text)?;
        let pairs = || expected.iter().zip(&found);
        let cosine = pairs().map(|(a, b)| cosine(&a.values, &b.values)).fold(f64::INFINITY, f64::min);
        let rows = pairs().flat_map(|(a, b)| a.values.chunks(a.width).zip(b.values.chunks(b.width)));
        let (same, count) = rows.fold((0, 0), |(same, n), (a, b)| (same + usize::from(best(a) == best(b)), n + 1));
        let agreement =
            if expected[0].is_logits { format!("{:.1} %", 100.0 * same as f64 / count as f64) } else { String::new() };
        println!("| {precision} | {:.0} % | {cosine:.5} | {agreement} |", 100.0 * size);
    }
    Ok(())
}

/// What came of a stretch of text.
struct Output {
    values: Vec<f32>,
    width: usize,
    is_logits: bool,
}

/// Size and outputs of a trained model with a precision.
fn outputs_of(args: &Args, precision: &str, text: &str) -> Result<(f64, Vec<Output>), Box<dyn Error>> {
    const STRETCH: usize = 64;
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("bundle");
    let options =
        CompileOptions { precision: precision.into(), targets: target(args.wgpu), ..CompileOptions::default() };
    compile(&args.dir, &out, &options, &Quiet)?;
    let bundle = Arc::new(Bundle::open(&out)?);
    let manifest = bundle.manifest();
    let mut backend = load(&bundle, args.wgpu)?;
    let ids: Vec<i32> = Tokenizer::from_bundle(&bundle)?.encode(text, false)?.iter().map(|id| *id as i32).collect();
    let embeds = manifest.entries.iter().find(|e| e.role == EntryRole::Embed);
    let (name, entry) = embeds.map_or(("logits", None), |e| ("sentence_embedding", Some(e.name.clone())));
    let call = TensorRun { entry, ..TensorRun::default() };
    let mut outputs = Vec::new();
    for stretch in ids.chunks_exact(STRETCH).take(8) {
        let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32(vec![1, STRETCH], stretch.to_vec()))]);
        let produced = run_tensors(backend.as_mut(), manifest, &inputs, &call)?;
        let tensor = produced.get(name).ok_or("the model gives neither logits nor embeddings")?;
        let values = tensor.as_f32().ok_or("an output of floats")?.to_vec();
        let width = tensor.shape.last().copied().unwrap_or(1);
        outputs.push(Output { values, width, is_logits: name == "logits" });
    }
    if outputs.is_empty() {
        return Err(format!("the text has {} tokens, fewer than {STRETCH}", ids.len()).into());
    }
    Ok((size(&bundle), outputs))
}

fn best(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]))
}

/// The final output that suffers most, its cosine, and the size of the weights as a part of their f32 size.
fn measure(case: &Case, precision: &str, wgpu: bool) -> Result<(String, f64, f64), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let options = CompileOptions { precision: precision.into(), targets: target(wgpu), ..options(case) };
    let bundle = compiled(case, &options, dir.path())?;
    let mut backend = load(&bundle, wgpu)?;
    let mut worst = (String::new(), f64::INFINITY);
    for run in case.runs() {
        let inputs = run.inputs.iter().map(|(n, t)| (n.clone(), to_runtime(t))).collect();
        let produced = run_tensors(backend.as_mut(), bundle.manifest(), &inputs, &TensorRun::default())?;
        let produced: BTreeMap<_, _> = produced.iter().map(|(n, t)| (n.clone(), to_golden(t))).collect();
        for (name, cosine) in run.cosines(&produced) {
            if cosine.is_nan() || cosine < worst.1 {
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
