//! Architecture files: RON declarations with formulas, bound to a `config.json`.
//!
//! `models/README.md` is the manual of the language. The stages here: a file is read into its form (`file`), what it
//! extends is merged (`extend`), names and calls are checked in every branch (`lint`), and the body is run with the
//! config at hand (`body`, `binder`, `calls`, `tensor`, `weights`), which leaves the graph behind (`builder`).
//! A formula evaluates to a number, text, list or vector if it can, and to a node only where a tensor is involved.
//!
//! Nothing here reads files or knows a model by name; a [`Library`] holds texts.

mod arith;
mod binder;
mod blocks;
mod body;
mod builder;
mod calls;
mod circles;
mod conversion;
mod diagnostics;
mod expr;
mod extend;
mod file;
mod functions;
mod lexer;
mod lint;
mod manual;
mod outline;
mod parser;
mod policy;
mod tasks;
mod tensor;
#[cfg(test)]
mod tests;
mod usage;
mod value;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value as Json;

pub use conversion::{Conversion, Converted, MergeOrder, Stored, TensorRule};
pub use diagnostics::{Diagnostic, Diagnostics};
pub use manual::manual;
pub use outline::{Outline, OutlinedWeight, outline};
pub use policy::{Place, Policy};
pub use usage::{Usage, fits_pattern};
pub use value::FLOAT_TAG;

use crate::graph::Model;
use binder::Binder;
use blocks::BlockTable;
use circles::{References, circles};
use diagnostics::{Sources, nearest_hint};
use extend::Merged;
use file::{Architecture, Blocks, Text};

/// Folder of block files within a library.
const BLOCKS: &str = "blocks/";
/// Folder of parts within a library.
const PARTS: &str = "parts/";

/// The texts of architecture and block files, by name: `llama.ron`, `blocks/norm.ron`.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// Text by name. Files in `blocks/` hold blocks, files in `parts/` what architectures include, files in other
    /// folders are ignored, the rest are architectures.
    pub files: BTreeMap<String, String>,
}

impl Library {
    /// A copy with one more file (or another text for it): how an author's own file joins.
    pub fn with_file(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.insert(name.into(), text.into());
        self
    }

    /// Names of the architecture files.
    pub fn architectures(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|n| !n.contains('/'))
    }

    /// The architecture file that lists `class` (an entry of `architectures` in config.json) in its `classes`.
    /// Files that cannot be read are passed over.
    pub fn architecture_for_class(&self, class: &str) -> Option<String> {
        self.architectures_by_class().remove(class)
    }

    /// For each class the first architecture file that lists it. Files that cannot be read are passed over.
    pub fn architectures_by_class(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for file in self.architectures() {
            for class in self.classes(file) {
                files.entry(class).or_insert_with(|| file.to_string());
            }
        }
        files
    }

    /// The architecture files that list `model_type` (of config.json) in their `model_types`. Files that cannot be read are
    /// passed over.
    pub fn architectures_for_model_type(&self, model_type: &str) -> Vec<String> {
        let lists = |name: &&str| self.model_types(name).iter().any(|t| t == model_type);
        self.architectures().filter(lists).map(str::to_string).collect()
    }

    /// The `model_types` of an architecture file; none if it cannot be read.
    pub fn model_types(&self, file: &str) -> Vec<String> {
        let read = |text: &String| file::peek::<file::Classes>(text);
        self.files.get(file).and_then(read).map(|c| c.model_types).unwrap_or_default()
    }

    /// The `classes` of an architecture file; none if it cannot be read.
    pub fn classes(&self, file: &str) -> Vec<String> {
        let read = |text: &String| file::peek::<file::Classes>(text);
        self.files.get(file).and_then(read).map(|c| c.classes).unwrap_or_default()
    }
}

/// What is known about an architecture before there is a config.
struct Loaded<'a> {
    sources: Sources<'a>,
    arch: Rc<Merged<'a>>,
    blocks: Rc<BlockTable<'a>>,
    diagnostics: Vec<Diagnostic>,
    /// Blocks call each other in a circle, so that nothing can be evaluated.
    circular: bool,
}

