//! Entries for parts of a model run on their own inputs, and compute the same as the whole model.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_bundle::{Bundle, EntryRole};
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::{run, run_tensors};
use gristmill_runtime::embedding::Embedder;
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::tokenizer::Tokenizer;
use gristmill_runtime::{Backend, Tensor};
use gristmill_tests::backends::{to_golden, to_runtime};
use gristmill_tests::devices;
use gristmill_tests::goldens::{Case, TOLERANCE};
use gristmill_tests::sentences::{SentenceModel, models};

/// An entry, its inputs, and its output.
type Tower = (&'static str, &'static [&'static str], &'static str);

/// Runs the towers of a golden model separately on all devices.
fn check(case: &str, towers: &[Tower]) {
    let case = Case::open(case);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().join("bundle");
    let options = CompileOptions { precision: "f32".into(), targets: devices::targets(), ..CompileOptions::default() };
    compile(&case.model_dir(), &out, &options, &Quiet).expect("it compiles");
    let bundle = Arc::new(Bundle::open(&out).expect("a bundle"));
    let run = &case.runs()[0];
    for device in &mut devices::open(&bundle).expect("devices") {
        for (entry, given, expected) in towers {
            let inputs = given.iter().map(|n| (n.to_string(), to_runtime(&run.inputs[*n]))).collect();
            // The entry for the whole model has these inputs as well, but needs more.
            let what = TensorRun::default();
            let found = run_tensors(device.backend.as_mut(), bundle.manifest(), &inputs, &what);
            let found = found.unwrap_or_else(|e| panic!("{} {entry}: {e}", device.name));
            let found: BTreeMap<_, _> = found.iter().map(|(n, t)| (n.clone(), to_golden(t))).collect();
            assert_eq!(found.keys().collect::<Vec<_>>(), [expected], "{} {entry}", device.name);
            let judged = run.judge(&found);
            assert!(judged[0].error < TOLERANCE, "{} {entry}: {:?}", device.name, judged[0]);
        }
    }
}

#[test]
fn towers_of_texts_and_images() {
    check(
        "clip/eos_first",
        &[
            ("text_features", &["input_ids", "attention_mask"], "text_embeds"),
            ("image_features", &["pixel_values"], "image_embeds"),
        ],
    );
}

#[test]
fn towers_of_texts_audio_and_videos() {
    check(
        "clap/fused",
        &[
            ("text_features", &["input_ids", "attention_mask"], "text_embeds"),
            ("audio_features", &["input_features", "is_longer"], "audio_embeds"),
        ],
    );
    check("xclip/base", &[("video_features", &["pixel_values"], "video_embeds")]);
}

/// A model with image inputs continues a text without images, which their default value makes possible.
#[test]
fn a_prompt_needs_no_image() {
    let case = Case::open("llava/base");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().join("bundle");
    let options = CompileOptions { precision: "f32".into(), targets: devices::targets(), ..CompileOptions::default() };
    compile(&case.model_dir(), &out, &options, &Quiet).expect("it compiles");
    let bundle = Arc::new(Bundle::open(&out).expect("a bundle"));
    let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32([1, 5], vec![1, 70, 14, 9, 200]))]);
    for device in &mut devices::open(&bundle).expect("devices") {
        let what = TensorRun { greedy: Some(2), ..TensorRun::default() };
        let found = run_tensors(device.backend.as_mut(), bundle.manifest(), &inputs, &what);
        let found = found.unwrap_or_else(|e| panic!("{}: {e}", device.name));
        let (all, decoded) =
            (found["logits"].as_f32().expect("floats"), found["greedy.logits"].as_f32().expect("floats"));
        let vocabulary = decoded.len() / 2;
        for (a, b) in all[4 * vocabulary..].iter().zip(decoded) {
            assert!((a - b).abs() < 1e-4, "{}: {a} and {b}", device.name);
        }
    }
}

