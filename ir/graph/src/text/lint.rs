//! Checks without a config: all formulas are well-formed, and all names and calls are known, even in branches that a
//! particular config never takes.

use std::collections::BTreeSet;

use super::blocks::{Block, BlockTable, diagnose};
use super::diagnostics::{Diagnostic, Sources, nearest_hint};
use super::expr::{Argument, Expr, Kind};
use super::extend::{Merged, WORDS};
use super::file::{EntryDecl, OutputDecl, REST, SourceDecl, Statement, TaskDecl};
use super::functions::{all, find, form, match_arguments, parameters};
use super::lexer::FormulaError;
use super::parser::{annotated, assignment, expression, list, template};

struct Lint<'a, 's> {
    sources: &'s Sources<'a>,
    blocks: &'s BlockTable<'a>,
    arch: &'s Merged<'a>,
    diagnostics: &'s mut Vec<Diagnostic>,
}

/// Checks all blocks.
pub(super) fn blocks<'a>(table: &BlockTable<'a>, sources: &Sources<'a>, diagnostics: &mut Vec<Diagnostic>) {
    let arch = Merged::default();
    let mut lint = Lint { sources, blocks: table, arch: &arch, diagnostics };
    for block in table.values() {
        lint.block(block);
    }
}

/// Checks an architecture.
pub(super) fn architecture<'a>(
    arch: &Merged<'a>,
    table: &BlockTable<'a>,
    sources: &Sources<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut lint = Lint { sources, blocks: table, arch, diagnostics };
    let declared: BTreeSet<&'a str> = arch.names().into_iter().collect();
    lint.declarations(&declared);
    let mut known = declared.clone();
    lint.body(&arch.body, &mut known, &mut Vec::new());
    lint.entries();
    lint.components();
    lint.ignores(&declared);
}

