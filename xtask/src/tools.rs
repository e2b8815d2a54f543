//! Checks for build tools before anything that takes long.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::command::Outcome;

/// The minimum Rust version of the workspace.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");
/// The minimum Node.js version: what the packages that build the runtime ask for.
const NODE: &str = "20.0";

const INSTALL_NODE: &str = "install it from https://nodejs.org; on Debian `apt install nodejs npm` (as root), on macOS \
     `brew install node`";

/// What is missing of Rust and how to install it, with programs looked up on this search path.
pub(crate) fn rust(path: &OsStr) -> Vec<String> {
    let remedy = "run `rustup update`; https://rustup.rs installs rustup";
    at_least(path, "rustc", "Rust", RUST, remedy).into_iter().collect()
}

/// What is missing to build the browser runtime. `compiler` is the version of the WebAssembly toolchain, or how to
/// install one.
pub(crate) fn web(path: &OsStr, compiler: Outcome<String>) -> Vec<String> {
    let compiler = match compiler {
        Err(why) => Some(why),
        Ok(version) if is_older(&version, RUST) => {
            Some(format!("Rust {RUST} or newer that compiles to WebAssembly: this is {version}; run `rustup update`"))
        }
        Ok(_) => None,
    };
    let node = at_least(path, "node", "Node.js", NODE, INSTALL_NODE);
    let npm = match find(path, "npm") {
        Some(_) => None,
        None => Some(format!("npm, which comes with Node.js: {INSTALL_NODE}")),
    };
    [compiler, node, npm].into_iter().flatten().collect()
}

/// The remedy if a program is missing or too old.
fn at_least(path: &OsStr, program: &str, name: &str, needed: &str, remedy: &str) -> Option<String> {
    let needed_name = format!("{name} {} or newer", needed.trim_end_matches(".0"));
    let Some(found) = find(path, program) else { return Some(format!("{needed_name}: {remedy}")) };
    match version_of(&found) {
        Some(version) if !is_older(&version, needed) => None,
        Some(version) => Some(format!("{needed_name}: {} is {version}; {remedy}", found.display())),
        None => Some(format!("{needed_name}: {} does not report its version; {remedy}", found.display())),
    }
}

/// The first program of this name on a search path.
pub(crate) fn find(path: &OsStr, program: &str) -> Option<PathBuf> {
    let ends: &[&str] = if cfg!(windows) { &["exe", "cmd"] } else { &[""] };
    let in_folder =
        |folder: PathBuf| ends.iter().map(|end| folder.join(program).with_extension(end)).find(|p| p.is_file());
    env::split_paths(path).find_map(in_folder)
}

/// The output of `PROGRAM --version`.
fn version_of(program: &PathBuf) -> Option<String> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && numbers(&text).is_some()).then(|| text.trim().to_string())
}

/// Whether a version is older than `needed`. A text without a version counts as older.
fn is_older(version: &str, needed: &str) -> bool {
    numbers(version) < numbers(needed)
}

/// Major and minor number of the first version in a text, such as `v20.1.0` or `rustc 1.95.0 (f2d3ce0bd 2026-03-21)`.
fn numbers(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut parts = word.strip_prefix('v').unwrap_or(word).split('.');
        let major = parts.next()?.parse().ok()?;
        Some((major, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_numbers() {
        assert_eq!(numbers("rustc 1.95.0 (f2d3ce0bd 2026-03-21)"), Some((1, 95)));
        assert_eq!(numbers("v20.20.2\n"), Some((20, 20)));
        assert_eq!(numbers("Debian's toolchain, rustc 1.96.0-nightly (x)"), Some((1, 96)));
        assert_eq!(numbers("no version"), None);
        assert!(is_older("rustc 1.9.0", "1.95") && is_older("v8.1.0", NODE) && is_older("?", NODE));
        assert!(!is_older("v20.0.0", NODE) && !is_older("rustc 2.0.0", "1.95"));
    }

    #[test]
    fn the_oldest_node_is_what_packages_ask_for() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/web/package-lock.json"));
        let lock: serde_json::Value = serde_json::from_str(&text.expect("a file")).expect("JSON");
        let packages = lock["packages"].as_object().expect("packages").iter().filter(|(name, _)| !name.is_empty());
        let asked = packages.filter_map(|(_, package)| package["engines"]["node"].as_str());
        let newest = asked.filter_map(|range| range.strip_prefix(">=")?.trim().split('.').next()?.parse().ok()).max();
        assert_eq!(newest, Some(20), "the highest major version in package-lock.json");
        assert_eq!(numbers(NODE), Some((20, 0)));
    }

    #[test]
    fn all_that_is_missing_is_listed() {
        let nowhere = tempfile::TempDir::new().expect("a folder");
        let path = nowhere.path().as_os_str();
        let rust = rust(path);
        assert!(rust.len() == 1 && rust[0].starts_with("Rust 1.") && rust[0].contains("rustup.rs"), "{rust:?}");
        let web = web(path, Err("no compiler for WebAssembly".into()));
        assert_eq!(web.len(), 3, "{web:?}");
        assert_eq!(web[0], "no compiler for WebAssembly");
        assert!(web[1].starts_with("Node.js 20 or newer: install") && web[2].starts_with("npm"), "{web:?}");
    }

    /// A search path with programs that print these versions.
    #[cfg(unix)]
    fn programs(versions: &[(&str, &str)]) -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::TempDir::new().expect("a folder");
        for (name, version) in versions {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\necho '{version}'\n")).expect("written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("executable");
        }
        folder
    }

    #[cfg(unix)]
    #[test]
    fn what_is_there_and_new_enough_is_not_listed() {
        let new = programs(&[("rustc", "rustc 99.0.0 (x)"), ("node", "v20.0.0"), ("npm", "9.1.0")]);
        let path = new.path().as_os_str();
        assert_eq!(rust(path), [""; 0]);
        assert_eq!(web(path, Ok("the active toolchain, rustc 99.0.0".into())), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_too_old_is_named_with_its_version() {
        let old = programs(&[("rustc", "rustc 1.70.0 (x)"), ("node", "v16.20.0"), ("npm", "8.0.0")]);
        let path = old.path().as_os_str();
        let rust = rust(path);
        assert!(rust[0].contains("rustc 1.70.0") && rust[0].contains("rustup update"), "{rust:?}");
        let found = web(path, Ok("Debian's toolchain, rustc 1.85.0".into()));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("1.85.0") && found[1].contains("v16.20.0"), "{found:?}");
        let silent = programs(&[("rustc", "")]);
        assert!(super::rust(silent.path().as_os_str())[0].contains("does not report its version"));
    }
}
