//! Bundles as files: the same input gives the same bytes, writing is all or nothing, and damage is reported, not
//! executed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::{CompileError, CompileOptions, PageFile, Quiet, compile};
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::blocking::run_tensors;
use gristmill_runtime::native::{Options, Wasm, WasmOptions, Wgpu};
use gristmill_runtime::tensors::TensorRun;
use gristmill_runtime::{Backend, Tensor};
use gristmill_tests::devices;
use gristmill_tests::models::{Decoder, ModelFiles, write_safetensors};
use gristmill_tests::twins::{Memory, Twins};
use serde_json::{Value, json};
use tempfile::TempDir;

const SHAPE: Decoder =
    Decoder { hidden: 60, ffn: 110, head_dim: 10, kv_heads: 2, group: 2, layers: 2, vocab: 75, tied: false };

fn options() -> CompileOptions {
    CompileOptions { precision: "q4".into(), targets: vec!["native".into()], ..CompileOptions::default() }
}

/// A directory with the subdirectory `model`.
fn directory(files: &ModelFiles) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    files.write(&dir.path().join("model"));
    dir
}

fn try_compile(dir: &TempDir, options: &CompileOptions) -> Result<PathBuf, CompileError> {
    let out = dir.path().join("bundle");
    compile(&dir.path().join("model"), &out, options, &Quiet).map(|_| out)
}

/// The message of a compilation that must fail and leave nothing behind.
fn refusal(dir: &TempDir, options: &CompileOptions) -> String {
    let message = match try_compile(dir, options) {
        Err(CompileError::Internal(message)) => panic!("internal error: {message}"),
        Err(e) => e.to_string(),
        Ok(_) => panic!("it compiles"),
    };
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a directory").flatten().map(|e| e.file_name()).collect();
    let left: Vec<_> = left.iter().filter(|n| *n != "model" && *n != "arch.ron").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    message
}

fn assert_mentions(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

/// A kind of damage, the damaged files, and what the message must mention.
type Damage<'a> = (&'a str, BTreeMap<String, Vec<u8>>, &'a [&'a str]);

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dir = directory(&SHAPE.files(3));
    let options = CompileOptions { targets: Vec::new(), ..options() };
    let compiled = |threads: usize, name: &str| {
        let out = dir.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| compile(&dir.path().join("model"), &out, &options, &Quiet)).expect("compiles");
        Memory::of(&out).0
    };
    let first = compiled(1, "one");
    for (threads, name) in [(1, "again"), (4, "four")] {
        let other = compiled(threads, name);
        assert!(first.keys().eq(other.keys()));
        for (path, content) in &first {
            assert!(*content == other[path], "{path} differs with {threads} threads");
        }
    }
}

#[test]
fn a_page_goes_where_browsers_go() {
    let dir = directory(&SHAPE.files(3));
    let page = |path: &'static str| vec![PageFile { path: path.into(), content: b"<p>".as_slice().into() }];
    let options = |target: &str, path| CompileOptions { targets: vec![target.into()], page: page(path), ..options() };
    let bundle = try_compile(&dir, &options("firefox", "index.html")).expect("compiles");
    let bundle = Bundle::open(&bundle).expect("opens");
    assert_eq!(bundle.read("index.html").expect("a listed file"), b"<p>");
    let native = try_compile(&dir, &options("native", "index.html")).expect("compiles");
    assert!(!Bundle::open(&native).expect("opens").has("index.html"));
    let message = refusal(&directory(&SHAPE.files(3)), &options("firefox", "../index.html"));
    assert_mentions(&message, &["../index.html"]);
}

#[test]
fn compiling_is_all_or_nothing() {
    let mut files = SHAPE.files(3);
    *files.tensor("lm_head.weight").data.last_mut().expect("not empty") = f32::NAN;
    assert_mentions(&refusal(&directory(&files), &options()), &["lm_head"]);

    // An existing bundle stays if compiling a new one fails.
    let dir = directory(&SHAPE.files(3));
    let out = try_compile(&dir, &options()).expect("compiles");
    let before = Memory::of(&out).0;
    files.write(&dir.path().join("model"));
    assert!(try_compile(&dir, &options()).is_err());
    assert!(before == Memory::of(&out).0);
}

