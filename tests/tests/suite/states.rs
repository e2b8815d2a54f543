//! Models with several kinds of states, on all devices: calls in chunks, in padded batches, and after going back to
//! fewer tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Ring, StateKind};
use gristmill_compiler::{CompileOptions, KvPrecision, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::{begin, generate, run};
use gristmill_runtime::generate::Options;
use gristmill_runtime::{Backend, Tensor, Tensors};
use gristmill_tests::backends::{compiled, options, to_runtime};
use gristmill_tests::devices;
use gristmill_tests::goldens::{Case, TOLERANCE};

/// Calls `check` for a case of the golden model, on each device and on the reference backend.
fn on_all(name: &str, check: impl Fn(&Case, &Bundle, &mut dyn Backend, &str)) {
    let case = Case::open(name);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = compiled(&case, &options(&case), dir.path()).expect("compiles");
    for device in &mut devices::open(&bundle).expect("devices") {
        check(&case, &bundle, device.backend.as_mut(), &device.name);
    }
    let again = Bundle::open(dir.path().join("bundle")).expect("a bundle");
    check(&case, &bundle, &mut ReferenceBackend::open(again).expect("a graph"), "reference");
}

fn tokens(rows: &[&[i32]]) -> Tensor {
    Tensor::i32([rows.len(), rows[0].len()], rows.concat())
}

/// Processes tokens with their mask. Returns the logits after them, one row per batch row.
fn logits(backend: &mut dyn Backend, entry: &str, ids: Tensor, mask: &[&[i32]], past: u32) -> Vec<f32> {
    let inputs: Tensors =
        BTreeMap::from([("input_ids".to_string(), ids), ("attention_mask".to_string(), tokens(mask))]);
    let outputs = run(backend, entry, &inputs, past, &["next_logits"]).expect("runs");
    outputs["next_logits"].as_f32().expect("floats").to_vec()
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    let mean = expected.iter().sum::<f32>() / expected.len() as f32;
    let std = (expected.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / expected.len() as f32).sqrt();
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert_eq!(found.len(), expected.len(), "{what}");
    assert!(f64::from(worst / std) < TOLERANCE, "{what}: {worst} of {std}");
}

#[test]
fn chunks_leave_what_the_whole_does() {
    for name in ["gated_conv/plain", "gated_conv/mixed"] {
        on_all(name, |case, bundle, backend, device| {
            let golden = case.runs().into_iter().find(|r| r.name == "main").expect("a run");
            let ids = golden.inputs["input_ids"].as_i32().expect("ids").to_vec();
            let expected = golden.outputs["greedy.logits"].as_f32().expect("logits")[..101].to_vec();
            begin(backend, 1, 32).expect("begins");
            for cuts in [vec![13], vec![1, 1, 11], vec![2, 3, 8], vec![12, 1], vec![5, 2, 2, 4]] {
                let (mut past, mut last) = (0, Vec::new());
                for count in &cuts {
                    let end = past + count;
                    let mask = vec![1; end];
                    let entry = if *count == 1 { "decode" } else { "prefill" };
                    last = logits(backend, entry, tokens(&[&ids[past..end]]), &[&mask], past as u32);
                    past = end;
                }
                close(&last, &expected, &format!("{name} {device} {cuts:?}"));
            }
            let prompt: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
            let wanted = Options { max_new_tokens: 16, ..Options::default() };
            let outcome = generate(backend, bundle.manifest(), &prompt, &wanted, &mut || 0.0, &mut |_| None);
            let chosen: Vec<i32> = outcome.expect("generates").tokens.iter().map(|t| *t as i32).collect();
            assert_eq!(chosen, golden.outputs["greedy.tokens"].as_i32().expect("tokens"), "{name} {device}");
        });
    }
}

#[test]
fn padding_enters_no_window() {
    let (long, short) = ([5, 17, 42, 99, 3, 8, 60], [71, 2, 30]);
    let (gap, next) = ([0; 4], [[11], [12]]);
    on_all("gated_conv/mixed", |_, _, backend, device| {
        let mut alone = Vec::new();
        for (row, next) in [(&long[..], next[0]), (&short[..], next[1])] {
            begin(backend, 1, 32).expect("begins");
            logits(backend, "prefill", tokens(&[row]), &[&vec![1; row.len()]], 0);
            let mask = vec![1; row.len() + 1];
            alone.extend(logits(backend, "decode", tokens(&[&next]), &[&mask], row.len() as u32));
        }
        let (ones, zeros) = ([1; 8], [0; 4]);
        for (side, padded, mask) in [
            ("left", [&gap[..], &short].concat(), [&zeros[..], &ones[..4]].concat()),
            ("right", [&short[..], &gap].concat(), [&ones[..3], &zeros, &ones[..1]].concat()),
        ] {
            begin(backend, 2, 32).expect("begins");
            // In one call and in two; in one of these, a row has nothing but padding.
            for cut in [7, 3, 4] {
                let both = |from: usize, to: usize| tokens(&[&long[from..to], &padded[from..to]]);
                logits(backend, "prefill", both(0, cut), &[&ones[..cut], &mask[..cut]], 0);
                if cut < 7 {
                    logits(backend, "prefill", both(cut, 7), &[&ones[..7], &mask[..7]], cut as u32);
                }
                let found = logits(backend, "decode", tokens(&[&next[0], &next[1]]), &[&ones, &mask], 7);
                close(&found, &alone, &format!("{device} {side} {cut}"));
            }
        }
    });
}

#[test]
fn what_is_overwritten_goes_back_to_nothing_only() {
    on_all("gated_conv/plain", |case, bundle, backend, device| {
        let kinds: Vec<StateKind> = bundle.manifest().states.iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [StateKind::Overwritten; 3]);
        begin(backend, 1, 32).expect("begins");
        let first = logits(backend, "prefill", tokens(&[&[5, 6, 7, 8]]), &[&[1; 4]], 0);
        let ids = BTreeMap::from([("input_ids".to_string(), tokens(&[&[9]]))]);
        for past in [3, 5] {
            let told = run(backend, "decode", &ids, past, &[]).expect_err("refused").to_string();
            let expected = format!(
                "`decode` cannot continue after {past} tokens: the state `layers.0.window` is the one after 4; \
                 continue after 4, or start from 0"
            );
            assert_eq!(told, expected, "{} {device}", case.name);
        }
        run(backend, "decode", &ids, 4, &[]).expect("goes on");
        let again = logits(backend, "prefill", tokens(&[&[5, 6, 7, 8]]), &[&[1; 4]], 0);
        assert_eq!(first, again, "{device}");
        let golden = case.runs().into_iter().find(|r| r.name == "len1").expect("a run");
        begin(backend, 2, 32).expect("begins");
        let one = to_runtime(&golden.inputs["input_ids"]);
        let found = logits(backend, "decode", one, &[&[1], &[1]], 0);
        let expected = golden.outputs["logits"].as_f32().expect("logits");
        close(&found, expected, device);
    });
}

