//! Compares architecture files and the reference evaluator with the original models.
//!
//! No device is involved and, of the compiler, only the reader of model directories. A failure here points to an
//! architecture file, the front end or the evaluator.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::hf::images::images;
use gristmill_graph::{Array, EntryRole, Evaluator, Model, WeightSource, verify};
use gristmill_tests::goldens::{Case, Judgement, Run, TOLERANCE};

type Tensors = BTreeMap<String, Array>;

fn entry(model: &Model, role: EntryRole) -> String {
    let found = model.entries.iter().find(|e| e.role == role);
    found.unwrap_or_else(|| panic!("no entry for {role:?}")).name.clone()
}

/// The integers `from .. to` of the last axis.
fn columns(tensor: &Array, from: usize, to: usize) -> Array {
    let n = tensor.shape[1];
    let rows = tensor.as_i32().expect("integers").chunks_exact(n);
    Array::i32(&[tensor.shape[0], to - from], rows.flat_map(|row| row[from..to].to_vec()).collect())
}

/// Greedy decoding with a cache, with the prompt in chunks of at most `chunk` tokens. Returns `greedy.tokens` and
/// `greedy.logits` in the form of the goldens.
fn greedy(model: &Model, weights: &dyn WeightSource, run: &Run, steps: usize, chunk: usize) -> Tensors {
    let mut evaluator = Evaluator::new(model, weights);
    let mut given = run.inputs.clone();
    let encodes = model.entries.iter().any(|e| e.role == EntryRole::Encode);
    // A decoder with tokens of its own, or one that reads images in addition to the prompt's tokens.
    let separate = given.contains_key("decoder_input_ids");
    let token = if separate { "decoder_input_ids" } else { "input_ids" };
    if encodes && !separate {
        evaluator.run_entry(&entry(model, EntryRole::Encode), &given, 0, false).expect("encode");
        given.retain(|name, _| ["input_ids", "attention_mask", "position_ids"].contains(&name.as_str()));
    }
    let mut ids = given.remove(token).expect("tokens");
    // Encoder inputs that the decoder needs are the same in every call.
    let mut lasting = Tensors::new();
    if separate {
        evaluator.run_entry(&entry(model, EntryRole::Encode), &given, 0, false).expect("encode");
        lasting.extend(given.remove_entry("attention_mask"));
        given.clear();
        let start: Vec<i32> = run.start().into_iter().map(|t| t as i32).collect();
        ids = Array::i32(&[ids.shape[0], start.len()], start.repeat(ids.shape[0]));
    }
    let (batch, prompt) = (ids.shape[0], ids.shape[1]);
    given.insert(token.to_string(), ids);
    let mut outputs = Tensors::new();
    for from in (0..prompt).step_by(chunk) {
        let to = prompt.min(from + chunk);
        let piece = |(name, t): (&String, &Array)| {
            let from = if name == "attention_mask" { 0 } else { from };
            (name.clone(), columns(t, from, to))
        };
        let mut inputs: Tensors = given.iter().map(piece).collect();
        inputs.extend(lasting.clone());
        if model.inputs.iter().any(|i| i.name == "begins") {
            inputs.insert("begins".into(), Array::f32(&[batch, 1], vec![1.0; batch]));
        }
        let name = entry(model, EntryRole::Prefill);
        outputs = evaluator.run_entry(&name, &inputs, from, false).expect("prefill");
    }
    let (mut tokens, mut logits) = (vec![Vec::new(); batch], vec![Vec::new(); batch]);
    let mut vocab = 0;
    for step in 0..steps {
        let chosen = outputs["next_token"].as_i32().expect("tokens").to_vec();
        let scores = outputs["next_logits"].as_f32().expect("logits");
        vocab = scores.len() / batch;
        for row in 0..batch {
            tokens[row].push(chosen[row]);
            logits[row].extend_from_slice(&scores[row * vocab..(row + 1) * vocab]);
        }
        if step + 1 == steps {
            break;
        }
        let past = prompt + step;
        let mut inputs = Tensors::from([(token.to_string(), Array::i32(&[batch, 1], chosen))]);
        inputs.extend(lasting.clone());
        if let Some(mask) = given.get("attention_mask") {
            let rows = mask.as_i32().expect("a mask").chunks_exact(prompt);
            let grown = rows.flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(1, step + 1)));
            inputs.insert("attention_mask".into(), Array::i32(&[batch, past + 1], grown.collect()));
        }
        if let Some(positions) = given.get("position_ids") {
            let rows = positions.as_i32().expect("positions").chunks_exact(prompt);
            let next = rows.map(|row| row[prompt - 1] + 1 + step as i32).collect();
            inputs.insert("position_ids".into(), Array::i32(&[batch, 1], next));
        }
        outputs = evaluator.run_entry(&entry(model, EntryRole::Decode), &inputs, past, false).expect("decode");
    }
    let tokens = Array::i32(&[batch, steps], tokens.concat());
    let logits = Array::f32(&[batch, steps, vocab], logits.concat());
    Tensors::from([("greedy.tokens".into(), tokens), ("greedy.logits".into(), logits)])
}

