//! Files that are wrong, and exactly what is said about them.
//!
//! Every `bad/NAME.ron` is bound to a small config with a small checkpoint; the rendered diagnostics stand in
//! `bad/NAME.txt`. `UPDATE=1 cargo test --test bad_architectures` writes the latter; read the difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gristmill_graph::text::{Library, bind, check};
use serde_json::json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The files below `models/`.
fn shipped() -> Library {
    let mut library = Library::default();
    for folder in ["", "blocks/", "parts/"] {
        for entry in fs::read_dir(root().join("../../models").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "ron") {
                let name = format!("{folder}{}", path.file_name().unwrap().to_str().unwrap());
                library.files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    library
}

fn cases() -> Vec<PathBuf> {
    let folder = root().join("tests/bad");
    let mut all: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|p| p.extension().is_some_and(|e| e == "ron"));
    all.sort();
    assert!(all.len() > 20);
    all
}

fn config() -> serde_json::Value {
    json!({
        "architectures": ["Tiny"], "vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2, "hidden_act": "gleu",
        "nested": {"inner": 3}, "layer_types": ["a", "b"], "nothing": null
    })
}

fn checkpoint() -> BTreeMap<String, Vec<u64>> {
    let mut all = BTreeMap::from([("embed.weight".to_string(), vec![16, 8]), ("norm.weight".to_string(), vec![8])]);
    for i in 0..2 {
        all.insert(format!("layers.{i}.proj.weight"), vec![8, 8]);
    }
    all
}

#[test]
fn every_mistake_is_explained() {
    let mut wrong = Vec::new();
    for path in cases() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let library = shipped().with_file(name, fs::read_to_string(&path).unwrap());
        let shown = match bind(&library, name, &config(), Some(&checkpoint())) {
            Ok(_) => "no error\n".to_string(),
            Err(diagnostics) => diagnostics.to_string(),
        };
        // The check without a config must be as robust; what it says is a part of the above.
        let _ = check(&library, name);
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &shown).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("{name} says:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nIf that is right: UPDATE=1", wrong.join("\n"));
}
