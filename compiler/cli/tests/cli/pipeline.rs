//! The complete pipeline with the shipped model: compile, inspect, run, verify, without a GPU.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use crate::common::{Place, Ran, edit_json, ids, load, save, stories};

const PROMPT: &str = "Once upon a time";
/// The story that the model generates, as published with its weights.
const STORY: &str = ", there was a little girl named Lily. She loved to play outside in the park.";

fn told(place: &Place, model: &str, more: &[&str]) -> Ran {
    place.run(&[&["run", model, "--prompt", PROMPT, "--backend", "reference"][..], more].concat())
}

#[test]
fn a_model_directory_tells_the_published_story() {
    let place = Place::new();
    let model = stories().display().to_string();
    let first = told(&place, &model, &["--precision", "f32", "--max-new-tokens", "40"]);
    assert!(first.stderr.contains("compiling"), "{}", first.stderr);
    assert!(first.stderr.contains("reference"), "{}", first.stderr);
    assert!(first.stderr.contains("tokens/s"), "{}", first.stderr);
    let text = first.ok();
    assert!(text.contains(STORY), "{text}");
    let second = told(&place, &model, &["--precision", "f32", "--max-new-tokens", "40"]);
    assert!(!second.stderr.contains("compiling"), "the cache was not used: {}", second.stderr);
    assert_eq!(second.ok(), text);
}

#[test]
fn sampling_follows_its_seed_and_stops_where_told() {
    let place = Place::new();
    place.bundle(&[]);
    let sample = |seed: &str| {
        told(&place, "bundle", &["--temperature", "1.5", "--top-k", "50", "--seed", seed, "--max-new-tokens", "12"])
            .ok()
    };
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1"), sample("2"));
    let cut = told(&place, "bundle", &["--greedy", "--stop", "girl", "--max-new-tokens", "40"]).ok();
    assert!(!cut.contains("girl"), "{cut}");
}

#[test]
fn prompts_over_the_context_are_refused() {
    let place = Place::new();
    place.bundle(&["--max-context", "16"]);
    let long = "once upon a time there was a little girl ".repeat(4);
    place.run(&["run", "bundle", "--prompt", &long, "--backend", "reference"]).fails(2, &["context of 16"]);
    // Generation stops at the end of the context.
    let ran = told(&place, "bundle", &["--max-new-tokens", "100"]);
    assert!(!ran.ok().is_empty());
}

#[test]
fn tensors_in_and_out_then_verify() {
    let place = Place::new();
    place.bundle(&["--precision", "f32"]);
    save(
        &place.at("in.safetensors"),
        &BTreeMap::from([("input_ids".to_string(), ids(&[1, 5], &[1, 403, 407, 261, 378]))]),
    );
    let tensors = ["--inputs", "in.safetensors", "--backend", "reference"];
    let args = [&["run", "bundle", "--outputs", "out.safetensors", "--greedy", "4", "--taps"][..], &tensors].concat();
    assert!(place.run(&args).ok().is_empty(), "tensor mode prints nothing on stdout");
    let nowhere = [&["run", "bundle", "--outputs", "no/out.safetensors"][..], &tensors].concat();
    place.run(&nowhere).fails(2, &["the directory does not exist"]);
    let mut out = load(&place.at("out.safetensors"));
    assert_eq!(out["logits"].1, [1, 5, 512]);
    assert_eq!(out["greedy.tokens"].1, [1, 4]);
    assert_eq!(out["greedy.tokens"].0, safetensors::tensor::Dtype::I64);
    assert_eq!(out["greedy.logits"].1, [1, 4, 512]);
    assert!(out.keys().any(|k| k.starts_with("hidden_states.")), "{:?}", out.keys());

    let verify =
        |more: &[&str]| place.run(&[&["verify", "bundle", "--expect", "out.safetensors"][..], &tensors, more].concat());
    let text = verify(&["--taps"]).ok();
    assert!(text.contains("greedy.tokens") && text.contains("PASS"), "{text}");

    // Expected tensors that the model does not compute are no failure.
    out.insert("mystery".to_string(), ids(&[1], &[7]));
    save(&place.at("out.safetensors"), &out);
    let text = verify(&[]).ok();
    assert!(text.contains("mystery") && text.contains("not produced"), "{text}");

    // A wrong value is.
    let last = out["logits"].2.len() - 1;
    out.get_mut("logits").unwrap().2[last] ^= 0x40;
    save(&place.at("out.safetensors"), &out);
    let ran = verify(&["--json"]);
    assert_eq!(ran.code, 1);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["passes"], false);

    // So is having no tensor in common.
    save(&place.at("out.safetensors"), &BTreeMap::from([("mystery".to_string(), ids(&[1], &[7]))]));
    let ran = verify(&[]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
}

