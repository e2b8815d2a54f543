//! The sampler in the shipped architectures chooses the same tokens as that of the host, on devices and on the
//! reference backend.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use gristmill_bundle::Manifest;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_runtime::blocking::{generate, run_tensors};
use gristmill_runtime::generate::Options;
use gristmill_runtime::sample::{SAMPLED_TOKEN, SAMPLING, Sampler, Sampling, random};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::{Backend, Data, Tensor};
use gristmill_tests::devices;
use gristmill_tests::models::{Decoder, ModelFiles, Numbers};
use gristmill_tests::twins::Twins;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::json;

/// Batches per property; `PROPTEST_CASES` sets a different number.
const CASES: u32 = 12;

/// Choices per batch.
const ROWS: usize = 32;

/// How far rounding may move a boundary, as a fraction of all weights: exponentials on a device are accurate to about
/// 2^-20.
const SLACK: f64 = 2e-5;

/// Number of dispatches that find the candidates, and that choose among them.
const CANDIDATES: usize = 2;
const CHOICE: usize = 3;

/// The sampler of the shipped architectures, with logits as an input.
const ARCHITECTURE: &str = r#"Architecture(
    doc: "The end of a language model.",
    classes: ["Selector"],
    config: ["vocab = config.vocab_size"],
    symbols: {"B": "1, 64"},
    inputs: {
        "logits": (dtype: F32, shape: "B, vocab"),
        "sampling": (dtype: F32, shape: "B, 5", default: Value(0)),
    },
    body: [
        Let("best = top_k(logits, min(64, vocab))"),
        Let("scores = take_last(logits, best)"),
        Output("top_tokens", "best"),
        Output("top_logits", "scores"),
        Output("sampled_token", "sample(scores, best, sampling)"),
    ],
    entries: {"forward": (outputs: ["top_tokens", "top_logits", "sampled_token"], role: Tensors)},
)"#;

fn selector(vocab: usize) -> Twins {
    let dir = tempfile::tempdir().expect("a directory");
    let config = json!({ "architectures": ["Selector"], "vocab_size": vocab });
    ModelFiles { config, tensors: Vec::new() }.write(&dir.path().join("model"));
    let arch = dir.path().join("selector.ron");
    std::fs::write(&arch, ARCHITECTURE).expect("a file");
    let options = CompileOptions { arch: Some(arch), targets: devices::targets(), ..CompileOptions::default() };
    let out = dir.path().join("bundle");
    let report = compile(&dir.path().join("model"), &out, &options, &Quiet).expect("compiles");
    assert_eq!(report.dispatches["forward"], CANDIDATES + CHOICE);
    Twins::open(&out).expect("opens")
}

/// The ranks that may be chosen: those that exact arithmetic chooses, with each boundary moved by at most `SLACK`.
/// There is more than one only if the random number, or the cutoff of top-p or min-p, is at a boundary.
fn right(logits: &[f32], s: &Sampling) -> BTreeSet<usize> {
    let limit = match (s.temperature > 0.0, s.top_k as usize) {
        (false, _) => 1,
        (true, 0) => logits.len(),
        (true, k) => k.min(logits.len()),
    };
    let weight = |l: &f32| f64::from(l - logits[0]) / f64::from(s.temperature);
    let weights: Vec<f64> = logits[..limit].iter().map(|l| if limit == 1 { 1.0 } else { weight(l).exp() }).collect();
    let sums: Vec<f64> = (0..=limit).map(|n| weights[..n].iter().sum()).collect();
    let (slack, min_p) = (SLACK * sums[limit], f64::from(s.min_p));
    let (reach, drawn) = (sums[limit] * f64::from(s.top_p), f64::from(random(s.seed, 0)));
    // Weights of 1 are exact.
    let by_min_p = |factor: f64| weights.iter().filter(|w| **w == 1.0 || **w >= min_p * factor).count();
    let mut ranks = BTreeSet::new();
    for kept in (1..=limit).filter(|n| sums[n - 1] < reach + slack && (sums[*n] >= reach - slack || *n == limit)) {
        for kept in kept.min(by_min_p(1.0 + SLACK))..=kept.min(by_min_p(1.0 - SLACK)) {
            let target = drawn * sums[kept];
            ranks.extend((0..kept).filter(|j| sums[*j] <= target + slack && sums[j + 1] > target - slack));
        }
    }
    ranks
}

/// One choice of a token.
#[derive(Clone, Debug)]
struct Row {
    /// Standard deviation of the logits.
    spread: f32,
    /// Whether logits are rounded, so that many are equal.
    ties: bool,
    sampling: Sampling,
}

fn row() -> impl Strategy<Value = Row> {
    let temperature = prop_oneof![1 => Just(0.0f32), 1 => Just(1.0f32), 1 => Just(1e-3f32), 4 => 0.1f32..3.0];
    let top_k = prop_oneof![2 => Just(0u32), 1 => Just(1u32), 3 => 1..80u32];
    let top_p = prop_oneof![1 => Just(1.0f32), 2 => 0.01f32..1.0];
    let min_p = prop_oneof![2 => Just(0.0f32), 1 => Just(1.0f32), 2 => 0.001f32..0.5];
    let spread = prop::sample::select(&[0.0f32, 0.3, 1.0, 4.0, 30.0]);
    (spread, any::<bool>(), temperature, top_k, top_p, min_p, any::<u64>()).prop_map(
        |(spread, ties, temperature, top_k, top_p, min_p, seed)| Row {
            spread,
            ties,
            sampling: Sampling { repetition_penalty: 1.0, temperature, top_k, top_p, min_p, seed },
        },
    )
}

