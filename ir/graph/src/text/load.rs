//! Loads an architecture: merges what it extends and includes, and checks what can be checked without a config.

use std::rc::Rc;

use super::blocks::{self, BlockTable};
use super::circles::{References, circles};
use super::diagnostics::{Diagnostic, Diagnostics, Sources, nearest_hint};
use super::extend::{self, Merged};
use super::file::{self, Architecture, Blocks, Text};
use super::library::{BLOCKS, Library, PARTS};
use super::lint;

/// An architecture without a config.
pub(super) struct Loaded<'a> {
    pub(super) sources: Sources<'a>,
    pub(super) arch: Rc<Merged<'a>>,
    pub(super) blocks: Rc<BlockTable<'a>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether blocks call one another in a cycle, so that nothing can be evaluated.
    pub(super) circular: bool,
}

/// Reads an architecture with all that it extends, and all blocks; checks what can be checked without a config.
///
/// # Errors
/// A file that does not exist, invalid RON, a cycle of `extends`: no further check is possible then.
pub(super) fn load<'a>(library: &'a Library, file: &'a str) -> Result<Loaded<'a>, Diagnostics> {
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
        diagnostics.push(sources.diagnostic(start, "the architecture has no entries, so it cannot be run"));
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
            return Err(problem(format!("unknown architecture `{name}`"), hint));
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
                        let message = format!("architectures extend each other in a cycle: {}", circle.show());
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

/// The part with this name.
fn part<'a>(library: &'a Library, name: Text<'a>, sources: &Sources<'a>) -> Result<Architecture<'a>, Diagnostics> {
    let problem = |message: String, hint: Option<String>| {
        let mut d = sources.diagnostic(name.0, message);
        d.hint = hint;
        Diagnostics(vec![d])
    };
    let Some((file, text)) = library.files.get_key_value(&format!("{PARTS}{}.ron", name.0)) else {
        let known = library.files.keys().filter_map(|n| n.strip_prefix(PARTS)?.strip_suffix(".ron"));
        return Err(problem(format!("unknown part `{}`", name.0), nearest_hint(name.0, known)));
    };
    let read: Architecture<'a> = file::read(sources, file, text).map_err(|d| Diagnostics(vec![*d]))?;
    if read.extends.is_some() || !read.includes.is_empty() || !read.edits.is_empty() {
        let message =
            format!("the part `{}` has `extends`, `includes` or `edits`, which are not allowed in parts", name.0);
        return Err(problem(message, Some("only declarations and a body are included".into())));
    }
    Ok(read)
}
