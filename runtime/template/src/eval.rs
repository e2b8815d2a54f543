//! Evaluates expressions.

use std::rc::Rc;

use crate::ast::{Binary, CallArgs, Compare, Constant, Expr, ExprKind};
use crate::compare;
use crate::fault::{Res, fail, type_error};
use crate::html;
use crate::interp::Interp;
use crate::ops;
use crate::repr::to_text;
use crate::value::{Args, Dict, Object, Scope, Undefined, Value};

/// Global functions.
const GLOBALS: [&str; 8] =
    ["range", "dict", "lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now"];

fn is_negative(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Neg(inner) if matches!(inner.kind, ExprKind::Const(Constant::Int(_) | Constant::Float(_))))
}

/// Whether Jinja evaluates the expression at compile time.
fn is_const(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Const(_) => true,
        ExprKind::Neg(inner) | ExprKind::Pos(inner) | ExprKind::Not(inner) => is_const(inner),
        ExprKind::Binary(_, left, right) => is_const(left) && is_const(right),
        _ => false,
    }
}

impl Interp<'_> {
    pub(crate) fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        self.enter()?;
        self.line = expr.line;
        let value = self.eval_kind(expr, scope)?;
        self.depth -= 1;
        Ok(value)
    }

    fn all(&mut self, all: &[Expr], scope: &Rc<Scope>) -> Res<Vec<Value>> {
        self.budget.items(all.len())?;
        all.iter().map(|e| self.eval(e, scope)).collect()
    }

    fn eval_kind(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        match &expr.kind {
            ExprKind::Const(constant) => Ok(constant.into()),
            ExprKind::Name(name) => Ok(self.lookup(name, scope)),
            ExprKind::Tuple(all) => Value::tuple(self.all(all, scope)?),
            ExprKind::List(all) => Value::list(self.all(all, scope)?),
            ExprKind::Dict(all) => {
                self.budget.items(all.len() * 2)?;
                let mut dict = Dict::new([])?;
                let entries = Rc::get_mut(&mut dict);
                if let Some(entries) = entries {
                    for (key, value) in all {
                        let key = self.eval(key, scope)?;
                        entries.insert(key, self.eval(value, scope)?)?;
                    }
                }
                Ok(Value::Dict(dict))
            }
            ExprKind::Attr(of, name) => {
                let of = self.eval(of, scope)?;
                self.attr(&of, name)
            }
            ExprKind::Item(of, index) => {
                let of = self.eval(of, scope)?;
                if let ExprKind::Slice(bounds) = &index.kind {
                    return self.slice(&of, bounds, scope);
                }
                let index = self.eval(index, scope)?;
                self.item(&of, &index)
            }
            ExprKind::Slice(_) => fail("a slice among several indices is not supported"),
            ExprKind::Call(function, args) => {
                let function = self.eval(function, scope)?;
                let args = self.args(args, scope)?;
                self.line = expr.line;
                self.call(function, args)
            }
            ExprKind::Filter(subject, name, args) => {
                let value = match subject {
                    Some(subject) => self.eval(subject, scope)?,
                    None => return fail("a filter without a subject"),
                };
                let args = self.args(args, scope)?;
                self.filter(name, value, args)
            }
            ExprKind::Test(subject, name, args) => {
                let value = self.eval(subject, scope)?;
                let args = self.args(args, scope)?;
                self.test(name, &value, args).map(Value::Bool)
            }
            ExprKind::Not(inner) => Ok(Value::Bool(!ops::truth(&self.eval(inner, scope)?))),
            ExprKind::Neg(inner) => ops::sign(&self.eval(inner, scope)?, true),
            ExprKind::Pos(inner) => ops::sign(&self.eval(inner, scope)?, false),
            ExprKind::Binary(Binary::Pow, left, right) if is_negative(left) && !is_const(right) => {
                // Jinja compiles to Python, where the sign of a constant is applied after the power.
                let ExprKind::Neg(inner) = &left.kind else { return fail("no sign") };
                let (left, right) = (self.eval(inner, scope)?, self.eval(right, scope)?);
                ops::sign(&ops::binary(&self.budget, Binary::Pow, &left, &right)?, true)
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
                ops::binary(&self.budget, *op, &left, &right)
            }
            ExprKind::Concat(all) => self.concat(all, scope),
            ExprKind::Compare(first, rest) => self.compare(first, rest, scope),
            ExprKind::And(left, right) => {
                let left = self.eval(left, scope)?;
                if ops::truth(&left) { self.eval(right, scope) } else { Ok(left) }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left, scope)?;
                if ops::truth(&left) { Ok(left) } else { self.eval(right, scope) }
            }
            ExprKind::If(test, then, otherwise) => match (ops::truth(&self.eval(test, scope)?), otherwise) {
                (true, _) => self.eval(then, scope),
                (false, Some(otherwise)) => self.eval(otherwise, scope),
                (false, None) => Ok(Value::hint(&format!(
                    "the inline if-expression on line {} evaluated to false and no else section was defined.",
                    expr.line
                ))),
            },
        }
    }

    fn lookup(&self, name: &Rc<str>, scope: &Scope) -> Value {
        if let Some(value) = scope.get(name) {
            return value;
        }
        if let Some(global) = GLOBALS.iter().find(|g| ***g == **name) {
            return Value::Function(global);
        }
        match &**name {
            "self" => Value::Object(Rc::new(Object::Blocks)),
            _ => Value::Undefined(Rc::new(Undefined::Name(name.clone()))),
        }
    }

    fn slice(&mut self, of: &Value, bounds: &[Option<Expr>; 3], scope: &Rc<Scope>) -> Res<Value> {
        let mut values = [None, None, None];
        for (value, bound) in values.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                *value = Some(self.eval(bound, scope)?);
            }
        }
        ops::slice(&self.budget, of, values)
    }

    fn concat(&mut self, all: &[Expr], scope: &Rc<Scope>) -> Res<Value> {
        let values = self.all(all, scope)?;
        let safe = self.autoescape && values.iter().any(|v| matches!(v, Value::Str(s) if s.safe));
        let mut out = String::new();
        for value in &values {
            let text = match value {
                Value::Str(s) => s.text.to_string(),
                other => to_text(&self.budget, other)?,
            };
            let marked = matches!(value, Value::Str(s) if s.safe);
            let text = if safe && !marked { html::force(&self.budget, &text)? } else { text };
            self.budget.text(out.len() + text.len())?;
            out.push_str(&text);
        }
        Ok(if safe { Value::markup(out) } else { Value::str(out) })
    }

    fn compare(&mut self, first: &Expr, rest: &[(Compare, Expr)], scope: &Rc<Scope>) -> Res<Value> {
        let mut left = self.eval(first, scope)?;
        for (op, right) in rest {
            let right = self.eval(right, scope)?;
            let holds = match op {
                Compare::Eq => compare::equal(&self.budget, &left, &right)?,
                Compare::Ne => !compare::equal(&self.budget, &left, &right)?,
                Compare::Lt => compare::ordered(&self.budget, "<", &left, &right)?,
                Compare::Le => compare::ordered(&self.budget, "<=", &left, &right)?,
                Compare::Gt => compare::ordered(&self.budget, ">", &left, &right)?,
                Compare::Ge => compare::ordered(&self.budget, ">=", &left, &right)?,
                Compare::In => self.contains(&right, &left)?,
                Compare::NotIn => !self.contains(&right, &left)?,
            };
            if !holds {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// `item in container`; a generator loses the items that were inspected.
    pub(crate) fn contains(&mut self, container: &Value, item: &Value) -> Res<bool> {
        if !matches!(container, Value::Iter(_)) {
            return ops::contains(&self.budget, container, item);
        }
        while let Some(next) = self.first(container)? {
            if compare::same(&next, item) || compare::equal(&self.budget, &next, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The arguments of a call, with `*args` and `**kwargs` unpacked.
    pub(crate) fn args(&mut self, args: &CallArgs, scope: &Rc<Scope>) -> Res<Args> {
        let mut pos = self.all(&args.pos, scope)?;
        let mut named = Vec::new();
        for (name, expr) in &args.named {
            named.push((name.clone(), self.eval(expr, scope)?));
        }
        if let Some(star) = &args.star {
            let more = self.eval(star, scope)?;
            pos.extend(self.iterate(&more)?);
        }
        if let Some(stars) = &args.stars {
            let Value::Dict(dict) = self.eval(stars, scope)? else {
                return type_error("argument after ** must be a mapping");
            };
            for (key, value) in &dict.entries {
                let Value::Str(key) = key else { return type_error("keywords must be strings") };
                if named.iter().any(|(n, _)| *n == key.text) {
                    return type_error(&format!("got multiple values for keyword argument '{}'", key.text));
                }
                named.push((key.text.clone(), value.clone()));
            }
        }
        Ok(Args { pos, named })
    }
}
