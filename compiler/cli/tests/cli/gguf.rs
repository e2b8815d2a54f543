//! GGUF files as models. Expectations were recorded with transformers (`tests/fixtures/gguf/make.py`).

use std::path::{Path, PathBuf};

use gristmill_runtime::tokenizer::Tokenizer;
use serde_json::Value;

use crate::common::Place;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/gguf").join(name)
}

fn shown(name: &str) -> String {
    fixture(name).display().to_string()
}

#[test]
fn files_compute_and_read_texts_as_the_reference_does() {
    for name in ["llama", "qwen2", "qwen3", "gemma3", "pieces"] {
        let place = Place::new();
        let compile =
            ["compile", &shown(&format!("{name}.gguf")), "-o", "bundle", "--precision", "f32", "--target", "native"];
        let ran = place.run(&compile);
        assert!(!ran.stderr.contains("warning"), "{name}: {}", ran.stderr);
        ran.ok();
        let (inputs, outputs) = (format!("{name}.inputs.safetensors"), format!("{name}.outputs.safetensors"));
        let verify = ["verify", "bundle", "--inputs", &shown(&inputs), "--expect", &shown(&outputs), "--tol", "1e-4"];
        let text = place.run(&[&verify[..], &["--backend", "reference"]].concat()).ok();
        assert!(text.contains("greedy.tokens") && text.contains("logits") && text.contains("PASS"), "{name}: {text}");

        let read = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
        let content = std::fs::read(place.at("bundle/tokenizer.json")).unwrap();
        let tokenizer = Tokenizer::from_bytes(&content).unwrap();
        for case in read(&fixture(&format!("{name}.texts.json"))).as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ids: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
            assert_eq!(tokenizer.encode(text, true).unwrap(), ids, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{name}");
        }
    }
}

#[test]
fn quantizing_again_is_said_with_what_it_costs() {
    let place = Place::new();
    let model = shown("llama.gguf");
    let ran = place.run(&["compile", &model, "-o", "bundle", "--precision", "q8", "--target", "native"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("requantized from Q4_1, Q8_0; this adds a relative squared error of"),
        "{}",
        ran.stderr
    );
    let chat = ["run", &model, "--prompt", "The mill", "--chat", "--max-new-tokens", "2", "--backend", "reference"];
    let ran = place.run(&chat);
    assert!(ran.stderr.contains("compiling"), "{}", ran.stderr);
    ran.ok();
}

#[test]
fn a_missing_tokenizer_is_said_once() {
    let place = Place::new();
    let mut bytes = std::fs::read(fixture("llama.gguf")).unwrap();
    let key = b"tokenizer.ggml.model";
    let at = bytes.windows(key.len()).position(|w| w == key).expect("a tokenizer");
    bytes[at + key.len() - 1] = b'_';
    std::fs::write(place.at("bare.gguf"), bytes).unwrap();
    let ran = place.run(&["compile", "bare.gguf", "-o", "bundle", "--target", "native"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said = ["no tokenizer", "tokenizer.json is missing", "token ids only"].map(|s| ran.stderr.matches(s).count());
    assert_eq!(said, [1, 0, 0], "{}", ran.stderr);
    assert!(ran.stderr.contains("`tokenizer.ggml.model`"), "{}", ran.stderr);
}

#[test]
fn other_files_are_refused_by_name() {
    let place = Place::new();
    std::fs::write(place.at("text.gguf"), "GGUF").unwrap();
    std::fs::write(place.at("none.gguf"), "none").unwrap();
    place.run(&["compile", "text.gguf", "-o", "b"]).fails(2, &["text.gguf: claims 4 bytes"]);
    place.run(&["compile", "none.gguf", "-o", "b"]).fails(2, &["none.gguf: is neither a directory nor a GGUF file"]);
    place.run(&["run", "none.gguf", "--prompt", "x"]).fails(2, &["none.gguf: neither a directory nor a GGUF file"]);
    place.run(&["compile", &shown("types.gguf"), "-o", "b"]).fails(2, &["architecture `types` are not supported"]);
    assert!(!place.at("b").exists());
}
