//! `str()` and `repr()`.

use crate::budget::Budget;
use crate::fault::{MAX_NESTING, Res, fail, limit};
use crate::number::float_repr;
use crate::unicode::is_printable;
use crate::value::{Dict, Object, Str, Value, View};

/// The output of `{{ value }}`.
pub(crate) fn to_text(budget: &Budget, value: &Value) -> Res<String> {
    Ok(match value {
        Value::Str(s) => s.text.to_string(),
        Value::Undefined(_) => String::new(),
        other => repr(budget, other)?,
    })
}

/// `repr(value)`.
pub(crate) fn repr(budget: &Budget, value: &Value) -> Res<String> {
    let mut out = String::new();
    write(budget, &mut out, value, 0, None)?;
    Ok(out)
}

/// Returns the entries of a dict in a different order.
pub(crate) type Order = fn(&Budget, &Dict) -> Res<Vec<(Value, Value)>>;

/// `repr(value)`, with the entries of dicts in a different order.
pub(crate) fn repr_in(order: Order, budget: &Budget, value: &Value) -> Res<String> {
    let mut out = String::new();
    write(budget, &mut out, value, 0, Some(order))?;
    Ok(out)
}

/// A short `repr(value)`, for messages.
pub(crate) fn plain(value: &Value) -> String {
    repr(&Budget::new(), value).unwrap_or_else(|_| format!("<{}>", value.type_name()))
}

/// A quoted string, as in `repr`.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push(quote);
    out
}

fn write(budget: &Budget, out: &mut String, value: &Value, depth: u32, order: Option<Order>) -> Res<()> {
    budget.steps(1)?;
    if depth > MAX_NESTING {
        // Namespaces may contain themselves.
        return limit("prints values nested", u64::from(MAX_NESTING), " deep");
    }
    // Inside objects of other types, even `pprint` uses the plain form.
    let order = order.filter(|_| match value {
        Value::List(seq) | Value::Tuple(seq) => !seq.group,
        other => matches!(other, Value::Dict(_)),
    });
    let list = |out: &mut String, open: &str, items: &[Value], close: &str| -> Res<()> {
        out.push_str(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            write(budget, out, item, depth + 1, order)?;
        }
        out.push_str(close);
        Ok(())
    };
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Float(x) => out.push_str(&float_repr(*x)),
        Value::Str(Str { text, safe }) => {
            budget.text(text.len())?;
            let quoted = quoted(text);
            if *safe {
                out.push_str(&["Markup(", &quoted, ")"].concat());
            } else {
                out.push_str(&quoted);
            }
        }
        Value::List(seq) => list(out, "[", &seq.items, "]")?,
        Value::Tuple(seq) => list(out, "(", &seq.items, if seq.items.len() == 1 { ",)" } else { ")" })?,
        Value::Dict(dict) => entries(budget, out, dict, depth, order)?,
        Value::View(View::Keys, dict) => {
            let keys: Vec<Value> = dict.entries.iter().map(|(k, _)| k.clone()).collect();
            list(out, "dict_keys([", &keys, "])")?;
        }
        Value::View(View::Values, dict) => {
            let values: Vec<Value> = dict.entries.iter().map(|(_, v)| v.clone()).collect();
            list(out, "dict_values([", &values, "])")?;
        }
        Value::View(View::Items, dict) => {
            out.push_str("dict_items([");
            for (at, (k, v)) in dict.entries.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                list(out, "(", &[k.clone(), v.clone()], ")")?;
            }
            out.push_str("])");
        }
        Value::Range(r) if r.step == 1 => out.push_str(&format!("range({}, {})", r.start, r.stop)),
        Value::Range(r) => out.push_str(&format!("range({}, {}, {})", r.start, r.stop, r.step)),
        Value::Namespace(space) => {
            out.push_str("<Namespace {");
            for (at, (name, value)) in space.attrs.borrow().iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&quoted(name));
                out.push_str(": ");
                write(budget, out, value, depth + 1, None)?;
            }
            out.push_str("}>");
        }
        Value::Macro(m) => match &m.node.name {
            Some(name) => out.push_str(&["<Macro ", &quoted(name), ">"].concat()),
            None => out.push_str("<Macro anonymous>"),
        },
        Value::Object(object) if matches!(&**object, Object::Loop(_)) => out.push_str("<LoopContext>"),
        // Python prints a memory address, which is different every time.
        Value::Iter(_) => return fail("a generator has no text: put `| list` or `| join` behind the filter"),
        Value::Object(_) | Value::Function(_) | Value::Method(_) => {
            return fail(format!("a value of type '{}' has no text: is a call missing?", value.type_name()));
        }
    }
    Ok(())
}

fn entries(budget: &Budget, out: &mut String, dict: &Dict, depth: u32, order: Option<Order>) -> Res<()> {
    let entries = match order {
        Some(order) => &order(budget, dict)?,
        None => &dict.entries,
    };
    out.push('{');
    for (at, (key, value)) in entries.iter().enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        write(budget, out, key, depth + 1, order)?;
        out.push_str(": ");
        write(budget, out, value, depth + 1, order)?;
    }
    out.push('}');
    Ok(())
}