/// The components of a golden model, and the entries that need each, according to the bundle. Reading programs checks
/// that they bind weights of no other component.
fn components(case: &str) -> Vec<String> {
    let case = Case::open(case);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().join("bundle");
    let options = CompileOptions { targets: vec!["wasm".into()], ..CompileOptions::default() };
    compile(&case.model_dir(), &out, &options, &Quiet).expect("it compiles");
    let bundle = Bundle::open(&out).expect("a bundle");
    bundle.programs("wasm").expect("programs");
    let manifest = bundle.manifest();
    let users = |c: u32| {
        let needing = manifest.entries.iter().filter(|e| e.role != EntryRole::Taps && e.components.contains(&c));
        needing.map(|e| e.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    manifest.components.iter().zip(0..).map(|(component, i)| format!("{}: {}", component.name, users(i))).collect()
}

#[test]
fn entries_need_the_components_that_they_compute_with() {
    let cases: [(&str, &[&str]); 7] = [
        ("bert/base", &["model: forward embed"]),
        ("clip/eos_first", &["vision_tower: forward image_features", "text_tower: forward text_features"]),
        ("clap/fused", &["audio_tower: forward audio_features", "text_tower: forward text_features"]),
        (
            "llava/base",
            &[
                "vision_tower: forward image_features encode",
                "projector: forward image_features encode",
                "language_model: forward prefill decode",
            ],
        ),
        (
            "qwen2_vl/rows",
            &[
                "vision_tower: forward image_features encode",
                "projector: forward image_features encode",
                "language_model: forward prefill decode",
            ],
        ),
        (
            "t5/v1_0",
            &["shared: forward encode prefill decode", "encoder: forward encode", "decoder: forward prefill decode"],
        ),
        ("whisper/mel80", &["encoder: forward encode", "decoder: forward prefill decode"]),
    ];
    let mut wrong = Vec::new();
    for (case, expected) in cases {
        let found = components(case);
        if found != expected {
            wrong.push(format!("{case}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The largest difference between two vectors, relative to the largest expected value.
fn difference(expected: &[f32], found: &[f32]) -> f32 {
    assert_eq!(expected.len(), found.len(), "numbers of a vector");
    let most = expected.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
    let worst = expected.iter().zip(found).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, |all: f32, d| if d.is_nan() { f32::INFINITY } else { all.max(d / most) })
}

/// Runs a device on the texts and tokens of a model. Returns the differences found.
fn embeds(model: &SentenceModel, bundle: &Bundle, device: &mut dyn Backend) -> Vec<String> {
    let embedder = Embedder::of(bundle.manifest()).expect("it embeds");
    let tokenizer = Tokenizer::from_bundle(bundle).expect("a tokenizer");
    let mut wrong = Vec::new();
    for text in &model.texts {
        let prompt = embedder.prompt(text.prompt.as_deref()).expect("a prompt");
        let request = embedder.text(&tokenizer, prompt, &text.text).expect("tokens");
        assert_eq!(request.inputs["input_ids"].as_i32(), Some(text.ids.as_slice()), "{}: {text:?}", model.name);
        let left_out = request.inputs.get("pooling_mask").and_then(Tensor::as_i32).unwrap_or_default();
        assert_eq!(left_out.iter().filter(|c| **c == 0).count(), text.left_out, "{}: {text:?}", model.name);
        let found = run(device, &request.entry, &request.inputs, 0, &[]).expect("a vector");
        let error = difference(&text.vector, found[embedder.output()].as_f32().expect("floats"));
        if error > 1e-4 {
            wrong.push(format!("{:?} {:?}: off by {error}", text.prompt, text.text));
        }
    }
    for (side, batch) in ["right", "left"].into_iter().zip(&model.batches) {
        let rows = batch.vectors.len();
        let tensor = |values: &Vec<i32>| Tensor::i32([rows, values.len() / rows], values.clone());
        let (ids, mask) = (tensor(&batch.ids), tensor(&batch.mask));
        let inputs = BTreeMap::from([("input_ids".to_string(), ids), ("attention_mask".to_string(), mask)]);
        let found = run(device, "embed", &inputs, 0, &[]).expect("vectors");
        let error = difference(&batch.vectors.concat(), found[embedder.output()].as_f32().expect("floats"));
        if error > 1e-4 {
            wrong.push(format!("padding on the {side}: off by {error}"));
        }
    }
    wrong
}

/// The models to run on all devices: those with the most kinds of modules. The others run on one.
const EVERYWHERE: [&str; 4] = ["several_names", "residual", "prompt_left_out", "last_token"];

#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let mut wrong = Vec::new();
    for model in models() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (from, out) = (dir.path().join("model"), dir.path().join("bundle"));
        model.write(&from);
        let everywhere = EVERYWHERE.contains(&model.name.as_str());
        let targets = if everywhere { devices::targets() } else { vec!["wasm".to_string()] };
        let options = CompileOptions { precision: "f32".into(), targets, ..CompileOptions::default() };
        let report = compile(&from, &out, &options, &Quiet).unwrap_or_else(|e| panic!("{}: {e}", model.name));
        // Some golden models have a head or a decoder that embedding models lack.
        let warnings: Vec<&String> = report.warnings.iter().filter(|w| !w.contains("not used")).collect();
        assert!(warnings.is_empty(), "{}: {warnings:?}", model.name);
        let bundle = Arc::new(Bundle::open(&out).expect("a bundle"));
        let most = bundle.manifest().model.embedding.as_ref().expect("settings").max_tokens;
        assert_eq!(u64::from(most), model.max_tokens.min(2048), "{}: tokens of a text", model.name);
        let mut devices = match everywhere {
            true => devices::open(&bundle).expect("devices"),
            false => vec![devices::wasm(&bundle, false, 1).expect("a device")],
        };
        for device in &mut devices {
            let found = embeds(&model, &bundle, device.backend.as_mut());
            wrong.extend(found.into_iter().map(|w| format!("{} {}: {w}", model.name, device.name)));
        }
        let mut reference = ReferenceBackend::open(Bundle::open(&out).expect("a bundle")).expect("a graph");
        let found = embeds(&model, &bundle, &mut reference);
        wrong.extend(found.into_iter().map(|w| format!("{} reference: {w}", model.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