#[test]
fn every_view_of_inspect() {
    let place = Place::new();
    place.bundle(&["--target", "firefox", "--precision", "q4"]);
    let inspect = |args: &[&str]| place.run(&[&["inspect", "bundle"][..], args].concat()).ok();
    for view in [&[][..], &["--graph"], &["--rewrites"], &["--memory"], &["--kernels"], &["--weights"]] {
        let text = inspect(view);
        assert!(text.lines().count() > 3, "{view:?}: {text}");
        let json = inspect(&[view, &["--json"]].concat());
        serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|e| panic!("{view:?}: {e}"));
    }
    let overview = inspect(&[]);
    for word in ["llama", "260,032", "q4", "input_ids", "prefill", "decode", "firefox", "512"] {
        assert!(overview.contains(word), "{word}: {overview}");
    }
    let kernels: serde_json::Value = serde_json::from_str(&inspect(&["--kernels", "--json"])).unwrap();
    let name = kernels["kernels"][0]["name"].as_str().unwrap();
    let shader = inspect(&["--shader", name, "--target", "firefox"]);
    assert!(shader.contains("@compute") && shader.contains("fn "), "{shader}");
    let ran = place.run(&["inspect", "bundle", "--shader", &format!("{name}x")]);
    ran.fails(2, &["did you mean", name]);
    place.run(&["inspect", "bundle", "--kernels", "--target", "opera"]).fails(2, &["opera", "firefox"]);

    let drawn = inspect(&["--graph", "--dot"]);
    assert_eq!(drawn, inspect(&["--graph", "--dot"]), "the same each time");
    assert!(drawn.starts_with("digraph ") && drawn.ends_with("}\n"), "{drawn}");
    assert_eq!(drawn.matches("subgraph cluster_").count(), 7, "five layers, a start and an end: {drawn}");
    // Every edge connects existing nodes and shows the shape. The nodes of a kernel have the same colour.
    let declared: Vec<&str> =
        drawn.lines().filter(|l| !l.contains("->")).filter_map(|l| l.trim().split(' ').next()).collect();
    for edge in drawn.lines().filter(|l| l.contains(" -> ")) {
        let (from, to) = edge.trim().split_once(" -> ").expect("an edge");
        let to = to.split(" [label=").next().expect("a node");
        assert!(declared.contains(&from) && declared.contains(&to), "{edge}");
    }
    assert!(drawn.contains("[label=\"[B, T, 64]\"]"), "{drawn}");
    let mut colours: BTreeMap<&str, &str> = BTreeMap::new();
    for node in drawn.lines().filter(|l| l.contains("tooltip=")) {
        let (rest, kernel) = node.split_once(", tooltip=").expect("a kernel");
        let colour = rest.split_once("fillcolor=").expect("a colour").1;
        assert_eq!(*colours.entry(kernel).or_insert(colour), colour, "{node}");
    }
    assert!(colours.len() > 10 && colours.values().collect::<BTreeSet<_>>().len() == colours.len(), "{colours:?}");
    let layer = inspect(&["--graph", "--dot", "--layer", "1", "--entry", "decode"]);
    assert!(layer.contains("label=\"layers 1\"") && !layer.contains("label=\"layers 0\""), "{layer}");
    assert!(layer.contains("[B, 1, 64]"), "{layer}");
    place
        .run(&["inspect", "bundle", "--graph", "--dot", "--layer", "5"])
        .fails(2, &["no layer 5", "the last one is 4"]);
    place.run(&["inspect", "bundle", "--graph", "--dot", "--entry", "x"]).fails(2, &["no entry `x`", "decode"]);
    place.run(&["inspect", "bundle", "--dot"]).fails(2, &["--graph"]);
}