/// Reads an architecture with all it extends, and all blocks; checks what can be checked without a config.
///
/// # Errors
/// A file that does not exist, RON that cannot be read, a circle of `extends`: nothing more can be said then.
fn load<'a>(library: &'a Library, file: &'a str) -> Result<Loaded<'a>, Diagnostics> {
    let mut sources = Sources::default();
    for (name, text) in &library.files {
        sources.add(name, text);
    }
    let chain = chain(library, file, &sources)?;
    let mut diagnostics = Vec::new();
    let mut blocks = BlockTable::new();
    for (name, text) in library.files.iter().filter(|(n, _)| n.starts_with(BLOCKS)) {
        let read: Blocks<'a> = file::read(&sources, name, text).map_err(|d| Diagnostics(vec![*d]))?;
        blocks::add(&mut blocks, &read.blocks, false, &sources, &mut diagnostics);
    }
    let mut arch = Merged::default();
    for own in chain.into_iter().rev() {
        let parts = own.includes.iter().map(|name| part(library, *name, &sources)).collect::<Result<_, _>>()?;
        arch = extend::apply(arch, parts, own, &sources, &mut diagnostics);
    }
    blocks::add(&mut blocks, &arch.blocks, true, &sources, &mut diagnostics);
    let circular = blocks::check_circles(&blocks, &sources, &mut diagnostics);
    lint::blocks(&blocks, &sources, &mut diagnostics);
    lint::architecture(&arch, &blocks, &sources, &mut diagnostics);
    if arch.entries.0.is_empty() {
        let text = library.files.get(file).or_else(|| library.files.get(&format!("{file}.ron")));
        let start = text.and_then(|t| t.trim_start().split('(').next()).unwrap_or_default();
        diagnostics.push(sources.diagnostic(start, "the architecture has no entries, so that nothing can be run"));
    }
    Ok(Loaded { sources, arch: Rc::new(arch), blocks: Rc::new(blocks), diagnostics, circular })
}

/// The architecture and those it extends, the outermost first.
fn chain<'a>(library: &'a Library, file: &'a str, sources: &Sources<'a>) -> Result<Vec<Architecture<'a>>, Diagnostics> {
    let mut chain: Vec<Architecture<'a>> = Vec::new();
    let mut references = References::new();
    let mut next = Some((file, None::<(&str, &str)>));
    while let Some((name, from)) = next {
        let problem = |message: String, hint: Option<String>| match from {
            Some((_, place)) => {
                let mut d = sources.diagnostic(place, message);
                d.hint = hint;
                Diagnostics(vec![d])
            }
            None => Diagnostics::general(message, hint),
        };
        let with_suffix = format!("{name}.ron");
        let Some((name, text)) =
            library.files.get_key_value(name).or_else(|| library.files.get_key_value(&with_suffix))
        else {
            let hint = nearest_hint(name, library.architectures().map(|n| n.trim_end_matches(".ron")));
            return Err(problem(format!("there is no architecture `{name}`"), hint));
        };
        let known = references.contains_node(name);
        match from {
            Some((from, place)) => drop(references.add_edge(from, name, place)),
            None => drop(references.add_node(name)),
        }
        if known {
            let all = circles(&references);
            return Err(Diagnostics(
                all.iter()
                    .map(|circle| {
                        let message = format!("architectures extend each other in a circle: {}", circle.show());
                        sources.diagnostic(circle.place, message)
                    })
                    .collect(),
            ));
        }
        let read: Architecture<'a> = file::read(sources, name, text).map_err(|d| Diagnostics(vec![*d]))?;
        next = read.extends.map(|t| (t.0, Some((name.as_str(), t.0))));
        chain.push(read);
    }
    Ok(chain)
}

