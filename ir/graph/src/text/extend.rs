//! Extension: merges an architecture with those that it extends and with the parts that it includes.

use std::collections::BTreeSet;

use super::diagnostics::{Diagnostic, Sources, nearest_hint};
use super::file::{Architecture, BlockDecl, Edit, EntryDecl, InputDecl, StateDecl, Statement, Table, Text, WeightDecl};
use super::parser::assignment;
use crate::graph::Modality;

/// An architecture, merged with all that it extends and includes.
#[derive(Default)]
pub(super) struct Merged<'a> {
    /// `name = formula`, by name.
    pub(super) config: Table<'a, Text<'a>>,
    pub(super) symbols: Table<'a, Text<'a>>,
    pub(super) inputs: Table<'a, InputDecl<'a>>,
    pub(super) weights: Table<'a, WeightDecl<'a>>,
    pub(super) states: Table<'a, StateDecl<'a>>,
    pub(super) blocks: Table<'a, BlockDecl<'a>>,
    pub(super) body: Vec<Statement<'a>>,
    pub(super) entries: Table<'a, EntryDecl<'a>>,
    pub(super) components: Table<'a, Vec<Text<'a>>>,
    pub(super) modality: Option<Modality>,
    pub(super) precision: Option<Text<'a>>,
    /// Of all files together.
    pub(super) ignores: Vec<Text<'a>>,
}

/// Names that formulas can use without a declaration.
pub(super) const WORDS: [&str; 4] = ["config", "generation", "processors", "pi"];

impl<'a> Merged<'a> {
    /// Names that formulas of the body can use, besides those that it defines.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let declared = self.config.keys().chain(self.symbols.keys()).chain(self.inputs.keys());
        declared.chain(self.weights.keys()).chain(self.states.keys()).chain(WORDS).collect()
    }

    /// The kind of a declared name.
    pub(super) fn kind_of(&self, name: &str) -> Option<&'static str> {
        if self.config.get(name).is_some() {
            Some("a config value")
        } else if self.symbols.get(name).is_some() {
            Some("a symbol")
        } else if self.inputs.get(name).is_some() {
            Some("an input")
        } else if self.weights.get(name).is_some() {
            Some("a weight")
        } else if self.states.get(name).is_some() {
            Some("a state")
        } else if WORDS.contains(&name) {
            Some("a word of the language")
        } else {
            None
        }
    }
}

/// Overrides entries by name; new names come last.
fn merge<'a, T>(
    what: &str,
    base: &mut Table<'a, T>,
    own: Table<'a, T>,
    sources: &Sources<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut here = BTreeSet::new();
    for (key, value) in own.0 {
        if !here.insert(key.0) {
            diagnostics.push(sources.diagnostic(key.0, format!("{what} `{}` is defined twice", key.0)));
        }
        match base.position(key.0) {
            Some(i) => base.0[i] = (key, value),
            None => base.0.push((key, value)),
        }
    }
}

/// Merges `own` into `base`, after its parts. The body of a part comes before all other statements, so that these can
/// use what it computes; closing statements come after all others.
pub(super) fn apply<'a>(
    mut base: Merged<'a>,
    parts: Vec<Architecture<'a>>,
    mut own: Architecture<'a>,
    sources: &Sources<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Merged<'a> {
    let (mut body, mut closing, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for mut part in parts {
        body.append(&mut part.body);
        closing.append(&mut part.closing);
        entries.append(&mut part.entries.0);
        declare(&mut base, part, sources, diagnostics);
    }
    // People look for the entries that the architecture itself names first.
    entries.retain(|(name, _)| own.entries.position(name.0).is_none());
    let (rest, edits) = (std::mem::take(&mut own.body), std::mem::take(&mut own.edits));
    closing.append(&mut own.closing);
    declare(&mut base, own, sources, diagnostics);
    merge("entry", &mut base.entries, Table(entries), sources, diagnostics);
    body.extend(if rest.is_empty() { std::mem::take(&mut base.body) } else { rest });
    body.append(&mut closing);
    base.body = edits.into_iter().fold(body, |body, edit| edited(body, edit, sources, diagnostics));
    base
}

