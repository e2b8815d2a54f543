//! Recordings: what a model hears, and the text that comes of it, on all devices.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_runtime::Tensor;
use gristmill_runtime::blocking::{self, run_tensors};
use gristmill_runtime::generate::Options;
use gristmill_runtime::sound::Sound;
use gristmill_runtime::task::{Heard, hearing};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::text::{Callbacks, TextRun};
use gristmill_tests::devices;
use gristmill_tests::goldens::{Case, load_tensors};

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

/// From samples to tokens, alone: the same as the reference decodes in a batch from its own features.
#[test]
fn speech_is_written() {
    let case = Case::open("whisper/mel80");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bundle = bundle(&case.model_dir(), &dir.path().join("bundle"));
    let manifest = bundle.manifest();
    assert_eq!(manifest.model.decoder_start_tokens, case.runs()[0].start());
    let golden = &case.runs()[0].outputs["greedy.tokens"];
    let steps = golden.shape[1];
    for device in &mut devices::open(&bundle).expect("devices") {
        for (row, samples) in recordings(&case).into_iter().enumerate() {
            let sound = Sound::new(16000, samples).expect("a recording");
            let backend = device.backend.as_mut();
            let Heard::Prompt(prompt) = blocking::hear(backend, manifest, &sound).expect("it hears") else {
                panic!("expected a prompt");
            };
            let options = Options { max_new_tokens: steps as u32, ignore_eos: true, ..Options::default() };
            let text = |ids: &[u32]| Ok(ids.iter().map(|id| format!("{id} ")).collect());
            let mut run = TextRun::new(manifest, text, prompt, &options, &[]).expect("a prompt");
            let mut said = String::new();
            let mut callbacks =
                Callbacks { clock: &mut || 0.0, keep_going: &mut |_| true, piece: &mut |piece| said.push_str(piece) };
            let tokens = blocking::drive(&mut run, backend, &mut callbacks).expect("it writes").tokens;
            let expected: Vec<u32> =
                golden.as_i32().expect("tokens")[row * steps..][..steps].iter().map(|t| *t as u32).collect();
            assert_eq!(tokens, expected, "{} row {row}", device.name);
            assert_eq!(said.split_whitespace().count(), steps);
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
            let sound = Sound::new(16000, own).expect("a recording");
            let heard = blocking::hear(device.backend.as_mut(), bundle.manifest(), &sound).expect("it hears");
            let valid = mask.as_i32().expect("a mask")[row * moments..][..moments].iter().sum::<i32>() as usize;
            let mut spelled = ids[row * moments..][..valid].to_vec();
            spelled.dedup();
            let text: String = spelled.into_iter().filter(|id| *id != 0).map(letter).collect();
            assert_eq!(heard, Heard::Text(text), "{} row {row}", device.name);
        }
    }
}
