//! Audio: features and transcripts on all devices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_bundle::{Bundle, Fallback, Manifest, TaskOutput, Timestamps};
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::blocking::{self, run_tensors};
use gristmill_runtime::choices::Choices;
use gristmill_runtime::generate::{Options, Stop};
use gristmill_runtime::sample::Sampling;
use gristmill_runtime::speech::rules::{ALLOWED, Rules};
use gristmill_runtime::task::audio_input;
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::transcribe::{Granularity, Segment, Transcribed, Transcript, timestamps};
use gristmill_runtime::{Backend, Tensor};
use gristmill_tests::devices::{self, Device};
use gristmill_tests::goldens::{Case, load_tensors, root};
use gristmill_tests::models::ModelFiles;
use gristmill_tests::speech;
use gristmill_tests::twins::Twins;

fn bundle(model: &Path, out: &Path) -> Arc<Bundle> {
    let options = CompileOptions { precision: "f32".into(), targets: devices::targets(), ..CompileOptions::default() };
    compile(model, out, &options, &Quiet).expect("it compiles");
    Arc::new(Bundle::open(out).expect("a bundle"))
}

/// The audio files that the inputs of a run were made from.
fn waveforms(case: &Case) -> Vec<Vec<f32>> {
    let kept = load_tensors(&case.dir.join("main/inputs.safetensors"));
    let lengths = kept["ref.waveform_length"].as_i32().expect("lengths").to_vec();
    let all = &kept["ref.waveform"];
    let rows = all.as_f32().expect("samples").chunks_exact(all.shape[1]);
    rows.zip(lengths).map(|(row, n)| row[..n as usize].to_vec()).collect()
}

/// Log-mel features computed in 64 bits differ from the reference by 1.2e-5; the tolerance in 32 bits is larger.
#[test]
fn features_of_speech() {
    let case = Case::open("whisper/mel80");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&case.model_dir(), &dir.path().join("bundle"));
    let expected = &case.runs()[0].inputs["input_features"];
    let values = expected.as_f32().expect("floats");
    let (_, samples) = audio_input(bundle.manifest()).expect("it takes audio files");
    let padded: Vec<f32> = waveforms(&case)
        .into_iter()
        .flat_map(|mut row| {
            row.resize(samples, 0.0);
            row
        })
        .collect();
    let inputs = BTreeMap::from([("samples".to_string(), Tensor::f32([expected.shape[0], samples], padded))]);
    for device in &mut devices::open(&bundle).expect("devices") {
        let found = run_tensors(device.backend.as_mut(), bundle.manifest(), &inputs, &TensorRun::default());
        let found = found.unwrap_or_else(|e| panic!("{}: {e}", device.name)).remove("features").expect("features");
        assert_eq!(found.shape, expected.shape);
        let errors = found.as_f32().expect("floats").iter().zip(values).map(|(a, b)| f64::from((a - b).abs()));
        let (worst, squares) = errors.fold((0.0, 0.0), |(worst, sum), e| (f64::max(worst, e), sum + e * e));
        let rms = (squares / values.len() as f64).sqrt();
        println!("{}: worst {worst:.1e}, rms {rms:.1e}", device.name);
        assert!(worst < 1e-3 && rms < 1e-4, "{}: worst {worst:.1e}, rms {rms:.1e}", device.name);
    }
}

/// A transcript without text: its tokens.
fn written(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    samples: &[f32],
    wish: &Choices,
    options: &Options,
) -> Transcribed {
    let audio = Audio::new(speech::RATE, samples.to_vec()).expect("an audio file");
    let text = |ids: &[u32]| Ok(ids.iter().map(|id| format!(" {id}")).collect());
    let mut transcript = Transcript::new(manifest, audio, wish, None, text, options, &[]).expect("it transcribes");
    let mut said = String::new();
    let mut callbacks =
        Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |piece| said.push_str(piece) };
    let result = blocking::transcribe(backend, manifest, &mut transcript, &mut callbacks).expect("a transcript");
    assert_eq!(said, result.text, "pieces are the text");
    result
}

