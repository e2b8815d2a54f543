//! Comparing audio and videos with texts on the command line.

use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::audio::write_wav;
use crate::common::{Place, stories};

fn fixtures() -> PathBuf {
    stories().join("../../tests/fixtures/compared")
}

/// A model of the fixtures with a tokenizer whose words are its ids, and the texts and logits of the fixture.
fn model(place: &Place, name: &str) -> (String, String, Value) {
    let cases: Value = serde_json::from_slice(&std::fs::read(fixtures().join("cases.json")).unwrap()).unwrap();
    let (case, model) = (cases[name].clone(), place.at(name));
    std::fs::create_dir(&model).unwrap();
    let golden = stories().join("../../tests/goldens").join(case["model"].as_str().unwrap()).join("model");
    for entry in std::fs::read_dir(golden).unwrap().flatten() {
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let vocab: serde_json::Map<String, Value> = (0..140).map(|id| (format!("t{id}"), id.into())).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "t1" },
    });
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(model.join("tokenizer_config.json"), r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#).unwrap();
    std::fs::write(model.join("preprocessor_config.json"), case["settings"].to_string()).unwrap();
    let text = |ids: &Value| {
        let ids = ids.as_array().unwrap().iter().map(|id| format!("t{id}"));
        ids.collect::<Vec<_>>().join(" ")
    };
    let labels: Vec<String> = case["texts"].as_array().unwrap().iter().map(text).collect();
    (model.display().to_string(), labels.join(","), case["logits"].clone())
}

/// The printed similarities, by the name of the compared item.
fn similarities(shown: &str) -> Vec<(String, Vec<f64>)> {
    let shown: Value = serde_json::from_str(shown).unwrap();
    let one = |item: &Value| {
        let texts = item["texts"].as_array().unwrap().iter().map(|t| t["similarity"].as_f64().unwrap());
        (item["input"].as_str().unwrap().to_string(), texts.collect())
    };
    shown.as_array().unwrap().iter().map(one).collect()
}

fn agree(found: &[f64], logits: &Value) {
    let logits: Vec<f64> = serde_json::from_value(logits.clone()).unwrap();
    assert_eq!(found.len(), logits.len());
    assert!(found.iter().zip(&logits).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} instead of {logits:?}");
}

#[test]
fn audio_files_are_compared_with_texts() {
    let place = Place::new();
    let bytes = std::fs::read(fixtures().join("tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["short", "long"] {
        let samples = tensors.tensor(name).unwrap().data().chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]));
        let samples: Vec<f32> = samples.map(|s| f32::from(s) / 32768.0).collect();
        write_wav(&place.at(&format!("{name}.wav")), 8000, 1, &samples);
    }
    for name in ["fused", "unfused"] {
        let (model, labels, logits) = model(&place, name);
        let run = |more: &[&str]| place.run(&[&["run", &model, "--backend", "wasm"], more].concat());
        let shown = run(&["--audio", "short.wav", "long.wav", "--labels", &labels, "--json"]).ok();
        for ((file, found), name) in similarities(&shown).iter().zip(["short", "long"]) {
            assert_eq!(*file, format!("{name}.wav"));
            agree(found, &logits[name]);
        }
        let table = run(&["--audio", "short.wav", "--prompt", "t0 t5 t2", "--prompt", "t0 t7 t2"]).ok();
        assert!(table.starts_with("text "), "{table}");
        run(&["--audio", "short.wav"]).fails(2, &["this model compares audio files with texts"]);
        run(&["--prompt", "t0 t5"]).fails(2, &["compares texts with audio files: add --audio FILE"]);
    }
}

#[test]
fn videos_are_compared_with_texts() {
    let place = Place::new();
    let (model, labels, logits) = model(&place, "video");
    let run = |more: &[&str]| place.run(&[&["run", &model, "--backend", "wasm"], more].concat());
    let folder = fixtures().join("video");
    let files: Vec<String> = (0..7).map(|n| folder.join(format!("{n}.png")).display().to_string()).collect();
    let (folder, gif) = (folder.display().to_string(), fixtures().join("video.gif").display().to_string());
    let mut args = vec!["--labels", &labels, "--json", "--video", &folder, &gif];
    args.extend(files.iter().map(String::as_str));
    let found = similarities(&run(&args).ok());
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [folder.as_str(), gif.as_str(), &format!("{} and 6 more", files[0])]);
    found.iter().for_each(|(_, similarities)| agree(similarities, &logits["video"]));

    std::fs::create_dir(place.at("nothing")).unwrap();
    std::fs::write(place.at("cut.gif"), &std::fs::read(&gif).unwrap()[..300]).unwrap();
    std::fs::write(place.at("note.txt"), "no image").unwrap();
    let fails = |more: &[&str], text: &str| run(&[more, &["--labels", "t0"]].concat()).fails(2, &[text]);
    fails(&["--video", "nothing"], "nothing: no files; expected the images of a video");
    fails(&["--video", "nowhere"], "nowhere: No such file");
    fails(&["--video", "cut.gif"], "cut.gif: the animation cannot be decoded");
    fails(&["--video", "note.txt"], "note.txt: not an image");
    fails(&["--image", &files[0]], "takes no images");
    run(&["--video", &gif]).fails(2, &["this model compares videos with texts"]);
    run(&["--prompt", "t0"]).fails(2, &["compares texts with videos: add --video FOLDER"]);
}
