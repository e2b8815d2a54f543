//! The compiler as WebAssembly, in Node.js: the same bytes and the same messages as natively.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use gristmill_bundle::{MANIFEST, MemorySink};
use gristmill_compiler::source::Memory;
use gristmill_compiler::{CompileError, CompileOptions, CompileReport, Progress, Quiet, compile, compile_from};
use gristmill_tests::goldens::root;
use serde_json::{Value, json};
use tempfile::tempdir;

const MODEL: &str = "examples/stories260K";

/// Files by their relative paths.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let (mut found, mut folders) = (Files::new(), vec![folder.to_path_buf()]);
    while let Some(at) = folders.pop() {
        for path in fs::read_dir(&at).expect("a folder").map(|e| e.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).expect("below the folder").to_str().expect("Unicode");
                found.insert(inside.to_string(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// Checks that the same files have the same bytes.
fn assert_same(found: &Files, expected: &Files) {
    assert!(expected.len() > 10 && expected.contains_key(MANIFEST), "{:?}", expected.keys());
    assert!(found.keys().eq(expected.keys()), "{:?} instead of {:?}", found.keys(), expected.keys());
    let differ: Vec<&String> =
        expected.iter().filter(|(path, bytes)| found[*path] != **bytes).map(|(p, _)| p).collect();
    assert!(differ.is_empty(), "other bytes: {differ:?}");
}

/// Compiles in Node.js; the error is the message.
fn in_node(model: &Path, out: &Path, options: &Value) -> Result<Value, String> {
    let module = root().join("compiler/web/pkg/gristmill_compiler_web_bg.wasm");
    assert!(module.is_file(), "{}: not there; run `cargo xtask compiler`", module.display());
    let script = root().join("compiler/web/test/compile.mjs");
    let node = Command::new("node").arg(script).args([model, out]).arg(options.to_string()).output();
    let output = node.unwrap_or_else(|e| panic!("node: {e}; tests/setup.sh installs what the tests need"));
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        false => Err(String::from_utf8(output.stderr).expect("UTF-8").trim_end().to_string()),
    }
}

/// Records warnings and notes.
#[derive(Default)]
struct Said {
    stages: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
    notes: RefCell<Vec<String>>,
    bytes: Cell<(u64, u64)>,
}

impl Progress for Said {
    fn stage(&self, name: &str) {
        self.stages.borrow_mut().push(name.to_string());
    }

    fn bytes(&self, done: u64, total: u64) {
        self.bytes.set((done, total));
    }

    fn warning(&self, text: &str) {
        self.warnings.borrow_mut().push(text.to_string());
    }

    fn note(&self, text: &str) {
        self.notes.borrow_mut().push(text.to_string());
    }
}

#[test]
fn the_module_compiles_to_the_same_bytes() {
    let dir = tempdir().expect("a directory");
    for (name, model, options, native) in [
        ("default", MODEL, json!({}), CompileOptions::default()),
        ("gguf", "tests/fixtures/gguf/qwen2.gguf", json!({}), CompileOptions::default()),
        // Quantized, and for a single target.
        (
            "q4",
            MODEL,
            json!({"precision": "q4", "targets": ["wasm"], "kv": "f16", "maxContext": 64}),
            CompileOptions {
                precision: "q4".into(),
                targets: vec!["wasm".into()],
                kv: gristmill_compiler::KvPrecision::F16,
                max_context: Some(64),
                ..CompileOptions::default()
            },
        ),
    ] {
        let model = root().join(model);
        let (here, there) = (dir.path().join(name), dir.path().join(format!("{name}-node")));
        let said = Said::default();
        let report = compile(&model, &here, &native, &said).expect("compiles natively");
        let found = in_node(&model, &there, &options).expect("compiles in Node.js");
        assert_same(&files(&there), &files(&here));
        let order = found["order"].as_array().expect("files in order");
        assert_eq!(order.last(), Some(&json!(MANIFEST)));
        let CompileReport { browser, weights, kernels, dispatches, warnings, .. } = report;
        let expected = json!({
            "browser": browser, "weights": weights, "kernels": kernels, "dispatches": dispatches, "warnings": warnings,
        });
        let report: Value = serde_json::from_str(found["report"].as_str().expect("a text")).expect("JSON");
        assert_eq!(report, expected);
        let Said { stages, warnings, notes, bytes } = said;
        let (done, total) = bytes.get();
        let told = json!({"stages": stages, "warnings": warnings, "notes": notes, "bytes": [done, total]});
        let told_in_node = ["stages", "warnings", "notes", "bytes"].map(|key| (key.to_string(), found[key].clone()));
        assert_eq!(Value::Object(told_in_node.into_iter().collect()), told);
        println!("{name}: {:.1} s in Node.js", found["milliseconds"].as_f64().expect("a number") / 1000.0);
    }
}

#[test]
fn the_module_refuses_with_the_same_messages() {
    let dir = tempdir().expect("a directory");
    let model = dir.path().join("model");
    fs::create_dir(&model).expect("a folder");
    let mut count = 0;
    let mut refused = |options: &Value, native: &CompileOptions, what: &str| {
        count += 1;
        let [here, there] = ["here", "there"].map(|side| dir.path().join(format!("{side}{count}")));
        let expected = compile(&model, &here, native, &Quiet).expect_err("refused natively").to_string();
        let found = in_node(&model, &there, options).expect_err("refused in Node.js");
        assert_eq!(found, expected);
        assert!(expected.contains(what), "{expected}");
        assert!(files(&there).is_empty(), "nothing is written");
    };
    let (none, defaults) = (json!({}), CompileOptions::default());
    refused(&none, &defaults, "config.json: not found; a Hugging Face model directory must have one");
    for (name, bytes) in files(&root().join(MODEL)) {
        fs::write(model.join(name), bytes).expect("written");
    }
    let precision = CompileOptions { precision: "q11".into(), ..CompileOptions::default() };
    refused(&json!({"precision": "q11"}), &precision, "--precision q11");
    let weights = fs::read(model.join("model.safetensors")).expect("weights");
    fs::write(model.join("model.safetensors"), &weights[..weights.len() - 4]).expect("written");
    refused(&none, &defaults, "ends after the file");
    fs::write(model.join("config.json"), "{").expect("written");
    refused(&none, &defaults, "config.json:1:1: EOF");
    // Errors that only occur on this side.
    for (options, message) in [
        (json!({"precison": "q4"}), "options: unknown field `precison`"),
        (json!({"precision": "own.ron"}), "options: own.ron: this module reads the files of a model only"),
    ] {
        count += 1;
        let found = in_node(&root().join(MODEL), &dir.path().join(format!("options{count}")), &options);
        let found = found.expect_err("refused");
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn faults_of_functions_are_errors() {
    let node = Command::new("node").arg("--test").arg(root().join("compiler/web/test/faults.test.mjs")).output();
    let output = node.unwrap_or_else(|e| panic!("node: {e}; tests/setup.sh installs what the tests need"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "run `cargo xtask compiler` if the module is not there:\n{text}");
}

/// Sources and sinks in memory, natively: no part of the compiler needs a file system.
#[test]
fn memory_does_as_well_as_directories() {
    let dir = tempdir().expect("a directory");
    let out = dir.path().join("bundle");
    let model = root().join(MODEL);
    let options = CompileOptions { precision: "q4".into(), ..CompileOptions::default() };
    compile(&model, &out, &options, &Quiet).expect("compiles");
    let sink = MemorySink::default();
    let source =
        || -> Result<_, CompileError> { Ok(std::sync::Arc::new(Memory::new("stories260K", files(&model))) as _) };
    compile_from(source, || Ok(sink.clone()), &options, &Quiet).expect("compiles from memory");
    assert_same(&sink.take(), &files(&out));
}
