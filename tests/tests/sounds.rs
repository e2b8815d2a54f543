//! Recordings: what a model hears, and the text that comes of it, on all devices.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Manifest};
use gristmill_compiler::reference::ReferenceBackend;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_runtime::blocking::{self, run_tensors};
use gristmill_runtime::choices::Choices;
use gristmill_runtime::generate::{Options, Stop};
use gristmill_runtime::sample::Sampling;
use gristmill_runtime::sound::Sound;
use gristmill_runtime::task::hearing;
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::text::Callbacks;
use gristmill_runtime::transcribe::{Transcribed, Transcript};
use gristmill_runtime::{Backend, Tensor};
use gristmill_tests::devices::{self, Device};
use gristmill_tests::goldens::{Case, load_tensors};
use gristmill_tests::speech;

fn bundle(model: &Path, out: &Path) -> Arc<Bundle> {
    let options = CompileOptions { precision: "f32".into(), targets: devices::targets(), ..CompileOptions::default() };
    compile(model, out, &options, &Quiet).expect("it compiles");
    Arc::new(Bundle::open(out).expect("a bundle"))
}

/// The recordings that the inputs of a run were made from.
fn recordings(case: &Case) -> Vec<Vec<f32>> {
    let kept = load_tensors(&case.dir.join("main/inputs.safetensors"));
    let lengths = kept["ref.waveform_length"].as_i32().expect("lengths").to_vec();
    let all = &kept["ref.waveform"];
    let rows = all.as_f32().expect("samples").chunks_exact(all.shape[1]);
    rows.zip(lengths).map(|(row, n)| row[..n as usize].to_vec()).collect()
}

/// Log-mel features in 64 bits differ from those of the reference by 1.2e-5; in 32 bits, more is allowed.
#[test]
fn features_of_speech() {
    let case = Case::open("whisper/mel80");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&case.model_dir(), &dir.path().join("bundle"));
    let expected = &case.runs()[0].inputs["input_features"];
    let values = expected.as_f32().expect("floats");
    let (_, samples) = hearing(bundle.manifest()).expect("it takes recordings");
    let padded: Vec<f32> = recordings(&case)
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
    let sound = Sound::new(speech::RATE, samples.to_vec()).expect("a recording");
    let text = |ids: &[u32]| Ok(ids.iter().map(|id| format!(" {id}")).collect());
    let mut transcript = Transcript::new(manifest, sound, wish, text, options, &[]).expect("it transcribes");
    let mut said = String::new();
    let mut callbacks =
        Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |piece| said.push_str(piece) };
    let heard = blocking::transcribe(backend, manifest, &mut transcript, &mut callbacks).expect("it hears");
    assert_eq!(said, heard.text, "pieces are the text");
    heard
}

/// From samples to tokens, alone: the same as the reference decodes in a batch from its own features. A recording of
/// both is heard in two parts.
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
    let mut all = recordings(&case);
    let (_, most) = hearing(manifest).expect("it takes recordings");
    all[0].resize(most, 0.0);
    for device in &mut devices::open(&bundle).expect("devices") {
        let backend = device.backend.as_mut();
        for (row, samples) in all.iter().enumerate() {
            let heard = written(backend, manifest, samples, &Choices::new(), &options);
            assert_eq!(heard.parts[0].tokens, tokens[row * steps..][..steps], "{} row {row}", device.name);
            assert_eq!(heard.text.split_whitespace().count(), steps);
            assert_eq!(heard.stop, Stop::MaxTokens);
        }
        let heard = written(backend, manifest, &all.concat(), &Choices::new(), &options);
        let parts: Vec<u32> = heard.parts.iter().flat_map(|p| p.tokens.clone()).collect();
        assert_eq!(parts, tokens, "{}", device.name);
        assert_eq!((heard.parts[0].end, heard.parts[1].begin), (1.0, 1.0));
    }
}