/// What an architecture includes under this name.
fn part<'a>(library: &'a Library, name: Text<'a>, sources: &Sources<'a>) -> Result<Architecture<'a>, Diagnostics> {
    let problem = |message: String, hint: Option<String>| {
        let mut d = sources.diagnostic(name.0, message);
        d.hint = hint;
        Diagnostics(vec![d])
    };
    let Some((file, text)) = library.files.get_key_value(&format!("{PARTS}{}.ron", name.0)) else {
        let known = library.files.keys().filter_map(|n| n.strip_prefix(PARTS)?.strip_suffix(".ron"));
        return Err(problem(format!("there is no part `{}`", name.0), nearest_hint(name.0, known)));
    };
    let read: Architecture<'a> = file::read(sources, file, text).map_err(|d| Diagnostics(vec![*d]))?;
    if read.extends.is_some() || !read.includes.is_empty() || !read.edits.is_empty() {
        let message = format!("the part `{}` has `extends`, `includes` or `edits`, which parts cannot have", name.0);
        return Err(problem(message, Some("only declarations and a body are taken over".into())));
    }
    Ok(read)
}

/// Diagnostics in the order of the text. Some problems are found both without and with the config; what the
/// latter says is more exact, and stays.
fn sorted(first: Vec<Diagnostic>, second: Vec<Diagnostic>) -> Diagnostics {
    let key = |d: &Diagnostic| (d.file.clone(), d.line, d.column);
    let again: BTreeSet<_> = second.iter().map(key).collect();
    let mut all: Vec<Diagnostic> = first.into_iter().filter(|d| !again.contains(&key(d))).chain(second).collect();
    all.sort_by_key(key);
    all.dedup();
    Diagnostics(all)
}

/// Checks an architecture file as far as that is possible without a config: RON, formulas, names, calls.
///
/// # Errors
/// All problems found.
pub fn check(library: &Library, file: &str) -> Result<(), Diagnostics> {
    let loaded = load(library, file)?;
    if loaded.diagnostics.is_empty() { Ok(()) } else { Err(sorted(loaded.diagnostics, Vec::new())) }
}

/// What a model directory says besides its weights.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// `config.json`, which formulas call `config`.
    pub config: &'a Json,
    /// `generation_config.json`, which formulas call `generation`; null without that file.
    pub generation: &'a Json,
    /// How inputs are prepared, which formulas call `processors`: an object with the settings of `image`, `audio` and
    /// `video`, or null.
    pub processors: &'a Json,
}

/// As [`bind_settings`], for a model directory that has a `config.json` only.
///
/// # Errors
/// Those of [`bind_settings`].
pub fn bind(
    library: &Library,
    file: &str,
    config: &Json,
    tensors: Option<&BTreeMap<String, Vec<u64>>>,
) -> Result<Model, Diagnostics> {
    bind_settings(library, file, Settings { config, generation: &Json::Null, processors: &Json::Null }, tensors)
}

/// Binds the architecture `file` (with or without `.ron`) to the settings of a model.
///
/// `tensors` are the names and shapes in the checkpoint. Without them every declared tensor counts as present
/// with its declared shape, the first alternative of each name.
///
/// # Errors
/// All problems found in the files, and all tensors that are missing or have another shape.
pub fn bind_settings(
    library: &Library,
    file: &str,
    settings: Settings<'_>,
    tensors: Option<&BTreeMap<String, Vec<u64>>>,
) -> Result<Model, Diagnostics> {
    bind_with_usage(library, file, settings, tensors).map(|(model, _)| model)
}

/// As [`bind_settings`], and what was read of the settings and the checkpoint.
///
/// # Errors
/// Those of [`bind_settings`].
pub fn bind_with_usage(
    library: &Library,
    file: &str,
    settings: Settings<'_>,
    tensors: Option<&BTreeMap<String, Vec<u64>>>,
) -> Result<(Model, Usage), Diagnostics> {
    let loaded = load(library, file)?;
    if loaded.circular {
        return Err(sorted(loaded.diagnostics, Vec::new()));
    }
    let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".ron").to_string();
    let binder = Binder::new(loaded.sources, loaded.arch, loaded.blocks, settings, tensors);
    let (bound, found) = binder.run(name);
    match bound {
        Some(bound) if loaded.diagnostics.is_empty() => Ok(bound),
        _ => Err(sorted(loaded.diagnostics, found)),
    }
}
