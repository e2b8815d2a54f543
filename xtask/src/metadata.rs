//! The crates that are compiled into the WebAssembly modules, according to cargo.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command::{Outcome, output};
use crate::place::Place;
use crate::toolchain::{TARGET, Toolchain};

/// The packages of the browser runtime: the runtime itself, and chat templates.
pub(crate) const PACKAGES: [&str; 2] = ["gristmill-web", "gristmill-template-web"];

/// A third-party crate in a module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Licence as an SPDX expression.
    pub(crate) licence: String,
    /// The folder of its sources.
    pub(crate) folder: PathBuf,
}

/// All third-party crates in the modules of these packages, sorted. Downloads their sources.
pub(crate) fn crates(place: &Place, toolchain: &Toolchain, packages: &[&str]) -> Outcome<Vec<Crate>> {
    let cargo = || {
        let mut cargo = toolchain.cargo();
        cargo.current_dir(&place.root);
        cargo
    };
    linked(cargo, TARGET, packages)
}

/// Like [`crates`], for any target and with any cargo.
pub(crate) fn linked(cargo: impl Fn() -> Command, target: &str, packages: &[&str]) -> Outcome<Vec<Crate>> {
    let ask = |args: &[&str]| output(cargo().args(args), &format!("cargo {}", args[0]));
    let metadata = ask(&["metadata", "--locked", "--format-version=1", "--filter-platform", target])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    // Metadata cover the whole workspace, where other packages enable more features of shared crates. The tree covers
    // only this package.
    let edges = "no-dev,no-build,no-proc-macro";
    let mut args = vec!["tree", "--locked", "--target", target, "--edges", edges, "--prefix=none"];
    args.extend(packages.iter().flat_map(|package| ["--package", package]));
    let tree = ask(&args)?;
    select(&metadata, &tree).ok_or_else(|| format!("unexpected metadata of {packages:?} from cargo"))
}

/// The packages in the metadata that are also in the tree, whose lines start with `name v1.0.0`. Packages of the
/// workspace have no source.
fn select(metadata: &Value, tree: &str) -> Option<Vec<Crate>> {
    let words = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_string(), words.next()?.strip_prefix('v')?.to_string()))
    };
    let linked: BTreeSet<(String, String)> = tree.lines().filter_map(words).collect();
    let foreign = metadata["packages"].as_array()?.iter().filter(|p| !p["source"].is_null());
    let mut found = foreign.map(describe).collect::<Option<Vec<Crate>>>()?;
    found.retain(|c| linked.contains(&(c.name.clone(), c.version.clone())));
    found.sort();
    (!linked.is_empty()).then_some(found)
}

fn describe(package: &Value) -> Option<Crate> {
    Some(Crate {
        name: package["name"].as_str()?.to_string(),
        version: package["version"].as_str()?.to_string(),
        licence: package["license"].as_str().unwrap_or("see below").to_string(),
        folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn linked_crates_of_others_are_found() {
        let package = |name: &str, version: &str, source: Value| {
            json!({"name": name, "version": version, "license": "MIT", "source": source,
                   "manifest_path": format!("/r/{name}/Cargo.toml")})
        };
        let metadata = json!({"packages": [
            package(PACKAGES[0], "0.1.0", Value::Null),
            package("linked", "1.0.0", json!("registry")),
            package("linked", "2.0.0", json!("registry")),
            package("unrelated", "1.0.0", json!("registry")),
        ]});
        let tree = format!("{} v0.1.0 (/here)\nlinked v2.0.0\nlinked v2.0.0 (*)\n", PACKAGES[0]);
        let found = select(&metadata, &tree).expect("well-formed");
        assert_eq!(
            found.iter().map(|c| (c.name.as_str(), c.version.as_str())).collect::<Vec<_>>(),
            [("linked", "2.0.0")]
        );
        assert_eq!(found[0].folder, Path::new("/r/linked"));
        assert_eq!(select(&metadata, ""), None);
        assert_eq!(select(&json!({}), &tree), None);
    }
}