#[test]
fn what_is_no_bundle_is_not_replaced() {
    let dir = directory(&SHAPE.files(3));
    let out = dir.path().join("bundle");
    fs::create_dir(&out).expect("a directory");
    fs::write(out.join("thesis.txt"), "years of work").expect("a file");
    let message = try_compile(&dir, &options()).expect_err("refused").to_string();
    assert_mentions(&message, &["bundle", "remove it or choose another output"]);
    assert_eq!(fs::read_to_string(out.join("thesis.txt")).expect("still there"), "years of work");
    assert_eq!(fs::read_dir(&out).expect("a directory").count(), 1);
}

/// What WebGPU, WebAssembly and the reference backend report when the bundle is opened and, if possible, run.
fn complaints(files: &BTreeMap<String, Vec<u8>>) -> [Result<(), String>; 3] {
    let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32([1, 3], vec![1, 2, 3]))]);
    let open = || Bundle::from_source(Box::new(files.clone())).map_err(|e| e.to_string());
    let run = |backend: &mut dyn Backend| {
        let manifest = open()?.manifest().clone();
        run_tensors(backend, &manifest, &inputs, &TensorRun::default()).map(drop).map_err(|e| e.to_string())
    };
    let device = || {
        let device = Wgpu::load(Arc::new(open()?), &Options::default(), &mut |_, _| {});
        run(&mut device.map_err(|e| e.to_string())?)
    };
    let wasm = || {
        let wasm = Wasm::load(Arc::new(open()?), &WasmOptions::default(), &mut |_, _| {});
        run(&mut wasm.map_err(|e| e.to_string())?)
    };
    let reference = || run(&mut ReferenceBackend::open(open()?).map_err(|e| e.to_string())?);
    [device(), wasm(), reference()]
}

fn edited(files: &BTreeMap<String, Vec<u8>>, edit: impl FnOnce(&mut Value)) -> BTreeMap<String, Vec<u8>> {
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    edit(&mut manifest);
    let mut files = files.clone();
    files.insert("manifest.json".into(), serde_json::to_vec(&manifest).expect("JSON"));
    files
}

#[test]
fn damage_is_told_by_all_backends() {
    let dir = directory(&SHAPE.files(3));
    let out = try_compile(&dir, &CompileOptions { targets: devices::targets(), ..options() }).expect("compiles");
    let whole = Memory::of(&out).0;
    assert_eq!(complaints(&whole), [Ok(()), Ok(()), Ok(())]);
    let with = |path: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut files = whole.clone();
        edit(files.get_mut(path).expect("a file"));
        files
    };
    let without = |path: &str| {
        let mut files = whole.clone();
        files.remove(path).expect("a file");
        files
    };
    let shard = whole.keys().find(|k| k.starts_with("weights/")).expect("a shard").clone();
    let shader = whole.keys().find(|k| k.ends_with(".wgsl")).expect("a shader").clone();
    let all: Vec<Damage<'_>> = vec![
        ("flipped bit", with(&shard, &|c| c[100] ^= 1), &["weights/", "expected", "found"]),
        ("truncated shard", with(&shard, &|c| c.truncate(c.len() - 16)), &["weights/", "expected", "found"]),
        ("no shard", without(&shard), &["weights/", "not in this bundle"]),
        ("no manifest", without("manifest.json"), &["manifest.json"]),
        ("half a manifest", with("manifest.json", &|c| c.truncate(c.len() / 2)), &["manifest.json", "damaged"]),
        ("other format", edited(&whole, |m| m["format"] = json!(99)), &["format 99"]),
        ("wrong shard hash", edited(&whole, |m| m["shards"][0]["sha256"] = json!("0".repeat(64))), &["weights/000"]),
        (
            "offset out of range",
            edited(&whole, |m| m["tensors"][1]["offset"] = json!(1u64 << 40)),
            &["manifest.json", "tensor `layers.0.input_norm`"],
        ),
        (
            "size out of range",
            edited(&whole, |m| m["tensors"][1]["bytes"] = json!(u64::MAX - 15)),
            &["manifest.json", "tensor `layers.0.input_norm`"],
        ),
    ];
    for (what, files, parts) in all {
        for complaint in complaints(&files) {
            assert_mentions(&complaint.expect_err(what), parts);
        }
    }
    // Programs, shaders and modules are only read by the backend that runs them, and the graph only by the reference
    // backend. A single thread runs so small a model.
    let module = "wasm/relaxed.wasm";
    let flipped = |path: &str| with(path, &|c| c[40] ^= 1);
    for (part, files, fails) in [
        (shader.as_str(), without(&shader), [true, false, false]),
        ("programs/native.json", without("programs/native.json"), [true, false, false]),
        ("programs/native.json", flipped("programs/native.json"), [true, false, false]),
        ("programs/wasm.json", without("programs/wasm.json"), [false, true, false]),
        ("programs/wasm.json", flipped("programs/wasm.json"), [false, true, false]),
        (module, without(module), [false, true, false]),
        (module, flipped(module), [false, true, false]),
        ("graph.json", without("graph.json"), [false, false, true]),
        ("graph.json", flipped("graph.json"), [false, false, true]),
    ] {
        for (complaint, fails) in complaints(&files).into_iter().zip(fails) {
            match complaint {
                Ok(()) => assert!(!fails, "{part}"),
                Err(text) => assert!(fails && text.contains(part), "{part}: {text}"),
            }
        }
    }
}