/// From samples to tokens, one file at a time: the same result as the reference gets in a batch from its own features.
/// The concatenation of both files is transcribed in two windows.
#[test]
fn speech_is_written() {
    let case = Case::open("whisper/mel80");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&case.model_dir(), &dir.path().join("bundle"));
    let manifest = bundle.manifest();
    assert_eq!(manifest.model.decoder_start_tokens, case.runs()[0].start());
    let golden = &case.runs()[0].outputs["greedy.tokens"];
    let steps = golden.shape[1];
    let tokens: Vec<u32> = golden.as_i32().expect("tokens").iter().map(|t| *t as u32).collect();
    let options = Options { max_new_tokens: steps as u32, ignore_eos: true, ..Options::default() };
    let mut all = waveforms(&case);
    let (_, most) = audio_input(manifest).expect("it takes audio files");
    all[0].resize(most, 0.0);
    for device in &mut devices::open(&bundle).expect("devices") {
        let backend = device.backend.as_mut();
        for (row, samples) in all.iter().enumerate() {
            let transcript = written(backend, manifest, samples, &Choices::new(), &options);
            assert_eq!(transcript.segments[0].tokens, tokens[row * steps..][..steps], "{} row {row}", device.name);
            assert_eq!(transcript.text.split_whitespace().count(), steps);
            assert_eq!(transcript.stop, Stop::MaxTokens);
        }
        let transcript = written(backend, manifest, &all.concat(), &Choices::new(), &options);
        let parts: Vec<u32> = transcript.segments.iter().flat_map(|s| s.tokens.clone()).collect();
        assert_eq!(parts, tokens, "{}", device.name);
        assert_eq!((transcript.segments[0].end, transcript.segments[1].start), (1.0, 1.0));
    }
}

/// Languages, tasks and suppressed tokens, compared with `generate` of the reference.
#[test]
fn speech_is_written_as_published_settings_want_it() {
    let case = Case::open("whisper/published");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&case.model_dir(), &dir.path().join("bundle"));
    let manifest = bundle.manifest();
    assert_eq!(manifest.model.decoder_start_tokens, case.runs()[0].start());
    let audio = waveforms(&case);
    let mut devices = devices::open(&bundle).expect("devices");
    let reference =
        ReferenceBackend::open(Bundle::open(dir.path().join("bundle")).expect("a bundle")).expect("a reference");
    devices.push(Device { name: "reference".into(), backend: Box::new(reference), rounds: false });
    for device in &mut devices {
        for (expected, greedy) in case.transcripts().into_iter().zip([true, false].into_iter().cycle()) {
            let place = format!("{} {expected:?}", device.name);
            let wish: Choices = expected.wish.into_iter().collect();
            // Sampling from a single candidate is greedy too, but takes a different path on the device.
            let sampling = Sampling { temperature: 1.0, top_k: 1, ..Sampling::default() };
            let sampling = if greedy { Sampling::default() } else { sampling };
            let options = Options { max_new_tokens: 9, sampling, ..Options::default() };
            let transcript = written(device.backend.as_mut(), manifest, &audio[expected.row], &wish, &options);
            assert_eq!(transcript.segments[0].tokens, expected.tokens, "{place}");
            let language = &manifest.model.choices[0].values[&transcript.choices["language"]];
            if !wish.contains_key("language") {
                assert_eq!(*language, expected.detected, "{place}");
            }
            wish.iter().for_each(|(name, word)| assert_eq!(transcript.choices[name], *word, "{place}"));
        }
    }
}

