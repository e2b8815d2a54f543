//! What a release states in several places is consistent: versions, the minimum Rust version, names of archives.

use std::process::Command;

use gristmill_tests::goldens::root;
use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Cargo's metadata about the workspace and all its dependencies.
fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    let output =
        cargo.current_dir(root()).args(["metadata", "--locked", "--all-features", "--format-version=1"]).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Major and minor number of a Rust version: (1, 95) for 1.95.2.
fn rust(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|p| p.parse().expect("a number"));
    (parts.next().expect("a version"), parts.next().unwrap_or(0))
}

#[test]
fn nothing_needs_a_newer_rust_than_we_say() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = packages.iter().find(|p| p["name"] == "gristmill").expect("the program");
    let ours = ours["rust_version"].as_str().expect("gristmill says what Rust it needs");
    let told: Vec<&Value> = packages.iter().filter(|p| p["rust_version"].is_string()).collect();
    assert!(told.len() > 100, "{} crates say what Rust they need", told.len());
    for package in told {
        let theirs = package["rust_version"].as_str().expect("a string");
        assert!(rust(theirs) <= rust(ours), "{} needs Rust {theirs}, and we say {ours}", package["name"]);
    }
    // The gate runs with this Rust version, and releases are built with it.
    assert!(read(".github/workflows/ci.yml").contains(&format!("image: rust:{ours}-")), "ci.yml has another Rust");
    assert!(
        read(".github/workflows/release.yml").contains(&format!("RUST: \"{ours}\"")),
        "release.yml has another Rust"
    );
    assert!(read("README.md").contains(&format!("Rust {ours} or newer")), "the README names another Rust");
    assert!(read("CONTRIBUTING.md").contains(&format!("Rust {ours} or newer")), "CONTRIBUTING.md names another Rust");
}

#[test]
fn all_parts_have_one_version() {
    let metadata = metadata();
    let members: Vec<&Value> =
        metadata["packages"].as_array().expect("packages").iter().filter(|p| p["source"].is_null()).collect();
    let program = members.iter().find(|p| p["name"] == "gristmill").expect("the program");
    let package: Value = serde_json::from_str(&read("runtime/web/package.json")).expect("JSON");
    assert_eq!(package["version"], program["version"], "package.json and Cargo.toml");
    for member in &members {
        assert_eq!(member["version"], program["version"], "{}", member["name"]);
        // A published crate depends on exactly the crates that it is published with.
        for dependency in
            member["dependencies"].as_array().expect("dependencies").iter().filter(|d| d["path"].is_string())
        {
            let wanted = format!("={}", program["version"].as_str().expect("a version"));
            let private = !member["publish"].is_null();
            assert!(private || dependency["req"] == wanted, "{} needs {dependency}", member["name"]);
        }
    }
}

#[test]
fn archives_are_called_what_binstall_asks_for() {
    let metadata = metadata();
    let program =
        metadata["packages"].as_array().expect("packages").iter().find(|p| p["name"] == "gristmill").expect("it");
    let binstall = &program["metadata"]["binstall"];
    let (script, workflow) = (read(".ci/archive"), read(".github/workflows/release.yml"));
    assert!(script.contains("name=gristmill-$version-$target\n"), ".ci/archive names archives otherwise");
    let targets: Vec<&str> = workflow.split("{ target: ").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    assert_eq!(targets.len(), 5, "{targets:?}");
    for target in targets {
        let own = &binstall["overrides"][target]["pkg-url"];
        let url = if own.is_string() { own } else { &binstall["pkg-url"] }.as_str().expect("a template");
        let suffix = if target.contains("windows") { "zip" } else { "tar.gz" };
        assert!(script.contains(&format!("archive=$name.{suffix}")), "{suffix}");
        assert_eq!(
            url,
            format!("{{ repo }}/releases/download/v{{ version }}/{{ name }}-{{ version }}-{{ target }}.{suffix}")
        );
    }
    assert_eq!(binstall["bin-dir"], "{ name }-{ version }-{ target }/{ bin }{ binary-ext }");
}