#[test]
fn the_context_has_an_end() {
    let options = CompileOptions { max_context: Some(12), ..options() };
    let dir = directory(&SHAPE.files(3));
    let all = CompileOptions { targets: devices::targets(), ..options.clone() };
    let mut twins = Twins::open(&try_compile(&dir, &all).expect("compiles")).expect("opens");
    assert_eq!(twins.manifest.model.max_context, 12);
    let mut run = |tokens: usize, greedy| {
        let inputs = BTreeMap::from([("input_ids".to_string(), Tensor::i32([1, tokens], vec![5; tokens]))]);
        let padding = vec![0];
        twins.check(&gristmill_tests::twins::Task { inputs, greedy, padding, tolerance: 1e-4 })
    };
    run(12, None).expect("fits");
    run(9, Some(4)).expect("the last token needs no space");
    assert_mentions(&run(13, None).expect_err("too long"), &["13 tokens", "context of 12", "max-context"]);
    assert_mentions(&run(10, Some(4)).expect_err("too long"), &["13 tokens", "context of 12"]);
    assert_mentions(&run(65, None).expect_err("beyond the model"), &["65"]);
    let options = |n| CompileOptions { max_context: Some(n), ..options.clone() };
    let dir = directory(&SHAPE.files(3));
    assert_mentions(&refusal(&dir, &options(65)), &["--max-context 65", "64"]);
    assert_mentions(&refusal(&dir, &options(0)), &["--max-context"]);
}

#[test]
fn sizes_of_a_config_are_checked() {
    for (key, values) in [
        ("hidden_size", vec![json!(0), json!(-60), json!(u64::MAX), json!(1u64 << 40), json!("wide"), json!(null)]),
        ("vocab_size", vec![json!(0), json!(1u64 << 62), json!(1e30), json!(75.5)]),
        ("num_hidden_layers", vec![json!(1_000_000_000_000u64), json!(-1), json!([2])]),
        ("num_attention_heads", vec![json!(0), json!(3), json!(1u64 << 33)]),
        ("num_key_value_heads", vec![json!(0), json!(3)]),
        ("head_dim", vec![json!(0), json!(9), json!(1u64 << 50)]),
        ("max_position_embeddings", vec![json!(0), json!(-5)]),
        ("hidden_act", vec![json!("swish squared"), json!(7)]),
    ] {
        for value in values {
            let mut files = SHAPE.files(3);
            files.config[key] = value.clone();
            let message = refusal(&directory(&files), &options());
            assert!(!message.is_empty(), "{key} = {value}");
            println!("{key} = {value}: {}", message.lines().take(4).collect::<Vec<_>>().join(" | "));
        }
    }
}

