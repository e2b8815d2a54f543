//! Filters: the operators after `|`.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::ast::Binary;
use crate::budget::Budget;
use crate::compare;
use crate::fault::{Res, fail, type_error};
use crate::html;
use crate::interp::Interp;
use crate::json;
use crate::number::parse_int;
use crate::ops;
use crate::platform;
use crate::repr::to_text;
use crate::text;
use crate::undefined::undefined;
use crate::value::{Args, Dict, Iter, Seq, Str, Value, View};

mod pretty;
mod values;
mod wrap;

use values::{as_float, file_size, quote, reversible, round, title};

const NAMES: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

/// Filters that do nothing until their items are requested.
const LAZY: [&str; 9] = ["map", "select", "reject", "selectattr", "rejectattr", "unique", "batch", "slice", "items"];

/// Whether a filter exists.
pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The parts of a path such as `a.0.b`.
fn path(attribute: &Value) -> Vec<Value> {
    match attribute {
        Value::None => Vec::new(),
        Value::Str(s) => {
            let part = |p: &str| match p.parse::<i64>() {
                Ok(i) if p.bytes().all(|b| b.is_ascii_digit()) => Value::Int(i),
                _ => Value::str(p),
            };
            s.text.split('.').map(part).collect()
        }
        other => vec![other.clone()],
    }
}

fn folded(budget: &Budget, value: Value, case: bool) -> Res<Value> {
    match value {
        Value::Str(s) if !case => {
            budget.letters(&s.text)?;
            Ok(Value::like(platform::lower(&s.text), &s))
        }
        other => Ok(other),
    }
}

fn flag(value: Option<Value>) -> bool {
    value.is_some_and(|v| ops::truth(&v))
}