/// Languages, tasks and suppressed tokens: what `generate` of the reference makes of the same recordings.
#[test]
fn speech_is_written_as_published_settings_want_it() {
    let case = Case::open("whisper/published");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&case.model_dir(), &dir.path().join("bundle"));
    let manifest = bundle.manifest();
    assert_eq!(manifest.model.decoder_start_tokens, case.runs()[0].start());
    let sounds = recordings(&case);
    let mut devices = devices::open(&bundle).expect("devices");
    let reference =
        ReferenceBackend::open(Bundle::open(dir.path().join("bundle")).expect("a bundle")).expect("a reference");
    devices.push(Device { name: "reference".into(), backend: Box::new(reference), rounds: false });
    for device in &mut devices {
        for (expected, greedy) in case.heard().into_iter().zip([true, false].into_iter().cycle()) {
            let place = format!("{} {expected:?}", device.name);
            let wish: Choices = expected.wish.into_iter().collect();
            // Sampling among one candidate is greedy, too, but another way through the device.
            let sampling = Sampling { temperature: 1.0, top_k: 1, ..Sampling::default() };
            let sampling = if greedy { Sampling::default() } else { sampling };
            let options = Options { max_new_tokens: 9, sampling, ..Options::default() };
            let heard = written(device.backend.as_mut(), manifest, &sounds[expected.row], &wish, &options);
            assert_eq!(heard.parts[0].tokens, expected.tokens, "{place}");
            let language = &manifest.model.choices[0].values[&heard.choices["language"]];
            if !wish.contains_key("language") {
                assert_eq!(*language, expected.detected, "{place}");
            }
            wish.iter().for_each(|(name, word)| assert_eq!(heard.choices[name], *word, "{place}"));
        }
    }
}

/// Letters, for models that say one for each moment.
#[test]
fn speech_is_spelled() {
    let case = Case::open("wav2vec2/ctc_layer_norm");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let model = dir.path().join("model");
    std::fs::create_dir(&model).expect("a directory");
    for entry in std::fs::read_dir(case.model_dir()).expect("a model directory").flatten() {
        std::fs::copy(entry.path(), model.join(entry.file_name())).expect("a copy");
    }
    let golden = &case.runs()[0].outputs["argmax_ids"];
    let (mask, ids) = (&case.runs()[0].outputs["frame_mask"], golden.as_i32().expect("tokens"));
    // Every token but the blank is a letter of its own.
    let letter = |id: i32| if id == 0 { "<pad>".into() } else { char::from(b'A' - 1 + id as u8).to_string() };
    let most = *ids.iter().max().expect("tokens");
    let table: serde_json::Map<String, serde_json::Value> = (0..=most).map(|id| (letter(id), id.into())).collect();
    std::fs::write(model.join("vocab.json"), serde_json::to_vec(&table).expect("JSON")).expect("written");

    let bundle = bundle(&model, &dir.path().join("bundle"));
    let moments = golden.shape[1];
    let given = &case.runs()[0].inputs;
    let (samples, lengths) = (&given["input_values"], given["attention_mask"].as_i32().expect("a mask"));
    let width = samples.shape[1];
    for device in &mut devices::open(&bundle).expect("devices") {
        for row in 0..golden.shape[0] {
            let count = lengths[row * width..][..width].iter().sum::<i32>() as usize;
            let own = samples.as_f32().expect("samples")[row * width..][..count].to_vec();
            let (backend, options) = (device.backend.as_mut(), Options::default());
            let heard = written(backend, bundle.manifest(), &own, &Choices::new(), &options);
            let valid = mask.as_i32().expect("a mask")[row * moments..][..moments].iter().sum::<i32>() as usize;
            let mut spelled = ids[row * moments..][..valid].to_vec();
            spelled.dedup();
            let text: String = spelled.into_iter().filter(|id| *id != 0).map(letter).collect();
            assert_eq!(heard.text, text, "{} row {row}", device.name);
        }
    }
}
