//! Inside of every crate imports point one way, too: files that import each other cannot be read one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

use crate::gristmill_tests::goldens::root;

mod rust;

/// What each file imports: from which other files, and which names.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The files below a folder with this extension, by their paths inside of it, with their texts.
fn files(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                let inside = path.strip_prefix(folder).expect("below the folder");
                let parts: Vec<_> = inside.iter().map(|p| p.to_string_lossy()).collect();
                found.push((parts.join("/"), std::fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    found.sort();
    found
}

/// Files that import each other: what each imports from others of its circle, a line for each pair.
fn circles(imports: &Imports) -> Vec<String> {
    let names: Vec<&String> = imports.keys().collect();
    let number = |file: &String| names.binary_search(&file).expect("a file of the crate");
    let mut graph: DiGraphMap<usize, ()> = DiGraphMap::new();
    for (from, taken) in imports {
        for to in taken.keys().filter(|to| *to != from) {
            graph.add_edge(number(from), number(to), ());
        }
    }
    let mut lines = Vec::new();
    for circle in kosaraju_scc(&graph).into_iter().filter(|c| c.len() > 1) {
        let circle: BTreeSet<&String> = circle.into_iter().map(|n| names[n]).collect();
        for from in &circle {
            for (to, what) in imports[*from].iter().filter(|(to, _)| circle.contains(to)) {
                let what: Vec<&str> = what.iter().map(String::as_str).collect();
                lines.push(format!("{from} takes {} from {to}", what.join(", ")));
            }
        }
        lines.push(String::new());
    }
    lines
}
pub fn show(folder: &str) {
    let c = circles(&rust::imports(&root().join(folder)));
    println!("== {folder}"); for l in c { println!("  {l}"); }
}
