//! The state of binding an architecture: names, errors, and evaluation of formulas.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::arith;
use super::blocks::Block;
use super::builder::Builder;
use super::diagnostics::{Diagnostic, Sources, nearest_hint};
use super::expr::{Expr, Kind, Operator};
use super::extend::Merged;
use super::lexer::FormulaError;
use super::reads::Reads;
use super::settings::Settings;
use super::value::{Value, non_finite};
use crate::dim::Dim;
use crate::graph::{Input, Symbol};
use crate::scalar::{Binary, Unary};

/// Evaluation stopped; the problem is already reported.
#[derive(Debug)]
pub(super) struct Stop;

/// The result of evaluating something.
pub(super) type Eval<T> = Result<T, Stop>;

/// The deepest nesting of formulas and blocks, which also limits the stack.
const MAX_DEPTH: usize = 200;
/// The deepest nesting of block calls.
const MAX_STEPS: usize = 5_000_000;
/// The largest number of parts of a list, characters of a text or elements of a vector.
const MAX_SIZE: usize = (1 << 16) + 1;
/// The largest number of messages.
const MAX_DIAGNOSTICS: usize = 100;

/// The names of one body or block call.
#[derive(Default)]
pub(super) struct Frame<'a> {
    /// Scopes from the outermost to the innermost.
    pub(super) scopes: Vec<BTreeMap<&'a str, Value<'a>>>,
    /// Whether it is a block, in which only its own names are visible.
    pub(super) block: bool,
}

/// A config value, evaluated on first use, so that the order does not matter.
pub(super) enum Global<'a> {
    Formula(Rc<Expr<'a>>),
    Running,
    Done(Value<'a>),
}

/// The current round of a repetition.
pub(super) struct Repetition<'a> {
    /// Name in paths.
    pub(super) name: &'a str,
    /// Name of the index in formulas.
    pub(super) variable: &'a str,
    pub(super) index: u32,
}

/// The state of binding an architecture.
pub(super) struct Binder<'a> {
    pub(super) sources: Sources<'a>,
    pub(super) diagnostics: Vec<Diagnostic>,
    seen: BTreeSet<(String, usize, usize, String)>,
    pub(super) arch: Rc<Merged<'a>>,
    pub(super) blocks: Rc<BTreeMap<&'a str, Rc<Block<'a>>>>,
    pub(super) settings: Settings<'a>,
    pub(super) tensors: Option<&'a BTreeMap<String, Vec<u64>>>,
    pub(super) globals: BTreeMap<&'a str, Global<'a>>,
    pub(super) frames: Vec<Frame<'a>>,
    /// Open block calls: block and text of the call.
    pub(super) calls: Vec<(&'a str, &'a str)>,
    pub(super) repeats: Vec<Repetition<'a>>,
    pub(super) builder: Builder,
    pub(super) inputs: Vec<Input>,
    pub(super) symbols: Vec<Symbol>,
    pub(super) taps: Vec<String>,
    /// Names of missing tensors whose nearest name was looked for; looking is slow for large checkpoints.
    pub(super) searched: usize,
    /// The entries of config.json that were read.
    pub(super) reads: Reads<'a>,
    /// Tensors under other names of one that was read.
    pub(super) spellings: BTreeMap<String, String>,
    /// Optional tensors that the checkpoint lacks.
    pub(super) absent: BTreeSet<String>,
    depth: usize,
    steps: usize,
    is_exhausted: bool,
}

impl<'a> Binder<'a> {
    pub(super) fn new(
        sources: Sources<'a>,
        arch: Rc<Merged<'a>>,
        blocks: Rc<BTreeMap<&'a str, Rc<Block<'a>>>>,
        settings: Settings<'a>,
        tensors: Option<&'a BTreeMap<String, Vec<u64>>>,
    ) -> Self {
        Self {
            sources,
            diagnostics: Vec::new(),
            seen: BTreeSet::new(),
            arch,
            blocks,
            settings,
            tensors,
            globals: BTreeMap::new(),
            frames: vec![Frame { scopes: vec![BTreeMap::new()], block: false }],
            calls: Vec::new(),
            repeats: Vec::new(),
            builder: Builder::default(),
            inputs: Vec::new(),
            symbols: Vec::new(),
            taps: Vec::new(),
            searched: 0,
            reads: Reads::new(),
            spellings: BTreeMap::new(),
            absent: BTreeSet::new(),
            depth: 0,
            steps: 0,
            is_exhausted: false,
        }
    }

