//! `cargo xtask package`: packages the crates as for crates.io, and checks their content.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use crate::command::{Outcome, output, run, say};
use crate::place::{Place, at};
use crate::runtime::{self, State};
use crate::toolchain::cargo;

/// Maximum size of a package in bytes. The registry accepts ten times as much, but such a size would be a mistake.
const LIMIT: u64 = 1_000_000;
/// Files in every package: both licences require their texts.
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];
/// The program, whose package includes the output of `cargo xtask web`.
const PROGRAM: &str = "gristmill";
const CARRIED: [&str; 4] = ["README.md", "dist/LICENSES.txt", "dist/gristmill_web_bg.wasm", "dist/index.html"];

/// `cargo xtask package`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask package --no-verify  in seconds: the files and sizes of all packages
  cargo xtask package              also compiles each package as it is, which takes a quarter of an hour

Nothing is uploaded. The packages are left in target/package. `gristmill` carries the runtime for browsers, so run
`cargo xtask web` first. docs/releasing.md says how to publish.")]
pub(crate) struct PackageArgs {
    /// Do not compile the packages
    #[arg(long)]
    no_verify: bool,
    /// Package files that are not committed, too
    #[arg(long)]
    allow_dirty: bool,
}

/// A published crate.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    name: String,
    version: String,
}

/// Packages all crates, prints their sizes, and fails if one is incomplete or too large.
pub(crate) fn package(place: &Place, args: &PackageArgs) -> Outcome {
    match runtime::state(&place.root) {
        State::Current => {}
        State::Missing => {
            return Err("gristmill carries the runtime for browsers: build it with `cargo xtask web`".into());
        }
        State::Old => {
            return Err("runtime/web/dist is older than its sources: build it anew with `cargo xtask web`".into());
        }
    }
    // Cargo would treat the built runtime, which is not committed, as a change. So git is asked instead.
    let changes = output(Command::new("git").current_dir(&place.root).args(["status", "--porcelain"]), "git status")?;
    if !args.allow_dirty && !changes.is_empty() {
        return Err(format!("these files are not committed (--allow-dirty packages them, too):\n{changes}"));
    }
    let metadata =
        output(cargo(place).args(["metadata", "--locked", "--no-deps", "--format-version=1"]), "cargo metadata")?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let crates = published(&metadata).ok_or("cargo does not describe the workspace as it should")?;
    let folder = metadata["target_directory"].as_str().ok_or("cargo does not say where it builds")?;

    let mut command = cargo(place);
    command.args(["package", "--locked", "--allow-dirty"]).args(args.no_verify.then_some("--no-verify"));
    command.args(crates.iter().flat_map(|c| ["--package", &c.name]));
    run(&mut command, "cargo package")?;

    let mut faults = Vec::new();
    for Published { name, version } in &crates {
        let path = Path::new(folder).join(format!("package/{name}-{version}.crate"));
        let size = fs::metadata(&path).map_err(|e| at(&path, &e))?.len();
        let mut list = cargo(place);
        list.args(["package", "--locked", "--list", "--quiet", "--allow-dirty", "--package", name]);
        let listed = output(&mut list, "cargo package --list")?;
        let files: BTreeSet<&str> = listed.lines().collect();
        println!("{size:>9} B  {:>3} files  {name}", files.len());
        faults.extend(fault(name, size, &files));
    }
    if !faults.is_empty() {
        return Err(format!("these packages are not fit to be published:\n  - {}", faults.join("\n  - ")));
    }
    say("every package has what it should");
    Ok(())
}

/// The crates of the workspace that may be published.
fn published(metadata: &Value) -> Option<Vec<Published>> {
    // `publish` lists the registries that a crate may be published to; null means any.
    let packages = metadata["packages"].as_array()?.iter().filter(|p| p["publish"].is_null());
    let text = |package: &Value, key: &str| package[key].as_str().map(str::to_string);
    packages.map(|p| Some(Published { name: text(p, "name")?, version: text(p, "version")? })).collect()
}

/// What is wrong with a package of this size and with these files, if anything.
fn fault(name: &str, size: u64, files: &BTreeSet<&str>) -> Option<String> {
    let carried = if name == PROGRAM { CARRIED.as_slice() } else { &[] };
    let missing: Vec<&str> = LICENCES.iter().chain(carried).filter(|f| !files.contains(**f)).copied().collect();
    if !missing.is_empty() {
        Some(format!("{name} lacks {}", missing.join(", ")))
    } else if size > LIMIT {
        Some(format!("{name} has {size} bytes, more than {LIMIT}: see `include` in its Cargo.toml"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn crates_that_may_be_published_are_found() {
        let metadata = json!({"packages": [
            {"name": "product", "version": "1.2.3", "publish": null},
            {"name": "tests", "version": "1.2.3", "publish": []},
        ]});
        let product = Published { name: "product".into(), version: "1.2.3".into() };
        assert_eq!(published(&metadata), Some(vec![product]));
        assert_eq!(published(&json!({})), None);
    }

    #[test]
    fn packages_have_licences_runtime_and_a_size() {
        let files: BTreeSet<&str> = LICENCES.into_iter().chain(CARRIED).collect();
        assert_eq!(fault(PROGRAM, LIMIT, &files), None);
        assert!(fault(PROGRAM, LIMIT + 1, &files).is_some_and(|f| f.contains("more than")));
        let bare: BTreeSet<&str> = LICENCES.into();
        assert_eq!(fault("another", 1, &bare), None);
        assert!(fault(PROGRAM, 1, &bare).is_some_and(|f| f.contains("dist/index.html")));
        assert!(fault("another", 1, &BTreeSet::new()).is_some_and(|f| f.contains("LICENSE-MIT")));
    }
}
