//! Evaluates the declarations and the body of an architecture, and assembles the model.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::binder::{Binder, Eval, Global, Repetition};
use super::expr::{Annotation, Assignment, Expr};
use super::file::{EntryDecl, InputDecl, Statement, Text};
use super::parser::{annotated, assignment, expression, list};
use super::usage::Usage;
use super::value::Value;
use crate::dim::Bindings;
use crate::dtype::DType;
use crate::graph::{Entry, EntryRole, Input, Model, NodeId, PAST, Symbol};

/// The largest number of rounds of a repetition.
const MAX_REPEAT: i64 = 1000;
/// The largest number of rounds of all repetitions together.
const MAX_REGIONS: usize = 10_000;
/// The largest value of a symbol: lengths on devices are 32-bit.
const MAX_SYMBOL: i64 = 1 << 30;

impl<'a> Binder<'a> {
    /// Binds everything; problems are in `diagnostics`.
    pub(super) fn run(mut self, architecture: String) -> (Option<(Model, Usage)>, Vec<super::diagnostics::Diagnostic>) {
        let arch = self.arch.clone();
        self.declare();
        self.builder.open_region("start", None);
        self.run_all(&arch.body);
        let lasting: Vec<String> = self.builder.lasting().map(|s| s.name.clone()).collect();
        for (name, decl) in &arch.states.0 {
            let own = |full: &String| full == name.0 || full.ends_with(&format!(".{}", name.0));
            if lasting.iter().any(own) {
                let hint = Some(format!("`update({}, x)` sets its value for the next call", name.0));
                self.fail_with(decl.shape.0, format!("the state `{}` is read, but never updated", name.0), hint);
            }
        }
        let entries = self.entries();
        let usage = self.usage();
        if !self.diagnostics.is_empty() {
            return (None, self.diagnostics);
        }
        let (graph, mut weights, states) = self.builder.finish();
        let components = super::weights::components(&arch, &mut weights);
        let (symbols, inputs, taps) = (self.symbols, self.inputs, self.taps);
        let modality = arch.modality.unwrap_or_default();
        let precision = arch.precision.map_or(modality.name(), |p| p.0).to_string();
        let continues = |e: &Entry| !matches!(e.role, EntryRole::Tensors | EntryRole::Embed);
        let embeds = entries.iter().any(|e| e.role == EntryRole::Embed) && !entries.iter().any(continues);
        let model = Model {
            architecture,
            symbols,
            inputs,
            states,
            weights,
            components,
            modality,
            precision,
            graph,
            taps,
            entries,
        };
        let model = if embeds { model.without_past() } else { model };
        (Some((model, usage)), self.diagnostics)
    }

    fn declare(&mut self) {
        let arch = self.arch.clone();
        for (name, text) in &arch.config.0 {
            if let Ok(a) = assignment(text.0) {
                self.globals.insert(name.0, Global::Formula(Rc::new(a.value)));
            }
        }
        for (name, range) in &arch.symbols.0 {
            if let Ok(symbol) = self.symbol(name.0, range) {
                self.builder.minima.insert(symbol.name.clone(), symbol.min);
                self.symbols.push(symbol);
            }
        }
        for (name, decl) in &arch.inputs.0 {
            if let Ok(input) = self.declare_input(name.0, decl) {
                self.inputs.push(input);
            }
        }
        // Every config value once, so that mistakes in those that nothing uses here are found too.
        for (name, text) in &arch.config.0 {
            let value = self.formula(expression(name.0)).and_then(|e| self.eval(&e));
            if let Ok(Value::Absent) = value
                && !text.0.contains("null")
            {
                let hint = Some("end the formula with `?? null` if it may be missing".to_string());
                self.fail_with(text.0, format!("the config value `{}` is null", name.0), hint);
            }
        }
    }

