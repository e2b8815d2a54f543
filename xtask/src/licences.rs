//! The licences of what is compiled and bundled into the runtime, in one file that travels with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::command::Outcome;
use crate::js::Bundled;
use crate::metadata::Crate;
use crate::place::{Place, list, read, write};

/// The file.
const NAME: &str = "LICENSES.txt";

const HEAD: &str = "\
The runtime of gristmill is licensed under MIT OR Apache-2.0. It contains the following works of others. The standard
library of Rust, too, is licensed under MIT OR Apache-2.0 (https://www.rust-lang.org/policies/licenses).
";

/// A work of others: its name for people, and its folder.
struct Work {
    name: String,
    folder: PathBuf,
}

/// Collects the licences of all crates in the module and of all npm packages in the scripts.
pub(crate) fn write_all(place: &Place, crates: &[Crate], bundled: &Bundled) -> Outcome {
    let mut works: Vec<Work> = crates
        .iter()
        .map(|c| Work { name: format!("{} {} ({})", c.name, c.version, c.licence), folder: c.folder.clone() })
        .collect();
    for package in packages(bundled) {
        let folder = place.web.join("node_modules").join(&package);
        let about: serde_json::Value = serde_json::from_str(&read(&folder.join("package.json"))?)
            .map_err(|e| format!("package.json of {package}: {e}"))?;
        let text = |key: &str| about[key].as_str().unwrap_or("?").to_string();
        works.push(Work { name: format!("{package} {} ({})", text("version"), text("license")), folder });
    }
    write(&place.stage.join(NAME), compose(&works)?)
}

/// npm packages that scripts contain.
fn packages(bundled: &Bundled) -> BTreeSet<String> {
    let inputs = bundled.values().flatten().filter(|(_, bytes)| **bytes > 0).map(|(path, _)| path);
    inputs.filter_map(|path| package_of(path)).collect()
}

/// `node_modules/@scope/name/dist/x.js` is of `@scope/name`.
pub(crate) fn package_of(path: &str) -> Option<String> {
    let mut parts = path.rsplit_once("node_modules/")?.1.split('/');
    let first = parts.next()?;
    if first.starts_with('@') { Some(format!("{first}/{}", parts.next()?)) } else { Some(first.to_string()) }
}

/// Each text once, below the names of the works that have it.
fn compose(works: &[Work]) -> Outcome<String> {
    let mut by_text: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for work in works {
        by_text.entry(licence_text(&work.folder)?).or_default().push(&work.name);
    }
    let mut groups: Vec<(Vec<&str>, String)> = by_text.into_iter().map(|(text, names)| (names, text)).collect();
    groups.sort();
    let mut out = HEAD.to_string();
    for (names, text) in groups {
        let _ = write!(out, "\n{}\n\n{}\n\n{}\n", "=".repeat(80), names.join("\n"), text.trim());
    }
    Ok(out)
}

/// The text in the folder: the shortest of those to choose from, which is MIT's where there is a choice. Empty if a work
/// brings none; its name says under which licence it is.
fn licence_text(folder: &Path) -> Outcome<String> {
    let is_licence = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && ["LICENSE", "LICENCE", "COPYING", "UNLICENSE"].iter().any(|start| name.starts_with(start))
    };
    let texts = list(folder)?.into_iter().filter(is_licence).map(|p| read(&p)).collect::<Outcome<Vec<String>>>()?;
    Ok(texts.into_iter().min_by_key(String::len).unwrap_or_default().replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_in_paths() {
        assert_eq!(package_of("node_modules/@a/b/dist/c.js").as_deref(), Some("@a/b"));
        assert_eq!(package_of("node_modules/x/node_modules/b/c.js").as_deref(), Some("b"));
        assert_eq!(package_of("ts/index.ts"), None);
    }

    #[test]
    fn equal_texts_are_written_once() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let work = |name: &str, files: &[(&str, &str)]| {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).expect("a folder");
            for (file, text) in files {
                std::fs::write(folder.join(file), text).expect("a file");
            }
            Work { name: name.to_string(), folder }
        };
        let works = [
            work("one", &[("LICENSE-MIT", "mit\r\n"), ("LICENSE-APACHE", "apache, longer")]),
            work("two", &[("license.md", "mit\n"), ("README", "x")]),
            work("three", &[]),
        ];
        let text = compose(&works).expect("readable");
        assert_eq!(text.matches("\nmit\n").count(), 1, "{text}");
        assert!(text.contains("one\ntwo\n\nmit") && text.contains("three"), "{text}");
        assert!(!text.contains("apache, longer"), "{text}");
    }
}
