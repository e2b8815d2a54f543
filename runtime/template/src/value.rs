//! The values of templates, which are Python's.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::ast::{self, Constant};
use crate::fault::{MAX_NESTING, Res, limit, type_error};

/// A value. Lists and dicts never change, as in the sandbox of transformers.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// An undefined value, and why.
    Undefined(Rc<Undefined>),
    /// `None`.
    None,
    /// A boolean, which is also a number.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Str(Str),
    /// A list.
    List(Rc<Seq>),
    /// A tuple.
    Tuple(Rc<Seq>),
    /// A dict.
    Dict(Rc<Dict>),
    /// `items()`, `keys()` or `values()` of a dict.
    View(View, Rc<Dict>),
    /// `range(..)`.
    Range(Range),
    /// An iterator, which can be consumed once.
    Iter(Rc<RefCell<Iter>>),
    /// `namespace(..)`.
    Namespace(Rc<Namespace>),
    /// Other objects of Jinja.
    Object(Rc<Object>),
    /// A global function.
    Function(&'static str),
    /// A macro with its enclosing scope.
    Macro(Rc<Macro>),
    /// A method with its object.
    Method(Rc<(Value, &'static str)>),
}

/// A string, and whether it is marked as safe for HTML.
#[derive(Clone, Debug)]
pub(crate) struct Str {
    /// The text.
    pub(crate) text: Rc<str>,
    /// Whether it is `Markup`.
    pub(crate) safe: bool,
}

/// Why a value is undefined.
#[derive(Debug)]
pub(crate) enum Undefined {
    /// No variable has this name.
    Name(Rc<str>),
    /// An object, named by its type, has no such attribute or element.
    Attr(&'static str, Value),
    /// Another reason, in words.
    Hint(String),
    /// The sandbox forbids access to it.
    Unsafe(String),
}

/// Items of a list or a tuple.
#[derive(Debug)]
pub(crate) struct Seq {
    pub(crate) items: Vec<Value>,
    depth: u32,
    /// Whether it is a pair of `groupby`, whose items have names.
    pub(crate) group: bool,
}

/// A dict in the order of insertion.
#[derive(Debug, Default)]
pub(crate) struct Dict {
    pub(crate) entries: Vec<(Value, Value)>,
    index: BTreeMap<Key, usize>,
    depth: u32,
}

/// A view of a dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Pairs.
    Items,
    /// Keys.
    Keys,
    /// Values.
    Values,
}

/// `range(start, stop, step)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) step: i64,
    /// Number of elements.
    pub(crate) count: usize,
    pub(crate) stop: i64,
}

/// An iterator, which can be consumed once.
#[derive(Debug)]
pub(crate) enum Iter {
    /// A filter that runs when the first item is requested.
    Filter(&'static str, Value, Args),
    /// The remaining items.
    Items(VecDeque<Value>),
}

/// Attributes that templates can set.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) attrs: RefCell<Vec<(Rc<str>, Value)>>,
    pub(crate) depth: Cell<u32>,
}

/// Objects of Jinja with methods.
#[derive(Debug)]
pub(crate) enum Object {
    /// `loop`.
    Loop(Box<Loop>),
    /// `cycler(..)`.
    Cycler(Vec<Value>, Cell<usize>),
    /// `joiner(..)`.
    Joiner(Value, Cell<bool>),
    /// `self`, whose attributes are blocks.
    Blocks,
    /// A block of `self`.
    Block(Rc<ast::Block>),
}

/// A loop in progress.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) node: Rc<ast::For>,
    /// The scope around the loop, for its filter and for recursion.
    pub(crate) scope: Rc<Scope>,
    pub(crate) pending: RefCell<VecDeque<Value>>,
    /// Whether the pending items have passed the loop's filter.
    pub(crate) filtered: Cell<bool>,
    /// The length, if it was computed.
    pub(crate) known: Cell<Option<usize>>,
    /// 1 in the first iteration.
    pub(crate) index: Cell<usize>,
    pub(crate) depth0: usize,
    pub(crate) previous: RefCell<Option<Value>>,
    pub(crate) current: RefCell<Option<Value>>,
    /// The next item, if it was peeked at.
    pub(crate) peeked: RefCell<Option<Value>>,
    pub(crate) changed: RefCell<Option<Vec<Value>>>,
}

/// A macro and its scope.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) node: Rc<ast::Macro>,
    pub(crate) scope: Rc<Scope>,
}

/// Variables, and the enclosing scope.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) vars: RefCell<Vec<(Rc<str>, Value)>>,
    pub(crate) parent: Option<Rc<Scope>>,
}

/// Arguments of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    pub(crate) pos: Vec<Value>,
    pub(crate) named: Vec<(Rc<str>, Value)>,
}

/// Keys of dicts: keys that are equal in Python are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Undefined,
    None,
    Int(i64),
    Float(u64),
    Str(Rc<str>),
    Tuple(Vec<Key>),
    /// By identity.
    Object(usize),
}

impl Scope {
    pub(crate) fn new(parent: Option<Rc<Scope>>) -> Rc<Self> {
        Rc::new(Scope { vars: RefCell::default(), parent })
    }