/// A layer that reads the keys and values of another layer has no states of its own.
#[test]
fn a_layer_reads_the_states_of_another() {
    let (model, _) = Case::open("gated_conv/mixed").bind();
    let names: Vec<&str> = model.states.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["layers.0.window", "layers.1.key", "layers.1.value", "layers.2.window"]);
}

/// Maximum length of the texts below.
const FAR: u32 = 400;

/// Calls `check` for a model whose windows are smaller than its context, on each device and on the reference backend.
fn on_rings(name: &str, kv: KvPrecision, check: impl Fn(&Bundle, &mut dyn Backend, &str)) {
    let case = Case::open(name);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let model = dir.path().join("model");
    case.write_for(FAR, &model);
    let out = dir.path().join("bundle");
    let options = CompileOptions { kv, ..options(&case) };
    compile(&model, &out, &options, &Quiet).expect("compiles");
    let bundle = Arc::new(Bundle::open(&out).expect("a bundle"));
    for device in &mut devices::open(&bundle).expect("devices") {
        check(&bundle, device.backend.as_mut(), &format!("{name} {}", device.name));
    }
    let again = Bundle::open(&out).expect("a bundle");
    check(&bundle, &mut ReferenceBackend::open(again).expect("a graph"), &format!("{name} reference"));
}