/// Runs all of a case; fails with the differences found.
fn check(name: &str) {
    let case = Case::open(name);
    let (model, weights) = case.bind();
    verify(&model).unwrap_or_else(|all| panic!("{name}: {}", all.join("\n")));
    let mut wrong = Vec::new();
    for run in case.runs() {
        let mut evaluator = Evaluator::new(&model, &weights);
        let whole = evaluator.run_entry(&entry(&model, EntryRole::Tensors), &run.inputs, 0, true);
        let mut produced = whole.unwrap_or_else(|e| panic!("{name} {}: {e}", run.name));
        let mut judged = Vec::new();
        if let Some(golden) = run.outputs.get("greedy.tokens") {
            let steps = golden.shape[1];
            if run.may_be_cut() {
                judged.extend(run.judge(&greedy(&model, &weights, &run, steps, 3)));
            }
            produced.extend(greedy(&model, &weights, &run, steps, usize::MAX));
        }
        judged.extend(run.judge(&produced));
        for Judgement { name: tensor, error, .. } in &judged {
            println!("{name} {} {tensor}: {error:.1e}", run.name);
            if *error > TOLERANCE {
                wrong.push(format!("{} {tensor}: {error:.1e}", run.name));
            }
        }
        let missing = run.required().filter(|n| !produced.contains_key(*n));
        wrong.extend(missing.map(|n| format!("{} {n}: not produced", run.name)));
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

gristmill_tests::golden_cases!(check);

/// A directory with the settings of `first`, but files from `second` where it has them.
fn overlaid(first: &Path, second: &Path) -> ModelDir {
    let dir = tempfile::tempdir().expect("a directory");
    for from in [first, second] {
        let replaced = second.join("processor_config.json").exists();
        for file in std::fs::read_dir(from).expect("a directory").flatten().map(|e| e.path()) {
            let name = file.file_name().expect("a name");
            // One file replaces the other.
            let gone = replaced && name == "preprocessor_config.json";
            if file.extension().is_some_and(|e| e == "json") && !gone {
                std::fs::copy(&file, dir.path().join(name)).expect("a copy");
            }
        }
    }
    ModelDir::open(dir.path()).unwrap_or_else(|e| panic!("{}: {e}", second.display()))
}

/// `tests/goldens/resave.py` writes these files, and compares outputs.
#[test]
fn what_transformers_5_saves_means_the_same() {
    let (mut cases, mut prepared) = (0, 0);
    for case in Case::all() {
        let Some(resaved) = case.resaved() else { continue };
        let old = ModelDir::open(&case.model_dir()).expect("the kept directory");
        let new = overlaid(&case.model_dir(), &resaved);
        assert!(case.bind_to(old.settings()) == case.bind_to(new.settings()), "{}: another model", case.name);
        cases += 1;
        let image = |dir: &ModelDir| {
            let (none, model_type) = (serde_json::Map::new(), dir.config["model_type"].as_str());
            images(dir.processors.image().values, model_type, &none, None, gristmill_graph::Cut::Whole)
        };
        let audio = |dir: &ModelDir| {
            ["sampling_rate", "do_normalize", "padding"].map(|key| dir.processors.audio().values[key].clone())
        };
        // Before, one file applied to both; now there is an entry for each.
        if !new.processors.image().values.is_null() {
            assert_eq!(image(&old), image(&new), "{}", case.name);
            prepared += 1;
        } else if !new.processors.audio().values.is_null() {
            assert_eq!(audio(&old), audio(&new), "{}", case.name);
            prepared += 1;
        }
    }
    assert!(cases > 30 && prepared > 5, "{cases} cases, {prepared} of which say how inputs are prepared");
}