    fn symbol(&mut self, name: &'a str, range: &Text<'a>) -> Eval<Symbol> {
        let ends = self.formula(list(range.0))?;
        let [min, max] = ends.as_slice() else {
            return Err(self.fail(range.0, "the range of a symbol has its smallest and its largest value: \"1, 64\""));
        };
        let (min, max) = (self.eval_int(min)?, self.eval_int(max)?);
        if min < 0 || max < min || max > MAX_SYMBOL {
            return Err(self.fail(range.0, format!("{min}, {max} is not a range within 0 and {MAX_SYMBOL}")));
        }
        Ok(Symbol { name: name.to_string(), min, max })
    }

    fn declare_input(&mut self, name: &'a str, decl: &InputDecl<'a>) -> Eval<Input> {
        let shape = self.dims_of(decl.shape.0)?;
        let checked = super::builder::check_shape(&shape, &self.builder.minima);
        self.at(decl.shape.0, checked)?;
        if decl.dtype == DType::Bool {
            return Err(self.fail(name, "an input must be F32 or I32"));
        }
        let (default, advance) = (decl.default.clone(), decl.advance.clone());
        Ok(Input { name: name.to_string(), dtype: decl.dtype, shape, default, advance })
    }

    // ---- statements

    fn run_all(&mut self, body: &[Statement<'a>]) {
        for statement in body {
            // A statement that fails has reported why, and its name is poisoned.
            let _ = self.run_one(statement);
        }
    }

    fn run_one(&mut self, statement: &Statement<'a>) -> Eval<()> {
        match statement {
            Statement::Let(text) => {
                let Assignment { name, value, annotation } = self.formula(assignment(text.0))?;
                let result = self.evaluate_as(name.to_string(), &value, &annotation);
                let failed = result.is_err();
                self.assign(name, result.unwrap_or(Value::Poison));
                if failed { Err(super::binder::Stop) } else { Ok(()) }
            }
            Statement::Output(name, text) => self.output(name.0, text.0).map(|_| ()),
            Statement::Tap(name, text) => {
                let name = self.output(name.0, text.0)?;
                self.taps.push(name);
                Ok(())
            }
            Statement::Repeat { name, index, count, body } => self.repeat(name.0, index.0, count.0, body),
            Statement::When(condition, then) => self.branch(condition.0, then, &[]),
            Statement::If(condition, then, other) => self.branch(condition.0, then, other),
        }
    }

    /// Evaluates a statement; its nodes get its path, role and precision.
    fn evaluate_as(&mut self, name: String, value: &Expr<'a>, annotation: &Annotation<'a>) -> Eval<Value<'a>> {
        self.builder.path = vec![format!("{}{name}", self.prefix())];
        self.builder.role = annotation.role.map(str::to_string);
        self.builder.precision = annotation.precision;
        let result = self.eval(value);
        self.builder.path.clear();
        (self.builder.role, self.builder.precision) = (None, None);
        result
    }

    fn output(&mut self, name: &'a str, text: &'a str) -> Eval<String> {
        let shown = self.interpolate(name)?;
        let (value, annotation) = self.formula(annotated(text))?;
        let result = self.evaluate_as(shown.clone(), &value, &annotation)?;
        let node: NodeId = match result {
            Value::Node(id) => id,
            other => {
                let found = self.describe(&other);
                return Err(self.fail(value.text, format!("an output must be a tensor, found {found}")));
            }
        };
        if self.builder.graph.outputs.insert(shown.clone(), node).is_some() {
            return Err(self.fail(name, format!("the output `{shown}` is defined twice")));
        }
        Ok(shown)
    }