/// Some token ids below 90.
fn text(length: usize) -> Vec<i32> {
    (0..length as i32).map(|i| (i * i * 31 + i * 17 + 5) % 89 + 1).collect()
}

/// The logits after each token of a text, computed in one call without states.
fn all_at_once(backend: &mut dyn Backend, text: &[i32]) -> Vec<Vec<f32>> {
    let inputs = BTreeMap::from([("input_ids".to_string(), tokens(&[text]))]);
    let outputs = run(backend, "forward", &inputs, 0, &["logits"]).expect("runs");
    let all = outputs["logits"].as_f32().expect("floats");
    all.chunks(all.len() / text.len()).map(<[f32]>::to_vec).collect()
}

/// Like [`logits`], with an entry that fits the number of tokens.
fn go_on(backend: &mut dyn Backend, rows: &[&[i32]], mask: &[&[i32]], past: usize) -> Vec<f32> {
    let entry = if rows[0].len() == 1 { "decode" } else { "prefill" };
    logits(backend, entry, tokens(rows), mask, past as u32)
}

#[test]
fn a_window_is_a_ring() {
    let models = [
        ("mistral/sliding", KvPrecision::F32, 7, 3),
        ("mistral/sliding", KvPrecision::F16, 7, 3),
        ("gemma2/softcap", KvPrecision::F32, 6, 2),
        ("gemma3/text", KvPrecision::F32, 5, 3),
        ("qwen2/mixed_window", KvPrecision::F32, 4, 2),
    ];
    for (name, kv, window, near) in models {
        on_rings(name, kv, |bundle, backend, device| {
            let rows = window + 127;
            let rings = bundle.manifest().states.iter().filter(|s| {
                let is_ring = matches!(s.kind, StateKind::Appended { ring: Some(r), .. } if r == Ring { window, rows });
                let size = if is_ring { format!("min(C, {rows})") } else { "C".to_string() };
                assert_eq!(s.shape[2].to_string(), size, "{device} {}", s.name);
                is_ring
            });
            // Keys and values.
            assert_eq!(rings.count(), 2 * near, "{device}");
            begin(backend, 1, FAR).expect("begins");
            let text = text(300);
            let expected = all_at_once(backend, &text);
            // Chunks that end before, at and after the end of the ring, and the longest chunk at each of these
            // positions.
            for cuts in [vec![128, 100, 1, 1, 30, 40], vec![rows as usize, 128, 1, 1, 128], vec![1, 128, 5, 1, 128, 37]]
            {
                let mut past = 0;
                for count in &cuts {
                    let end = text.len().min(past + count);
                    let found = go_on(backend, &[&text[past..end]], &[&vec![1; end]], past);
                    close_to(&found, &expected[end - 1], kv, &format!("{device} {cuts:?} at {end}"));
                    past = end;
                }
                assert_eq!(past, 300);
            }
            // A hundred tokens one by one, around the ring once more.
            for past in 200..300 {
                let found = go_on(backend, &[&text[past..=past]], &[&vec![1; past + 1]], past);
                close_to(&found, &expected[past], kv, &format!("{device} at {past}"));
            }
        });
    }
}

/// Like [`close`], with a larger tolerance for f16 caches.
fn close_to(found: &[f32], expected: &[f32], kv: KvPrecision, what: &str) {
    match kv {
        KvPrecision::F32 => close(found, expected, what),
        KvPrecision::F16 => {
            let cosine = gristmill_tests::goldens::cosine(found, expected);
            assert!(cosine > 0.9999, "{what}: cosine {cosine}");
        }
    }
}