fn logits(rows: &[Row], vocab: usize, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers::new(seed);
    let mut one = |row: &Row| {
        let logit = numbers.normal() * row.spread;
        if row.ties { logit.round() } else { logit }
    };
    rows.iter().flat_map(|row| (0..vocab).map(|_| one(row)).collect::<Vec<_>>()).collect()
}

fn inputs(rows: &[Row], vocab: usize, seed: u64) -> BTreeMap<String, Tensor> {
    let settings = rows.iter().flat_map(|row| match row.sampling.tensor(0).data {
        Data::F32(v) => v,
        Data::I32(_) => panic!("settings are floats"),
    });
    BTreeMap::from([
        ("logits".to_string(), Tensor::f32([rows.len(), vocab], logits(rows, vocab, seed))),
        (SAMPLING.to_string(), Tensor::f32([rows.len(), 5], settings.collect())),
    ])
}

/// The candidates of each row, and the chosen token.
fn outcome(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    inputs: &BTreeMap<String, Tensor>,
) -> Vec<(Vec<u32>, Vec<f32>, u32)> {
    let outputs = run_tensors(backend, manifest, inputs, &TensorRun::default()).expect("runs");
    let ids = |name: &str| outputs[name].as_i32().expect("tokens").iter().map(|t| *t as u32).collect::<Vec<_>>();
    let (tokens, chosen) = (ids("top_tokens"), ids(SAMPLED_TOKEN));
    let width = tokens.len() / chosen.len();
    let scores = outputs["top_logits"].as_f32().expect("logits");
    let candidates = tokens.chunks_exact(width).zip(scores.chunks_exact(width));
    candidates.zip(chosen).map(|((t, l), c)| (t.to_vec(), l.to_vec(), c)).collect()
}

#[test]
fn device_and_host_choose_the_same_token() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    for vocab in [1, 3, 64, 300] {
        let (twins, choices, close) = (RefCell::new(selector(vocab)), Cell::new(0), Cell::new(0));
        let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(config.rng_algorithm));
        let batches = (prop::collection::vec(row(), ROWS), any::<u64>());
        let result = runner.run(&batches, |(rows, seed)| {
            let inputs = inputs(&rows, vocab, seed);
            let mut twins = twins.borrow_mut();
            let (manifest, all) = twins.all();
            for (name, backend) in all {
                for (row, (tokens, logits, chosen)) in rows.iter().zip(outcome(backend, manifest, &inputs)) {
                    let right = right(&logits, &row.sampling);
                    let host = Sampler::new(row.sampling.clone()).choose(&tokens, &logits, &BTreeSet::new());
                    let rank = |token| tokens.iter().position(|t| *t == token);
                    let found = [host.and_then(rank), rank(chosen)];
                    let fine = found.iter().all(|r| r.is_some_and(|r| right.contains(&r)));
                    prop_assert!(
                        fine,
                        "{name}, {row:?}: host and model choose {found:?}, right is {right:?} of {logits:?}"
                    );
                    choices.set(choices.get() + 1);
                    close.set(close.get() + i32::from(right.len() > 1));
                }
            }
            Ok(())
        });
        result.unwrap_or_else(|e| panic!("vocabulary of {vocab}: {e}"));
        let (choices, close) = (choices.get(), close.get());
        println!("vocabulary of {vocab}: {choices} choices, {close} at a border");
        assert!(close * 50 < choices, "{close} of {choices} choices may go either way");
    }
}

#[test]
fn without_settings_the_best_token_is_chosen() {
    let mut twins = selector(300);
    let row = Row { spread: 1.0, ties: false, sampling: Sampling::default() };
    let mut inputs = inputs(&vec![row; 8], 300, 1);
    inputs.remove(SAMPLING);
    let (manifest, all) = twins.all();
    for (name, backend) in all {
        for (tokens, _, chosen) in outcome(backend, manifest, &inputs) {
            assert_eq!(chosen, tokens[0], "{name}");
        }
    }
}

#[test]
fn texts_of_device_and_host_are_the_same() {
    let shape =
        Decoder { hidden: 60, ffn: 110, head_dim: 10, kv_heads: 2, group: 2, layers: 1, vocab: 75, tied: false };
    // Texts of different backends are compared as well, so activations must not be quantized.
    let options = CompileOptions { precision: "f32".into(), ..CompileOptions::default() };
    let mut twins = Twins::compile(&shape.files(3), &options).expect("compiles");
    let (manifest, all) = twins.all();
    let mut plain = manifest.clone();
    plain.entries.iter_mut().for_each(|e| e.outputs.retain(|o| o.name != SAMPLED_TOKEN));
    let sampling = Sampling { temperature: 1.2, top_k: 40, top_p: 0.95, seed: 11, ..Sampling::default() };
    let options = Options { sampling, max_new_tokens: 40, ignore_eos: true, ..Options::default() };
    let mut texts = Vec::new();
    for (_, backend) in all {
        for manifest in [manifest, &plain] {
            let text = generate(backend, manifest, &[5, 6, 7], &options, &mut || 0.0, &mut |_| None).expect("runs");
            texts.push(text.tokens);
        }
    }
    assert_eq!(texts[0].len(), 40);
    assert!(texts.iter().all(|t| *t == texts[0]), "{texts:?}");
}
