//! Imports within a crate have no cycles: files that import each other cannot be read one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

use gristmill_tests::goldens::root;

mod rust;
mod typescript;

/// The imports of each file: the imported files, and the names taken from each.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The files with this extension in a folder and its subfolders, with relative paths, and their texts.
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

/// Cycles of files that import each other.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let names: Vec<&String> = imports.keys().collect();
    let number = |file: &String| names.binary_search(&file).expect("a file of the crate");
    let mut graph: DiGraphMap<usize, ()> = DiGraphMap::new();
    for (from, taken) in imports {
        for to in taken.keys().filter(|to| *to != from) {
            graph.add_edge(number(from), number(to), ());
        }
    }
    let found = kosaraju_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
    let sorted = |circle: Vec<usize>| circle.into_iter().collect::<BTreeSet<usize>>().into_iter();
    found.map(|circle| sorted(circle).map(|n| names[n].clone()).collect()).collect()
}

/// The imports within a cycle, one line per pair of files.
fn shown(circle: &[String], imports: &Imports) -> String {
    let mut text = String::new();
    for from in circle {
        for (to, what) in imports[from].iter().filter(|(to, _)| *to != from && circle.contains(to)) {
            let what: Vec<&str> = what.iter().map(String::as_str).collect();
            text += &format!("  {from} takes {} from {to}\n", what.join(", "));
        }
    }
    text
}

/// The source folders of all crates.
fn crates() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let members = manifest.lines().skip_while(|l| !l.starts_with("members")).take_while(|l| !l.starts_with(']'));
    let folders = members.filter_map(|l| l.trim().strip_prefix('"')?.strip_suffix("\","));
    // The only source file of the crate `models` is beside the files that it embeds.
    let sources = |folder: &str| if root().join(folder).join("src").is_dir() { "/src" } else { "" };
    folders.map(|folder| format!("{folder}{}", sources(folder))).collect()
}

#[test]
fn files_of_a_crate_do_not_import_each_other() {
    let all = crates();
    assert!(all.len() > 10, "the members of the workspace were not found: {all:?}");
    for folder in all {
        let imports = rust::imports(&root().join(&folder));
        let found: Vec<String> = circles(&imports).iter().map(|circle| shown(circle, &imports)).collect();
        assert!(found.is_empty(), "{folder}: files import each other:\n{}", found.join("\n"));
    }
}

#[test]
fn files_of_the_page_do_not_import_each_other() {
    let imports = typescript::imports(&root().join("runtime/web"), &["ts", "page"]);
    assert!(imports["ts/model.ts"].contains_key("ts/protocol.ts"), "imports were not found");
    let found: Vec<String> = circles(&imports).iter().map(|circle| shown(circle, &imports)).collect();
    assert!(found.is_empty(), "files import each other:\n{}", found.join("\n"));
}

/// The imports in a crate with these files.
fn found_in(files: &[(&str, &str)]) -> Imports {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    rust::imports(folder.path())
}

#[test]
fn circles_are_found() {
    let root = ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;");
    let a = ("a.rs", "use crate::{b::{B, more as other}, c};\npub struct A(c::C);");
    let c =
        ("c.rs", "use std::fmt;\npub fn c() -> crate::A { crate::A(C) }\n#[cfg(test)]\nmod tests { use crate::b; }");
    let b = ("b.rs", "// use crate::a::A;\nconst TEXT: &str = \"crate::a::A\";");
    let found = found_in(&[root, a, b, c]);
    assert_eq!(circles(&found), [["a.rs", "c.rs"]]);
    assert_eq!(
        shown(&["a.rs".into(), "c.rs".into()], &found),
        "  a.rs takes C from c.rs\n  c.rs takes A from a.rs\n",
        "the name that lib.rs passes on is followed to its file"
    );
    let c = ("c.rs", "pub struct C;");
    assert!(circles(&found_in(&[root, a, b, c])).is_empty());
}

#[test]
fn parents_and_children_count_too() {
    let root = ("lib.rs", "mod a;\n#[cfg(test)]\nmod tests;");
    let parent = ("a/mod.rs", "mod child;\nconst LIMIT: u32 = 1;\npub use child::Child;");
    let child = ("a/child.rs", "pub struct Child([u8; super::LIMIT as usize]);");
    let tests = ("tests.rs", "use crate::a::Child;");
    assert_eq!(circles(&found_in(&[root, parent, child, tests])), [["a/child.rs", "a/mod.rs"]]);
    let child = ("a/child.rs", "use super::*;\npub struct Child;");
    assert_eq!(circles(&found_in(&[root, parent, child, tests])), [["a/child.rs", "a/mod.rs"]], "a star takes all");
    let child = ("a/child.rs", "pub struct Child;\nfn parsed(text: &str) -> u8 { text.parse::<u8>().unwrap_or(0) }");
    assert!(circles(&found_in(&[root, parent, child, tests])).is_empty());
}

#[test]
fn only_select_knows_the_language_of_a_target() {
    // Besides the profile itself, the printer of kernels and the code that decides on a bundle's targets.
    let allowed = ["select", "profile", "emit", "fallback", "compile"];
    for (file, text) in files(&root().join("compiler/src"), "rs") {
        let first = file.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let speaks = ["Language::Wgsl", "Language::Wasm", ".language"].iter().any(|word| text.contains(word));
        assert!(!speaks || allowed.contains(&first), "{file} asks for the language of a target");
    }
}
