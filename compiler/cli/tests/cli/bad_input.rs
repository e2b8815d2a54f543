//! Damaged and hostile files: a clear error with exit code 2, no panic, nothing partial left behind.

use std::path::Path;

use crate::common::{Place, Raw, edit_json, ids, load, save};
use safetensors::tensor::Dtype;
use serde_json::json;

/// Compiling the damaged model must fail with these texts and leave nothing behind.
#[track_caller]
fn refused(damage: impl FnOnce(&Path), texts: &[&str]) {
    let place = Place::new();
    damage(&place.model());
    place.run(&["compile", "model", "-o", "out", "--precision", "f32", "--target", "native"]).fails(2, texts);
    assert_eq!(place.names(), ["model"], "nothing partial may stay");
}

fn weights(model: &Path) -> std::path::PathBuf {
    model.join("model.safetensors")
}

/// A safetensors file with this header and `data` bytes of zeros.
fn raw_file(path: &Path, header: &str, data: usize) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn truncated_weights() {
    for keep in [0usize, 7, 8, 100, 5000, 1_000_000] {
        refused(
            |m| {
                let bytes = std::fs::read(weights(m)).unwrap();
                std::fs::write(weights(m), &bytes[..keep]).unwrap();
            },
            &["model.safetensors"],
        );
    }
}

#[test]
fn hostile_headers() {
    let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    refused(|m| raw_file(&weights(m), header, 12), &["model.safetensors"]);
    let beyond = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    refused(|m| raw_file(&weights(m), beyond, 4), &["model.safetensors"]);
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967295,4294967295,4294967295],"data_offsets":[0,8]}}"#;
    refused(|m| raw_file(&weights(m), huge, 8), &["model.safetensors"]);
    refused(|m| std::fs::write(weights(m), [0xff; 64]).unwrap(), &["model.safetensors"]);
    refused(|m| raw_file(&weights(m), "not json", 8), &["model.safetensors"]);
}

#[test]
fn missing_and_misshaped_tensors() {
    let change = |m: &Path, f: &dyn Fn(&mut std::collections::BTreeMap<String, Raw>)| {
        let mut all = load(&weights(m));
        f(&mut all);
        save(&weights(m), &all);
    };
    let name = "model.layers.3.mlp.up_proj.weight";
    refused(|m| change(m, &|t| drop(t.remove(name))), &[name]);
    refused(
        |m| change(m, &|t| drop(t.insert(name.into(), (Dtype::F32, vec![2, 2], vec![0; 16])))),
        &[name, "[2, 2]", "[172, 64]"],
    );
    refused(|m| change(m, &|t| drop(t.insert(name.into(), ids(&[172, 64], &[0; 172 * 64])))), &[name, "I64"]);
    refused(|m| std::fs::remove_file(weights(m)).unwrap(), &["model.safetensors"]);
}

#[test]
fn shards_that_point_nowhere() {
    refused(
        |m| {
            std::fs::remove_file(weights(m)).unwrap();
            let index = json!({ "weight_map": { "model.norm.weight": "../../secret.safetensors" } });
            std::fs::write(m.join("model.safetensors.index.json"), index.to_string()).unwrap();
        },
        &["secret.safetensors"],
    );
}

#[test]
fn unusable_configs() {
    let config = |m: &Path, key: &str, value: serde_json::Value| edit_json(&m.join("config.json"), |c| c[key] = value);
    refused(|m| std::fs::write(m.join("config.json"), "{").unwrap(), &["config.json"]);
    refused(|m| std::fs::write(m.join("config.json"), "[]").unwrap(), &["config.json"]);
    refused(|m| config(m, "architectures", json!(["LlamaForCausalLn"])), &["LlamaForCausalLn", "LlamaForCausalLM"]);
    refused(|m| config(m, "hidden_act", json!("swishy")), &["swishy", "silu"]);
    refused(|m| config(m, "hidden_size", json!(0)), &["the dimension 0", "llama.ron:"]);
    refused(|m| config(m, "hidden_size", json!("64")), &["expected a dimension", "llama.ron:"]);
    refused(|m| config(m, "num_hidden_layers", json!(4_000_000_000u64)), &["repetitions of `layers`"]);
    refused(|m| config(m, "hidden_size", json!(1u64 << 40)), &["larger than"]);
}

#[test]
fn damaged_tokenizer() {
    let place = Place::new();
    std::fs::write(place.model().join("tokenizer.json"), "{}").unwrap();
    place
        .run(&["run", "model", "--prompt", "x", "--backend", "reference", "--max-new-tokens", "1"])
        .fails(2, &["tokenizer.json"]);
}

