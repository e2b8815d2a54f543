//! Collects the licences of everything that is compiled and bundled into the runtime or the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use crate::command::Outcome;
use crate::js::Bundled;
use crate::metadata::{self, Crate};
use crate::place::{Place, list, read, write};
use crate::toolchain::cargo;

/// The file in the runtime.
const NAME: &str = "LICENSES.txt";

/// Our own licence; one of the two has to be included.
const OURS: &str = "LICENSE-MIT";

/// `cargo xtask licences`.
#[derive(Debug, Args)]
pub(crate) struct LicencesArgs {
    /// Target triple of the program, such as x86_64-unknown-linux-gnu
    #[arg(long, value_name = "TARGET")]
    target: String,
}

/// A third-party work: its name, its licence as an SPDX expression, and its folder.
struct Work {
    name: String,
    licence: String,
    folder: PathBuf,
}

impl From<&Crate> for Work {
    fn from(c: &Crate) -> Self {
        Work {
            name: format!("{} {} ({})", c.name, c.version, c.licence),
            licence: c.licence.clone(),
            folder: c.folder.clone(),
        }
    }
}

/// Prints the licences of all crates in the program.
pub(crate) fn print(place: &Place, args: &LicencesArgs) -> Outcome {
    let crates = metadata::linked(|| cargo(place), &args.target, &["gristmill"])?;
    let works: Vec<Work> = crates.iter().map(Work::from).collect();
    print!("{}", compose("gristmill", &read(&place.root.join(OURS))?, &works)?);
    Ok(())
}

/// Writes the licences of all crates in the module and of all npm packages in the scripts.
pub(crate) fn write_all(place: &Place, crates: &[Crate], bundled: &Bundled) -> Outcome {
    let mut works: Vec<Work> = crates.iter().map(Work::from).collect();
    for package in packages(bundled) {
        let folder = place.web.join("node_modules").join(&package);
        let about: serde_json::Value = serde_json::from_str(&read(&folder.join("package.json"))?)
            .map_err(|e| format!("package.json of {package}: {e}"))?;
        let text = |key: &str| about[key].as_str().unwrap_or("?").to_string();
        let licence = text("license");
        works.push(Work { name: format!("{package} {} ({licence})", text("version")), licence, folder });
    }
    write(&place.stage.join(NAME), compose("The runtime of gristmill", &read(&place.root.join(OURS))?, &works)?)
}

/// The npm packages that scripts contain.
fn packages(bundled: &Bundled) -> BTreeSet<String> {
    let inputs = bundled.values().flatten().filter(|(_, bytes)| **bytes > 0).map(|(path, _)| path);
    inputs.filter_map(|path| package_of(path)).collect()
}

/// `@scope/name` for `node_modules/@scope/name/dist/x.js`.
pub(crate) fn package_of(path: &str) -> Option<String> {
    let mut parts = path.rsplit_once("node_modules/")?.1.split('/');
    let first = parts.next()?;
    if first.starts_with('@') { Some(format!("{first}/{}", parts.next()?)) } else { Some(first.to_string()) }
}

/// Our licence, then each distinct text once, under the names of the works that it applies to.
fn compose(what: &str, ours: &str, works: &[Work]) -> Outcome<String> {
    let mut by_text: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for work in works {
        by_text.entry(licence_text(work)?).or_default().push(&work.name);
    }
    let mut groups: Vec<(Vec<&str>, String)> = by_text.into_iter().map(|(text, names)| (names, text)).collect();
    groups.sort();
    let mut out = format!(
        "{what} is licensed under MIT OR Apache-2.0:\n\n{}\n\nIt contains the following works of others. The standard\n\
         library of Rust, too, is licensed under MIT OR Apache-2.0 (https://www.rust-lang.org/policies/licenses).\n",
        ours.trim()
    );
    for (names, text) in groups {
        let _ = write!(out, "\n{}\n\n{}\n\n{}\n", "=".repeat(80), names.join("\n"), text.trim());
    }
    Ok(out)
}

/// The licence text in the folder. If there is a choice, the shortest one (that is MIT's where it is offered); all
/// texts if several apply. Empty if the folder has none; the SPDX expression then names the licence.
fn licence_text(work: &Work) -> Outcome<String> {
    let is_licence = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && ["LICENSE", "LICENCE", "COPYING", "UNLICENSE"].iter().any(|start| name.starts_with(start))
    };
    let texts =
        list(&work.folder)?.into_iter().filter(is_licence).map(|p| read(&p)).collect::<Outcome<Vec<String>>>()?;
    let text = match work.licence.contains(" AND ") {
        true => texts.join("\n"),
        false => texts.into_iter().min_by_key(String::len).unwrap_or_default(),
    };
    Ok(text.replace("\r\n", "\n"))
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
            let licence = if name == "four" { "A AND B" } else { "A OR B" };
            Work { name: name.to_string(), licence: licence.to_string(), folder }
        };
        let works = [
            work("one", &[("LICENSE-MIT", "mit\r\n"), ("LICENSE-APACHE", "apache, longer")]),
            work("two", &[("license.md", "mit\n"), ("README", "x")]),
            work("three", &[]),
            work("four", &[("LICENSE-A", "first"), ("LICENSE-B", "second, longer")]),
        ];
        let text = compose("it", "ours\n", &works).expect("readable");
        assert_eq!(text.matches("\nmit\n").count(), 1, "{text}");
        assert!(text.contains("one\ntwo\n\nmit") && text.contains("three"), "{text}");
        assert!(!text.contains("apache, longer"), "{text}");
        assert!(text.contains("first\nsecond, longer") && text.starts_with("it is") && text.contains("ours"), "{text}");
    }
}
