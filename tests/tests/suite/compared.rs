//! Comparison of audio and videos with texts: audio features and similarities equal those of transformers
//! (`tests/fixtures/compared/make.py`), on all devices.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::Tensor;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::blocking::{compare, run};
use gristmill_runtime::image::Image;
use gristmill_runtime::task::{Similarity, TaskInputs, compared_audio};
use gristmill_tests::compared::{Compared, RATE, folder, write_model};
use gristmill_tests::devices::{self, Device};
use gristmill_tests::speech;
use safetensors::SafeTensors;
use tempfile::TempDir;

/// Maximum difference of a feature, in decibels. Fourier transforms use 32 bits here, and 64 there.
const DECIBELS: f32 = 1e-3;

/// The bundle of a model, and all devices.
fn devices(name: &str) -> (Compared, Arc<Bundle>, Vec<Device>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("model"), dir.path().join("bundle"));
    let compared = write_model(name, &model);
    let options = CompileOptions { precision: "f32".into(), targets: devices::targets(), ..CompileOptions::default() };
    compile(&model, &out, &options, &Quiet).unwrap();
    let bundle = Arc::new(Bundle::open(&out).unwrap());
    let mut all = devices::open(&bundle).unwrap();
    let reference = ReferenceBackend::open(Bundle::open(&out).unwrap()).unwrap();
    all.push(Device { name: "reference".into(), backend: Box::new(reference), rounds: false });
    (compared, bundle, all, dir)
}

fn agree(fit: &Similarity, logits: &[f32], what: &str) {
    assert_eq!(fit.similarity.len(), logits.len());
    let worst = fit.similarity.iter().zip(logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-3, "{what}: {:?} instead of {logits:?}", fit.similarity);
    assert!((fit.probability.iter().sum::<f32>() - 1.0).abs() < 1e-5);
}

#[test]
fn audio_files_are_compared_as_by_transformers() {
    let bytes = fs::read(folder().join("tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["fused", "unfused"] {
        let (model, bundle, devices, _dir) = devices(name);
        let (manifest, texts) = (bundle.manifest(), model.ids());
        assert_eq!(compared_audio(manifest).map(|how| how.rate), Some(RATE));
        assert_eq!(model.waveforms.len(), 4);
        let audio = |(_, samples): &(String, Vec<i16>)| Audio::new(RATE, speech::floats(samples)).unwrap();
        let audio: Vec<Audio> = model.waveforms.iter().map(audio).collect();
        for mut device in devices {
            let backend = device.backend.as_mut();
            let fits = compare(backend, manifest, TaskInputs { audio: &audio, texts: &texts, ..TaskInputs::default() })
                .unwrap();
            for ((waveform, _), fit) in model.waveforms.iter().zip(&fits) {
                agree(fit, &model.logits(waveform), &format!("{name} {waveform} on {}", device.name));
            }
            // The features of an audio file that is long enough not to be padded.
            let key = if name == "fused" { "long" } else { "whole" };
            let (_, samples) = model.waveforms.iter().find(|(name, _)| name == key).unwrap();
            let samples = speech::floats(samples);
            let given = [("samples".to_string(), Tensor::f32([1, samples.len()], samples))].into();
            let found = run(backend, "features", &given, 0, &[]).unwrap().remove("features").unwrap();
            let expect = tensors.tensor(&format!("{name} {key}")).unwrap();
            assert_eq!(found.shape, expect.shape());
            let values = expect.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let worst = found.as_f32().unwrap().iter().zip(values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{name} on {}: {worst:.1e} dB", device.name);
            assert!(worst < DECIBELS, "{name} on {}: {worst} dB", device.name);
        }
        let none = TaskInputs { texts: &texts, ..TaskInputs::default() };
        let mut device = devices::open(&bundle).unwrap().remove(0);
        let message = compare(device.backend.as_mut(), manifest, none).unwrap_err().to_string();
        assert_eq!(message, "input `input_features`: expected an audio file, found none");
    }
}

fn image(path: &Path) -> Image {
    let rgb = image::open(path).unwrap().into_rgb8();
    Image::from_rgb(rgb.width() as usize, rgb.height() as usize, rgb.into_raw()).unwrap()
}

#[test]
fn videos_are_compared_as_by_transformers() {
    let (model, bundle, devices, _dir) = devices("video");
    let video: Vec<Image> = (0..7).map(|n| image(&folder().join(format!("video/{n}.png")))).collect();
    let videos = [video.clone(), video[..1].to_vec()];
    let texts = model.ids();
    for mut device in devices {
        let given = TaskInputs { videos: &videos, texts: &texts, ..TaskInputs::default() };
        let fits = compare(device.backend.as_mut(), bundle.manifest(), given).unwrap();
        agree(&fits[0], &model.logits("video"), &device.name);
        assert_eq!(fits.len(), 2, "one image is a video that stands still");
        let empty = [Vec::new()];
        let given = TaskInputs { videos: &empty, texts: &texts, ..TaskInputs::default() };
        let message = compare(device.backend.as_mut(), bundle.manifest(), given).unwrap_err().to_string();
        assert!(message.contains("a video with at least one image"), "{message}");
    }
}
