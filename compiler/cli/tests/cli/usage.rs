//! Help texts and invalid usage.

use crate::common::{Place, stories};

#[test]
fn every_command_shows_examples() {
    let place = Place::new();
    for command in ["compile", "check", "inspect", "run", "verify", "serve", "bench", "adapters"] {
        for flag in ["-h", "--help"] {
            let text = place.run(&[command, flag]).ok();
            assert!(text.contains("Usage:") && text.contains("Examples:"), "{command}: {text}");
            assert!(text.contains(&format!("gristmill {command}")), "{command}: {text}");
        }
    }
    let text = place.run(&["--help"]).ok();
    assert!(text.contains("Exit codes: 0 success; 1 the answer is no"), "{text}");
    assert!(place.run(&["--version"]).ok().starts_with("gristmill 0."));
}

#[test]
fn wrong_use_is_exit_code_2() {
    let place = Place::new();
    place.run(&[]).fails(2, &["Usage:"]);
    place.run(&["compyle"]).fails(2, &["unrecognized subcommand", "compile"]);
    place.run(&["compile", "model"]).fails(2, &["--output"]);
    place.run(&["run", "model"]).fails(2, &["--prompt"]);
    place.run(&["run", "model", "--inputs", "a.safetensors"]).fails(2, &["--outputs"]);
    place.run(&["run", "model", "--prompt", "x", "--taps"]).fails(2, &["--taps"]);
    place.run(&["run", "model", "--prompt", "x", "--backend", "cuda"]).fails(2, &["auto", "wgpu", "wasm", "reference"]);
    place.run(&["run", "model", "--prompt", "x", "--greedy", "--temperature", "1"]).fails(2, &["--temperature"]);
    place.run(&["compile", "m", "-o", "b", "--group", "48"]).fails(2, &["expected one of 16, 32, 64, 128"]);
    place.run(&["inspect", "b", "--graph", "--memory"]).fails(2, &["cannot be used with"]);
    place.run(&["verify", "b", "--inputs", "i", "--expect", "e", "--tol", "x"]).fails(2, &["such as 1e-3"]);
}

#[test]
fn places_that_hold_nothing_usable() {
    let place = Place::new();
    std::fs::create_dir(place.at("empty")).unwrap();
    std::fs::write(place.at("file"), "x").unwrap();
    place.run(&["run", "nowhere", "--prompt", "x"]).fails(2, &["nowhere: no such directory"]);
    place.run(&["run", "file", "--prompt", "x"]).fails(2, &["file: neither a directory nor a GGUF file"]);
    place.run(&["run", "empty", "--prompt", "x"]).fails(2, &["no manifest.json", "no config.json"]);
    place.run(&["inspect", "empty"]).fails(2, &["no manifest.json", "gristmill compile"]);
    place.run(&["compile", "nowhere", "-o", "out"]).fails(2, &["nowhere"]);
    place.run(&["compile", "empty", "-o", "out"]).fails(2, &["config.json"]);
    place.run(&["check", "nowhere.ron"]).fails(2, &["nowhere.ron"]);
    assert_eq!(place.names(), ["empty", "file"]);
}

#[test]
fn options_with_wrong_values() {
    let place = Place::new();
    let model = stories().display().to_string();
    let compile = |more: &[&str], text: &str| {
        let mut args = vec!["compile", &model, "-o", "out"];
        args.extend(more);
        place.run(&args).fails(2, &[text]);
    };
    compile(&["--precision", "q5"], "q5");
    compile(&["--precision", "nowhere.ron"], "nowhere.ron");
    compile(&["--target", "netscape"], "netscape");
    compile(&["--arch", "nowhere.ron"], "nowhere.ron");
    compile(&["--max-context", "0"], "--max-context");
    assert!(place.names().is_empty(), "{:?}", place.names());
}