/// Models that output one letter per frame (CTC).
#[test]
fn speech_is_collapsed() {
    let case = Case::open("wav2vec2/ctc_layer_norm");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let model = dir.path().join("model");
    std::fs::create_dir(&model).expect("a directory");
    for entry in std::fs::read_dir(case.model_dir()).expect("a model directory").flatten() {
        std::fs::copy(entry.path(), model.join(entry.file_name())).expect("a copy");
    }
    let golden = &case.runs()[0].outputs["argmax_ids"];
    let (mask, ids) = (&case.runs()[0].outputs["frame_mask"], golden.as_i32().expect("tokens"));
    // Every token except the blank is a letter.
    let letter = |id: i32| if id == 0 { "<pad>".into() } else { char::from(b'A' - 1 + id as u8).to_string() };
    let most = *ids.iter().max().expect("tokens");
    let table: serde_json::Map<String, serde_json::Value> = (0..=most).map(|id| (letter(id), id.into())).collect();
    std::fs::write(model.join("vocab.json"), serde_json::to_vec(&table).expect("JSON")).expect("written");

    let bundle = bundle(&model, &dir.path().join("bundle"));
    let frames = golden.shape[1];
    let given = &case.runs()[0].inputs;
    let (samples, lengths) = (&given["input_values"], given["attention_mask"].as_i32().expect("a mask"));
    let width = samples.shape[1];
    for device in &mut devices::open(&bundle).expect("devices") {
        for row in 0..golden.shape[0] {
            let count = lengths[row * width..][..width].iter().sum::<i32>() as usize;
            let own = samples.as_f32().expect("samples")[row * width..][..count].to_vec();
            let (backend, options) = (device.backend.as_mut(), Options::default());
            let transcript = written(backend, bundle.manifest(), &own, &Choices::new(), &options);
            let valid = mask.as_i32().expect("a mask")[row * frames..][..frames].iter().sum::<i32>() as usize;
            let mut collapsed = ids[row * frames..][..valid].to_vec();
            collapsed.dedup();
            let text: String = collapsed.into_iter().filter(|id| *id != 0).map(letter).collect();
            assert_eq!(transcript.text, text, "{} row {row}", device.name);
        }
    }
}

/// The reference results for an audio file and for logits: `tests/goldens/timestamps.py`.
fn timed() -> (PathBuf, serde_json::Value) {
    let place = root().join("tests/fixtures/timestamps");
    let meta = std::fs::read(place.join("meta.json")).expect("a file");
    (place, serde_json::from_slice(&meta).expect("JSON"))
}

/// The segments of a transcript: start, end, tokens, and words if they were requested.
type Spoken = Vec<(f64, f64, Vec<u32>, Vec<(f64, f64)>)>;

/// The same for the reference. Its times may exceed the end of the audio, and its tokens include timestamps.
fn reference(told: &serde_json::Value, end: f64, first: u64, words: bool) -> Spoken {
    let seconds = |v: &serde_json::Value| v.as_f64().expect("seconds").min(end);
    let segment = |s: &serde_json::Value| {
        let all = s["tokens"].as_array().expect("tokens").iter().map(|t| t.as_u64().expect("a token"));
        let tokens: Vec<(usize, u64)> = all.enumerate().filter(|(_, token)| *token < first).collect();
        // A word here is a token, and starts where the previous one ends.
        let word = |(at, _): &(usize, u64)| (seconds(&s["times"][at - 1]), seconds(&s["times"][*at]));
        let words = if words { tokens.iter().map(word).collect() } else { Vec::new() };
        (seconds(&s["start"]), seconds(&s["end"]), tokens.iter().map(|(_, t)| *t as u32).collect(), words)
    };
    told.as_array().expect("segments").iter().map(segment).collect()
}

