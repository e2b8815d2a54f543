//! The crates that are compiled into the WebAssembly module, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Outcome, output};
use crate::place::Place;
use crate::toolchain::{TARGET, Toolchain};

/// The package that is compiled.
pub(crate) const PACKAGE: &str = "gristmill-web";

/// A crate of others in the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression.
    pub(crate) licence: String,
    /// Its sources.
    pub(crate) folder: PathBuf,
}

/// All crates of others that end up in the module, sorted. Their sources are there afterwards.
pub(crate) fn crates(place: &Place, toolchain: &Toolchain) -> Outcome<Vec<Crate>> {
    let mut command = toolchain.cargo();
    command.current_dir(&place.root).args(["metadata", "--locked", "--format-version=1", "--filter-platform", TARGET]);
    let text = output(&mut command, "cargo metadata")?;
    let value: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    select(&value).ok_or_else(|| format!("cargo metadata does not describe {PACKAGE} as it should"))
}

/// Follows the dependencies of the package that are linked; those of build scripts and macros are not.
fn select(metadata: &Value) -> Option<Vec<Crate>> {
    let by_id = |list: &'_ Value| -> Option<BTreeMap<String, Value>> {
        list.as_array()?.iter().map(|v| Some((v["id"].as_str()?.to_string(), v.clone()))).collect()
    };
    let (packages, nodes) = (by_id(&metadata["packages"])?, by_id(&metadata["resolve"]["nodes"])?);
    let start = packages.iter().find(|(_, p)| p["name"] == PACKAGE)?.0.clone();
    let (mut open, mut seen) = (vec![start], BTreeSet::new());
    while let Some(id) = open.pop() {
        if is_macro(packages.get(&id)?) || !seen.insert(id.clone()) {
            continue;
        }
        for dependency in nodes.get(&id)?["deps"].as_array()? {
            if dependency["dep_kinds"].as_array()?.iter().any(|k| k["kind"].is_null()) {
                open.push(dependency["pkg"].as_str()?.to_string());
            }
        }
    }
    // Crates of the workspace have no source.
    let foreign = seen.iter().filter_map(|id| packages.get(id)).filter(|p| !p["source"].is_null());
    let mut found = foreign.map(describe).collect::<Option<Vec<Crate>>>()?;
    found.sort();
    Some(found)
}

fn is_macro(package: &Value) -> bool {
    let kinds = package["targets"].as_array().into_iter().flatten().flat_map(|t| t["kind"].as_array()).flatten();
    kinds.into_iter().any(|k| k == "proc-macro")
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

    fn package(id: &str, kind: &str, source: Value) -> Value {
        json!({"id": id, "name": id, "version": "1.0.0", "license": "MIT", "source": source,
               "manifest_path": format!("/r/{id}/Cargo.toml"), "targets": [{"kind": [kind]}]})
    }

    #[test]
    fn linked_crates_of_others_are_found() {
        let dep = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let node = |id: &str, deps: &[Value]| json!({"id": id, "deps": deps});
        let metadata = json!({
            "packages": [
                package(PACKAGE, "cdylib", Value::Null),
                package("own", "lib", Value::Null),
                package("linked", "lib", json!("registry")),
                package("builder", "lib", json!("registry")),
                package("derive", "proc-macro", json!("registry")),
                package("unrelated", "lib", json!("registry")),
            ],
            "resolve": {"nodes": [
                node(PACKAGE, &[dep("own", Value::Null), dep("builder", json!("build")), dep("derive", Value::Null)]),
                node("own", &[dep("linked", Value::Null)]),
                node("linked", &[]), node("builder", &[]), node("unrelated", &[]),
                node("derive", &[dep("unrelated", Value::Null)]),
            ]},
        });
        let found = select(&metadata).expect("well-formed");
        assert_eq!(found.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["linked"]);
        assert_eq!(found[0].folder, Path::new("/r/linked"));
        assert_eq!(select(&json!({"packages": []})), None);
    }
}