    // ---- errors

    /// Adds a diagnostic unless the same one is there (a statement fails alike in every layer).
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        let key = (diagnostic.file.clone(), diagnostic.line, diagnostic.column, diagnostic.message.clone());
        if self.diagnostics.len() < MAX_DIAGNOSTICS && self.seen.insert(key) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports a problem at `at`. Inside a block, the place is the call in the architecture, because that is what its
    /// author can change; the place in the block is a note.
    pub(super) fn fail_with(&mut self, at: &'a str, message: impl Into<String>, hint: Option<String>) -> Stop {
        let outer = self.calls.first().map_or(at, |(_, call)| *call);
        let mut diagnostic = self.sources.diagnostic(outer, message);
        if let Some((block, _)) = self.calls.last() {
            let line = at.lines().next().unwrap_or_default();
            diagnostic.notes.push(format!("in block `{block}` at {}: {line}", self.sources.show(at)));
        }
        diagnostic.path = self.builder.path.first().cloned().unwrap_or_default();
        diagnostic.hint = hint;
        self.report(diagnostic);
        Stop
    }

    pub(super) fn fail(&mut self, at: &'a str, message: impl Into<String>) -> Stop {
        self.fail_with(at, message, None)
    }

    /// Turns a plain message into a report at `at`.
    pub(super) fn at<T>(&mut self, at: &'a str, result: Result<T, String>) -> Eval<T> {
        result.map_err(|message| self.fail(at, message))
    }

    /// Turns a syntax error of a formula into a report.
    pub(super) fn formula<T>(&mut self, result: Result<T, FormulaError<'a>>) -> Eval<T> {
        result.map_err(|e| self.fail_with(e.at, e.message, e.hint))
    }

    pub(super) fn describe(&self, value: &Value<'a>) -> String {
        value.describe(&self.builder.graph)
    }

    // ---- names

    pub(super) fn frame(&mut self) -> &mut Frame<'a> {
        if self.frames.is_empty() {
            self.frames.push(Frame { scopes: vec![BTreeMap::new()], block: false });
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Assigns a value to `name`, in the scope where it exists, else in the innermost one.
    pub(super) fn assign(&mut self, name: &'a str, value: Value<'a>) {
        let scopes = &mut self.frame().scopes;
        let at = scopes.iter().rposition(|s| s.contains_key(name)).unwrap_or(scopes.len().saturating_sub(1));
        if let Some(scope) = scopes.get_mut(at) {
            scope.insert(name, value);
        }
    }

    /// Evaluates with only declared names visible, and the indices of current repetitions if `indices`.
    pub(super) fn at_top_level<T>(&mut self, indices: bool, f: impl FnOnce(&mut Self) -> T) -> T {
        let mut scope = BTreeMap::new();
        if indices {
            scope.extend(self.repeats.iter().map(|r| (r.variable, Value::Int(i64::from(r.index)))));
        }
        let frames = std::mem::take(&mut self.frames);
        self.frames.push(Frame { scopes: vec![scope], block: false });
        let result = f(self);
        self.frames = frames;
        result
    }

    fn visible(&self) -> Vec<&'a str> {
        let Some(frame) = self.frames.last() else { return Vec::new() };
        let mut all: Vec<&'a str> = frame.scopes.iter().flat_map(|s| s.keys().copied()).collect();
        if !frame.block {
            all.extend(self.arch.names());
        }
        all
    }

