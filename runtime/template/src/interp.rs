//! Executes statements.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::ast::{self, Block, Expr, ExprKind, For, Stmt, StmtKind, Target};
use crate::budget::Budget;
use crate::fault::{MAX_DEPTH, MAX_TEXT, Res, fail, limit, type_error};
use crate::html;
use crate::ops;
use crate::repr::to_text;
use crate::value::{Args, Iter, Loop, Macro, Namespace, Object, Scope, Str, Undefined, Value};

/// Whether an enclosing loop continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

/// A rendering in progress.
pub(crate) struct Interp<'t> {
    pub(crate) budget: Budget,
    pub(crate) blocks: &'t [Rc<Block>],
    /// Global variables of the template.
    pub(crate) root: Rc<Scope>,
    pub(crate) out: String,
    /// The current line.
    pub(crate) line: u32,
    pub(crate) depth: u32,
    pub(crate) autoescape: bool,
    /// Seconds since 1970, UTC.
    pub(crate) now: i64,
    /// Scopes and namespaces that may contain themselves; they are cleared at the end.
    pub(crate) scopes: Vec<Rc<Scope>>,
    pub(crate) spaces: Vec<Rc<Namespace>>,
}

impl Drop for Interp<'_> {
    fn drop(&mut self) {
        for space in std::mem::take(&mut self.spaces).iter() {
            space.attrs.take();
        }
        for scope in std::mem::take(&mut self.scopes).iter() {
            scope.vars.take();
        }
    }
}

impl<'t> Interp<'t> {
    pub(crate) fn new(blocks: &'t [Rc<Block>], variables: Vec<(Rc<str>, Value)>, now: i64) -> Self {
        let context = Scope::new(None);
        context.vars.replace(variables);
        let root = Scope::new(Some(context));
        Interp {
            budget: Budget::new(),
            blocks,
            root,
            out: String::new(),
            line: 0,
            depth: 0,
            autoescape: false,
            now,
            scopes: Vec::new(),
            spaces: Vec::new(),
        }
    }

