//! JSON as Python's module `json` reads and writes it.

use std::rc::Rc;

use crate::budget::Budget;
use crate::compare;
use crate::fault::{MAX_NESTING, Res, fail, limit, type_error};
use crate::number::{float_repr, parse_float};
use crate::value::{Dict, Value};

/// Parses JSON, including NaN and Infinity.
pub(crate) fn parse(text: &str) -> Res<Value> {
    let mut reader = Reader { text, pos: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.pos < text.len() {
        return reader.fault("something follows the value");
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    pos: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.pos..]
    }

    fn fault<T>(&self, what: &str) -> Res<T> {
        fail(format!("JSON: {what} at byte {}", self.pos))
    }

    fn blanks(&mut self) {
        self.pos = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.pos += if found { token.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: u32) -> Res<Value> {
        if depth >= MAX_NESTING {
            return limit("reads JSON nested", u64::from(MAX_NESTING), " deep");
        }
        self.blanks();
        let words: [(&str, Value); 6] = [
            ("null", Value::None),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        for (word, value) in words {
            if self.eat(word) {
                return Ok(value);
            }
        }
        match self.rest().bytes().next() {
            Some(b'"') => Ok(Value::str(self.string()?)),
            Some(b'[') => {
                let mut items = Vec::new();
                self.pos += 1;
                self.blanks();
                while !self.eat("]") {
                    if !items.is_empty() && !self.eat(",") {
                        return self.fault("expected , or ]");
                    }
                    items.push(self.value(depth + 1)?);
                    self.blanks();
                }
                Value::list(items)
            }
            Some(b'{') => {
                let mut entries = Vec::new();
                self.pos += 1;
                self.blanks();
                while !self.eat("}") {
                    if !entries.is_empty() && !self.eat(",") {
                        return self.fault("expected , or }");
                    }
                    self.blanks();
                    let key = Value::str(self.string()?);
                    self.blanks();
                    if !self.eat(":") {
                        return self.fault("expected :");
                    }
                    entries.push((key, self.value(depth + 1)?));
                    self.blanks();
                }
                Ok(Value::Dict(Dict::new(entries)?))
            }
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Res<Value> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(rest.len());
        let text = &rest[..end];
        let value = match text.contains(['.', 'e', 'E']) {
            false => text.parse().ok().map(Value::Int),
            true => parse_float(text).map(Value::Float),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if value.is_none() && digits(text.strip_prefix('-').unwrap_or(text)) {
            return self.fault("an integer of more than 63 bits, the limit for chat templates");
        }
        match value {
            Some(value) => {
                self.pos += end;
                Ok(value)
            }
            None => self.fault("expected a value"),
        }
    }

    fn string(&mut self) -> Res<String> {
        if !self.eat("\"") {
            return self.fault("expected a string");
        }
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let Some(at) = rest.find(['"', '\\']) else { return self.fault("a string without an end") };
            out.push_str(&rest[..at]);
            let ends = rest.as_bytes()[at] == b'"';
            self.pos += at + 1;
            if ends {
                return Ok(out);
            }
            let Some(c) = self.rest().chars().next() else { return self.fault("a string without an end") };
            self.pos += c.len_utf8();
            match c {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'b' => out.push('\x08'),
                'f' => out.push('\x0c'),
                '"' | '\\' | '/' => out.push(c),
                'u' => out.push(self.unicode()?),
                _ => return self.fault("an unknown escape"),
            }
        }
    }

    /// The character of a `\u` escape; an unpaired surrogate is an error.
    fn unicode(&mut self) -> Res<char> {
        let first = self.hex()?;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            let back = self.pos;
            self.pos += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            self.pos = back;
        }
        Ok(char::from_u32(first).unwrap_or('\u{fffd}'))
    }

    fn hex(&mut self) -> Res<u32> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|d| u32::from_str_radix(d, 16).ok()) {
            Some(code) => {
                self.pos += 4;
                Ok(code)
            }
            None => self.fault("expected four hexadecimal digits"),
        }
    }
}

/// Options of `json.dumps`.
#[derive(Debug, Default)]
pub(crate) struct Style {
    pub(crate) ascii: bool,
    pub(crate) indent: Option<String>,
    pub(crate) separators: Option<(String, String)>,
    pub(crate) sort_keys: bool,
}

/// `json.dumps(value, ..)`.
pub(crate) fn dump(budget: &Budget, value: &Value, style: &Style) -> Res<String> {
    let (item, key) = match &style.separators {
        Some((item, key)) => (item.as_str(), key.as_str()),
        None if style.indent.is_some() => (",", ": "),
        None => (", ", ": "),
    };
    let mut writer = Writer { budget, style, item, key, out: String::new() };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    budget: &'a Budget,
    style: &'a Style,
    item: &'a str,
    key: &'a str,
    out: String,
}

impl Writer<'_> {
    fn line(&mut self, depth: usize) -> Res<()> {
        if let Some(indent) = &self.style.indent {
            self.budget.text(self.out.len().saturating_sub(self.out.capacity() / 2) / 64 + indent.len() * depth)?;
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Res<()> {
        self.budget.steps(1)?;
        match value {
            Value::None => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Int(i) => self.out.push_str(&i.to_string()),
            Value::Float(x) => self.out.push_str(&float(*x)),
            Value::Str(s) => self.string(&s.text)?,
            Value::List(seq) | Value::Tuple(seq) => {
                self.out.push('[');
                for (at, item) in seq.items.iter().enumerate() {
                    if at > 0 {
                        self.out.push_str(self.item);
                    }
                    self.line(depth + 1)?;
                    self.value(item, depth + 1)?;
                }
                if !seq.items.is_empty() {
                    self.line(depth)?;
                }
                self.out.push(']');
            }
            Value::Dict(dict) => self.dict(dict, depth)?,
            other => {
                let name = other.type_name();
                return type_error(&format!("Object of type {name} is not JSON serializable"));
            }
        }
        Ok(())
    }

    fn dict(&mut self, dict: &Rc<Dict>, depth: usize) -> Res<()> {
        let mut entries: Vec<(Value, Value)> = dict.entries.clone();
        if self.style.sort_keys {
            entries = compare::sort(self.budget, entries, false, |a, b| compare::less(self.budget, &a.0, &b.0))?;
        }
        self.out.push('{');
        for (at, (key, value)) in entries.iter().enumerate() {
            if at > 0 {
                self.out.push_str(self.item);
            }
            self.line(depth + 1)?;
            match key {
                Value::Str(s) => self.string(&s.text)?,
                Value::None => self.string("null")?,
                Value::Bool(b) => self.string(if *b { "true" } else { "false" })?,
                Value::Int(i) => self.string(&i.to_string())?,
                Value::Float(x) => self.string(&float(*x))?,
                other => {
                    let name = other.type_name();
                    return type_error(&format!("keys must be str, int, float, bool or None, not {name}"));
                }
            }
            self.out.push_str(self.key);
            self.value(value, depth + 1)?;
        }
        if !entries.is_empty() {
            self.line(depth)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn string(&mut self, text: &str) -> Res<()> {
        self.budget.text(text.len())?;
        quote(&mut self.out, text, self.style.ascii);
        Ok(())
    }
}

/// Writes a quoted string.
pub(crate) fn quote(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if ascii && (c as u32) > 0x7e => {
                for half in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{half:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn float(x: f64) -> String {
    match x {
        x if x.is_nan() => "NaN".into(),
        x if x.is_infinite() => if x > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        x => float_repr(x),
    }
}
