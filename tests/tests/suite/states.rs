//! States of models that have several kinds of them, on all devices: what calls leave for one another, in chunks, in
//! padded batches, and when a caller goes back.

use std::collections::BTreeMap;

use gristmill_bundle::{Bundle, StateKind};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::{begin, generate, run};
use gristmill_runtime::generate::Options;
use gristmill_runtime::{Backend, Tensor, Tensors};
use gristmill_tests::backends::{compiled, options, to_runtime};
use gristmill_tests::devices;
use gristmill_tests::goldens::{Case, TOLERANCE};

/// Calls `check` with a case of the golden model on each device and on the reference backend.
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

/// Takes tokens with their mask, and gives the logits that follow them: a row for each of the batch.
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
            // In one call and in two, of which one has padding alone in a row.
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
                "`decode` cannot go on from {past} tokens: the state `layers.0.window` holds what 4 have left, and only \
                 that; go on from 4, or from 0"
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

/// A layer that reads the keys and values of another has no states of its own.
#[test]
fn a_layer_reads_the_states_of_another() {
    let (model, _) = Case::open("gated_conv/mixed").bind();
    let names: Vec<&str> = model.states.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["layers.0.window", "layers.1.key", "layers.1.value", "layers.2.window"]);
}
