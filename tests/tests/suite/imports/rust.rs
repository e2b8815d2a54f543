//! Finds the imports of Rust files: `use` declarations and paths in code, resolved to the file that defines the name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Imports, files};

/// The tokens of a Rust file, without comments, strings and character literals. `::` is one token.
fn tokens(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let at = |n: usize| letters.get(n).copied().unwrap_or('\0');
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (mut found, mut n) = (Vec::new(), 0);
    while n < letters.len() {
        let letter = at(n);
        if letter == '/' && at(n + 1) == '/' {
            while n < letters.len() && at(n) != '\n' {
                n += 1;
            }
        } else if letter == '/' && at(n + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(n), at(n + 1)) {
                    ('/', '*') => (depth, n) = (depth + 1, n + 2),
                    ('*', '/') => (depth, n) = (depth - 1, n + 2),
                    _ => n += 1,
                }
                if depth == 0 || n >= letters.len() {
                    break;
                }
            }
        } else if letter == '"' {
            n += 1;
            while n < letters.len() && at(n) != '"' {
                n += if at(n) == '\\' { 2 } else { 1 };
            }
            n += 1;
        } else if letter == '\'' {
            // A character literal has a closing quote; a lifetime does not.
            if at(n + 1) == '\\' {
                n += 3;
                while n < letters.len() && at(n) != '\'' {
                    n += 1;
                }
                n += 1;
            } else {
                n += if at(n + 2) == '\'' { 3 } else { 1 };
            }
        } else if is_word(letter) {
            let start = n;
            while is_word(at(n)) {
                n += 1;
            }
            let word: String = letters[start..n].iter().collect();
            let marks = (n..).take_while(|m| at(*m) == '#').count();
            if ["r", "br", "cr"].contains(&word.as_str()) && at(n + marks) == '"' {
                n += marks + 1;
                let ends = |n: usize| at(n) == '"' && (1..=marks).all(|m| at(n + m) == '#');
                while n < letters.len() && !ends(n) {
                    n += 1;
                }
                n += marks + 1;
            } else {
                found.push(word);
            }
        } else if letter == ':' && at(n + 1) == ':' {
            found.push("::".into());
            n += 2;
        } else {
            if !letter.is_whitespace() {
                found.push(letter.to_string());
            }
            n += 1;
        }
    }
    found
}

/// The position after an item: after its `;`, or after its closing brace.
fn behind_item(code: &[String], from: usize) -> usize {
    let mut depth = 0;
    for (n, token) in code.iter().enumerate().skip(from) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token == ";" || token == "}") {
            return n + 1;
        }
    }
    code.len()
}

/// Removes code that is only built for tests: items after `#[cfg(test)]` and `#[cfg(all(test, ..))]`.
fn product(code: &[String]) -> Vec<String> {
    let (mut kept, mut n) = (Vec::new(), 0);
    let begins = |n: usize, mark: &[&str]| code[n..].iter().take(mark.len()).eq(mark.iter());
    while n < code.len() {
        if begins(n, &["#", "[", "cfg", "(", "test"]) || begins(n, &["#", "[", "cfg", "(", "all", "(", "test"]) {
            let attribute = code[n..].iter().position(|token| token == "]").unwrap_or_default();
            n = behind_item(code, n + attribute + 1);
        } else {
            kept.push(code[n].clone());
            n += 1;
        }
    }
    kept
}

/// A path in the code, and its local name; the name of `use a::*` is `*`.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    path: Vec<String>,
    name: String,
}

/// The paths of a `use` tree: `a::{b, c::d as e}` has two.
fn tree(code: &[String], n: &mut usize, before: &[String], found: &mut Vec<Named>) {
    let mut path = before.to_vec();
    let mut name = None;
    while let Some(token) = code.get(*n) {
        match token.as_str() {
            ";" | "," | "}" => break,
            "{" => {
                while !matches!(code.get(*n).map(String::as_str), None | Some("}")) {
                    *n += 1;
                    tree(code, n, &path, found);
                }
                *n += 1;
                return;
            }
            "as" => {
                name = code.get(*n + 1).cloned();
                *n += 1;
            }
            "::" => {}
            word => path.push(word.into()),
        }
        *n += 1;
    }
    if path.len() > before.len() {
        // `a::{self}` names the module `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned()).expect("a path has parts");
        found.push(Named { path, name });
    }
}

/// A Rust file, as far as imports are concerned.
#[derive(Default)]
struct Source {
    /// Names that `use` declarations import.
    uses: Vec<Named>,
    /// Other paths in the code, with at least two segments.
    paths: Vec<Vec<String>>,
    /// Names that the file defines.
    defined: BTreeSet<String>,
    /// Modules that the file declares and that have files of their own.
    modules: BTreeSet<String>,
}