impl Interp<'_> {
    /// `value | name(args)`.
    pub(crate) fn filter(&mut self, name: &str, value: Value, args: Args) -> Res<Value> {
        self.budget.steps(1)?;
        if let Some(name) = LAZY.iter().find(|n| **n == name) {
            return Ok(Value::Iter(Rc::new(std::cell::RefCell::new(Iter::Filter(name, value, args)))));
        }
        match name {
            "default" | "d" => {
                let mut args = args.bind(name, &["default_value", "boolean"])?;
                let default = args.take(0).unwrap_or_else(|| Value::str(""));
                let absent = value.is_undefined() || flag(args.take(1)) && !ops::truth(&value);
                Ok(if absent { default } else { value })
            }
            "length" | "count" => {
                args.bind(name, &[])?;
                self.length(&value).map(Value::from)
            }
            "list" => {
                args.bind(name, &[])?;
                Value::list(self.iterate(&value)?)
            }
            "first" => {
                args.bind(name, &[])?;
                Ok(self.first(&value)?.unwrap_or_else(|| Value::hint("No first item, sequence was empty.")))
            }
            "last" => {
                args.bind(name, &[])?;
                if !reversible(&value) {
                    return type_error(&format!("'{}' object is not reversible", value.type_name()));
                }
                let last = self.iterate(&value)?.pop();
                Ok(last.unwrap_or_else(|| Value::hint("No last item, sequence was empty.")))
            }
            "reverse" => {
                args.bind(name, &[])?;
                self.reverse(value)
            }
            "join" => self.join_filter(&value, args),
            "tojson" => self.tojson(&value, args),
            "sort" | "dictsort" | "groupby" => self.sorted(name, &value, args),
            "min" | "max" => self.extreme(name, &value, args),
            "sum" => {
                let mut args = args.bind(name, &["attribute", "start"])?;
                let attribute = args.take(0).unwrap_or(Value::None);
                let mut total = args.take(1).unwrap_or(Value::Int(0));
                if matches!(total, Value::Str(_)) {
                    return type_error("sum() can't sum strings [use ''.join(seq) instead]");
                }
                for item in self.iterate(&value)? {
                    let item = self.get(item, &path(&attribute), None)?;
                    total = ops::binary(&self.budget, Binary::Add, &total, &item)?;
                }
                Ok(total)
            }
            "attr" => {
                let name = args.bind(name, &["name"])?.need(0)?;
                match name {
                    Value::Str(name) => self.only_attr(&value, &name.text),
                    _ => type_error("attribute name must be string"),
                }
            }
            "abs" | "int" | "float" | "round" | "filesizeformat" => self.number_filter(name, value, args),
            _ if exists(name) => self.text_filter(name, value, args),
            _ => fail(format!("No filter named '{name}'.")),
        }
    }

    fn length(&self, value: &Value) -> Res<usize> {
        match ops::length(value) {
            Some(length) => {
                self.budget.steps(length as u64 / 64)?;
                Ok(length)
            }
            None => type_error(&format!("object of type '{}' has no len()", value.type_name())),
        }
    }

    fn text(&self, value: &Value) -> Res<Str> {
        match value {
            Value::Str(s) => Ok(s.clone()),
            other => Ok(Str { text: to_text(&self.budget, other)?.into(), safe: false }),
        }
    }

    /// An attribute or element by its path.
    fn get(&mut self, mut item: Value, path: &[Value], default: Option<&Value>) -> Res<Value> {
        for part in path {
            item = self.item(&item, part)?;
            if let Some(default) = default
                && item.is_undefined()
            {
                item = default.clone();
            }
        }
        Ok(item)
    }

    /// Runs a lazy filter.
    pub(crate) fn lazy(&mut self, name: &str, value: Value, args: Args) -> Res<Vec<Value>> {
        match name {
            "items" => match &value {
                Value::Undefined(_) => Ok(Vec::new()),
                Value::Dict(dict) => ops::items(&self.budget, &Value::View(View::Items, dict.clone())),
                _ => type_error("Can only get item pairs from a mapping."),
            },
            "batch" | "slice" => self.pieces(name, &value, args),
            "unique" => {
                let mut args = args.bind(name, &["case_sensitive", "attribute"])?;
                let (case, attribute) = (flag(args.take(0)), args.take(1).unwrap_or(Value::None));
                let (mut seen, mut out) = (BTreeSet::new(), Vec::new());
                for item in self.iterate(&value)? {
                    let key = self.get(item.clone(), &path(&attribute), None)?;
                    if seen.insert(folded(&self.budget, key, case)?.key()?) {
                        out.push(item);
                    }
                }
                Ok(out)
            }
            _ if !ops::truth(&value) => Ok(Vec::new()),
            "map" => self.map(&value, args),
            _ => self.select(name, &value, args),
        }
    }

    fn map(&mut self, value: &Value, mut args: Args) -> Res<Vec<Value>> {
        let attribute = args.named.iter().position(|(n, _)| **n == *"attribute");
        if let (true, Some(at)) = (args.pos.is_empty(), attribute) {
            let attribute = args.named.remove(at).1;
            let default = args.named.iter().position(|(n, _)| **n == *"default");
            let default = default.map(|at| args.named.remove(at).1).filter(|d| !d.is_none());
            if let Some((name, _)) = args.named.first() {
                return fail(format!("Unexpected keyword argument '{name}'"));
            }
            let path = path(&attribute);
            let items = self.iterate(value)?;
            return items.into_iter().map(|item| self.get(item, &path, default.as_ref())).collect();
        }
        if args.pos.is_empty() {
            return fail("map requires a filter argument");
        }
        let Value::Str(name) = args.pos.remove(0) else { return fail("map requires the name of a filter") };
        if !exists(&name.text) {
            return fail(format!("No filter named '{}'.", name.text));
        }
        let items = self.iterate(value)?;
        items.into_iter().map(|item| self.filter(&name.text, item, args.clone())).collect()
    }

    fn select(&mut self, name: &str, value: &Value, mut args: Args) -> Res<Vec<Value>> {
        let wanted = name.starts_with("select");
        let mut attribute = Vec::new();
        if name.ends_with("attr") {
            if args.pos.is_empty() {
                return fail("Missing parameter for attribute name");
            }
            attribute = path(&args.pos.remove(0));
        }
        let test = if args.pos.is_empty() { None } else { Some(args.pos.remove(0)) };
        let mut out = Vec::new();
        for item in self.iterate(value)? {
            let subject = self.get(item.clone(), &attribute, None)?;
            let holds = match &test {
                None => ops::truth(&subject),
                Some(Value::Str(test)) => self.test(&test.text, &subject, args.clone())?,
                Some(other) => return fail(format!("No test named {}.", crate::repr::plain(other))),
            };
            if holds == wanted {
                out.push(item);
            }
        }
        Ok(out)
    }

    fn pieces(&mut self, name: &str, value: &Value, args: Args) -> Res<Vec<Value>> {
        let mut args = args.bind(name, &["count", "fill_with"])?;
        let count = args.need(0)?.index()?;
        let fill = args.take(1).filter(|f| !f.is_none());
        let items = self.iterate(value)?;
        let mut out = Vec::new();
        if name == "slice" {
            if count == 0 {
                return fail("ZeroDivisionError: integer division or modulo by zero");
            }
            let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
            self.budget.items(count)?;
            let (each, extra) =
                (items.len().checked_div(count).unwrap_or(0), items.len().checked_rem(count).unwrap_or(0));
            let mut items = items.into_iter();
            for at in 0..count {
                let mut part: Vec<Value> = items.by_ref().take(each + usize::from(at < extra)).collect();
                if at >= extra {
                    part.extend(fill.clone());
                }
                out.push(Value::list(part)?);
            }
            return Ok(out);
        }
        let size = usize::try_from(count).ok();
        let mut part = Vec::new();
        for item in items {
            if Some(part.len()) == size {
                out.push(Value::list(std::mem::take(&mut part))?);
            }
            part.push(item);
        }
        if !part.is_empty() {
            if let (Some(fill), Some(size)) = (fill, size) {
                self.budget.items(size)?;
                part.resize(size.max(part.len()), fill);
            }
            out.push(Value::list(part)?);
        }
        Ok(out)
    }

    fn reverse(&mut self, value: Value) -> Res<Value> {
        if let Value::Str(s) = &value {
            self.budget.text(s.text.len())?;
            return Ok(Value::like(s.text.chars().rev().collect::<String>(), s));
        }
        if !reversible(&value) && !matches!(value, Value::Iter(_)) {
            return fail("argument must be iterable");
        }
        let mut items = self.iterate(&value)?;
        items.reverse();
        if matches!(value, Value::Iter(_)) { Value::list(items) } else { Ok(Value::items(items)) }
    }

    fn join_filter(&mut self, value: &Value, args: Args) -> Res<Value> {
        let mut args = args.bind("join", &["d", "attribute"])?;
        let sep = args.take(0).unwrap_or_else(|| Value::str(""));
        let path = path(&args.take(1).unwrap_or(Value::None));
        let mut items = Vec::new();
        for item in self.iterate(value)? {
            items.push(self.get(item, &path, None)?);
        }
        let marked = |v: &Value| matches!(v, Value::Str(s) if s.safe);
        let safe = self.autoescape && (marked(&sep) || items.iter().any(marked));
        let sep = self.text(&sep)?;
        let sep = if safe { html::escape(&self.budget, &sep)? } else { sep.text.to_string() };
        let mut out = String::new();
        for (at, item) in items.iter().enumerate() {
            let text = self.text(item)?;
            let text = if safe { html::escape(&self.budget, &text)? } else { text.text.to_string() };
            self.budget.text(sep.len() + text.len())?;
            if at > 0 {
                out.push_str(&sep);
            }
            out.push_str(&text);
            self.budget.text(out.len() / 256)?;
        }
        Ok(if safe { Value::markup(out) } else { Value::str(out) })
    }

    fn tojson(&mut self, value: &Value, args: Args) -> Res<Value> {
        let mut args = args.bind("tojson", &["ensure_ascii", "indent", "separators", "sort_keys"])?;
        let ascii = flag(args.take(0));
        let indent = match args.take(1) {
            None | Some(Value::None) => None,
            Some(Value::Str(s)) => Some(s.text.to_string()),
            Some(other) => {
                let count = usize::try_from(other.index()?.max(0)).unwrap_or(usize::MAX);
                self.budget.text(count)?;
                Some(" ".repeat(count))
            }
        };
        let separators = match args.take(2) {
            None | Some(Value::None) => None,
            Some(pair) => match &self.iterate(&pair)?[..] {
                [Value::Str(item), Value::Str(key)] => Some((item.text.to_string(), key.text.to_string())),
                _ => return fail("ValueError: separators must be two strings"),
            },
        };
        let style = json::Style { ascii, indent, separators, sort_keys: flag(args.take(3)) };
        Ok(Value::str(json::dump(&self.budget, value, &style)?))
    }

    fn sorted(&mut self, name: &str, value: &Value, args: Args) -> Res<Value> {
        let (items, paths, case, reverse, default);
        match name {
            "sort" => {
                let mut args = args.bind(name, &["reverse", "case_sensitive", "attribute"])?;
                (reverse, case, default) = (flag(args.take(0)), flag(args.take(1)), None);
                paths = match args.take(2) {
                    Some(Value::Str(s)) => s.text.split(',').map(|p| path(&Value::str(p))).collect(),
                    other => vec![path(&other.unwrap_or(Value::None))],
                };
                items = self.iterate(value)?;
            }
            "dictsort" => {
                let mut args = args.bind(name, &["case_sensitive", "by", "reverse"])?;
                case = flag(args.take(0));
                let by = match args.take(1) {
                    None => 0,
                    Some(Value::Str(s)) if *s.text == *"key" => 0,
                    Some(Value::Str(s)) if *s.text == *"value" => 1,
                    Some(_) => return fail("You can only sort by either \"key\" or \"value\""),
                };
                (paths, reverse, default) = (vec![vec![Value::Int(by)]], flag(args.take(2)), None);
                items = match value {
                    Value::Dict(dict) => ops::items(&self.budget, &Value::View(View::Items, dict.clone()))?,
                    Value::Undefined(why) => return undefined(why),
                    other => return fail(format!("'{}' object has no attribute 'items'", other.type_name())),
                };
            }
            _ => {
                let mut args = args.bind(name, &["attribute", "default", "case_sensitive"])?;
                (paths, reverse) = (vec![path(&args.need(0)?)], false);
                (default, case) = (args.take(1).filter(|d| !d.is_none()), flag(args.take(2)));
                items = self.iterate(value)?;
            }
        }
        let mut keyed = Vec::new();
        for item in items {
            let mut key = Vec::new();
            for path in &paths {
                let part = self.get(item.clone(), path, default.as_ref())?;
                key.push(folded(&self.budget, part, case)?);
            }
            // Several keys are compared as lists, which finds the first difference.
            let key = if name == "sort" { Value::list(key)? } else { key.pop().unwrap_or(Value::None) };
            keyed.push((key, item));
        }
        let budget = &self.budget;
        let less = |a: &(Value, Value), b: &(Value, Value)| compare::less(budget, &a.0, &b.0);
        let sorted = compare::sort(budget, keyed, reverse, less)?;
        if name != "groupby" {
            return Value::list(sorted.into_iter().map(|(_, item)| item).collect());
        }
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for (key, item) in sorted {
            match groups.last_mut() {
                Some((last, group)) if compare::equal(&self.budget, last, &key)? => group.push(item),
                _ => groups.push((key, vec![item])),
            }
        }
        let mut out = Vec::new();
        for (_, group) in groups {
            // The key as it is in the first item.
            let key = self.get(group[0].clone(), &paths[0], default.as_ref())?;
            out.push(Seq::group(key, group)?);
        }
        Value::list(out)
    }

    fn extreme(&mut self, name: &str, value: &Value, args: Args) -> Res<Value> {
        let mut args = args.bind(name, &["case_sensitive", "attribute"])?;
        let (case, path) = (flag(args.take(0)), path(&args.take(1).unwrap_or(Value::None)));
        let sign = if name == "min" { "<" } else { ">" };
        let mut best: Option<(Value, Value)> = None;
        for item in self.iterate(value)? {
            let key = self.get(item.clone(), &path, None)?;
            let key = folded(&self.budget, key, case)?;
            match &best {
                Some((old, _)) if !compare::ordered(&self.budget, sign, &key, old)? => {}
                _ => best = Some((key, item)),
            }
        }
        Ok(best.map_or_else(|| Value::hint("No aggregated item, sequence was empty."), |(_, item)| item))
    }

    fn number_filter(&mut self, name: &str, value: Value, args: Args) -> Res<Value> {
        if let Value::Undefined(why) = &value {
            return undefined(why);
        }
        match name {
            "abs" => {
                args.bind(name, &[])?;
                match (&value, value.as_int()) {
                    (_, Some(i)) => Ok(Value::Int(i.saturating_abs())),
                    (Value::Float(x), _) => Ok(Value::Float(x.abs())),
                    (other, _) => type_error(&format!("bad operand type for abs(): '{}'", other.type_name())),
                }
            }
            "int" => {
                let mut args = args.bind(name, &["default", "base"])?;
                let default = args.take(0).unwrap_or(Value::Int(0));
                let base = args.int(1, 10)?;
                if let Value::Str(s) = &value
                    && let Some(i) = parse_int(&s.text, base)
                {
                    return i.map(Value::Int);
                }
                if let Some(i) = value.as_int() {
                    return Ok(Value::Int(i));
                }
                match as_float(&value) {
                    Some(x) if x.is_infinite() && !matches!(value, Value::Str(_)) => {
                        fail("OverflowError: cannot convert float infinity to integer")
                    }
                    Some(x) if x.is_finite() && x.abs() < 9e18 => Ok(Value::Int(x as i64)),
                    Some(x) if x.is_finite() => crate::fault::limit("reads an integer of", 63, " bits"),
                    _ => Ok(default),
                }
            }
            "float" => {
                let default = args.bind(name, &["default"])?.take(0).unwrap_or(Value::Float(0.0));
                Ok(as_float(&value).map_or(default, Value::Float))
            }
            "round" => round(&value, args),
            _ => {
                let binary = flag(args.bind(name, &["binary"])?.take(0));
                match as_float(&value) {
                    Some(x) => Ok(Value::str(file_size(x, binary))),
                    None => type_error("filesizeformat wants a number"),
                }
            }
        }
    }

    fn text_filter(&mut self, name: &str, value: Value, args: Args) -> Res<Value> {
        match name {
            "random" => return fail("the filter `random` is not supported: it gives another item every time"),
            "urlize" => return fail("the filter `urlize` is not supported: it writes links for web pages"),
            _ => {}
        }
        let s = self.text(&value)?;
        let method = |interp: &Self, method: &str, args: Args| text::call(&interp.budget, &s, method, args);
        match name {
            "upper" | "lower" | "capitalize" => {
                args.bind(name, &[])?;
                method(self, name, Args::default())
            }
            "title" => {
                args.bind(name, &[])?;
                self.budget.text(s.text.len())?;
                self.budget.letters(&s.text)?;
                Ok(Value::str(title(&s.text)))
            }
            "trim" => {
                let chars = args.bind(name, &["chars"])?.take(0).unwrap_or(Value::None);
                method(self, "strip", Args::of(vec![chars]))
            }
            "center" => {
                let width = args.bind(name, &["width"])?.take(0).unwrap_or(Value::Int(80));
                method(self, "center", Args::of(vec![width]))
            }
            "replace" => {
                let mut args = args.bind(name, &["old", "new", "count"])?;
                let (old, new) = (self.text(&args.need(0)?)?, self.text(&args.need(1)?)?);
                let count = match args.take(2) {
                    None | Some(Value::None) => -1,
                    Some(count) => count.index()?,
                };
                Ok(Value::str(text::replace(&self.budget, &s.text, &old.text, &new.text, count)?))
            }
            "string" => {
                args.bind(name, &[])?;
                Ok(Value::Str(s))
            }
            "safe" => {
                args.bind(name, &[])?;
                Ok(Value::markup(s.text))
            }
            "e" | "escape" => {
                args.bind(name, &[])?;
                Ok(Value::markup(html::escape(&self.budget, &s)?))
            }
            "forceescape" => {
                args.bind(name, &[])?;
                Ok(Value::markup(html::force(&self.budget, &s.text)?))
            }
            "striptags" => {
                args.bind(name, &[])?;
                Ok(Value::str(html::strip_tags(&self.budget, &s.text)?))
            }
            "format" => {
                let args = match (args.pos.is_empty(), args.named.is_empty()) {
                    (false, false) => {
                        return fail("can't handle positional and keyword arguments at the same time");
                    }
                    (_, true) => Value::tuple(args.pos)?,
                    (_, false) => {
                        let entries = args.named.into_iter().map(|(k, v)| (Value::str(k), v));
                        Value::Dict(Dict::new(entries)?)
                    }
                };
                ops::binary(&self.budget, Binary::Mod, &Value::Str(s), &args)
            }
            "pprint" => {
                args.bind(name, &[])?;
                Ok(Value::str(pretty::print(&self.budget, &value)?))
            }
            "wordwrap" => {
                let s = self.need_text(&value, name)?;
                wrap::wrap(&self.budget, &s, args)
            }
            "indent" => self.indent(&value, args),
            "truncate" => self.truncate(&value, args),
            "wordcount" => {
                args.bind(name, &[])?;
                let word = |c: char| c == '_' || c.is_alphanumeric();
                Ok(s.text.split(|c| !word(c)).filter(|w| !w.is_empty()).count().into())
            }
            "urlencode" => self.url_encode(&value, args),
            _ => self.xml_attr(&value, args),
        }
    }

    fn need_text(&self, value: &Value, name: &str) -> Res<Str> {
        match value {
            Value::Str(s) => Ok(s.clone()),
            Value::Undefined(why) => undefined(why),
            other => type_error(&format!("the filter `{name}` wants a text, not '{}'", other.type_name())),
        }
    }

    fn indent(&mut self, value: &Value, args: Args) -> Res<Value> {
        let s = self.need_text(value, "indent")?;
        let mut args = args.bind("indent", &["width", "first", "blank"])?;
        let indent = match args.take(0) {
            Some(Value::Str(s)) => s.text.to_string(),
            other => {
                let width = other.map_or(Ok(4), |w| w.index())?.max(0);
                let width = usize::try_from(width).unwrap_or(usize::MAX);
                self.budget.text(width)?;
                " ".repeat(width)
            }
        };
        let (first, blank) = (flag(args.take(1)), flag(args.take(2)));
        let with_end = [&*s.text, "\n"].concat();
        let lines = text::lines(&with_end, false);
        self.budget.text(lines.len().saturating_mul(indent.len() + 1).saturating_add(s.text.len()))?;
        let mut out = String::new();
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                out.push('\n');
            }
            if if at == 0 { first } else { blank || !line.is_empty() } {
                out.push_str(&indent);
            }
            out.push_str(line);
        }
        Ok(Value::like(out, &s))
    }

    fn truncate(&mut self, value: &Value, args: Args) -> Res<Value> {
        let mut args = args.bind("truncate", &["length", "killwords", "end", "leeway"])?;
        let length = args.int(0, 255)?;
        let kill = flag(args.take(1));
        let end = match args.take(2) {
            None => "...".into(),
            Some(end) => self.need_text(&end, "truncate")?.text,
        };
        let leeway = match args.take(3) {
            None | Some(Value::None) => 5,
            Some(leeway) => leeway.index()?,
        };
        let tail = end.chars().count() as i64;
        if length < tail || leeway < 0 {
            return fail(format!("AssertionError: expected length >= {tail}, got {length}, and leeway >= 0"));
        }
        if self.length(value)? as i64 <= length.saturating_add(leeway) {
            return Ok(value.clone());
        }
        let s = self.need_text(value, "truncate")?;
        let cut: String = s.text.chars().take((length - tail) as usize).collect();
        let cut = if kill { &cut } else { cut.rsplit_once(' ').map_or(cut.as_str(), |(kept, _)| kept) };
        Ok(Value::like([cut, &*end].concat(), &s))
    }

    fn url_encode(&mut self, value: &Value, args: Args) -> Res<Value> {
        args.bind("urlencode", &[])?;
        let pairs = match value {
            Value::Dict(dict) => ops::items(&self.budget, &Value::View(View::Items, dict.clone()))?,
            Value::Str(_) => Vec::new(),
            other if ops::is_iterable(other) => self.iterate(other)?,
            _ => Vec::new(),
        };
        if matches!(value, Value::Str(_)) || !ops::is_iterable(value) {
            let text = self.text(value)?;
            self.budget.text(text.text.len() * 3)?;
            return Ok(Value::str(quote(&text.text, false)));
        }
        let mut parts = Vec::new();
        for pair in pairs {
            let pair = self.iterate(&pair)?;
            let [key, value] = &pair[..] else { return fail("ValueError: urlencode wants pairs") };
            let (key, value) = (self.text(key)?, self.text(value)?);
            self.budget.text((key.text.len() + value.text.len()) * 3)?;
            parts.push([&quote(&key.text, true), "=", &quote(&value.text, true)].concat());
        }
        Ok(Value::str(parts.join("&")))
    }

    fn xml_attr(&mut self, value: &Value, args: Args) -> Res<Value> {
        let space = args.bind("xmlattr", &["autospace"])?.take(0).is_none_or(|v| ops::truth(&v));
        let Value::Dict(dict) = value else { return type_error("xmlattr wants a dict") };
        let mut parts = Vec::new();
        for (key, value) in &dict.entries {
            if value.is_none() || value.is_undefined() {
                continue;
            }
            let (key, value) = (self.text(key)?, self.text(value)?);
            if key.text.contains([' ', '\t', '\n', '\r', '\x0b', '\x0c', '/', '>', '=']) {
                return fail(format!(
                    "ValueError: Invalid character in attribute name: {}",
                    crate::repr::quoted(&key.text)
                ));
            }
            let (key, value) = (html::escape(&self.budget, &key)?, html::escape(&self.budget, &value)?);
            parts.push([&key, "=\"", &value, "\""].concat());
        }
        let text = parts.join(" ");
        let text = if space && !text.is_empty() { [" ", &text].concat() } else { text };
        Ok(self.made(text))
    }
}
