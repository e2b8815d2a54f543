//! Measures what low precision costs: `cargo run -p gristmill-tests --example precisions -- DIR [--only PART] [--device
//! NAME] [--text FILE] [PRECISION..]`.
//!
//! Computes every golden case in `DIR` (with the layout of `tests/goldens`) at each precision (by default `q8`, `q4`
//! and the default of the architecture), and prints a Markdown table with the lowest cosine similarity of a final
//! output with the golden one. Only weights are quantized; with `--device wasm` activations are as well, as in its
//! kernels. Matrices are quantized even where padding makes them larger than f16, as it does in such small models: the
//! table is about the cost of low precision.
//!
//! With `--text`, `DIR` is a model directory. Its outputs (logits or sentence embeddings) for eight chunks of 64 tokens
//! of the file are compared with those at f32: the lowest cosine similarity of a chunk and, for logits, how often the
//! most likely token is the same.

use std::error::Error;
use std::path::PathBuf;

use gristmill_tests::goldens::Case;
use gristmill_tests::precision::{Place, said, worst_cosine};

/// The command line arguments.
struct Args {
    dir: PathBuf,
    only: String,
    place: Place,
    text: Option<PathBuf>,
    precisions: Vec<String>,
}

fn args() -> Result<Args, Box<dyn Error>> {
    let usage = "usage: precisions DIR [--only PART] [--device reference|wgpu|wasm] [--text FILE] [PRECISION..]";
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or(usage)?.into();
    let mut args = Args { dir, only: String::new(), place: Place::Reference, text: None, precisions: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => args.only = words.next().ok_or(usage)?,
            "--device" => args.place = words.next().and_then(|name| Place::named(&name)).ok_or(usage)?,
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
        return trained(&args, &std::fs::read_to_string(text)?);
    }
    let titles: Vec<String> = args.precisions.iter().map(|p| format!(" {p} |")).collect();
    println!("| case |{}", titles.concat());
    println!("| --- |{}", " ---: |".repeat(titles.len()));
    for case in Case::all_below(&args.dir).into_iter().filter(|c| c.name.contains(&args.only)) {
        let cell = |precision: &String| match worst_cosine(&case, precision, args.place) {
            Ok((_, cosine)) => format!(" {cosine:.5} |"),
            Err(e) => format!(" {e} |"),
        };
        println!("| {} |{}", case.name, args.precisions.iter().map(cell).collect::<String>());
    }
    Ok(())
}

/// Compares a trained model with itself at f32.
fn trained(args: &Args, text: &str) -> Result<(), Box<dyn Error>> {
    println!("| precision | size | cosine at worst | same best token |\n| --- | ---: | ---: | ---: |");
    let expected = said(&args.dir, "f32", args.place, text)?;
    for precision in &args.precisions {
        let found = said(&args.dir, precision, args.place, text)?;
        let agreement = found.same_tokens(&expected).map_or(String::new(), |part| format!("{:.1} %", 100.0 * part));
        println!("| {precision} | {:.0} % | {:.5} | {agreement} |", 100.0 * found.size, found.worst_cosine(&expected));
    }
    Ok(())
}