impl Source {
    fn read(text: &str) -> Source {
        let code = product(&tokens(text));
        let mut source = Source::default();
        let mut n = 0;
        while n < code.len() {
            match code[n].as_str() {
                // Except in `impl Trait + use<'a>`.
                "use" if code.get(n + 1).is_some_and(|next| next != "<") => {
                    n += 1;
                    tree(&code, &mut n, &[], &mut source.uses);
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    source.defined.extend(code.get(n + 1).cloned());
                    n += 1;
                }
                "mod" => {
                    if code.get(n + 2).is_some_and(|next| next == ";") {
                        source.modules.insert(code[n + 1].clone());
                    }
                    n += 1;
                }
                "macro_rules" => {
                    source.defined.extend(code.get(n + 2).cloned());
                    n += 1;
                }
                // A name after a dot is a method.
                word if code.get(n + 1).is_some_and(|next| next == "::") && (n == 0 || code[n - 1] != ".") => {
                    let mut path = vec![word.to_string()];
                    while code.get(n + 1).is_some_and(|next| next == "::") {
                        path.extend(code.get(n + 2).filter(|part| *part != "<").cloned());
                        n += 2;
                    }
                    source.paths.push(path);
                    n += 1;
                }
                _ => n += 1,
            }
        }
        source
    }
}

/// The files of a crate, by module path.
struct Crate {
    sources: BTreeMap<Vec<String>, Source>,
}

/// The target of a path: a module, and the name in it, if the path is not the module itself.
#[derive(PartialEq)]
struct Place {
    module: Vec<String>,
    inside: Option<String>,
}

impl Crate {
    fn child(&self, module: &[String], name: &str) -> Option<Vec<String>> {
        let child: Vec<String> = module.iter().cloned().chain([name.to_string()]).collect();
        self.sources.contains_key(&child).then_some(child)
    }

    /// Resolves a path of a file; `None` if it leads out of the crate.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Place> {
        let (mut at, mut rest) = (module.to_vec(), path);
        match path.first()?.as_str() {
            "crate" => (at, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                // A child module, or a name that another declaration imports; anything else is a crate or a type.
                if self.child(module, first).is_none() {
                    self.brought_in(module, first, depth)??;
                }
            }
        }
        while let Some(part) = rest.first() {
            if let Some(child) = self.child(&at, part) {
                at = child;
            } else if let Some(place) = self.brought_in(&at, part, depth) {
                match place {
                    Some(Place { module, inside: None }) => at = module,
                    known => return known,
                }
            } else {
                return Some(Place { module: at, inside: Some(part.clone()) });
            }
            rest = &rest[1..];
        }
        Some(Place { module: at, inside: None })
    }

    /// The origin of a name that a file imports and does not define; `Some(None)` if it is outside of the crate.
    fn brought_in(&self, module: &[String], name: &str, depth: usize) -> Option<Option<Place>> {
        let source = self.sources.get(module)?;
        // Names that import each other in a cycle have no origin.
        if depth > 8 || source.defined.contains(name) {
            return None;
        }
        if let Some(named) = source.uses.iter().find(|u| u.name == name && u.path.len() > 1) {
            return Some(self.resolve(module, &named.path, depth + 1));
        }
        source.uses.iter().filter(|u| u.name == "*").find_map(|all| {
            let from = self.resolve(module, &all.path[..all.path.len() - 1], depth + 1)?;
            if from.inside.is_some() || from.module == module {
                return None;
            }
            let there = self.sources.get(&from.module)?;
            match self.child(&from.module, name) {
                Some(child) => Some(Some(Place { module: child, inside: None })),
                None if there.defined.contains(name) => {
                    Some(Some(Place { module: from.module, inside: Some(name.to_string()) }))
                }
                None => self.brought_in(&from.module, name, depth + 1),
            }
        })
    }
}

/// The imports between the files of a crate. Only files that are reachable from the crate's root count: no tests, and
/// no programs beside a library.
pub(super) fn imports(folder: &Path) -> Imports {
    let files = files(folder, "rs");
    let file = |name: String| files.iter().find(|(file, _)| *file == name);
    let root = file("lib.rs".into()).or_else(|| file("main.rs".into())).expect("the root of a crate");
    let (mut names, mut sources) = (BTreeMap::new(), BTreeMap::new());
    let mut open = vec![(Vec::new(), root)];
    while let Some((module, (name, text))) = open.pop() {
        let source = Source::read(text);
        for child in &source.modules {
            let path: Vec<String> = module.iter().chain([child]).cloned().collect();
            let stem = path.join("/");
            let found = file(format!("{stem}.rs")).or_else(|| file(format!("{stem}/mod.rs")));
            open.push((path, found.unwrap_or_else(|| panic!("{name}: there is no file for the module {child}"))));
        }
        names.insert(module.clone(), name.clone());
        sources.insert(module, source);
    }
    let all = Crate { sources };
    let mut found: Imports = names.values().map(|name| (name.clone(), BTreeMap::new())).collect();
    for (module, source) in &all.sources {
        let taken = found.get_mut(&names[module]).expect("a name for each");
        let uses = source.uses.iter().map(|u| &u.path);
        for path in uses.chain(&source.paths) {
            let Some(Place { module: from, inside: Some(what) }) = all.resolve(module, path, 0) else { continue };
            if from != *module {
                taken.entry(names[&from].clone()).or_default().insert(what);
            }
        }
    }
    found
}
