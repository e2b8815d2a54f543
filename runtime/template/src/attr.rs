//! Attributes, elements and calls, with the restrictions of transformers' sandbox.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::clock::strftime;
use crate::compare;
use crate::fault::{Res, fail, limit, type_error};
use crate::format::{self, Piece};
use crate::interp::{Interp, check_attr};
use crate::ops;
use crate::repr::{quoted, to_text};
use crate::text;
use crate::undefined::undefined;
use crate::value::{Args, Dict, Loop, Macro, Namespace, Object, Range, Scope, Str, Undefined, Value, View};

const DICT: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];
const LIST: [&str; 11] =
    ["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
/// Methods that modify a list or a dict.
const UNSAFE: [&str; 12] = [
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
    "__setitem__",
];
const INT: [&str; 4] = ["as_integer_ratio", "bit_count", "bit_length", "conjugate"];
const FLOAT: [&str; 4] = ["as_integer_ratio", "conjugate", "hex", "is_integer"];
const CYCLER: [&str; 2] = ["next", "reset"];
const LOOP: [&str; 2] = ["changed", "cycle"];
/// The maximum length of a range in the sandbox.
const MAX_RANGE: usize = 100_000;

/// The undefined value for a missing attribute or element.
pub(crate) fn missing(of: &Value, name: Value) -> Value {
    let kind = if of.is_none() { "None" } else { of.type_name() };
    Value::Undefined(Rc::new(Undefined::Attr(kind, name)))
}

fn method(of: &Value, names: &[&'static str], name: &str) -> Option<Value> {
    let name = names.iter().find(|n| **n == name)?;
    Some(Value::Method(Rc::new((of.clone(), name))))
}

impl Interp<'_> {
    /// What Python's `getattr` returns, if anything.
    fn own_attr(&mut self, of: &Value, name: &str) -> Res<Option<Value>> {
        Ok(match of {
            Value::Str(_) => method(of, &text::METHODS, name),
            Value::Dict(_) => method(of, &DICT, name),
            Value::List(_) => method(of, &LIST, name),
            Value::Tuple(seq) if seq.group && name == "grouper" => Some(seq.items[0].clone()),
            Value::Tuple(seq) if seq.group && name == "list" => Some(seq.items[1].clone()),
            Value::Tuple(_) => method(of, &["count", "index"], name),
            Value::Range(r) => match name {
                "start" => Some(Value::Int(r.start)),
                "stop" => Some(Value::Int(r.stop)),
                "step" => Some(Value::Int(r.step)),
                _ => method(of, &["count", "index"], name),
            },
            Value::Bool(_) | Value::Int(_) => match (name, of.as_int()) {
                ("real" | "numerator", Some(i)) => Some(Value::Int(i)),
                ("imag", _) => Some(Value::Int(0)),
                ("denominator", _) => Some(Value::Int(1)),
                _ => method(of, &INT, name),
            },
            Value::Float(_) => match name {
                "real" => Some(of.clone()),
                "imag" => Some(Value::Float(0.0)),
                _ => method(of, &FLOAT, name),
            },
            Value::View(..) => method(of, &["isdisjoint"], name),
            Value::Namespace(space) => space.get(name),
            Value::Function("dict") => method(of, &["fromkeys"], name),
            Value::Macro(m) => match name {
                "name" => Some(m.node.name.clone().map_or(Value::None, Value::str)),
                "arguments" => Some(Value::tuple(m.node.args.iter().cloned().map(Value::str).collect())?),
                "caller" => Some(Value::Bool(m.node.special.caller)),
                "catch_kwargs" => Some(Value::Bool(m.node.special.kwargs)),
                "catch_varargs" => Some(Value::Bool(m.node.special.varargs)),
                _ => None,
            },
            Value::Object(object) => match &**object {
                Object::Loop(state) => match self.loop_attr(state, name)? {
                    Some(value) => Some(value),
                    None => method(of, &LOOP, name),
                },
                Object::Cycler(items, at) => match name {
                    "current" => Some(items[at.get()].clone()),
                    "pos" => Some(at.get().into()),
                    "items" => Some(Value::tuple(items.clone())?),
                    _ => method(of, &CYCLER, name),
                },
                Object::Joiner(sep, used) => match name {
                    "sep" => Some(sep.clone()),
                    "used" => Some(Value::Bool(used.get())),
                    _ => None,
                },
                Object::Blocks => self
                    .blocks
                    .iter()
                    .find(|b| *b.name == *name)
                    .map(|b| Value::Object(Rc::new(Object::Block(b.clone())))),
                Object::Block(_) => None,
            },
            Value::Undefined(why) => return undefined(why),
            Value::None | Value::Iter(_) | Value::Function(_) | Value::Method(_) => None,
        })
    }

    /// An attribute, unless the sandbox forbids it.
    fn safe_attr(&mut self, of: &Value, name: &str) -> Res<Option<Value>> {
        let internal = name.starts_with("__") && name.ends_with("__") && name.len() > 4;
        let found =
            if internal && !matches!(of, Value::Namespace(_)) { Some(Value::None) } else { self.own_attr(of, name)? };
        let changes = matches!(of, Value::Dict(_) | Value::List(_)) && UNSAFE.contains(&name);
        if found.is_some() && (name.starts_with('_') || changes) {
            let message = format!("access to attribute {} of '{}' object is unsafe.", quoted(name), of.type_name());
            return Ok(Some(Value::Undefined(Rc::new(Undefined::Unsafe(message)))));
        }
        Ok(found)
    }

    /// What Python's `of[index]` returns, if anything.
    fn own_item(&self, of: &Value, index: &Value) -> Res<Option<Value>> {
        match (of, index.as_int()) {
            (Value::Undefined(why), _) => undefined(why),
            // A value that cannot be a key is not found.
            (Value::Dict(dict), _) => Ok(dict.get(index).ok().flatten().cloned()),
            (Value::Object(object), _) if matches!(**object, Object::Blocks) => match index {
                Value::Str(name) => {
                    let block = self.blocks.iter().find(|b| b.name == name.text);
                    Ok(block.map(|b| Value::Object(Rc::new(Object::Block(b.clone())))))
                }
                _ => Ok(None),
            },
            (_, Some(i)) => Ok(ops::element(of, i)),
            _ => Ok(None),
        }
    }

    /// `of.name`.
    pub(crate) fn attr(&mut self, of: &Value, name: &Rc<str>) -> Res<Value> {
        if let Some(value) = self.safe_attr(of, name)? {
            return Ok(value);
        }
        let key = Value::str(name.clone());
        Ok(self.own_item(of, &key)?.unwrap_or_else(|| missing(of, key)))
    }

    /// `of[index]`.
    pub(crate) fn item(&mut self, of: &Value, index: &Value) -> Res<Value> {
        if let Some(value) = self.own_item(of, index)? {
            return Ok(value);
        }
        if let Value::Str(name) = index
            && let Some(value) = self.safe_attr(of, &name.text)?
        {
            return Ok(value);
        }
        Ok(missing(of, index.clone()))
    }

    /// The filter `attr`: an attribute, never an element.
    pub(crate) fn only_attr(&mut self, of: &Value, name: &str) -> Res<Value> {
        if of.is_undefined() {
            return self.own_attr(of, name).map(|_| Value::None);
        }
        Ok(self.safe_attr(of, name)?.unwrap_or_else(|| missing(of, Value::str(name))))
    }

    pub(crate) fn call(&mut self, function: Value, args: Args) -> Res<Value> {
        self.enter()?;
        let result = match &function {
            Value::Function(name) => self.global(name, args)?,
            Value::Macro(m) => self.call_macro(m, args)?,
            Value::Method(bound) => self.method(&bound.0, bound.1, args)?,
            Value::Undefined(why) => return undefined(why),
            Value::Object(object) => match &**object {
                Object::Joiner(sep, used) => {
                    args.bind("joiner", &[])?;
                    if used.replace(true) { sep.clone() } else { Value::str("") }
                }
                Object::Loop(state) => {
                    if !state.node.recursive {
                        return type_error("The loop must have the 'recursive' marker to be called recursively.");
                    }
                    let items = args.bind("loop", &["iterable"])?.need(0)?;
                    let outer = std::mem::take(&mut self.out);
                    self.run_loop(&state.node.clone(), &state.scope.clone(), items, state.depth0 + 1)?;
                    let text = std::mem::replace(&mut self.out, outer);
                    self.made(text)
                }
                Object::Block(block) => {
                    let outer = std::mem::take(&mut self.out);
                    self.block(block, self.root.clone())?;
                    let text = std::mem::replace(&mut self.out, outer);
                    self.made(text)
                }
                Object::Cycler(..) | Object::Blocks => return not_callable(&function),
            },
            _ => return not_callable(&function),
        };
        self.depth -= 1;
        Ok(result)
    }

    fn call_macro(&mut self, m: &Rc<Macro>, mut args: Args) -> Res<Value> {
        let node = &m.node;
        let name = node.name.as_deref().map_or_else(|| "None".to_string(), quoted);
        let scope = Scope::new(Some(m.scope.clone()));
        let mut extra = args.pos.split_off(args.pos.len().min(node.args.len()));
        let mut values: Vec<Option<Value>> = args.pos.into_iter().map(Some).collect();
        let given = values.len();
        for arg in &node.args[given..] {
            let at = args.named.iter().position(|(n, _)| n == arg);
            values.push(at.map(|at| args.named.remove(at).1));
        }
        if node.special.caller {
            let at = args.named.iter().position(|(n, _)| **n == *"caller");
            let caller = at.map(|at| args.named.remove(at).1).filter(|c| !c.is_none());
            scope.set(&"caller".into(), caller.unwrap_or_else(|| Value::hint("No caller defined")));
        }
        if node.special.kwargs {
            let entries = std::mem::take(&mut args.named).into_iter().map(|(k, v)| (Value::str(k), v));
            scope.set(&"kwargs".into(), Value::Dict(Dict::new(entries)?));
        } else if let Some((key, _)) = args.named.first() {
            if args.named.iter().any(|(n, _)| **n == *"caller") {
                return type_error(&format!(
                    "macro {name} was invoked with two values for the special caller argument. This is most likely a \
                     bug."
                ));
            }
            return type_error(&format!("macro {name} takes no keyword argument {}", quoted(key)));
        }
        if node.special.varargs {
            scope.set(&"varargs".into(), Value::tuple(std::mem::take(&mut extra))?);
        } else if !extra.is_empty() {
            let most = node.args.len();
            return type_error(&format!("macro {name} takes not more than {most} argument(s)"));
        }
        // Defaults can refer to earlier parameters.
        for (arg, value) in node.args.iter().zip(&values) {
            let absent = || Value::Undefined(Rc::new(Undefined::Name(arg.clone())));
            scope.set(arg, value.clone().unwrap_or_else(absent));
        }
        let required = node.args.len() - node.defaults.len();
        for (at, (arg, value)) in node.args.iter().zip(&values).enumerate() {
            if value.is_none() {
                let value = match at.checked_sub(required) {
                    Some(at) => self.eval(&node.defaults[at], &scope)?,
                    None => Value::hint(&format!("parameter {} was not provided", quoted(arg))),
                };
                scope.set(arg, value);
            }
        }
        let text = self.capture(&node.body, &scope)?;
        Ok(self.made(text))
    }

    fn global(&mut self, name: &str, args: Args) -> Res<Value> {
        match name {
            "range" => range(args),
            "dict" => Ok(Value::Dict(self.make_dict(args)?)),
            "namespace" => {
                let dict = self.make_dict(args)?;
                let space = Rc::new(Namespace { attrs: RefCell::default(), depth: Cell::new(1) });
                self.spaces.push(space.clone());
                for (key, value) in &dict.entries {
                    let Value::Str(key) = key else { return type_error("names of a namespace must be strings") };
                    check_attr(&key.text)?;
                    space.set(&key.text, value.clone())?;
                }
                Ok(Value::Namespace(space))
            }
            "cycler" => {
                if args.pos.is_empty() {
                    return fail("RuntimeError: at least one item has to be provided");
                }
                Ok(Value::Object(Rc::new(Object::Cycler(args.pos, Cell::new(0)))))
            }
            "joiner" => {
                let sep = args.bind("joiner", &["sep"])?.take(0).unwrap_or_else(|| Value::str(", "));
                Ok(Value::Object(Rc::new(Object::Joiner(sep, Cell::new(false)))))
            }
            "raise_exception" => {
                let message = args.bind("raise_exception", &["message"])?.need(0)?;
                ops::raised(to_text(&self.budget, &message)?)
            }
            "strftime_now" => match args.bind("strftime_now", &["format"])?.need(0)? {
                Value::Str(format) => {
                    self.budget.text(format.text.len().saturating_mul(16))?;
                    Ok(Value::str(strftime(&format.text, self.now)))
                }
                other => type_error(&format!("strftime() argument 1 must be str, not {}", other.type_name())),
            },
            _ => fail(format!("the function `{name}` is not supported: it writes another text every time")),
        }
    }

    /// `dict(..)`.
    fn make_dict(&mut self, mut args: Args) -> Res<Rc<Dict>> {
        let mut entries = Vec::new();
        if args.pos.len() > 1 {
            return type_error(&format!("dict expected at most 1 argument, got {}", args.pos.len()));
        }
        match args.pos.pop() {
            None => {}
            Some(Value::Dict(dict)) => entries = dict.entries.clone(),
            Some(pairs) => {
                for pair in self.iterate(&pairs)? {
                    let [key, value] = <[Value; 2]>::try_from(self.iterate(&pair)?).or_else(|parts| {
                        let length = parts.len();
                        fail(format!(
                            "ValueError: dictionary update sequence element has length {length}; 2 is required"
                        ))
                    })?;
                    entries.push((key, value));
                }
            }
        }
        entries.extend(args.named.into_iter().map(|(k, v)| (Value::str(k), v)));
        self.budget.items(entries.len() * 2)?;
        Dict::new(entries)
    }

    fn method(&mut self, of: &Value, name: &'static str, args: Args) -> Res<Value> {
        match of {
            Value::Str(s) => match name {
                "join" => {
                    let items = args.bind("join", &["iterable"])?.need(0)?;
                    let items = self.iterate(&items)?;
                    self.join(s, &items)
                }
                "format" => self.format(s, &args.pos, &args.named),
                "format_map" => match args.bind("format_map", &["mapping"])?.need(0)? {
                    Value::Dict(dict) => {
                        let named = dict.entries.iter().filter_map(|(k, v)| match k {
                            Value::Str(k) => Some((k.text.clone(), v.clone())),
                            _ => None,
                        });
                        self.format(s, &[], &named.collect::<Vec<_>>())
                    }
                    other => type_error(&format!("'{}' object is not subscriptable", other.type_name())),
                },
                _ => text::call(&self.budget, s, name, args),
            },
            Value::Dict(dict) => self.dict_method(dict, name, args),
            Value::Function(_) => self.dict_from_keys(args),
            Value::List(_) | Value::Tuple(_) | Value::Range(_) => self.sequence_method(of, name, args),
            Value::View(_, _) => {
                let other = args.bind(name, &["other"])?.need(0)?;
                for item in self.iterate(&other)? {
                    if ops::contains(&self.budget, of, &item)? {
                        return Ok(Value::Bool(false));
                    }
                }
                Ok(Value::Bool(true))
            }
            Value::Object(object) => match &**object {
                Object::Loop(state) => self.loop_method(state, name, args),
                Object::Cycler(items, at) => {
                    args.bind(name, &[])?;
                    let current = items[at.get()].clone();
                    at.set(if name == "next" { (at.get() + 1) % items.len() } else { 0 });
                    Ok(if name == "next" { current } else { Value::None })
                }
                Object::Joiner(..) | Object::Blocks | Object::Block(_) => not_callable(of),
            },
            _ => number_method(of, name, args),
        }
    }

    fn join(&self, sep: &Str, items: &[Value]) -> Res<Value> {
        let mut out = String::new();
        for (at, item) in items.iter().enumerate() {
            let Value::Str(item) = item else {
                let name = item.type_name();
                return type_error(&format!("sequence item {at}: expected str instance, {name} found"));
            };
            self.budget.text(sep.text.len() + item.text.len())?;
            if at > 0 {
                out.push_str(&sep.text);
            }
            out.push_str(&if sep.safe { crate::html::escape(&self.budget, item)? } else { item.text.to_string() });
            self.budget.text(out.len() / 256)?;
        }
        Ok(Value::like(out, sep))
    }

    fn dict_method(&mut self, dict: &Rc<Dict>, name: &str, args: Args) -> Res<Value> {
        match name {
            "get" => {
                let mut args = args.bind(name, &["key", "default"])?;
                let key = args.need(0)?;
                Ok(dict.get(&key)?.cloned().unwrap_or_else(|| args.take(1).unwrap_or(Value::None)))
            }
            "fromkeys" => self.dict_from_keys(args),
            _ => {
                args.bind(name, &[])?;
                Ok(match name {
                    "items" => Value::View(View::Items, dict.clone()),
                    "keys" => Value::View(View::Keys, dict.clone()),
                    "values" => Value::View(View::Values, dict.clone()),
                    _ => Value::Dict(Dict::new(dict.entries.iter().cloned())?),
                })
            }
        }
    }

    fn dict_from_keys(&mut self, args: Args) -> Res<Value> {
        let mut args = args.bind("fromkeys", &["iterable", "value"])?;
        let keys = args.need(0)?;
        let value = args.take(1).unwrap_or(Value::None);
        let keys = self.iterate(&keys)?;
        Ok(Value::Dict(Dict::new(keys.into_iter().map(|k| (k, value.clone())))?))
    }

    fn sequence_method(&mut self, of: &Value, name: &str, args: Args) -> Res<Value> {
        if name == "copy" {
            args.bind(name, &[])?;
            return Value::list(ops::items(&self.budget, of)?);
        }
        let mut args = args.bind(name, &["value", "start", "stop"])?;
        let wanted = args.need(0)?;
        let (start, stop) = (args.int(1, 0)?, args.int(2, i64::MAX)?);
        let items = ops::items(&self.budget, of)?;
        let count = items.len() as i64;
        let within = |i: i64| if i < 0 { (i + count).max(0) } else { i.min(count) } as usize;
        let mut found = 0usize;
        for (at, item) in items.iter().enumerate().take(within(stop)).skip(within(start)) {
            if compare::same(item, &wanted) || compare::equal(&self.budget, item, &wanted)? {
                if name == "index" {
                    return Ok(at.into());
                }
                found += 1;
            }
        }
        match name {
            "count" => Ok(found.into()),
            _ => fail(format!("ValueError: {} is not in {}", crate::repr::plain(&wanted), of.type_name())),
        }
    }

    fn loop_method(&mut self, state: &Loop, name: &str, args: Args) -> Res<Value> {
        if !args.named.is_empty() {
            return type_error(&format!("{name}() takes no keyword arguments"));
        }
        if name == "cycle" {
            if args.pos.is_empty() {
                return type_error("no items for cycling given");
            }
            return Ok(args.pos[(state.index.get().max(1) - 1) % args.pos.len()].clone());
        }
        let before = state.changed.borrow().clone();
        let same = match before {
            Some(old) if old.len() == args.pos.len() => {
                let mut same = true;
                for (a, b) in old.iter().zip(&args.pos) {
                    same &= compare::same(a, b) || compare::equal(&self.budget, a, b)?;
                }
                same
            }
            _ => false,
        };
        state.changed.replace(Some(args.pos));
        Ok(Value::Bool(!same))
    }

    /// `str.format`.
    fn format(&mut self, s: &Str, pos: &[Value], named: &[(Rc<str>, Value)]) -> Res<Value> {
        let mut auto = Some(0);
        let text = self.format_at(&s.text, pos, named, &mut auto, 2)?;
        Ok(Value::like(text, s))
    }

    fn format_at(
        &mut self,
        text: &str,
        pos: &[Value],
        named: &[(Rc<str>, Value)],
        auto: &mut Option<usize>,
        depth: u32,
    ) -> Res<String> {
        if depth == 0 {
            return fail("ValueError: Max string recursion exceeded");
        }
        let mut out = String::new();
        for piece in format::pieces(text)? {
            match piece {
                Piece::Text(text) => out.push_str(&text),
                Piece::Field(name, conversion, spec) => {
                    let value = self.format_field(&name, pos, named, auto)?;
                    let value = format::convert(&self.budget, value, conversion)?;
                    let spec = self.format_at(&spec, pos, named, auto, depth - 1)?;
                    out.push_str(&format::format_value(&self.budget, &value, &spec)?);
                }
            }
            self.budget.text(out.len())?;
        }
        Ok(out)
    }

    /// Looks up a field such as `name`, `0.attribute` or `[index]`.
    fn format_field(
        &mut self,
        field: &str,
        pos: &[Value],
        named: &[(Rc<str>, Value)],
        auto: &mut Option<usize>,
    ) -> Res<Value> {
        let end = field.find(['.', '[']).unwrap_or(field.len());
        let (first, mut rest) = field.split_at(end);
        let number = if first.is_empty() {
            let Some(next) = auto else {
                return fail("ValueError: cannot switch from manual field specification to automatic field numbering");
            };
            *next += 1;
            Some(*next - 1)
        } else {
            let number = first.parse::<usize>().ok();
            if number.is_some() {
                if auto.is_some_and(|next| next > 0) {
                    return fail(
                        "ValueError: cannot switch from automatic field numbering to manual field specification",
                    );
                }
                *auto = None;
            }
            number
        };
        let found = match number {
            Some(at) => pos.get(at).cloned(),
            None => named.iter().find(|(n, _)| **n == *first).map(|(_, v)| v.clone()),
        };
        let Some(mut value) = found else {
            return match number {
                Some(_) => fail("IndexError: Replacement index out of range for positional args tuple"),
                None => fail(format!("KeyError: {}", quoted(first))),
            };
        };
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                value = self.attr(&value, &after[..end].into())?;
                rest = &after[end..];
            } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
                let key = index.parse::<i64>().map_or_else(|_| Value::str(index), Value::Int);
                value = self.item(&value, &key)?;
                rest = after;
            } else {
                return fail("ValueError: Missing ']' in format string");
            }
        }
        Ok(value)
    }
}