/// Merges the declarations of `own`.
fn declare<'a>(base: &mut Merged<'a>, own: Architecture<'a>, sources: &Sources<'a>, diagnostics: &mut Vec<Diagnostic>) {
    let mut config = Table::default();
    for text in own.config {
        match assignment(text.0) {
            Ok(a) if a.annotation.role.is_some() => {
                diagnostics.push(sources.diagnostic(text.0, "a config value cannot have a role"));
            }
            Ok(a) => config.0.push((Text(a.name), text)),
            Err(e) => diagnostics.push(super::blocks::diagnose(sources, e)),
        }
    }
    merge("config value", &mut base.config, config, sources, diagnostics);
    merge("symbol", &mut base.symbols, own.symbols, sources, diagnostics);
    merge("input", &mut base.inputs, own.inputs, sources, diagnostics);
    merge("weight", &mut base.weights, own.weights, sources, diagnostics);
    merge("state", &mut base.states, own.states, sources, diagnostics);
    merge("block", &mut base.blocks, own.blocks, sources, diagnostics);
    merge("entry", &mut base.entries, own.entries, sources, diagnostics);
    merge("component", &mut base.components, own.components, sources, diagnostics);
    base.ignores.extend(own.ignores);
    // Another kind of model has the policy of its kind, not that of what it extends.
    base.precision = own.precision.or(if own.modality.is_some() { None } else { base.precision });
    base.modality = own.modality.or(base.modality);
}

/// The name by which edits address a statement.
pub(super) fn address<'a>(statement: &Statement<'a>) -> Option<&'a str> {
    match statement {
        Statement::Let(text) => text.0.split('=').next().map(str::trim),
        Statement::Output(name, _) | Statement::Tap(name, _) => Some(name.0),
        Statement::Repeat { name, .. } => Some(name.0),
        Statement::When(..) | Statement::If(..) => None,
    }
}

fn addresses(body: &[Statement<'_>], prefix: &str, all: &mut Vec<String>) {
    for statement in body {
        if let Some(name) = address(statement) {
            all.push(format!("{prefix}{name}"));
        }
        match statement {
            Statement::Repeat { name, body, .. } => addresses(body, &format!("{prefix}{}.", name.0), all),
            Statement::When(_, then) => addresses(then, prefix, all),
            Statement::If(_, then, other) => {
                addresses(then, prefix, all);
                addresses(other, prefix, all);
            }
            _ => {}
        }
    }
}

fn edited<'a>(
    body: Vec<Statement<'a>>,
    edit: Edit<'a>,
    sources: &Sources<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Statement<'a>> {
    let target = match &edit {
        Edit::Replace(t, _) | Edit::Before(t, _) | Edit::After(t, _) | Edit::Remove(t) => *t,
    };
    let mut all = Vec::new();
    addresses(&body, "", &mut all);
    match all.iter().filter(|a| *a == target.0).count() {
        1 => rebuilt(body, "", target.0, &edit),
        0 => {
            let mut d = sources.diagnostic(target.0, format!("no statement `{}` to edit", target.0));
            d.hint = nearest_hint(target.0, all.iter().map(String::as_str))
                .or_else(|| Some("name a statement inside a repetition like `layers.q`".into()));
            diagnostics.push(d);
            body
        }
        n => {
            let message = format!("`{}` names {n} statements; an edit must name exactly one", target.0);
            diagnostics.push(sources.diagnostic(target.0, message));
            body
        }
    }
}

fn rebuilt<'a>(body: Vec<Statement<'a>>, prefix: &str, target: &str, edit: &Edit<'a>) -> Vec<Statement<'a>> {
    let mut out = Vec::new();
    for statement in body {
        if address(&statement).is_some_and(|name| format!("{prefix}{name}") == target) {
            match edit {
                Edit::Replace(_, new) => out.extend(new.iter().cloned()),
                Edit::Before(_, new) => {
                    out.extend(new.iter().cloned());
                    out.push(statement);
                }
                Edit::After(_, new) => {
                    out.push(statement);
                    out.extend(new.iter().cloned());
                }
                Edit::Remove(_) => {}
            }
            continue;
        }
        out.push(match statement {
            Statement::Repeat { name, index, count, body } => {
                let body = rebuilt(body, &format!("{prefix}{}.", name.0), target, edit);
                Statement::Repeat { name, index, count, body }
            }
            Statement::When(c, then) => Statement::When(c, rebuilt(then, prefix, target, edit)),
            Statement::If(c, then, other) => {
                Statement::If(c, rebuilt(then, prefix, target, edit), rebuilt(other, prefix, target, edit))
            }
            other => other,
        });
    }
    out
}