/// Windows start at the end of the last segment, segments and words have the times of the reference, and a window may
/// continue the text of the previous ones.
#[test]
fn long_speech_is_written_with_times() {
    let (place, meta) = timed();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&place.join("model"), &dir.path().join("bundle"));
    let samples = load_tensors(&place.join("recording.safetensors"))["waveform"].as_f32().expect("samples").to_vec();
    let end = samples.len() as f64 / f64::from(speech::RATE);
    let wish = Choices::from([("language".to_string(), "de".to_string())]);
    let most = meta["new_tokens"].as_u64().expect("a number") as u32;
    let options = Options { max_new_tokens: most, ..Options::default() };
    let marked = timestamps(bundle.manifest()).expect("it marks times").clone();
    let mut conditioned = bundle.manifest().clone();
    for task in conditioned.entries.iter_mut().filter_map(|e| e.task.as_mut()) {
        if let TaskOutput::Seq2Seq { timestamps: Some(timestamps), .. } = &mut task.output {
            timestamps.fallback.previous_text = true;
        }
    }
    for (place, device) in devices::open(&bundle).expect("devices").iter_mut().enumerate() {
        let runs = [
            ("plain", bundle.manifest(), Some(Granularity::Word)),
            ("plain", bundle.manifest(), None),
            ("conditioned", &conditioned, Some(Granularity::Segment)),
        ];
        // Differences between these runs do not depend on the device.
        for (name, manifest, times) in runs.into_iter().take(if place == 0 { 3 } else { 1 }) {
            let audio = Audio::new(speech::RATE, samples.clone()).expect("an audio file");
            let text = |ids: &[u32]| Ok(ids.iter().map(|id| format!(" {id}")).collect());
            let transcript = Transcript::new(manifest, audio, &wish, times, text, &options, &[]);
            let (mut said, mut seen) = (String::new(), Vec::new());
            let mut transcript = transcript.expect("it transcribes");
            transcript.observe(|segment| seen.push(segment.clone()));
            let mut callbacks =
                Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |piece| said.push_str(piece) };
            let result = blocking::transcribe(device.backend.as_mut(), manifest, &mut transcript, &mut callbacks);
            let result = result.unwrap_or_else(|e| panic!("{}: {e}", device.name));
            drop(transcript);
            assert_eq!((&said, &seen), (&result.text, &result.segments), "what is given on the way is the result");
            let words = |s: &Segment| -> Vec<(f64, f64)> { s.words.iter().map(|w| (w.start, w.end)).collect() };
            let found: Spoken = result.segments.iter().map(|s| (s.start, s.end, s.tokens.clone(), words(s))).collect();
            let expected = reference(&meta[name], end, u64::from(marked.first), times == Some(Granularity::Word));
            let rounded = |all: Spoken| {
                let tenths = |seconds: f64| (seconds * 1e4).round() as i64;
                let both = |(a, b): (f64, f64)| (tenths(a), tenths(b));
                let one = |(start, end, tokens, words): (f64, f64, Vec<u32>, Vec<(f64, f64)>)| {
                    (both((start, end)), tokens, words.into_iter().map(both).collect::<Vec<_>>())
                };
                all.into_iter().map(one).collect::<Vec<_>>()
            };
            assert_eq!(rounded(found), rounded(expected), "{} {name} {times:?}", device.name);
        }
    }
}

/// Maps logits to the choice of `WhisperTimeStampLogitsProcessor` of transformers.
const RULES: &str = r#"Architecture(
    doc: "The end of a model that marks times.",
    classes: ["Timer"],
    config: ["vocab = config.vocab_size", "first = config.first"],
    symbols: {"B": "1, 64"},
    inputs: {"logits": (dtype: F32, shape: "B, vocab"), "allowed_tokens": (dtype: F32, shape: "B, 3")},
    body: [
        Let("timed = timed(logits, allowed_tokens, first)"),
        Let("best = top_k(timed, 64)"),
        Output("timed_tokens", "best"),
        Output("timed_logits", "take_last(timed, best)"),
        Output("timed_total", "log_sum_exp(timed)"),
    ],
    entries: {"forward": (outputs: ["timed_tokens", "timed_logits", "timed_total"], role: Tensors)},
)"#;