impl<'a> Lint<'a, '_> {
    fn error(&mut self, at: &'a str, message: String, hint: Option<String>) {
        self.diagnostics.push(diagnose(self.sources, FormulaError { at, message, hint }));
    }

    /// The value of a parse, with its error reported.
    fn parsed<T>(&mut self, result: Result<T, FormulaError<'a>>) -> Option<T> {
        result.map_err(|e| self.diagnostics.push(diagnose(self.sources, e))).ok()
    }

    fn block(&mut self, block: &Block<'a>) {
        let mut known: BTreeSet<&'a str> = BTreeSet::from(["pi"]);
        for param in &block.signature.params {
            if let Some(default) = &param.default {
                self.check(default, &known);
            }
            known.insert(param.name);
        }
        for step in &block.body {
            self.check(&step.value, &known);
            known.insert(step.name);
        }
        self.check(&block.result, &known);
    }

    fn declarations(&mut self, declared: &BTreeSet<&'a str>) {
        let arch = self.arch;
        let mut all: Vec<&'a str> = Vec::new();
        for name in arch.names() {
            if all.contains(&name) && !WORDS.contains(&name) {
                self.error(name, format!("`{name}` is declared twice"), None);
            }
            all.push(name);
        }
        for (name, text) in &arch.config.0 {
            if WORDS.contains(&name.0) {
                self.error(name.0, format!("`{}` is a word of the language", name.0), None);
            }
            if let Some(a) = self.parsed(assignment(text.0)) {
                self.check(&a.value, declared);
            }
        }
        // Declarations inside repetitions also see every index.
        let mut inner = declared.clone();
        indices(&arch.body, &mut inner);
        for (_, range) in &arch.symbols.0 {
            self.items(range.0, declared);
        }
        for (_, input) in &arch.inputs.0 {
            self.items(input.shape.0, declared);
        }
        for (_, state) in &arch.states.0 {
            self.items(state.shape.0, &inner);
        }
        for (_, weight) in &arch.weights.0 {
            self.items(weight.shape.0, &inner);
            self.text(weight.tensor.0, &inner);
            if let Some(when) = weight.when {
                self.formula(when.0, &inner);
            }
        }
    }

    fn ignores(&mut self, declared: &BTreeSet<&'a str>) {
        for pattern in &self.arch.ignores {
            self.text(pattern.0, declared);
        }
    }

    fn components(&mut self) {
        let arch = self.arch;
        let mut rest = None;
        for (name, patterns) in &arch.components.0 {
            let valid = name.0.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !valid || name.0.is_empty() {
                self.error(name.0, "expected a name of letters, digits and `_`".into(), None);
            }
            if patterns.is_empty() {
                let hint = Some(format!("`[\"{REST}\"]` takes the tensors of no other component"));
                self.error(name.0, format!("the component `{}` has no pattern", name.0), hint);
            }
            for pattern in patterns.iter().filter(|p| p.0 == REST) {
                if let Some(other) = rest.replace(name.0) {
                    self.error(pattern.0, format!("`{other}` already takes the tensors of no other component"), None);
                }
            }
        }
    }

    fn items(&mut self, text: &'a str, known: &BTreeSet<&'a str>) {
        for item in self.parsed(list(text)).unwrap_or_default() {
            self.check(&item, known);
        }
    }

    fn text(&mut self, text: &'a str, known: &BTreeSet<&'a str>) {
        for part in self.parsed(template(text)).unwrap_or_default() {
            if let Err(expr) = part {
                self.check(&expr, known);
            }
        }
    }

    fn formula(&mut self, text: &'a str, known: &BTreeSet<&'a str>) {
        if let Some(e) = self.parsed(expression(text)) {
            self.check(&e, known);
        }
    }

    /// Checks statements in order; names they define become known. Names that a repetition defines end with it.
    fn body(&mut self, body: &[Statement<'a>], known: &mut BTreeSet<&'a str>, open: &mut Vec<&'a str>) {
        for statement in body {
            match statement {
                Statement::Let(text) => {
                    let Some(a) = self.parsed(assignment(text.0)) else { continue };
                    self.check(&a.value, known);
                    self.defines(a.name);
                    known.insert(a.name);
                }
                Statement::Output(name, text) | Statement::Tap(name, text) => {
                    self.text(name.0, known);
                    if let Some((value, _)) = self.parsed(annotated(text.0)) {
                        self.check(&value, known);
                    }
                }
                Statement::Repeat { name, index, count, body } => {
                    self.formula(count.0, known);
                    for word in [name.0, index.0] {
                        let valid = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                        if !valid || word.is_empty() {
                            self.error(word, "expected a name of letters, digits and `_`".into(), None);
                        }
                    }
                    if open.contains(&index.0) {
                        self.error(index.0, format!("`{}` is already the index of a repetition", index.0), None);
                    }
                    self.defines(index.0);
                    let mut inner = known.clone();
                    inner.insert(index.0);
                    open.push(index.0);
                    self.body(body, &mut inner, open);
                    open.pop();
                }
                Statement::When(condition, then) => {
                    self.formula(condition.0, known);
                    self.body(then, known, open);
                }
                Statement::If(condition, then, other) => {
                    self.formula(condition.0, known);
                    let mut second = known.clone();
                    self.body(then, known, open);
                    self.body(other, &mut second, open);
                    known.extend(second);
                }
            }
        }
    }

    /// A statement may not take a declared name.
    fn defines(&mut self, name: &'a str) {
        if let Some(kind) = self.arch.kind_of(name) {
            self.error(name, format!("`{name}` is already {kind}"), Some("choose another name".into()));
        }
    }

    fn entries(&mut self) {
        let mut given = Vec::new();
        outputs(&self.arch.body, &mut given);
        let arch = self.arch;
        for (_, entry) in &arch.entries.0 {
            for output in &entry.outputs {
                let plain = output.0.trim_end_matches('?');
                if !given.contains(&plain) && !given.iter().any(|g| g.contains('{')) {
                    let hint = nearest_hint(plain, given.iter().copied());
                    self.error(output.0, format!("the body has no output `{plain}`"), hint);
                }
            }
            for symbol in entry.bind.keys() {
                if arch.symbols.get(symbol).is_none() {
                    let hint = nearest_hint(symbol, arch.symbols.keys());
                    self.error(symbol, format!("unknown symbol `{symbol}`"), hint);
                }
            }
            let known: BTreeSet<&'a str> = arch.names().into_iter().collect();
            if let Some(when) = entry.when {
                self.formula(when.0, &known);
            }
            if let Some(task) = &entry.task {
                self.task(task, entry, &known);
            }
        }
    }

    fn task(&mut self, task: &TaskDecl<'a>, entry: &EntryDecl<'a>, known: &BTreeSet<&'a str>) {
        let inputs = &self.arch.inputs;
        let mut formulas = vec![task.when];
        for (input, source) in &task.inputs.0 {
            if inputs.get(input.0).is_none() {
                let hint = nearest_hint(input.0, inputs.keys());
                self.error(input.0, format!("unknown input `{}`", input.0), hint);
            }
            match source {
                SourceDecl::Image { settings, .. }
                | SourceDecl::Frames { settings }
                | SourceDecl::Audio { settings, .. } => {
                    formulas.extend(settings.0.iter().map(|(_, text)| Some(*text)));
                }
                SourceDecl::Sizes(_) | SourceDecl::Text | SourceDecl::Mask => {}
            }
            if let SourceDecl::Audio { through: Some(entry), .. } = source
                && self.arch.entries.get(entry.0).is_none()
            {
                let hint = nearest_hint(entry.0, self.arch.entries.keys());
                self.error(entry.0, format!("unknown entry `{}`", entry.0), hint);
            }
            if let SourceDecl::Image { fit, cut, .. } = source {
                formulas.extend(fit.iter().flat_map(|f| f.formulas()).map(Some));
                formulas.extend(cut.iter().flat_map(|c| c.formulas()).map(Some));
            }
        }
        let mut read = Vec::new();
        match &task.output {
            OutputDecl::Classify { scores, labels, independent } => {
                read.push(*scores);
                formulas.extend([*labels, *independent]);
            }
            OutputDecl::Detect { scores, boxes, labels } => {
                read.extend([*scores, *boxes]);
                formulas.push(*labels);
            }
            OutputDecl::Compare { scores } => read.push(*scores),
            OutputDecl::Ctc { tokens, blank } => {
                read.push(*tokens);
                formulas.push(*blank);
            }
            OutputDecl::Seq2Seq { features, step, .. } => {
                read.push(*features);
                formulas.push(*step);
            }
            OutputDecl::ImagePrompt { token, placeholder, .. } => formulas.extend([Some(*token), *placeholder]),
        }
        let given: Vec<&str> = entry.outputs.iter().map(|o| o.0.trim_end_matches('?')).collect();
        for output in read {
            if !given.contains(&output.0) {
                let hint = nearest_hint(output.0, given.iter().copied());
                self.error(output.0, format!("this entry has no output `{}`", output.0), hint);
            }
        }
        for formula in formulas.into_iter().flatten() {
            self.formula(formula.0, known);
        }
    }

    fn check(&mut self, expr: &Expr<'a>, known: &BTreeSet<&'a str>) {
        match &expr.kind {
            Kind::Name(name) if !known.contains(name) => {
                let hint = nearest_hint(name, known.iter().copied());
                self.error(expr.text, format!("unknown name `{name}`"), hint);
            }
            Kind::Call(name, arguments) => self.check_call(name, arguments, expr),
            _ => {}
        }
        for part in expr.parts() {
            self.check(part, known);
        }
    }

    fn check_call(&mut self, name: &'a str, arguments: &[Argument<'a>], expr: &Expr<'a>) {
        let params: Vec<(&str, bool)> = match (name, find(name).or(form(name)), self.blocks.get(name)) {
            ("choose", _, _) => {
                if arguments.len() < 2 || arguments[1..].iter().any(|a| a.name.is_none()) {
                    let message = "`choose` needs a text and named cases: choose(kind, a: .., b: ..)";
                    self.error(expr.text, message.into(), None);
                }
                return;
            }
            (_, Some(function), _) => parameters(function),
            (_, _, Some(block)) => {
                block.signature.params.iter().map(|p| (p.name, p.optional || p.default.is_some())).collect()
            }
            _ => {
                let names = all().map(|f| f.name);
                let hint = nearest_hint(name, names.chain(self.blocks.keys().copied()));
                self.error(name, format!("unknown function or block `{name}`"), hint);
                return;
            }
        };
        let matched = match_arguments(name, &params, arguments, expr.text).map(|_| ());
        self.parsed(matched);
    }
}

/// The indices of all repetitions.
fn indices<'a>(body: &[Statement<'a>], all: &mut BTreeSet<&'a str>) {
    for statement in body {
        match statement {
            Statement::Repeat { index, body, .. } => {
                all.insert(index.0);
                indices(body, all);
            }
            Statement::When(_, then) => indices(then, all),
            Statement::If(_, then, other) => {
                indices(then, all);
                indices(other, all);
            }
            _ => {}
        }
    }
}

/// The names of all outputs, as written.
fn outputs<'a>(body: &[Statement<'a>], all: &mut Vec<&'a str>) {
    for statement in body {
        match statement {
            Statement::Output(name, _) => all.push(name.0),
            Statement::Repeat { body, .. } => outputs(body, all),
            Statement::When(_, then) => outputs(then, all),
            Statement::If(_, then, other) => {
                outputs(then, all);
                outputs(other, all);
            }
            _ => {}
        }
    }
}