    /// Enters a level of nesting; fails if it is too deep.
    pub(crate) fn enter(&mut self) -> Res<()> {
        self.budget.steps(1)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return limit("nests expressions, blocks and macros", u64::from(MAX_DEPTH), " deep");
        }
        Ok(())
    }

    pub(crate) fn body(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Res<Flow> {
        self.enter()?;
        for stmt in body {
            self.line = stmt.line;
            let flow = self.statement(stmt, scope)?;
            if flow != Flow::Next {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::Next)
    }

    /// The output of a body.
    pub(crate) fn capture(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Res<String> {
        let outer = std::mem::take(&mut self.out);
        self.body(body, scope)?;
        Ok(std::mem::replace(&mut self.out, outer))
    }

    /// A string created by the template.
    pub(crate) fn made(&self, text: String) -> Value {
        Value::Str(Str { text: text.into(), safe: self.autoescape })
    }

    pub(crate) fn write(&mut self, text: &str) -> Res<()> {
        if self.out.len() + text.len() > MAX_TEXT {
            return limit("writes", MAX_TEXT as u64, " bytes");
        }
        self.budget.text(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn print(&mut self, value: &Value) -> Res<()> {
        match value {
            Value::Str(s) if !self.autoescape || s.safe => self.write(&s.text),
            other => {
                let text = to_text(&self.budget, other)?;
                let text = if self.autoescape { html::force(&self.budget, &text)? } else { text };
                self.write(&text)
            }
        }
    }

    /// Writes the output of a block, which must be a string.
    fn write_text(&mut self, value: &Value) -> Res<()> {
        match value {
            Value::Str(s) => self.write(&s.text),
            other => type_error(&format!("sequence item 0: expected str instance, {} found", other.type_name())),
        }
    }

    fn statement(&mut self, stmt: &Stmt, scope: &Rc<Scope>) -> Res<Flow> {
        match &stmt.kind {
            StmtKind::Text(text) => self.write(text)?,
            StmtKind::Print(all) => {
                for expr in all {
                    let value = self.eval(expr, scope)?;
                    self.print(&value)?;
                }
            }
            StmtKind::If(branches, otherwise) => {
                for (test, body) in branches {
                    if ops::truth(&self.eval(test, scope)?) {
                        return self.body(body, scope);
                    }
                }
                return self.body(otherwise, scope);
            }
            StmtKind::For(node) => {
                let iterable = self.eval(&node.iter, scope)?;
                self.run_loop(node, scope, iterable, 0)?;
            }
            StmtKind::Set(target, expr) => {
                self.check_spaces(target, scope)?;
                let value = self.eval(expr, scope)?;
                self.assign(target, value, scope)?;
            }
            StmtKind::SetBlock(target, filter, body) => {
                let inner = Scope::new(Some(scope.clone()));
                let text = self.capture(body, &inner)?;
                let mut value = self.made(text);
                if let Some(filter) = filter {
                    value = self.filter_block(filter, value, &inner)?;
                }
                self.assign(target, value, scope)?;
            }
            StmtKind::With(values, body) => {
                let inner = Scope::new(Some(scope.clone()));
                for (target, expr) in values {
                    let value = self.eval(expr, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.body(body, &inner);
            }
            StmtKind::Macro(node) => {
                if let Some(name) = &node.name {
                    self.scopes.push(scope.clone());
                    scope.set(name, Value::Macro(Rc::new(Macro { node: node.clone(), scope: scope.clone() })));
                }
            }
            StmtKind::Call(call, node) => self.call_block(call, node, scope)?,
            StmtKind::FilterBlock(filter, body) => {
                let inner = Scope::new(Some(scope.clone()));
                let text = self.capture(body, &inner)?;
                let value = self.made(text);
                let value = self.filter_block(filter, value, &inner)?;
                self.write_text(&value)?;
            }
            StmtKind::Autoescape(on, body) => {
                let on = ops::truth(&self.eval(on, scope)?);
                let before = std::mem::replace(&mut self.autoescape, on);
                let flow = self.body(body, &Scope::new(Some(scope.clone())))?;
                self.autoescape = before;
                return Ok(flow);
            }
            StmtKind::Block(block) => {
                let around = if block.scoped { scope.clone() } else { self.root.clone() };
                self.block(block, around)?;
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Load(tag) => {
                return fail(format!("the tag `{tag}` loads another template, and a chat template is alone"));
            }
        }
        Ok(Flow::Next)
    }

    pub(crate) fn block(&mut self, block: &Rc<Block>, around: Rc<Scope>) -> Res<()> {
        if block.required {
            return fail(format!("Required block '{}' not found", block.name));
        }
        let inner = Scope::new(Some(around));
        let message = format!("there is no parent block called '{}'.", block.name);
        inner.set(&"super".into(), Value::Undefined(Rc::new(Undefined::Hint(message))));
        self.body(&block.body, &inner)?;
        Ok(())
    }

    /// Applies the filters of a block. The innermost one has no operand.
    fn filter_block(&mut self, filter: &Expr, value: Value, scope: &Rc<Scope>) -> Res<Value> {
        self.enter()?;
        let ExprKind::Filter(subject, name, args) = &filter.kind else { return fail("not a filter") };
        let value = match subject {
            None => value,
            Some(inner) => self.filter_block(inner, value, scope)?,
        };
        let args = self.args(args, scope)?;
        let result = self.filter(name, value, args);
        self.depth -= 1;
        result
    }

    fn call_block(&mut self, call: &Expr, node: &Rc<ast::Macro>, scope: &Rc<Scope>) -> Res<()> {
        let caller = Value::Macro(Rc::new(Macro { node: node.clone(), scope: scope.clone() }));
        let value = match &call.kind {
            ExprKind::Call(function, args) => {
                let function = self.eval(function, scope)?;
                let mut args = self.args(args, scope)?;
                args.named.push(("caller".into(), caller));
                self.call(function, args)?
            }
            // The tag `generation` outputs its content.
            _ => self.call(caller, Args::default())?,
        };
        self.write_text(&value)
    }

    /// Only attributes of namespaces can be set. This is checked before the value is evaluated.
    fn check_spaces(&self, target: &Target, scope: &Scope) -> Res<()> {
        match target {
            Target::Name(_) => Ok(()),
            Target::Tuple(all) => all.iter().try_for_each(|t| self.check_spaces(t, scope)),
            Target::Attr(name, _) => match scope.get(name) {
                Some(Value::Namespace(_)) => Ok(()),
                _ => fail("cannot assign attribute on non-namespace object"),
            },
        }
    }

    fn assign(&mut self, target: &Target, value: Value, scope: &Rc<Scope>) -> Res<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attr(name, attr) => {
                let Some(Value::Namespace(space)) = scope.get(name) else {
                    return fail("cannot assign attribute on non-namespace object");
                };
                check_attr(attr)?;
                space.set(attr, value)?;
            }
            Target::Tuple(all) => {
                let items = self.iterate(&value)?;
                if items.len() > all.len() {
                    return fail(format!("ValueError: too many values to unpack (expected {})", all.len()));
                }
                if items.len() < all.len() {
                    let (want, got) = (all.len(), items.len());
                    return fail(format!("ValueError: not enough values to unpack (expected {want}, got {got})"));
                }
                for (target, item) in all.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
            }
        }
        Ok(())
    }

    /// The items of an iterable. Generators are consumed.
    pub(crate) fn iterate(&mut self, value: &Value) -> Res<Vec<Value>> {
        match value {
            Value::Iter(iter) => Ok(self.resolve(iter)?.into()),
            other => ops::items(&self.budget, other),
        }
    }

    /// Consumes the rest of a generator.
    fn resolve(&mut self, iter: &RefCell<Iter>) -> Res<VecDeque<Value>> {
        let state = std::mem::replace(&mut *iter.borrow_mut(), Iter::Items(VecDeque::new()));
        match state {
            Iter::Items(items) => Ok(items),
            Iter::Filter(name, value, args) => {
                self.enter()?;
                let items = self.lazy(name, value, args)?;
                self.depth -= 1;
                self.budget.items(items.len())?;
                Ok(items.into())
            }
        }
    }

    /// `next(iter(value))`.
    pub(crate) fn first(&mut self, value: &Value) -> Res<Option<Value>> {
        match value {
            Value::Iter(iter) => {
                let mut items = self.resolve(iter)?;
                let first = items.pop_front();
                iter.replace(Iter::Items(items));
                Ok(first)
            }
            other => Ok(ops::items(&self.budget, other)?.into_iter().next()),
        }
    }

    /// Runs all iterations of a loop.
    pub(crate) fn run_loop(&mut self, node: &Rc<For>, scope: &Rc<Scope>, iterable: Value, depth0: usize) -> Res<()> {
        self.enter()?;
        let known = if node.test.is_none() { ops::length(&iterable) } else { None };
        let pending = RefCell::new(self.iterate(&iterable)?.into());
        let object = Rc::new(Object::Loop(Box::new(Loop {
            node: node.clone(),
            scope: scope.clone(),
            pending,
            filtered: Cell::new(node.test.is_none()),
            known: Cell::new(known),
            index: Cell::new(0),
            depth0,
            previous: RefCell::default(),
            current: RefCell::default(),
            peeked: RefCell::default(),
            changed: RefCell::default(),
        })));
        let Object::Loop(state) = &*object else { return Ok(()) };
        let name: Rc<str> = "loop".into();
        let mut any = false;
        while let Some(item) = self.advance(state)? {
            any = true;
            let inner = Scope::new(Some(scope.clone()));
            inner.set(&name, Value::Object(object.clone()));
            self.assign(&node.target, item, &inner)?;
            if self.body(&node.body, &inner)? == Flow::Break {
                break;
            }
        }
        if !any {
            self.body(&node.otherwise, &Scope::new(Some(scope.clone())))?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn advance(&mut self, state: &Loop) -> Res<Option<Value>> {
        let peeked = state.peeked.take();
        let next = if peeked.is_some() { peeked } else { self.pull(state)? };
        if let Some(item) = &next {
            state.index.set(state.index.get() + 1);
            state.previous.replace(state.current.replace(Some(item.clone())));
        }
        Ok(next)
    }

    /// The next item that passes the loop's filter.
    fn pull(&mut self, state: &Loop) -> Res<Option<Value>> {
        loop {
            let item = state.pending.borrow_mut().pop_front();
            let (Some(item), Some(test), false) = (&item, &state.node.test, state.filtered.get()) else {
                return Ok(item);
            };
            let inner = Scope::new(Some(state.scope.clone()));
            self.assign(&state.node.target, item.clone(), &inner)?;
            if ops::truth(&self.eval(test, &inner)?) {
                return Ok(Some(item.clone()));
            }
        }
    }

    fn peek(&mut self, state: &Loop) -> Res<Option<Value>> {
        if state.peeked.borrow().is_none() {
            let next = self.pull(state)?;
            state.peeked.replace(next);
        }
        Ok(state.peeked.borrow().clone())
    }

    fn loop_length(&mut self, state: &Loop) -> Res<usize> {
        if let Some(known) = state.known.get() {
            return Ok(known);
        }
        let mut rest = VecDeque::new();
        while let Some(item) = self.pull(state)? {
            rest.push_back(item);
        }
        let peeked = usize::from(state.peeked.borrow().is_some());
        let length = rest.len() + state.index.get() + peeked;
        state.pending.replace(rest);
        state.filtered.set(true);
        state.known.set(Some(length));
        Ok(length)
    }

    /// An attribute of `loop`.
    pub(crate) fn loop_attr(&mut self, state: &Loop, name: &str) -> Res<Option<Value>> {
        let index = state.index.get();
        Ok(Some(match name {
            "index" => index.into(),
            "index0" => Value::Int(index as i64 - 1),
            "revindex" => Value::Int(self.loop_length(state)? as i64 - index as i64 + 1),
            "revindex0" => Value::Int(self.loop_length(state)? as i64 - index as i64),
            "first" => Value::Bool(index == 1),
            "last" => Value::Bool(self.peek(state)?.is_none()),
            "length" => self.loop_length(state)?.into(),
            "depth" => (state.depth0 + 1).into(),
            "depth0" => state.depth0.into(),
            "previtem" if index > 1 => state.previous.borrow().clone().unwrap_or(Value::None),
            "previtem" => Value::hint("there is no previous item"),
            "nextitem" => self.peek(state)?.unwrap_or_else(|| Value::hint("there is no next item")),
            _ => return Ok(None),
        }))
    }
}

/// In transformers, attributes of namespaces may not start with an underscore.
pub(crate) fn check_attr(name: &str) -> Res<()> {
    if name.starts_with('_') {
        return fail(format!(
            "Chat templates cannot store underscore-prefixed attributes on a namespace, but got {}. Please rename the \
             attribute.",
            crate::repr::quoted(name)
        ));
    }
    Ok(())
}