/// Running a damaged bundle must fail with these texts.
#[track_caller]
fn bundle_refused(place: &Place, damage: impl FnOnce(&Path), texts: &[&str]) {
    let copy = place.at("damaged");
    copy_dir(&place.at("bundle"), &copy);
    damage(&copy);
    let args = ["run", "damaged", "--prompt", "x", "--backend", "reference", "--max-new-tokens", "1"];
    place.run(&args).fails(2, texts);
    std::fs::remove_dir_all(copy).unwrap();
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

fn shard(bundle: &Path) -> std::path::PathBuf {
    bundle.join("weights").read_dir().unwrap().next().unwrap().unwrap().path()
}

#[test]
fn hostile_bundles() {
    let place = Place::new();
    place.bundle(&[]);
    let manifest = |b: &Path, f: &dyn Fn(&mut serde_json::Value)| edit_json(&b.join("manifest.json"), f);
    bundle_refused(
        &place,
        |b| {
            let mut bytes = std::fs::read(shard(b)).unwrap();
            bytes[1000] ^= 1;
            std::fs::write(shard(b), bytes).unwrap();
        },
        &["weights/", "SHA-256", "damaged"],
    );
    bundle_refused(&place, |b| std::fs::write(shard(b), "short").unwrap(), &["weights/", "bytes"]);
    bundle_refused(&place, |b| std::fs::remove_file(shard(b)).unwrap(), &["weights/"]);
    bundle_refused(
        &place,
        |b| manifest(b, &|m| m["tensors"][3]["offset"] = json!(1u64 << 60)),
        &["manifest.json: tensor"],
    );
    bundle_refused(
        &place,
        |b| manifest(b, &|m| m["tensors"][0]["bytes"] = json!(u64::MAX)),
        &["manifest.json: tensor"],
    );
    bundle_refused(&place, |b| manifest(b, &|m| m["format"] = json!(99)), &["format 99", "update gristmill"]);
    let again = "compile the model again: `gristmill compile MODEL_DIR -o BUNDLE`";
    bundle_refused(&place, |b| manifest(b, &|m| m["format"] = json!(1)), &["format 1,", again]);
    bundle_refused(&place, |b| manifest(b, &|m| m["surprise"] = json!(1)), &["manifest.json", "surprise"]);
    bundle_refused(&place, |b| std::fs::write(b.join("manifest.json"), "{\"format\":2").unwrap(), &["manifest.json"]);
    bundle_refused(&place, |b| std::fs::write(b.join("graph.json"), "{}").unwrap(), &["graph.json"]);
    bundle_refused(&place, |b| std::fs::write(b.join("tokenizer.json"), "{}").unwrap(), &["tokenizer.json"]);
}

#[test]
fn tensors_that_do_not_fit() {
    let place = Place::new();
    place.bundle(&[]);
    let call = |inputs: &[(&str, Raw)], texts: &[&str]| {
        let inputs = inputs.iter().map(|(n, t)| (n.to_string(), t.clone())).collect();
        save(&place.at("in.safetensors"), &inputs);
        let args = ["run", "bundle", "--inputs", "in.safetensors", "--outputs", "out.safetensors"];
        place.run(&[&args[..], &["--backend", "reference"]].concat()).fails(2, texts);
        assert!(!place.at("out.safetensors").exists());
    };
    call(&[], &["input_ids"]);
    call(&[("inputs", ids(&[1, 2], &[1, 2]))], &["inputs"]);
    call(&[("input_ids", ids(&[2], &[1, 2]))], &["input_ids"]);
    call(&[("input_ids", ids(&[1, 2], &[1, 1 << 40]))], &["input_ids", "32 bits"]);
    call(&[("input_ids", (Dtype::F32, vec![1, 1], vec![0; 4]))], &["input_ids", "f32"]);
    let wrong_mask = [("input_ids", ids(&[1, 2], &[1, 2])), ("attention_mask", ids(&[1, 3], &[1, 1, 1]))];
    call(&wrong_mask, &["attention_mask"]);
    call(&[("input_ids", ids(&[1, 600], &[1; 600]))], &["512"]);
    std::fs::write(place.at("in.safetensors"), "nothing").unwrap();
    place
        .run(&["run", "bundle", "--inputs", "in.safetensors", "--outputs", "out.safetensors"])
        .fails(2, &["in.safetensors", "cut short"]);
}

/// Processing large inputs takes no longer than reading them, and messages are limited to a screenful.
#[test]
fn long_lists() {
    let short = |damage: &dyn Fn(&Path), texts: &[&str]| {
        let place = Place::new();
        damage(&place.model());
        let ran = place.run(&["compile", "model", "-o", "out", "--target", "native"]);
        ran.fails(2, texts);
        assert!(ran.stderr.len() < 20_000 && ran.stderr.lines().count() < 70, "{}", ran.stderr);
    };
    let classes: Vec<String> = (0..100_000).map(|i| format!("Class{i}")).collect();
    short(
        &|m| edit_json(&m.join("config.json"), |c| c["architectures"] = json!(classes)),
        &["no shipped architecture supports Class0, Class1, ", " and 99996 more; write one (docs/authoring.md)"],
    );
    let ones = vec!["1"; 1_000_000].join(",");
    short(
        &|m| raw_file(&weights(m), &format!(r#"{{"a":{{"dtype":"F32","shape":[{ones}],"data_offsets":[0,4]}}}}"#), 4),
        &["tensor `a`: it has 1000000 dimensions; at most 64 are supported"],
    );
    let tensor = |i: usize| {
        format!(r#""model.layers.{i}.x":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#, 4 * i, 4 * i + 4)
    };
    let tensors: Vec<String> = (0..100_000).map(tensor).collect();
    short(
        &|m| raw_file(&weights(m), &format!("{{{}}}", tensors.join(",")), 400_000),
        &["is not in the checkpoint", "more lines"],
    );
}
