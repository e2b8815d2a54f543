//! `gristmill bench`: its output, not the speed.

use serde_json::Value;

use crate::common::Place;

/// Checks that the numbers of a measure are in order.
fn check(measure: &Value, name: &str, unit: &str, tokens: u64) {
    assert_eq!((&measure["name"], &measure["unit"], &measure["tokens"]), (&name.into(), &unit.into(), &tokens.into()));
    let [min, median, max] = ["min", "median", "max"].map(|key| measure[key].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max, "{measure}");
}

#[test]
fn a_model_that_generates() {
    let place = Place::new();
    place.bundle(&["--target", "wasm"]);
    let bench = |more: &[&str]| {
        let short = ["bench", "bundle", "--prompt-tokens", "9", "--new-tokens", "5", "--runs", "2"];
        place.run(&[&short[..], more].concat())
    };
    let json: Value = serde_json::from_str(&bench(&["--threads", "1", "--json"]).ok()).unwrap();
    check(&json["measures"][0], "prefill", "tokens/s", 9);
    check(&json["measures"][1], "decode", "tokens/s", 4);
    assert_eq!((&json["profile"], &json["runs"]), (&"wasm".into(), &2.into()));
    assert!(json["backend"].as_str().unwrap().contains("1 thread"), "{json}");
    assert!(json["dispatches"].as_u64().unwrap() > 10, "{json}");
    // All weights except lookup tables, of which one row per token is read. Here the table is also the head, so all
    // weights.
    let manifest: Value = serde_json::from_slice(&std::fs::read(place.at("bundle/manifest.json")).unwrap()).unwrap();
    let all: u64 = manifest["tensors"].as_array().unwrap().iter().map(|t| t["bytes"].as_u64().unwrap()).sum();
    let read = json["weight_bytes"].as_u64().unwrap();
    assert!(read <= all && read * 2 > all, "{read} of {all}");
    assert!(json["weight_bytes_per_second"].as_f64().unwrap() > 0.0, "{json}");

    let text = bench(&["--backend", "reference"]).ok();
    assert!(text.contains("prefill") && text.contains("decode") && text.contains("median"), "{text}");
    let text = bench(&["--backend", "wasm"]).ok();
    assert!(text.contains("dispatches and") && text.contains("of weights per token"), "{text}");
}

#[test]
fn a_model_that_embeds() {
    let place = Place::new();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/bert/base/model");
    let bench = |more: &[&str]| place.run(&[&["bench", model, "--runs", "1", "--backend", "wasm"][..], more].concat());
    let json: Value = serde_json::from_str(&bench(&["--tokens", "3,40", "--json"]).ok()).unwrap();
    check(&json["measures"][0], "embed", "ms", 3);
    check(&json["measures"][1], "embed", "ms", 40);
    assert!(json["dispatches"].as_u64().unwrap() > 5 && json["weight_bytes_per_second"].is_null(), "{json}");
    // The model accepts at most 48 tokens.
    let text = bench(&[]).ok();
    let lengths: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("embed")?.split_whitespace().next()).collect();
    assert_eq!(lengths, ["16", "48"], "{text}");
    bench(&["--tokens", "49"]).fails(2, &["--tokens 49", "at most 48"]);
}

#[test]
fn what_does_not_fit_is_refused_before_it_runs() {
    let place = Place::new();
    place.bundle(&["--target", "wasm", "--max-context", "16"]);
    place.run(&["bench", "bundle", "--runs", "1", "--backend", "wasm"]).ok();
    place.run(&["bench", "bundle", "--prompt-tokens", "16"]).fails(2, &["context of 16", "--new-tokens"]);
    place.run(&["bench", "bundle", "--runs", "0"]).fails(2, &["--runs"]);
    place.run(&["bench", "nowhere"]).fails(2, &["nowhere"]);
}