    pub(crate) fn set(&self, name: &Rc<str>, value: Value) {
        let mut vars = self.vars.borrow_mut();
        match vars.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => vars.push((name.clone(), value)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some((_, value)) = scope.vars.borrow().iter().find(|(n, _)| &**n == name) {
                return Some(value.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }
}

impl Value {
    pub(crate) fn str(text: impl Into<Rc<str>>) -> Self {
        Value::Str(Str { text: text.into(), safe: false })
    }

    pub(crate) fn markup(text: impl Into<Rc<str>>) -> Self {
        Value::Str(Str { text: text.into(), safe: true })
    }

    /// A string with the same safety mark as another.
    pub(crate) fn like(text: impl Into<Rc<str>>, other: &Str) -> Self {
        Value::Str(Str { text: text.into(), safe: other.safe })
    }

    pub(crate) fn hint(text: &str) -> Self {
        Value::Undefined(Rc::new(Undefined::Hint(text.to_string())))
    }

    pub(crate) fn list(items: Vec<Value>) -> Res<Self> {
        Ok(Value::List(Seq::new(items)?))
    }

    pub(crate) fn tuple(items: Vec<Value>) -> Res<Self> {
        Ok(Value::Tuple(Seq::new(items)?))
    }

    pub(crate) fn items(items: Vec<Value>) -> Self {
        Value::Iter(Rc::new(RefCell::new(Iter::Items(items.into()))))
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }

    /// The nesting depth of containers in it.
    pub(crate) fn depth(&self) -> u32 {
        match self {
            Value::List(seq) | Value::Tuple(seq) => seq.depth,
            Value::Dict(dict) | Value::View(_, dict) => dict.depth,
            Value::Namespace(space) => space.depth.get(),
            Value::Method(method) => method.0.depth() + 1,
            Value::Iter(iter) => match &*iter.borrow() {
                Iter::Filter(_, subject, args) => args.pos.iter().fold(subject.depth(), |d, a| d.max(a.depth())) + 1,
                Iter::Items(items) => items.iter().map(Value::depth).max().unwrap_or(0) + 1,
            },
            Value::Object(object) => match &**object {
                Object::Cycler(items, _) => items.iter().map(Value::depth).max().unwrap_or(0) + 1,
                Object::Joiner(item, _) => item.depth() + 1,
                Object::Loop(_) | Object::Blocks | Object::Block(_) => 1,
            },
            Value::Undefined(_)
            | Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::Range(_)
            | Value::Function(_)
            | Value::Macro(_) => 0,
        }
    }

    /// The name of its type in Python.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "Undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Str(Str { safe: true, .. }) => "Markup",
            Value::Str(_) => "str",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::View(View::Items, _) => "dict_items",
            Value::View(View::Keys, _) => "dict_keys",
            Value::View(View::Values, _) => "dict_values",
            Value::Range(_) => "range",
            Value::Iter(_) => "generator",
            Value::Namespace(_) => "Namespace",
            Value::Object(object) => match &**object {
                Object::Loop(_) => "LoopContext",
                Object::Cycler(..) => "Cycler",
                Object::Joiner(..) => "Joiner",
                Object::Blocks => "TemplateReference",
                Object::Block(_) => "BlockReference",
            },
            Value::Function(_) => "function",
            Value::Macro(_) => "Macro",
            Value::Method(_) => "builtin_function_or_method",
        }
    }

    /// An integer or boolean as an integer.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// A number.
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(x) => Some(*x),
            other => other.as_int().map(|i| i as f64),
        }
    }

    /// An integer, or Python's error.
    pub(crate) fn index(&self) -> Res<i64> {
        match self.as_int() {
            Some(i) => Ok(i),
            None => type_error(&format!("'{}' object cannot be interpreted as an integer", self.type_name())),
        }
    }

    pub(crate) fn key(&self) -> Res<Key> {
        Ok(match self {
            Value::Undefined(_) => Key::Undefined,
            Value::None => Key::None,
            Value::Bool(b) => Key::Int(i64::from(*b)),
            Value::Int(i) => Key::Int(*i),
            Value::Float(f) if *f == f.trunc() && f.abs() < 9e18 => Key::Int(*f as i64),
            Value::Float(f) => Key::Float(f.to_bits()),
            Value::Str(s) => Key::Str(s.text.clone()),
            Value::Tuple(seq) => Key::Tuple(seq.items.iter().map(Value::key).collect::<Res<_>>()?),
            Value::Range(r) => Key::Tuple(vec![Key::Object(0), Key::Int(r.start), Key::Int(r.stop), Key::Int(r.step)]),
            Value::List(_) | Value::Dict(_) | Value::View(..) => {
                return type_error(&format!("unhashable type: '{}'", self.type_name()));
            }
            Value::Iter(rc) => Key::Object(Rc::as_ptr(rc) as usize),
            Value::Namespace(rc) => Key::Object(Rc::as_ptr(rc) as usize),
            Value::Object(rc) => Key::Object(Rc::as_ptr(rc) as usize),
            Value::Macro(rc) => Key::Object(Rc::as_ptr(rc) as usize),
            Value::Method(rc) => Key::Object(Rc::as_ptr(rc) as usize),
            Value::Function(name) => Key::Object(name.as_ptr() as usize),
        })
    }
}