    fn repeat(&mut self, name: &'a str, variable: &'a str, count: &'a str, body: &[Statement<'a>]) -> Eval<()> {
        let formula = self.formula(expression(count))?;
        let n = self.eval_int(&formula)?;
        if !(0..=MAX_REPEAT).contains(&n) {
            return Err(self.fail(count, format!("{n} repetitions of `{name}`; expected 0 to {MAX_REPEAT}")));
        }
        if self.repeats.is_empty() {
            for region in &mut self.builder.graph.regions {
                if region.name == "end" {
                    region.name = "middle".into();
                }
            }
        }
        if self.builder.graph.regions.len() + n as usize > MAX_REGIONS {
            return Err(self.fail(count, format!("more than {MAX_REGIONS} repetitions in all")));
        }
        let outer = self.prefix();
        for index in 0..n as u32 {
            self.repeats.push(Repetition { name, variable, index });
            self.builder.open_region(&format!("{outer}{name}"), Some(index));
            self.frame().scopes.push(BTreeMap::from([(variable, Value::Int(i64::from(index)))]));
            self.run_all(body);
            self.frame().scopes.pop();
            self.repeats.pop();
        }
        match self.repeats.last() {
            None => self.builder.open_region("end", None),
            Some(r) => {
                let above: String =
                    self.repeats[..self.repeats.len() - 1].iter().map(|r| format!("{}.{}.", r.name, r.index)).collect();
                self.builder.open_region(&format!("{above}{}", r.name), Some(r.index));
            }
        }
        Ok(())
    }

    fn branch(&mut self, condition: &'a str, then: &[Statement<'a>], other: &[Statement<'a>]) -> Eval<()> {
        let formula = self.formula(expression(condition))?;
        let yes = self.eval_bool(&formula)?;
        self.run_all(if yes { then } else { other });
        Ok(())
    }

    // ---- entries

    fn entries(&mut self) -> Vec<Entry> {
        let arch = self.arch.clone();
        arch.entries.0.iter().filter_map(|(name, decl)| self.entry(name.0, decl).ok().flatten()).collect()
    }

    fn entry(&mut self, name: &'a str, decl: &EntryDecl<'a>) -> Eval<Option<Entry>> {
        if let Some(when) = decl.when {
            let condition = self.formula(expression(when.0))?;
            if !self.eval_bool(&condition)? {
                return Ok(None);
            }
        }
        let mut outputs = Vec::new();
        for output in &decl.outputs {
            let (plain, optional) = match output.0.strip_suffix('?') {
                Some(plain) => (plain, true),
                None => (output.0, false),
            };
            if self.builder.graph.outputs.contains_key(plain) {
                outputs.push(plain.to_string());
            } else if !optional && self.diagnostics.is_empty() {
                let known: Vec<String> = self.builder.graph.outputs.keys().cloned().collect();
                let hint = super::diagnostics::nearest_hint(plain, known.iter().map(String::as_str));
                self.fail_with(output.0, format!("the body has no output `{plain}`"), hint);
            }
        }
        let mut bind = Bindings::new();
        for (symbol, value) in &decl.bind.0 {
            match self.symbols.iter().find(|s| s.name == symbol.0) {
                Some(s) if (s.min..=s.max).contains(value) => {
                    bind.insert(s.name.clone(), *value);
                }
                Some(s) => {
                    let message = format!("{value} is outside of the range {} to {} of `{}`", s.min, s.max, s.name);
                    self.fail(symbol.0, message);
                }
                None => {
                    self.fail(symbol.0, format!("unknown symbol `{}`", symbol.0));
                }
            }
        }
        // Texts are embedded whole: there is nothing before them.
        if decl.role == EntryRole::Embed && self.symbols.iter().any(|s| s.name == PAST && s.min == 0) {
            bind.insert(PAST.to_string(), 0);
        }
        if outputs.is_empty() && self.diagnostics.is_empty() {
            return Err(self.fail(name, format!("the entry `{name}` has no outputs here")));
        }
        let task = match &decl.task {
            Some(task) => self.task(task, decl.role, &outputs)?,
            None => None,
        };
        Ok(Some(Entry { name: name.to_string(), role: decl.role, bind, outputs, task }))
    }
}