#[test]
fn times_follow_the_rules() {
    let (_, meta) = timed();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (model, arch) = (dir.path().join("model"), dir.path().join("timer.ron"));
    std::fs::write(&arch, RULES).expect("a file");
    let cases = meta["rules"].as_array().expect("cases");
    let logits = |case: &serde_json::Value| -> Vec<f32> {
        case["logits"].as_array().expect("logits").iter().map(|x| x.as_f64().expect("a number") as f32).collect()
    };
    let vocab = logits(&cases[0]).len();
    let config = serde_json::json!({ "architectures": ["Timer"], "vocab_size": vocab, "first": 111 });
    ModelFiles { config, tensors: Vec::new() }.write(&model);
    let options = CompileOptions { arch: Some(arch), targets: devices::targets(), ..CompileOptions::default() };
    compile(&model, &dir.path().join("bundle"), &options, &Quiet).expect("it compiles");
    let mut twins = Twins::open(&dir.path().join("bundle")).expect("it opens");
    let (manifest, all) = twins.all();
    let timestamps = rules_of_the_reference();
    for (name, backend) in all {
        for case in cases {
            let mut rules = Rules::new(&timestamps);
            let tokens = case["tokens"].as_array().expect("tokens").iter().map(|t| t.as_u64().expect("a token"));
            tokens.for_each(|token| rules.push(token as u32));
            let given = Tensor::f32([1, vocab], logits(case));
            let inputs = BTreeMap::from([("logits".to_string(), given), (ALLOWED.to_string(), rules.tensor())]);
            let found = run_tensors(backend, manifest, &inputs, &TensorRun::default()).expect("it runs");
            let best = i64::from(found["timed_tokens"].as_i32().expect("tokens")[0]);
            assert_eq!(Some(best), case["best"].as_i64(), "{name} {}", case["tokens"]);
            let floats = |output: &str| found[output].as_f32().expect("floats")[0];
            let expected = case["log_probability"].as_f64().expect("a number") as f32;
            let off = floats("timed_logits") - floats("timed_total") - expected;
            assert!(off.abs() < 1e-4, "{name} {}: {off}", case["tokens"]);
        }
    }
}

/// The rules in `tests/goldens/timestamps.py`.
fn rules_of_the_reference() -> Timestamps {
    let fallback = Fallback {
        temperatures: vec![0.0],
        log_probability: -1.0,
        compression_ratio: 2.4,
        no_speech: 0.6,
        previous_text: false,
    };
    let (previous, max_initial) = (None, Some(10));
    Timestamps { step: 320, first: 111, none: 110, end: 2, no_speech: 109, previous, max_initial, median: 7, fallback }
}

/// Requests that a model does not support are rejected by name.
#[test]
fn times_that_a_model_does_not_mark_are_refused() {
    let (place, _) = timed();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let fail = |model: &Path, times| {
        let bundle = bundle(model, &dir.path().join("bundle"));
        let audio = Audio::new(speech::RATE, vec![0.0; 800]).expect("an audio file");
        let text = |_: &[u32]| Ok(String::new());
        let made =
            Transcript::new(bundle.manifest(), audio, &Choices::new(), Some(times), text, &Options::default(), &[]);
        made.map(|_| ()).expect_err("it cannot").to_string()
    };
    let none = fail(&Case::open("whisper/published").model_dir(), Granularity::Segment);
    assert!(none.contains("no_timestamps_token_id"), "{none}");
    let model = dir.path().join("model");
    speech::copy(&place.join("model"), &model);
    let settings = model.join("generation_config.json");
    let text = std::fs::read_to_string(&settings).expect("settings").replace("alignment_heads", "other_heads");
    std::fs::write(&settings, text).expect("written");
    let words = fail(&model, Granularity::Word);
    assert!(words.contains("alignment_heads"), "{words}");
}