fn not_callable<T>(value: &Value) -> Res<T> {
    type_error(&format!("'{}' object is not callable", value.type_name()))
}

fn range(args: Args) -> Res<Value> {
    if !args.named.is_empty() || args.pos.is_empty() || args.pos.len() > 3 {
        return type_error(&format!("range expected from 1 to 3 arguments, got {}", args.pos.len()));
    }
    let numbers = args.pos.iter().map(Value::index).collect::<Res<Vec<i64>>>()?;
    let range = match numbers[..] {
        [stop] => Range::new(0, stop, 1),
        [start, stop] => Range::new(start, stop, 1),
        [_, _, 0] => return fail("ValueError: range() arg 3 must not be zero"),
        [start, stop, step] => Range::new(start, stop, step),
        _ => return type_error("range expected from 1 to 3 arguments"),
    };
    if range.count > MAX_RANGE {
        return limit("counts to", MAX_RANGE as u64, " in a range (the limit of the sandbox of transformers)");
    }
    Ok(Value::Range(range))
}

fn number_method(of: &Value, name: &str, args: Args) -> Res<Value> {
    args.bind(name, &[])?;
    match (name, of) {
        ("conjugate", _) => Ok(of.as_int().map_or_else(|| of.clone(), Value::Int)),
        ("is_integer", Value::Float(x)) => Ok(Value::Bool(x.is_finite() && *x == x.trunc())),
        ("bit_length", _) if of.as_int().is_some() => {
            let bits = of.as_int().map_or(0, |i| 64 - i.unsigned_abs().leading_zeros());
            Ok(Value::Int(i64::from(bits)))
        }
        ("bit_count", _) if of.as_int().is_some() => {
            Ok(Value::Int(of.as_int().map_or(0, |i| i64::from(i.unsigned_abs().count_ones()))))
        }
        ("as_integer_ratio", _) if of.as_int().is_some() => {
            Value::tuple(vec![Value::Int(of.as_int().unwrap_or(0)), Value::Int(1)])
        }
        _ => fail(format!("the method `{name}` of '{}' is not supported", of.type_name())),
    }
}
