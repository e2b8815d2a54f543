//! Interrupted compilations, and damaged caches.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Place, stories};

const RUN: [&str; 8] = ["--backend", "wasm", "--prompt", "Once", "--greedy", "--max-new-tokens", "3", "--precision=q8"];

/// A kind of damage to a bundle.
type Damage = fn(&Path);

fn run(place: &Place) -> crate::common::Ran {
    let model = stories().display().to_string();
    place.run(&[&["run", &model][..], &RUN].concat())
}

/// The only bundle in the cache.
fn cached(place: &Place) -> PathBuf {
    let only = |folder: &Path| folder.read_dir().unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    only(&only(&place.at("cache/gristmill")))
}

fn file_in(folder: PathBuf) -> PathBuf {
    folder.read_dir().unwrap().next().unwrap().unwrap().path()
}

#[test]
fn damaged_bundles_of_the_cache_are_made_again() {
    let place = Place::new();
    let text = run(&place).ok();
    let bundle = cached(&place);
    let damages: [(&str, Damage); 7] = [
        ("a weight", |bundle| {
            let shard = file_in(bundle.join("weights"));
            let mut bytes = std::fs::read(&shard).unwrap();
            bytes[1000] ^= 1;
            std::fs::write(shard, bytes).unwrap();
        }),
        ("no weights", |bundle| std::fs::remove_dir_all(bundle.join("weights")).unwrap()),
        ("modules", |bundle| {
            let modules = bundle.join("wasm").read_dir().unwrap();
            modules.for_each(|module| std::fs::write(module.unwrap().path(), "x").unwrap());
        }),
        ("no manifest", |bundle| std::fs::remove_file(bundle.join("manifest.json")).unwrap()),
        ("an empty manifest", |bundle| std::fs::write(bundle.join("manifest.json"), "").unwrap()),
        ("another manifest", |bundle| {
            crate::common::edit_json(&bundle.join("manifest.json"), |manifest| {
                manifest["model"]["max_context"] = 3.into()
            });
        }),
        ("a newer format", |bundle| {
            crate::common::edit_json(&bundle.join("manifest.json"), |manifest| manifest["format"] = 999.into());
        }),
    ];
    for (what, damage) in damages {
        damage(&bundle);
        let ran = run(&place);
        assert!(ran.stderr.contains(&format!("{}: damaged (", bundle.display())), "{what}: {}", ran.stderr);
        assert_eq!(ran.ok(), text, "{what}");
        let ran = run(&place);
        assert!(!ran.stderr.contains("compiling"), "{what}: {}", ran.stderr);
    }
    // A bundle that the user names is not repaired.
    let named = place.bundle(&["--target", "wasm"]);
    damages[0].1(&named);
    place.run(&["run", "bundle", "--backend", "wasm", "--prompt", "Once"]).fails(2, &["SHA-256"]);
}

#[test]
fn the_cache_is_listed_verified_and_cleaned() {
    let place = Place::new();
    place.run(&["cache", "list"]).ok();
    place.run(&["cache", "verify"]).ok();
    run(&place).ok();
    let bundle = cached(&place);
    let list = place.run(&["cache", "list"]).ok();
    assert!(list.contains("stories260K") && list.contains("q8"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&place.run(&["cache", "list", "--json"]).ok()).unwrap();
    assert_eq!(json["bundles"][0]["path"], bundle.display().to_string());
    assert!(json["bundles"][0]["bytes"].as_u64().unwrap() > 100_000);
    place.run(&["cache", "clean", "--damaged"]).ok();
    assert!(bundle.exists());
    std::fs::write(file_in(bundle.join("wasm")), "x").unwrap();
    place.run(&["cache", "verify"]).fails(1, &["damaged", &bundle.display().to_string(), "clean --damaged"]);
    place.run(&["cache", "clean", "--damaged"]).ok();
    assert!(!bundle.exists());
    run(&place).ok();
    place.run(&["cache", "clean"]).ok();
    assert_eq!(place.at("cache/gristmill").read_dir().unwrap().count(), 0);
}

/// Signals at many moments: either nothing is left, or the complete bundle.
#[cfg(unix)]
#[test]
fn an_interrupted_compilation_leaves_nothing() {
    let place = Place::new();
    let model = stories().display().to_string();
    let begin = Instant::now();
    place.run(&["compile", &model, "-o", "out"]).ok();
    let whole = begin.elapsed();
    std::fs::remove_dir_all(place.at("out")).unwrap();
    for part in 0..12u32 {
        let mut command = place.command(&["compile", &model, "-o", "out"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * part / 12 + Duration::from_millis(20));
        let id = child.id().to_string();
        let _ = std::process::Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status().unwrap();
        let code = child.wait().unwrap().code();
        let names = place.names();
        match code {
            Some(130) => assert!(names.is_empty() || names == ["out"], "{part}: {names:?}"),
            Some(0) => assert_eq!(names, ["out"], "{part}"),
            // The signal came before it could be handled.
            None => assert!(names.is_empty(), "{part}: {names:?}"),
            other => panic!("{part}: {other:?}"),
        }
        let _ = std::fs::remove_dir_all(place.at("out"));
    }
}