#[test]
fn a_ring_goes_back_a_little() {
    on_rings("mistral/sliding", KvPrecision::F32, |_, backend, device| {
        begin(backend, 1, FAR).expect("begins");
        let text = text(260);
        let expected = all_at_once(backend, &text);
        let ones = vec![1; 300];
        let mut at = |entry: &str, count: usize, past: usize| -> Result<Vec<f32>, String> {
            let ids = tokens(&[&text[past..past + count]]);
            let inputs = BTreeMap::from([
                ("input_ids".to_string(), ids),
                ("attention_mask".to_string(), tokens(&[&ones[..past + count]])),
            ]);
            let outputs = run(backend, entry, &inputs, past as u32, &["next_logits"]).map_err(|e| e.to_string())?;
            Ok(outputs["next_logits"].as_f32().expect("floats").to_vec())
        };
        assert_eq!(
            at("prefill", 135, 0).expect_err("too long"),
            "`prefill` takes at most 134 tokens after 0 others, found 135: the state `layers.0.key` holds 134 at a \
             time; split the call",
            "{device}"
        );
        for past in [0, 100, 200] {
            at("prefill", if past < 200 { 100 } else { 60 }, past).expect("goes on");
        }
        assert_eq!(
            at("decode", 1, 131).expect_err("lost"),
            "`decode` cannot continue after 131 tokens: the state `layers.0.key` holds the last 134 of 260; continue \
             after at least 132, or start from 0",
            "{device}"
        );
        for past in [200, 132] {
            close(
                &at("prefill", 10, past).expect("goes back"),
                &expected[past + 9],
                &format!("{device} back to {past}"),
            );
        }
        assert!(at("decode", 1, 131).is_err(), "{device}: what the tokens behind took the place of is lost");
        at("prefill", 20, 0).expect("begins anew");
        close(&at("prefill", 3, 10).expect("goes back"), &expected[12], &format!("{device} in a new text"));
        let told = at("forward", 1, 20).expect_err("refused");
        assert!(told.ends_with("expected 0 past tokens, found 20"), "{device}: {told}");
    });
}

#[test]
fn padding_goes_around_with_its_row() {
    on_rings("gemma2/softcap", KvPrecision::F32, |_, backend, device| {
        begin(backend, 2, FAR).expect("begins");
        let (long, short) = (text(240), &text(400)[200..]);
        let expected = [all_at_once(backend, &long), all_at_once(backend, short)];
        let gap = long.len() - short.len();
        let padded = [&vec![0; gap][..], short].concat();
        let (ones, mask) = (vec![1; 240], [vec![0; gap], vec![1; short.len()]].concat());
        let mut past = 0;
        for count in [128, 60, 1, 1, 50] {
            let end = past + count;
            let rows: [&[i32]; 2] = [&long[past..end], &padded[past..end]];
            let found = go_on(backend, &rows, &[&ones[..end], &mask[..end]], past);
            let expected = [&expected[0][end - 1][..], &expected[1][end - gap - 1]].concat();
            close(&found, &expected, &format!("{device} at {end}"));
            past = end;
        }
    });
}

#[test]
fn generation_goes_around_the_ring() {
    on_rings("gemma3/text", KvPrecision::F32, |bundle, backend, device| {
        let prompt: Vec<u32> = text(150).iter().map(|id| *id as u32).collect();
        let wanted = Options { max_new_tokens: 40, ignore_eos: true, ..Options::default() };
        let outcome = generate(backend, bundle.manifest(), &prompt, &wanted, &mut || 0.0, &mut |_| None);
        let chosen = outcome.expect("generates").tokens;
        let whole: Vec<i32> = prompt.iter().chain(&chosen).map(|id| *id as i32).collect();
        begin(backend, 1, FAR).expect("begins");
        let expected = all_at_once(backend, &whole);
        for (i, token) in chosen.iter().enumerate() {
            let scores = &expected[prompt.len() + i - 1];
            let best = scores.iter().copied().fold(f32::MIN, f32::max);
            let spread = best - scores.iter().copied().fold(f32::MAX, f32::min);
            assert!(best - scores[*token as usize] < 1e-4 * spread, "{device}: token {i} is {token}");
        }
        assert_eq!(chosen.len(), 40, "{device}");
    });
}