impl From<&Constant> for Value {
    fn from(constant: &Constant) -> Self {
        match constant {
            Constant::None => Value::None,
            Constant::Bool(b) => Value::Bool(*b),
            Constant::Int(i) => Value::Int(*i),
            Constant::Float(x) => Value::Float(*x),
            Constant::Str(text) => Value::str(text.clone()),
        }
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}

impl From<usize> for Value {
    fn from(i: usize) -> Self {
        Value::Int(i as i64)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

fn nested(depth: u32) -> Res<u32> {
    if depth > MAX_NESTING {
        return limit("nests values", u64::from(MAX_NESTING), " deep");
    }
    Ok(depth)
}

impl Seq {
    /// A sequence; fails if its items are nested too deeply.
    pub(crate) fn new(items: Vec<Value>) -> Res<Rc<Self>> {
        Self::build(items, false).map(Rc::new)
    }

    /// A pair of `groupby`.
    pub(crate) fn group(key: Value, items: Vec<Value>) -> Res<Value> {
        Ok(Value::Tuple(Rc::new(Self::build(vec![key, Value::list(items)?], true)?)))
    }

    fn build(items: Vec<Value>, group: bool) -> Res<Self> {
        let depth = nested(items.iter().map(Value::depth).max().unwrap_or(0) + 1)?;
        Ok(Seq { items, depth, group })
    }
}

impl Dict {
    /// The last value of a key counts, at the position of the first.
    pub(crate) fn new(entries: impl IntoIterator<Item = (Value, Value)>) -> Res<Rc<Self>> {
        let mut dict = Dict { depth: 1, ..Dict::default() };
        for (key, value) in entries {
            dict.insert(key, value)?;
        }
        Ok(Rc::new(dict))
    }

    pub(crate) fn insert(&mut self, key: Value, value: Value) -> Res<()> {
        self.depth = nested(self.depth.max(key.depth().max(value.depth()) + 1))?;
        match self.index.entry(key.key()?) {
            std::collections::btree_map::Entry::Occupied(at) => self.entries[*at.get()].1 = value,
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(self.entries.len());
                self.entries.push((key, value));
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &Value) -> Res<Option<&Value>> {
        Ok(self.index.get(&key.key()?).map(|at| &self.entries[*at].1))
    }

    /// The value of a string key.
    pub(crate) fn get_str(&self, key: &str) -> Option<&Value> {
        self.index.get(&Key::Str(key.into())).map(|at| &self.entries[*at].1)
    }
}

impl Namespace {
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.attrs.borrow().iter().find(|(n, _)| &**n == name).map(|(_, v)| v.clone())
    }

    pub(crate) fn set(&self, name: &Rc<str>, value: Value) -> Res<()> {
        // A namespace may contain itself. Its depth then grows with each assignment until it is rejected.
        self.depth.set(nested(self.depth.get().max(value.depth() + 1))?);
        let mut attrs = self.attrs.borrow_mut();
        match attrs.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => attrs.push((name.clone(), value)),
        }
        Ok(())
    }
}

impl Range {
    pub(crate) fn new(start: i64, stop: i64, step: i64) -> Self {
        let distance = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
        let count = if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 };
        Range { start, step, stop, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    pub(crate) fn get(&self, index: usize) -> Value {
        Value::Int(self.start + self.step * index as i64)
    }
}

impl Args {
    pub(crate) fn of(pos: Vec<Value>) -> Self {
        Args { pos, named: Vec::new() }
    }

    /// Binds arguments to the names of parameters. Surplus and unknown ones are errors.
    pub(crate) fn bind(self, function: &str, names: &[&str]) -> Res<Bound> {
        if self.pos.len() > names.len() {
            let (most, given) = (names.len(), self.pos.len());
            return type_error(&format!("{function}() takes at most {most} arguments ({given} given)"));
        }
        let mut values: Vec<Option<Value>> = self.pos.into_iter().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in self.named {
            match names.iter().position(|n| **n == *name) {
                Some(at) if values[at].is_none() => values[at] = Some(value),
                Some(_) => return type_error(&format!("{function}() got multiple values for argument '{name}'")),
                None => return type_error(&format!("{function}() got an unexpected keyword argument '{name}'")),
            }
        }
        Ok(Bound { function: function.to_string(), values })
    }
}

/// Arguments in the order of parameters.
pub(crate) struct Bound {
    function: String,
    values: Vec<Option<Value>>,
}

impl Bound {
    pub(crate) fn take(&mut self, at: usize) -> Option<Value> {
        self.values[at].take()
    }

    pub(crate) fn need(&mut self, at: usize) -> Res<Value> {
        match self.take(at) {
            Some(value) => Ok(value),
            None => type_error(&format!("{}() misses its argument {}", self.function, at + 1)),
        }
    }

    pub(crate) fn int(&mut self, at: usize, default: i64) -> Res<i64> {
        self.take(at).map_or(Ok(default), |v| v.index())
    }
}
