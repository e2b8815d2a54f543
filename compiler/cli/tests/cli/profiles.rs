//! Custom target profiles: compiled for by path, checked, and selected in bundles.

use serde_json::Value;

use crate::common::{Place, stories};

const NATIVE: &str = include_str!("../../../profiles/native.ron");

/// Writes the profile `native` with some texts replaced.
fn write(place: &Place, file: &str, changes: &[(&str, &str)]) {
    let mut text = NATIVE.to_string();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(place.at(file), text).unwrap();
}

/// The complete file from the manual.
fn example() -> String {
    let manual = include_str!("../../../../docs/profiles.md");
    let block = manual.split("<!-- example: my-phone.ron -->\n```ron\n").nth(1).expect("an example");
    block.split("```").next().expect("its end").to_string()
}

const NAME: (&str, &str) = ("name: \"native\"", "name: \"my-phone\"");

#[test]
fn a_profile_of_ones_own_is_a_target() {
    let place = Place::new();
    std::fs::write(place.at("my-phone.ron"), example()).unwrap();
    place.run(&["check", "my-phone.ron"]).ok();
    let model = stories().display().to_string();
    let compile = |to: &str, target: &str| place.run(&["compile", &model, "-o", to, "--target", target]);
    compile("only", "my-phone.ron").ok();
    compile("both", "my-phone.ron,native").ok();
    let run = |more: &[&str]| {
        let args = ["--prompt", "Once upon a time", "--max-new-tokens", "8"];
        place.run(&[&["run"][..], more, &args].concat())
    };
    let text = run(&["only"]).ok();
    assert_eq!(run(&["both"]).ok(), text);
    assert_eq!(run(&["both", "--profile", "my-phone"]).ok(), text);
    let bench = |more: &[&str]| -> Value {
        let short = ["--prompt-tokens", "2", "--new-tokens", "2", "--runs", "1", "--json"];
        serde_json::from_str(&place.run(&[&["bench", "both"][..], more, &short].concat()).ok()).unwrap()
    };
    assert_eq!(bench(&["--profile", "my-phone"])["profile"], "my-phone");
    assert_eq!(bench(&["--backend", "wgpu"])["profile"], "native");

    assert!(place.run(&["inspect", "only"]).ok().contains("Entries (my-phone)"));
    assert!(place.run(&["inspect", "only", "--memory"]).ok().contains("peak"));
    place.run(&["inspect", "only", "--target", "native"]).fails(2, &["no target `native`, only my-phone"]);
    run(&["only", "--profile", "native"]).fails(2, &["no programs for `native`, only for my-phone"]);
    run(&["only", "--backend", "wasm"]).fails(2, &["only programs for my-phone", "--target wasm"]);
    run(&["only", "--profile", "wasm"]).fails(2, &["--profile wasm", "--backend wasm"]);
    run(&["only", "--profile", "my-phone", "--threads", "2"]).fails(2, &["--profile and --threads"]);
}

#[test]
fn an_edited_profile_is_compiled_again() {
    let place = Place::new();
    let model = stories().display().to_string();
    let compiles = || {
        let args = ["run", &model, "--target", "my-phone.ron", "--prompt", "Once", "--max-new-tokens", "2"];
        let ran = place.run(&args);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr.contains("compiling ")
    };
    write(&place, "my-phone.ron", &[NAME]);
    assert!(compiles());
    assert!(!compiles(), "the same file");
    write(&place, "my-phone.ron", &[NAME, ("k_splits: 4", "k_splits: 2")]);
    assert!(compiles(), "another one");
}

#[test]
fn what_is_wrong_with_a_profile_is_said_with_its_place() {
    let place = Place::new();
    let model = stories().display().to_string();
    write(&place, "bad.ron", &[NAME, ("k_splits: 4", "k_splits: 3"), ("launch_us: 5.0", "launch_us: -5.0")]);
    let texts = ["--> bad.ron:", "`schedule.matvec.k_splits` is 3; expected a power of two", "`cost.launch_us` is -5"];
    place.run(&["compile", &model, "-o", "out", "--target", "bad.ron"]).fails(2, &texts);
    let ran = place.run(&["check", "bad.ron"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(texts.iter().all(|text| ran.stderr.contains(text)) && ran.stderr.contains("2 errors"), "{}", ran.stderr);
    write(&place, "bad.ron", &[("lanes: 16", "lane: 16")]);
    let texts = ["--> bad.ron:", "did you mean `lanes`?"];
    place.run(&["compile", &model, "-o", "out", "--target", "bad.ron"]).fails(2, &texts);
    place.run(&["compile", &model, "-o", "out", "--target", "firefix"]).fails(2, &["did you mean `firefox`?"]);
    place.run(&["compile", &model, "-o", "out", "--target", "nowhere.ron"]).fails(2, &["nowhere.ron"]);
    write(&place, "same.ron", &[]);
    let texts = ["--target same.ron", "the same name, `native`", "rename the profile"];
    place.run(&["compile", &model, "-o", "out", "--target", "native,same.ron"]).fails(2, &texts);
    assert_eq!(place.names(), ["bad.ron", "same.ron"]);
}

#[test]
fn profiles_of_the_examples_are_valid() {
    let place = Place::new();
    let folder = stories().parent().unwrap().join("profiles");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        place.run(&["check", &file.display().to_string()]).ok();
    }
}
