//! Blocks: parsed once, checked for cycles, called from formulas.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::circles::{References, circles};
use super::diagnostics::{Diagnostic, Sources};
use super::expr::{Assignment, Expr, Kind, Signature};
use super::file::{BlockDecl, Table};
use super::functions::{find, form};
use super::lexer::FormulaError;
use super::parser::{assignment, expression, signature};

/// A block with parsed formulas.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) signature: Signature<'a>,
    pub(super) body: Vec<Assignment<'a>>,
    pub(super) result: Expr<'a>,
}

impl<'a> Block<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.signature.name
    }

    /// All formulas: defaults of parameters, body, result.
    pub(super) fn formulas(&self) -> impl Iterator<Item = &Expr<'a>> {
        let defaults = self.signature.params.iter().filter_map(|p| p.default.as_ref());
        defaults.chain(self.body.iter().map(|s| &s.value)).chain(std::iter::once(&self.result))
    }
}

/// Blocks by name.
pub(super) type BlockTable<'a> = BTreeMap<&'a str, Rc<Block<'a>>>;

/// Turns an error of a formula into a diagnostic.
pub(super) fn diagnose(sources: &Sources<'_>, e: FormulaError<'_>) -> Diagnostic {
    let mut d = sources.diagnostic(e.at, e.message);
    d.hint = e.hint;
    d
}

fn read<'a>(key: &'a str, decl: &BlockDecl<'a>) -> Result<Block<'a>, Vec<FormulaError<'a>>> {
    let mut errors = Vec::new();
    let mut body = Vec::new();
    for step in &decl.body {
        match assignment(step.0) {
            Ok(a) if a.annotation.role.is_some() => errors.push(FormulaError::new(
                step.0,
                "a block takes the role of its caller; set roles in the statements of an architecture",
            )),
            Ok(a) => body.push(a),
            Err(e) => errors.push(e),
        }
    }
    let signature = signature(key).map_err(|e| errors.push(e)).ok();
    let result = expression(decl.result.0).map_err(|e| errors.push(e)).ok();
    match (signature, result) {
        (Some(signature), Some(result)) if errors.is_empty() => Ok(Block { signature, body, result }),
        _ => Err(errors),
    }
}

/// Adds the blocks of one file. Those of an architecture (`own`) replace blocks of the library of the same name.
pub(super) fn add<'a>(
    into: &mut BlockTable<'a>,
    table: &Table<'a, BlockDecl<'a>>,
    own: bool,
    sources: &Sources<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut here = BTreeSet::new();
    for (key, decl) in &table.0 {
        let block = match read(key.0, decl) {
            Ok(block) => block,
            Err(errors) => {
                diagnostics.extend(errors.into_iter().map(|e| diagnose(sources, e)));
                continue;
            }
        };
        let name = block.name();
        if find(name).is_some() || form(name).is_some() {
            diagnostics.push(sources.diagnostic(name, format!("`{name}` is a function of the language")));
        } else if !here.insert(name) || (!own && into.contains_key(name)) {
            diagnostics.push(sources.diagnostic(name, format!("the block `{name}` is defined twice")));
        } else {
            into.insert(name, Rc::new(block));
        }
    }
}

/// The names of functions and blocks that a formula calls, with the place of each call.
pub(super) fn calls<'a>(expr: &Expr<'a>, found: &mut Vec<(&'a str, &'a str)>) {
    if let Kind::Call(name, _) = expr.kind {
        found.push((name, expr.text));
    }
    for part in expr.parts() {
        calls(part, found);
    }
}

/// Reports every cycle of blocks; returns whether there are any.
pub(super) fn check_circles<'a>(
    blocks: &BlockTable<'a>,
    sources: &Sources<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let mut references = References::new();
    for (name, block) in blocks {
        let mut all = Vec::new();
        block.formulas().for_each(|f| calls(f, &mut all));
        for (callee, place) in all.into_iter().filter(|(callee, _)| blocks.contains_key(callee)) {
            // The first of several calls is the one to show.
            if !references.contains_edge(name, callee) {
                references.add_edge(name, callee, place);
            }
        }
    }
    let circles = circles(&references);
    diagnostics.extend(circles.iter().map(|circle| {
        let message = format!("blocks call each other recursively: {}", circle.show());
        let mut d = sources.diagnostic(circle.place, message);
        d.notes.extend(circle.note());
        d
    }));
    !circles.is_empty()
}