    fn lookup(&mut self, name: &'a str, at: &'a str) -> Eval<Value<'a>> {
        let frame = self.frame();
        let block = frame.block;
        if let Some(value) = frame.scopes.iter().rev().find_map(|s| s.get(name)) {
            let value = value.clone();
            return if value == Value::Poison { Err(Stop) } else { Ok(value) };
        }
        if name == "pi" {
            return Ok(Value::Float(std::f64::consts::PI));
        }
        if !block && let Some(value) = self.lookup_declared(name, at)? {
            return Ok(value);
        }
        let hint = nearest_hint(name, self.visible());
        let hint = hint.or_else(|| block.then(|| "a block can use its parameters and its own names only".to_string()));
        Err(self.fail_with(at, format!("unknown name `{name}`"), hint))
    }

    fn lookup_declared(&mut self, name: &'a str, at: &'a str) -> Eval<Option<Value<'a>>> {
        if self.globals.contains_key(name) {
            return self.global(name, at).map(Some);
        }
        match name {
            "config" => return Ok(Some(Value::from_json(self.settings.config))),
            "generation" => return Ok(Some(Value::from_json(self.settings.generation))),
            "processors" => return Ok(Some(Value::from_json(self.settings.processors))),
            _ => {}
        }
        if let Some(i) = self.inputs.iter().position(|i| i.name == name) {
            let (shape, dtype) = (self.inputs[i].shape.clone(), self.inputs[i].dtype);
            let node = self.builder.input(i as u32, &shape, dtype);
            return self.at(at, node).map(|n| Some(Value::Node(n)));
        }
        if self.symbols.iter().any(|s| s.name == name) {
            return Ok(Some(Value::Dim(Dim::symbol(name))));
        }
        let arch = self.arch.clone();
        if let Some(weight) = arch.weights.get(name) {
            return self.weight(name, weight, at).map(Some);
        }
        if arch.inputs.get(name).is_some() || arch.symbols.get(name).is_some() {
            // Its declaration is wrong and already reported.
            return Err(Stop);
        }
        if arch.states.get(name).is_some() {
            let (grows, holds) = ("appends x and returns everything so far", "stores x for later calls and returns it");
            let before = "returns its value from the previous call";
            let hint =
                Some(format!("`append({name}, x)` {grows}, `keep({name}, x)` {holds}, `previous({name})` {before}"));
            return Err(self.fail_with(at, format!("`{name}` is a state, not a value"), hint));
        }
        Ok(None)
    }

    fn global(&mut self, name: &'a str, at: &'a str) -> Eval<Value<'a>> {
        let formula = match self.globals.get(name) {
            Some(Global::Done(Value::Poison)) | None => return Err(Stop),
            Some(Global::Done(value)) => return Ok(value.clone()),
            Some(Global::Running) => {
                return Err(self.fail(at, format!("the config value `{name}` depends on itself")));
            }
            Some(Global::Formula(formula)) => formula.clone(),
        };
        self.globals.insert(name, Global::Running);
        let path = std::mem::take(&mut self.builder.path);
        let calls = std::mem::take(&mut self.calls);
        let value = self.at_top_level(false, |b| b.eval(&formula));
        (self.builder.path, self.calls) = (path, calls);
        let value = match value {
            Ok(Value::Node(_)) => {
                Err(self.fail(formula.text, "a config value must be a number, text, list or object, not a tensor"))
            }
            other => other,
        };
        let done = value.as_ref().ok().cloned().unwrap_or(Value::Poison);
        self.globals.insert(name, Global::Done(done));
        value
    }

    // ---- formulas

    /// The value of a formula.
    pub(super) fn eval(&mut self, expr: &Expr<'a>) -> Eval<Value<'a>> {
        self.depth += 1;
        self.steps += 1;
        let result = if self.depth > MAX_DEPTH {
            Err(self.fail(expr.text, "formulas and blocks are nested too deeply here"))
        } else if self.steps > MAX_STEPS {
            self.exhausted(expr.text)
        } else {
            self.eval_kind(expr)
        };
        self.depth -= 1;
        let size = result.as_ref().map_or(0, |v| v.size(MAX_SIZE));
        if size >= MAX_SIZE {
            return Err(self.fail(expr.text, "this value is too large"));
        }
        // Long vectors cost more than numbers.
        self.steps += size / 8;
        result
    }

    /// Reports once that there are too many steps; later evaluations stop silently.
    fn exhausted(&mut self, at: &'a str) -> Eval<Value<'a>> {
        if !std::mem::replace(&mut self.is_exhausted, true) {
            self.fail(at, "binding takes too many steps; do blocks multiply each other's work?");
        }
        Err(Stop)
    }

    fn eval_kind(&mut self, expr: &Expr<'a>) -> Eval<Value<'a>> {
        match &expr.kind {
            Kind::Int(v) => Ok(Value::Int(*v)),
            Kind::Float(v) => Ok(Value::Float(*v)),
            Kind::Bool(v) => Ok(Value::Bool(*v)),
            Kind::Null => Ok(Value::Absent),
            Kind::Text(t) => Ok(Value::Text((*t).to_string())),
            Kind::Name(name) => self.lookup(name, expr.text),
            Kind::Member(base, field) => match self.member(expr, base, field)? {
                Value::Absent => Err(self.missing_key(expr, base, field)),
                value => Ok(value),
            },
            Kind::Index(base, items) => {
                let value = self.eval(base)?;
                self.index(expr, value, items)
            }
            Kind::List(items) => items.iter().map(|i| self.eval(i)).collect::<Eval<Vec<_>>>().map(Value::List),
            Kind::Neg(a) => self.unary(Unary::Neg, a, expr.text),
            Kind::Not(a) => self.unary(Unary::Not, a, expr.text),
            Kind::Binary(op, a, b) => self.binary(*op, a, b, expr.text),
            Kind::Otherwise(a, b) => match self.eval_maybe(a)? {
                Value::Absent => self.eval(b),
                value => {
                    self.note_mentioned(b);
                    Ok(value)
                }
            },
            Kind::If(condition, then, other) => self.conditional(condition, then, other, expr.text),
            Kind::Call(name, arguments) => self.call(name, arguments, expr),
        }
    }

    /// The value of a formula in which a missing config key is not an error.
    pub(super) fn eval_maybe(&mut self, expr: &Expr<'a>) -> Eval<Value<'a>> {
        match &expr.kind {
            Kind::Member(base, field) => self.member(expr, base, field),
            Kind::Index(base, items) => match self.eval_maybe(base)? {
                Value::Absent => Ok(Value::Absent),
                value => self.index(expr, value, items),
            },
            _ => self.eval(expr),
        }
    }

    /// The entry `field` of `base`; `expr` is both together.
    fn member(&mut self, expr: &Expr<'a>, base: &Expr<'a>, field: &'a str) -> Eval<Value<'a>> {
        match self.eval_maybe(base)? {
            Value::Absent => Ok(Value::Absent),
            Value::Object(map) => {
                self.note_read(map, field);
                let Some(json) = map.get(field) else { return Ok(Value::Absent) };
                match non_finite(json) {
                    None => Ok(Value::from_json(json)),
                    Some(name) => {
                        let has = if json.is_array() { "has" } else { "is" };
                        let message = format!("`{}` {has} {name} in {}", expr.text, file_of(base));
                        Err(self.fail_with(expr.text, message, Some("formulas can use finite numbers only".into())))
                    }
                }
            }
            other => {
                let what = self.describe(&other);
                Err(self.fail(base.text, format!("`{}` is {what}, which has no fields", base.text)))
            }
        }
    }

    fn missing_key(&mut self, expr: &Expr<'a>, base: &Expr<'a>, field: &'a str) -> Stop {
        let file = file_of(base);
        let hint = match self.eval_maybe(base) {
            Ok(Value::Object(map)) if map.contains_key(field) => {
                let hint = Some(format!("`{} ?? value` sets a default", expr.text));
                return self.fail_with(expr.text, format!("`{}` is null in {file}", expr.text), hint);
            }
            Ok(Value::Object(map)) => nearest_hint(field, map.keys().map(String::as_str)),
            _ => None,
        };
        let hint = hint.or_else(|| Some(format!("`{} ?? value` sets a default", expr.text)));
        self.fail_with(expr.text, format!("`{}` is not in {file}", expr.text), hint)
    }

    fn conditional(&mut self, condition: &Expr<'a>, then: &Expr<'a>, other: &Expr<'a>, at: &'a str) -> Eval<Value<'a>> {
        match self.eval(condition)? {
            Value::Bool(true) => {
                self.note_mentioned(other);
                self.eval(then)
            }
            Value::Bool(false) => {
                self.note_mentioned(then);
                self.eval(other)
            }
            Value::Mask(mask) => {
                let (a, b) = (self.eval(then)?, self.eval(other)?);
                self.at(at, arith::select(&mask, &a, &b))
            }
            Value::Node(c) => {
                let (a, b) = (self.eval(then)?, self.eval(other)?);
                self.select(c, &a, &b, at)
            }
            found => {
                let found = self.describe(&found);
                Err(self.fail(condition.text, format!("a condition must be true or false, found {found}")))
            }
        }
    }

    pub(super) fn unary(&mut self, op: Unary, a: &Expr<'a>, at: &'a str) -> Eval<Value<'a>> {
        let value = self.eval(a)?;
        self.apply_unary(op, &value, at)
    }

    fn binary(&mut self, op: Operator, a: &Expr<'a>, b: &Expr<'a>, at: &'a str) -> Eval<Value<'a>> {
        let equality = matches!(op, Operator::Op(Binary::Eq | Binary::Ne));
        let x = if equality { self.eval_maybe(a)? } else { self.eval(a)? };
        // Bind-time `and` and `or` stop early, so that `present(x) and x > 0` works.
        match (op, &x) {
            (Operator::Op(Binary::And), Value::Bool(false)) | (Operator::Op(Binary::Or), Value::Bool(true)) => {
                self.note_mentioned(b);
                return Ok(x);
            }
            _ => {}
        }
        let y = if equality { self.eval_maybe(b)? } else { self.eval(b)? };
        if let (Operator::In, Value::Text(key), Value::Object(map)) = (op, &x, &y) {
            self.note_read(map, key);
        }
        for (value, expr) in [(&x, a), (&y, b)] {
            if *value == Value::Absent && !equality {
                return Err(self.fail(expr.text, format!("`{}` is null here", expr.text)));
            }
        }
        self.apply_binary(op, &x, &y, at)
    }

    /// Evaluates to an integer.
    pub(super) fn eval_int(&mut self, expr: &Expr<'a>) -> Eval<i64> {
        let value = self.eval(expr)?;
        match value.as_int() {
            Some(v) => Ok(v),
            None => {
                let found = self.describe(&value);
                Err(self.fail(expr.text, format!("expected an integer, found {found}")))
            }
        }
    }

    /// Evaluates to a dimension.
    pub(super) fn eval_dim(&mut self, expr: &Expr<'a>) -> Eval<Dim> {
        let value = self.eval(expr)?;
        match value.as_dim() {
            Some(v) => Ok(v),
            None => {
                let found = self.describe(&value);
                Err(self.fail(expr.text, format!("expected a dimension, found {found}")))
            }
        }
    }

    /// Evaluates to a truth value that is known at compile time.
    pub(super) fn eval_bool(&mut self, expr: &Expr<'a>) -> Eval<bool> {
        match self.eval(expr)? {
            Value::Bool(b) => Ok(b),
            found => {
                let found = self.describe(&found);
                Err(self.fail(expr.text, format!("expected a condition on config values, found {found}")))
            }
        }
    }

    /// Fills in the `{formula}` parts of a text.
    pub(super) fn interpolate(&mut self, text: &'a str) -> Eval<String> {
        let parts = self.formula(super::parser::template(text))?;
        let mut out = String::new();
        for part in parts {
            match part {
                Ok(literal) => out.push_str(literal),
                Err(expr) => match self.eval(&expr)? {
                    Value::Int(v) => out.push_str(&v.to_string()),
                    Value::Text(t) => out.push_str(&t),
                    other => {
                        let found = self.describe(&other);
                        return Err(self.fail(
                            expr.text,
                            format!(
                                "a name can contain an integer or a text, found \
                            {found}"
                            ),
                        ));
                    }
                },
            }
        }
        Ok(out)
    }
}

/// The name of the file of a settings object, for messages.
fn file_of(base: &Expr<'_>) -> &'static str {
    match &base.kind {
        Kind::Name("generation") => "generation_config.json",
        Kind::Name("arch" | "general" | "tokenizer") => "the metadata of the file",
        Kind::Name("processors") => "processor_config.json or preprocessor_config.json",
        Kind::Member(base, _) | Kind::Index(base, _) => file_of(base),
        _ => "config.json",
    }
}