#[test]
fn a_bundle_of_modules() {
    let place = Place::new();
    place.run(&["compile", &stories().display().to_string(), "-o", "bundle", "--target", "wasm"]).ok();
    assert!(!place.at("bundle/shaders").exists());
    let mut files: Vec<_> =
        std::fs::read_dir(place.at("bundle/wasm")).unwrap().map(|f| f.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["baseline.threads.wasm", "baseline.wasm", "relaxed.threads.wasm", "relaxed.wasm"]);
    for variant in gristmill_wasm::Variant::ALL {
        let module = std::fs::read(place.at(&format!("bundle/wasm/{}.wasm", variant.name()))).unwrap();
        gristmill_wasm::validate(&module, variant).unwrap_or_else(|e| panic!("{}: {e}", variant.name()));
        assert!(module.len() < 300_000, "{}: {} bytes", variant.name(), module.len());
        println!("{}: {} bytes", variant.name(), module.len());
    }
    let inspect = |args: &[&str]| place.run(&[&["inspect", "bundle", "--target", "wasm"][..], args].concat());
    for view in [&[][..], &["--graph"], &["--rewrites"], &["--memory"], &["--kernels"], &["--weights"]] {
        assert!(inspect(view).ok().lines().count() > 3, "{view:?}");
    }
    let kernels: serde_json::Value = serde_json::from_str(&inspect(&["--kernels", "--json"]).ok()).unwrap();
    let kernels = kernels["kernels"].as_array().unwrap();
    assert!(kernels.len() > 10);
    for kernel in kernels {
        let name = kernel["name"].as_str().unwrap();
        let text = inspect(&["--shader", name]).ok();
        // A description, then one function with named parameters.
        assert!(text.starts_with(";; ") && text.ends_with("  )\n"), "{name}: {text}");
        assert_eq!(text.matches("(func ").count(), 1, "{name}: {text}");
        for word in [&format!("(func ${name} "), "$args", "$begin", "$end", "$scratch", "$position"] {
            assert!(text.contains(word), "{name} has no {word}: {text}");
        }
    }
    let dots = kernels.iter().map(|k| k["name"].as_str().unwrap()).find(|n| n.starts_with("matvec"));
    let ran = inspect(&["--shader", dots.unwrap()]);
    assert!(ran.stderr.contains("variant 1 of 4 (relaxed-simd+threads"), "{}", ran.stderr);
    assert!(ran.stdout.contains("i32x4.relaxed_dot_i8x16_i7x16_add_s"), "{}", ran.stdout);
    let json = inspect(&["--shader", dots.unwrap(), "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let texts: Vec<_> = json["variants"].as_array().unwrap().iter().map(|v| v["wat"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), 4);
    assert!(texts[0].contains("relaxed") && !texts[3].contains("relaxed"));
    inspect(&["--shader", &format!("{}x", dots.unwrap())]).fails(2, &["did you mean", dots.unwrap(), "--kernels"]);
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_the_text_cleanly() {
    use std::io::Read;
    let place = Place::new();
    // Without end tokens, generation continues until the context is full.
    let model = place.model();
    edit_json(&model.join("generation_config.json"), |c| c["eos_token_id"] = serde_json::json!([]));
    edit_json(&model.join("config.json"), |c| c["eos_token_id"] = serde_json::json!([]));
    let args = ["run", "model", "--prompt", PROMPT, "--backend", "reference", "--max-new-tokens", "100000"];
    let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 20];
    stdout.read_exact(&mut first).unwrap();
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let out = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(130), "{stderr}");
    assert!(rest.ends_with('\n') && stderr.contains("tokens/s): stopped"), "{rest}\n{stderr}");
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let place = Place::new();
    let model = stories().display().to_string();
    for out in ["a", "b"] {
        place.run(&["compile", &model, "-o", out, "--precision", "q4", "--target", "native,safari"]).ok();
    }
    let manifest = |name: &str| std::fs::read(place.at(name).join("manifest.json")).unwrap();
    // The manifest contains the hash of every file.
    assert!(manifest("a") == manifest("b"));
}

#[test]
fn a_compiled_bundle_takes_no_options_of_the_compiler() {
    let place = Place::new();
    place.bundle(&[]);
    place
        .run(&["run", "bundle", "--prompt", "x", "--precision", "q8"])
        .fails(2, &["--precision", "already a compiled bundle"]);
}

#[test]
fn output_that_is_something_else_is_not_replaced() {
    let place = Place::new();
    std::fs::create_dir(place.at("precious")).unwrap();
    std::fs::write(place.at("precious/thesis.txt"), "years of work").unwrap();
    let model = stories().display().to_string();
    place.run(&["compile", &model, "-o", "precious", "--target", "native"]).fails(2, &["precious"]);
    assert_eq!(std::fs::read_to_string(place.at("precious/thesis.txt")).unwrap(), "years of work");
    assert_eq!(place.names(), ["precious"]);
}

#[test]
#[cfg(target_os = "linux")]
fn without_an_adapter() {
    let place = Place::new();
    place.bundle(&["--target", "wasm"]);
    let none = [("VK_DRIVER_FILES", "/nonexistent.json"), ("VK_ICD_FILENAMES", "/nonexistent.json")];
    place.run_with(&["run", "bundle", "--prompt", "x", "--backend", "wgpu"], &none).fails(3, &["--backend wasm"]);
    place.run_with(&["adapters"], &none).fails(3, &["adapter"]);
    let ran = place.run_with(&["run", "bundle", "--prompt", PROMPT, "--max-new-tokens", "4"], &none);
    assert!(ran.stderr.contains("backend: wasm: wasmtime"), "{}", ran.stderr);
    assert!(!ran.ok().is_empty());
}

#[test]
fn webassembly_tells_the_published_story() {
    let place = Place::new();
    place.bundle(&["--target", "wasm", "--precision", "f32"]);
    for (flags, said) in [
        (&["--backend", "wasm"][..], "wasm: wasmtime"),
        (&["--threads", "1"], "1 thread, relaxed SIMD"),
        (&["--threads", "2", "--simd", "baseline"], "2 threads, baseline SIMD"),
    ] {
        let args = ["run", "bundle", "--prompt", PROMPT, "--max-new-tokens", "40"];
        let ran = place.run(&[&args[..], flags].concat());
        assert!(ran.stderr.contains(said) && ran.stderr.contains("tokens/s"), "{}", ran.stderr);
        assert!(ran.ok().contains(STORY), "{flags:?}");
    }
}

#[test]
fn backends_need_their_programs_and_their_flags() {
    let place = Place::new();
    let run = |bundle: &str, more: &[&str]| place.run(&[&["run", bundle, "--prompt", "x"][..], more].concat());
    let model = stories().display().to_string();
    for target in ["native", "wasm"] {
        place.run(&["compile", &model, "-o", target, "--target", target]).ok();
    }
    run("native", &["--backend", "wasm"]).fails(2, &["no WebAssembly", "--target wasm or all"]);
    run("wasm", &["--backend", "wgpu"]).fails(2, &["no programs for WebGPU", "--target all"]);
    run("wasm", &["--backend", "wgpu", "--threads", "2"]).fails(2, &["--threads needs --backend wasm"]);
    run("wasm", &["--backend", "wasm", "--adapter", "0"]).fails(2, &["--adapter needs --backend wgpu"]);
    run("wasm", &["--adapter", "0", "--simd", "relaxed"]).fails(2, &["different backends"]);
    run("wasm", &["--threads", "0"]).fails(2, &["--threads"]);
    // The backend is chosen by the programs in the bundle.
    let ran = run("wasm", &["--max-new-tokens", "2"]);
    assert!(ran.stderr.contains("backend: wasm"), "{}", ran.stderr);
}

#[test]
fn check_lists_what_is_wrong() {
    let place = Place::new();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
    let config = stories().join("config.json").display().to_string();
    place.run(&["check", &format!("{models}/llama.ron"), "--config", &config]).ok();
    for entry in std::fs::read_dir(models).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "ron") {
            place.run(&["check", &path.display().to_string()]).ok();
        }
    }
    place.run(&["check", &format!("{models}/precision/mixed.ron")]).ok();
    std::fs::write(place.at("bad-policy.ron"), "Policy(default: \"q5\")").unwrap();
    assert_eq!(place.run(&["check", "bad-policy.ron"]).code, 1);
    std::fs::write(place.at("bad.ron"), "(").unwrap();
    let ran = place.run(&["check", "bad.ron"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("bad.ron:1:"), "{}", ran.stderr);
}

#[test]
fn bundles_for_browsers_have_the_page_that_the_program_carries() {
    let place = Place::new();
    let model = stories().display().to_string();
    let compiled = |target: &str| {
        let ran = place.run(&["compile", &model, "-o", "bundle", "--target", target]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let manifest = std::fs::read(place.at("bundle/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let has = |path: &str| manifest["files"].get(path).is_some() && place.at("bundle").join(path).is_file();
        (has("index.html"), has("runtime/gristmill.js"), ran.stderr)
    };
    let (page, runtime, said) = compiled("firefox");
    assert_eq!(page, runtime);
    assert_eq!(!page, said.contains("has neither a page") && said.contains("`cargo xtask demo MODEL_DIR`"), "{said}");
    let (page, runtime, said) = compiled("native");
    assert!(!page && !runtime && !said.contains("has neither a page"), "{said}");
}
