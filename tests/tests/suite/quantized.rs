//! Quantized bundles: devices compute what the reference backend computes from the same stored bytes, for every format,
//! block size and kind of block, and for shapes that fill neither tiles nor blocks.

use std::collections::BTreeMap;

use gristmill_compiler::{CompileOptions, KvPrecision};
use gristmill_graph::QuantSpec;
use gristmill_runtime::Tensor;
use gristmill_tests::models::{Decoder, Encoder, Numbers};
use gristmill_tests::twins::{Task, Twins};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};

/// Explained by rounding in a different order; the outer limit is 1e-3.
const TOLERANCE: f64 = 1e-4;

/// f16 caches round: two values that differ in the last bit may become f16 values that differ by a two-thousandth.
const TOLERANCE_HALF_CACHE: f64 = 1e-3;

/// Cases per property; `PROPTEST_CASES` sets a different number.
const CASES: u32 = 10;

fn options(precision: &str, kv: KvPrecision) -> CompileOptions {
    CompileOptions { precision: precision.into(), kv, ..CompileOptions::default() }
}

/// The inputs of a batch whose row `i` starts with `padding[i]` positions of padding.
fn inputs(vocab: usize, tokens: usize, padding: &[usize], seed: u64, positions: bool) -> BTreeMap<String, Tensor> {
    let mut numbers = Numbers::new(seed);
    let shape = [padding.len(), tokens];
    let places = || padding.iter().flat_map(|p| (0..tokens).map(move |t| (t, *p)));
    let ids = places().map(|_| numbers.below(vocab) as i32).collect();
    let mask = places().map(|(t, p)| i32::from(t >= p)).collect();
    let mut all = BTreeMap::from([
        ("input_ids".to_string(), Tensor::i32(shape, ids)),
        ("attention_mask".to_string(), Tensor::i32(shape, mask)),
    ]);
    if positions {
        let positions = places().map(|(t, p)| t.saturating_sub(p) as i32).collect();
        all.insert("position_ids".to_string(), Tensor::i32(shape, positions));
    }
    all
}

const SMALL: Decoder =
    Decoder { hidden: 110, ffn: 200, head_dim: 12, kv_heads: 2, group: 2, layers: 1, vocab: 75, tied: false };

#[test]
fn every_format() {
    let precisions: Vec<String> =
        ["f16".to_string()].into_iter().chain(QuantSpec::all().map(|s| s.to_string())).collect();
    let check = |precision: &str| -> Result<f64, String> {
        let mut twins = Twins::compile(&SMALL.files(1), &options(precision, KvPrecision::F32))?;
        let stored: Vec<&str> = twins.manifest.tensors.iter().map(|t| t.precision.as_str()).collect();
        if !stored.contains(&precision) {
            return Err(format!("stored as {stored:?}"));
        }
        let padding = vec![0, 3];
        let inputs = inputs(SMALL.vocab, 7, &padding, 2, true);
        twins.check(&Task { inputs, greedy: Some(4), padding, tolerance: TOLERANCE })
    };
    // Two at a time: drivers compile on one thread each.
    let (left, right) = precisions.split_at(precisions.len() / 2);
    let all = |part: &[String]| part.iter().map(|p| (p.clone(), check(p))).collect::<Vec<_>>();
    let results = std::thread::scope(|s| {
        let other = s.spawn(|| all(right));
        let mut results = all(left);
        results.extend(other.join().expect("no panic"));
        results
    });
    let mut wrong = Vec::new();
    for (precision, result) in results {
        match result {
            Ok(error) => println!("{precision}: {error:.1e}"),
            Err(e) => wrong.push(format!("{precision}: {e}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn precision() -> impl Strategy<Value = String> {
    let quantized = prop::sample::select(QuantSpec::all().map(|s| s.to_string()).collect::<Vec<_>>());
    prop_oneof![1 => Just("f16".to_string()), 8 => quantized]
}

fn width() -> impl Strategy<Value = usize> {
    prop::sample::select(&[54usize, 60, 72, 110, 200])
}

fn decoder() -> impl Strategy<Value = Decoder> {
    let head_dim = prop::sample::select(&[6usize, 10, 12, 16, 18, 24, 34]);
    let heads = (1..=3usize, 1..=4usize);
    let parts = (width(), width(), head_dim, heads, 1..=2usize, 37..=150usize, any::<bool>());
    parts.prop_map(|(hidden, ffn, head_dim, (kv_heads, group), layers, vocab, tied)| Decoder {
        hidden,
        ffn,
        head_dim,
        kv_heads,
        group,
        layers,
        vocab,
        tied,
    })
}

fn encoder() -> impl Strategy<Value = Encoder> {
    let widths = prop::sample::select(&[(54usize, 3usize), (60, 4), (72, 6), (110, 5), (110, 2), (200, 8)]);
    (widths, width(), 1..=2usize, 37..=150usize).prop_map(|((hidden, heads), ffn, layers, vocab)| Encoder {
        hidden,
        heads,
        ffn,
        layers,
        vocab,
    })
}

/// Tokens per row, and the number of padding tokens in each.
fn batch() -> impl Strategy<Value = (usize, Vec<usize>)> {
    (1..=19usize).prop_flat_map(|tokens| (Just(tokens), prop::collection::vec(0..tokens, 1..=3)))
}

/// Draws the same cases in every run, so that failures are reproducible.
fn runner() -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let algorithm = config.rng_algorithm;
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm))
}

#[test]
fn decoders() {
    let kv = prop::sample::select(&[KvPrecision::F32, KvPrecision::F16]);
    let strategy = (decoder(), precision(), kv, batch(), any::<bool>(), any::<u64>());
    let result = runner().run(&strategy, |(shape, precision, kv, (tokens, padding), positions, seed)| {
        let mut twins = Twins::compile(&shape.files(seed), &options(&precision, kv)).map_err(TestCaseError::fail)?;
        let inputs = inputs(shape.vocab, tokens, &padding, seed ^ 1, positions);
        let tolerance = if kv == KvPrecision::F32 { TOLERANCE } else { TOLERANCE_HALF_CACHE };
        let error = twins.check(&Task { inputs, greedy: Some(5), padding, tolerance });
        let error = error.map_err(TestCaseError::fail)?;
        println!("{precision} {shape:?}: {error:.1e}");
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
}

#[test]
fn encoders() {
    let strategy = (encoder(), precision(), batch(), any::<u64>());
    let result = runner().run(&strategy, |(shape, precision, (tokens, padding), seed)| {
        let options = options(&precision, KvPrecision::F32);
        let mut twins = Twins::compile(&shape.files(seed), &options).map_err(TestCaseError::fail)?;
        let inputs = inputs(shape.vocab, tokens, &padding, seed ^ 1, false);
        // Every position sees the real tokens, so that padding has comparable values, too.
        let padding = vec![0; padding.len()];
        let error = twins.check(&Task { inputs, greedy: None, padding, tolerance: TOLERANCE });
        let error = error.map_err(TestCaseError::fail)?;
        println!("{precision} {shape:?}: {error:.1e}");
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
}
