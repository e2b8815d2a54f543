//! `pprint`: prints long values on several lines, like Python's module of that name.

use crate::budget::Budget;
use crate::compare;
use crate::fault::{Kind, Res};
use crate::repr::{quoted, repr_in};
use crate::text;
use crate::unicode::is_space;
use crate::value::{Dict, Str, Value};

/// Maximum number of characters per line.
const WIDTH: i64 = 80;

/// What `pprint.pformat` returns.
pub(super) fn print(budget: &Budget, value: &Value) -> Res<String> {
    let mut printer = Printer { budget, out: String::new() };
    printer.value(value, 0, 0, true)?;
    Ok(printer.out)
}

struct Printer<'b> {
    budget: &'b Budget,
    out: String,
}

fn width(text: &str) -> i64 {
    text.chars().count() as i64
}

impl Printer<'_> {
    /// Prints a value at a column. `follow` characters come after it on its last line; `top` is true for the outermost
    /// value.
    fn value(&mut self, value: &Value, column: i64, follow: i64, top: bool) -> Res<()> {
        let plain = repr_in(in_order, self.budget, value)?;
        // Every level is printed again.
        self.budget.text(plain.len())?;
        if width(&plain) <= WIDTH - column - follow {
            self.out.push_str(&plain);
            return Ok(());
        }
        match value {
            Value::Str(Str { text, safe: false }) => self.text(text, column, follow, top),
            Value::List(list) => self.items("[", &list.items, "]", column, follow),
            Value::Tuple(tuple) if !tuple.group => {
                let close = if tuple.items.len() == 1 { ",)" } else { ")" };
                self.items("(", &tuple.items, close, column, follow)
            }
            Value::Dict(dict) => self.dict(dict, column, follow),
            _ => {
                self.out.push_str(&plain);
                Ok(())
            }
        }
    }

    fn line(&mut self, column: i64) -> Res<()> {
        let column = usize::try_from(column).unwrap_or(0);
        self.budget.text(column + 1)?;
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', column));
        Ok(())
    }

    fn items(&mut self, open: &str, items: &[Value], close: &str, column: i64, follow: i64) -> Res<()> {
        self.out.push_str(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
                self.line(column + 1)?;
            }
            let last = at + 1 == items.len();
            self.value(item, column + 1, if last { follow + close.len() as i64 } else { 1 }, false)?;
        }
        self.out.push_str(close);
        Ok(())
    }

    fn dict(&mut self, dict: &Dict, column: i64, follow: i64) -> Res<()> {
        self.out.push('{');
        for (at, (key, value)) in in_order(self.budget, dict)?.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
                self.line(column + 1)?;
            }
            let key = repr_in(in_order, self.budget, key)?;
            self.out.push_str(&key);
            self.out.push_str(": ");
            let last = at + 1 == dict.entries.len();
            self.value(value, column + width(&key) + 3, if last { follow + 1 } else { 1 }, false)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// A long string as several: one per line, and one per group of words that fits.
    fn text(&mut self, text: &str, column: i64, follow: i64, top: bool) -> Res<()> {
        let (column, follow) = if top { (column + 1, follow + 1) } else { (column, follow) };
        let lines = text::lines(text, true);
        let mut chunks = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let whole = quoted(line);
            let last = at + 1 == lines.len();
            let room = WIDTH - column;
            if width(&whole) <= if last { room - follow } else { room } {
                chunks.push(whole);
                continue;
            }
            let mut current = "";
            let mut start = 0;
            while start + current.len() < line.len() {
                let rest = &line[start + current.len()..];
                let part = word(rest);
                let room = if last && part.len() == rest.len() { room - follow } else { room };
                let candidate = &line[start..start + current.len() + part.len()];
                self.budget.text(candidate.len())?;
                if width(&quoted(candidate)) > room {
                    if !current.is_empty() {
                        chunks.push(quoted(current));
                    }
                    start += current.len();
                    current = part;
                } else {
                    current = candidate;
                }
            }
            if !current.is_empty() {
                chunks.push(quoted(current));
            }
        }
        let several = top && chunks.len() > 1;
        if several {
            self.out.push('(');
        }
        for (at, chunk) in chunks.iter().enumerate() {
            if at > 0 {
                self.line(column)?;
            }
            self.out.push_str(chunk);
        }
        if several {
            self.out.push(')');
        }
        Ok(())
    }
}

/// The entries sorted by key; keys that cannot be compared are sorted by type.
fn in_order(budget: &Budget, dict: &Dict) -> Res<Vec<(Value, Value)>> {
    let less = |a: &(Value, Value), b: &(Value, Value)| match compare::less(budget, &a.0, &b.0) {
        Err(fault) if fault.kind == Kind::Template => Ok(a.0.type_name() < b.0.type_name()),
        known => known,
    };
    compare::sort(budget, dict.entries.clone(), false, less)
}

/// The first word of a string, with the spaces after it.
fn word(text: &str) -> &str {
    let space = text.find(is_space).unwrap_or(text.len());
    let end = text[space..].find(|c| !is_space(c)).map_or(text.len(), |at| space + at);
    &text[..end]
}