#[test]
fn tensors_are_checked() {
    let mut files = SHAPE.files(3);
    let t = files.tensor("model.layers.1.mlp.up_proj.weight");
    t.shape = vec![109, 60];
    t.data.truncate(109 * 60);
    let message = refusal(&directory(&files), &options());
    assert_mentions(&message, &["model.layers.1.mlp.up_proj.weight", "[109, 60]", "[110, 60]"]);

    let mut files = SHAPE.files(3);
    files.tensors.retain(|t| t.name != "model.layers.1.self_attn.k_proj.weight");
    assert_mentions(&refusal(&directory(&files), &options()), &["layers.1.self_attn.k_proj.weight"]);

    let dir = directory(&SHAPE.files(3));
    fs::remove_file(dir.path().join("model/model.safetensors")).expect("was there");
    assert_mentions(&refusal(&dir, &options()), &["safetensors"]);
}

#[test]
fn architectures_are_checked() {
    let mut files = SHAPE.files(3);
    files.config["architectures"] = json!(["OrganistForCausalLM"]);
    assert_mentions(&refusal(&directory(&files), &options()), &["OrganistForCausalLM", "--arch"]);
    files.config["architectures"] = json!([]);
    files.config["model_type"] = json!("organist");
    assert_mentions(&refusal(&directory(&files), &options()), &["architectures", "--arch"]);
    files.config = json!([]);
    assert_mentions(&refusal(&directory(&files), &options()), &["config.json"]);

    let dir = directory(&SHAPE.files(3));
    let own = dir.path().join("arch.ron");
    let with_arch = CompileOptions { arch: Some(own.clone()), ..options() };
    for (text, part) in [
        (r#"Architecture(doc: "circle", extends: "arch.ron")"#, "arch.ron"),
        (r#"Architecture(doc: "nobody", extends: "missing.ron")"#, "missing.ron"),
        ("Architecture(", "arch.ron:1"),
        ("", "arch.ron"),
    ] {
        fs::write(&own, text).expect("a file");
        assert_mentions(&refusal(&dir, &with_arch), &[part]);
    }
}

#[test]
fn hostile_weight_files_are_refused() {
    let files = SHAPE.files(3);
    let dir = directory(&files);
    let path: &Path = &dir.path().join("model/model.safetensors");
    let good = fs::read(path).expect("a file");
    let length = u64::from_le_bytes(good[..8].try_into().expect("eight bytes"));
    let header: Value = serde_json::from_slice(&good[8..8 + length as usize]).expect("JSON");
    let data = &good[8 + length as usize..];
    let name = "model.norm.weight";
    let with = |offsets: Value, shape: Value, dtype: &str| {
        let mut header = header.clone();
        header[name] = json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets });
        write_safetensors(path, &header.to_string(), data);
        refusal(&dir, &options())
    };
    let end = data.len();
    with(json!([0, 240]), json!([60]), "F32");
    with(json!([end - 100, end + 140]), json!([60]), "F32");
    with(json!([end, end - 240]), json!([60]), "F32");
    with(json!([0, u64::MAX]), json!([u64::MAX / 4]), "F32");
    with(json!([end - 240, end]), json!([u64::MAX, u64::MAX]), "F32");
    with(json!([end - 240, end]), json!([60]), "Q17");
    with(json!([end - 240, end]), json!("sixty"), "F32");
    for bytes in [
        Vec::new(),
        vec![1, 2, 3],
        u64::MAX.to_le_bytes().to_vec(),
        [(1u64 << 40).to_le_bytes().as_slice(), b"{}"].concat(),
        [2u64.to_le_bytes().as_slice(), b"[]"].concat(),
        [2u64.to_le_bytes().as_slice(), b"\xff\xff"].concat(),
        good[..good.len() - 1].to_vec(),
        good[..good.len() / 2].to_vec(),
        good[..8 + length as usize / 2].to_vec(),
    ] {
        fs::write(path, &bytes).expect("a file");
        assert_mentions(&refusal(&dir, &options()), &["model.safetensors"]);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    write_safetensors(path, &deep, &[]);
    assert_mentions(&refusal(&dir, &options()), &["model.safetensors"]);
}
