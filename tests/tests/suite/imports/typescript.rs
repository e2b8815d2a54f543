//! Finds the imports of TypeScript files, types included.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Imports, files};

/// Normalizes a path, removing `.` and `..`.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// The files that a file refers to, and the names that it imports from each: `import .. from`, `export .. from`,
/// `import(..)`.
fn named(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let code: Vec<&str> = text.lines().filter(|l| !["//", "*", "/*"].iter().any(|c| l.trim().starts_with(c))).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("\"./").chain(code.match_indices("\"../")) {
        let (before, path) = code.split_at(at);
        let path = path[1..].split('"').next().unwrap_or_default().to_string();
        let before = before.trim_end();
        if let Some(clause) = before.strip_suffix(" from") {
            let start = ["import ", "export "].iter().filter_map(|word| clause.rfind(word)).max();
            let clause = &clause[start.expect("`from` follows on `import` or `export`") + "import ".len()..];
            let names = clause.split(|c: char| !c.is_alphanumeric() && !"_$*".contains(c));
            let names = names.filter(|name| !["", "type", "as"].contains(name)).map(str::to_string);
            found.push((path, names.collect()));
        } else if before.ends_with("import(") || before.ends_with("import") {
            found.push((path, BTreeSet::from(["all of it".to_string()])));
        }
    }
    found
}

/// The imports between the files in these folders.
pub(super) fn imports(root: &Path, folders: &[&str]) -> Imports {
    let all: BTreeMap<String, String> = folders
        .iter()
        .flat_map(|folder| {
            files(&root.join(folder), "ts").into_iter().map(move |(file, text)| (format!("{folder}/{file}"), text))
        })
        .collect();
    let mut found: Imports = all.keys().map(|file| (file.clone(), BTreeMap::new())).collect();
    for (file, text) in &all {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (path, what) in named(text) {
            let from = plain(&format!("{folder}/{}", path.trim_end_matches(".js").trim_end_matches(".ts"))) + ".ts";
            if all.contains_key(&from) {
                found.get_mut(file).expect("one for each").entry(from).or_default().extend(what);
            }
        }
    }
    found
}
