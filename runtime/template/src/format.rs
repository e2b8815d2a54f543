//! String formatting: `%` and `str.format`.

use std::iter::Peekable;
use std::str::Chars;

use crate::budget::Budget;
use crate::fault::{Res, fail, type_error};
use crate::html;
use crate::number::{Spec, float_digits, int_digits};
use crate::repr::{repr, to_text};
use crate::value::{Str, Value};

/// A conversion specifier of `%`.
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// `format % args`.
pub(crate) fn percent(budget: &Budget, format: &Str, args: &Value) -> Res<String> {
    let mut out = String::new();
    let mut chars = format.text.chars().peekable();
    let mut rest = match args {
        Value::Tuple(seq) => seq.items.clone(),
        other => vec![other.clone()],
    };
    rest.reverse();
    let mapping = matches!(args, Value::Dict(_));
    let mut named = false;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let key = name(&mut chars)?;
        let mut conversion = Conversion::default();
        while let Some(flag) = chars.next_if(|c| "-+ 0#".contains(*c)) {
            match flag {
                '-' => conversion.left = true,
                '+' => conversion.plus = true,
                ' ' => conversion.space = true,
                '0' => conversion.zero = true,
                _ => conversion.alternate = true,
            }
        }
        if let Some(width) = number(&mut chars, &mut rest)? {
            conversion.left |= width < 0;
            conversion.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        }
        if chars.next_if_eq(&'.').is_some() {
            let precision = number(&mut chars, &mut rest)?.unwrap_or(0).max(0);
            conversion.precision = Some(usize::try_from(precision).unwrap_or(usize::MAX));
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else { return fail("ValueError: incomplete format") };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match key {
            Some(key) => {
                named = true;
                let Value::Dict(dict) = args else { return type_error("format requires a mapping") };
                match dict.get_str(&key) {
                    Some(value) => value.clone(),
                    None => return fail(format!("KeyError: {}", crate::repr::quoted(&key))),
                }
            }
            None => match rest.pop() {
                Some(value) => value,
                None => return type_error("not enough arguments for format string"),
            },
        };
        out.push_str(&conversion.write(budget, kind, &value, format.safe)?);
        budget.text(out.len() / 16)?;
    }
    // Mappings need not be used up.
    let loose = named || mapping || matches!(args, Value::List(_) | Value::Range(_) | Value::Undefined(_));
    if !rest.is_empty() && !loose {
        return type_error("not all arguments converted during string formatting");
    }
    Ok(out)
}

/// The key in parentheses.
fn name(chars: &mut Peekable<Chars>) -> Res<Option<String>> {
    if chars.next_if_eq(&'(').is_none() {
        return Ok(None);
    }
    let (mut key, mut open) = (String::new(), 1);
    for c in chars.by_ref() {
        open += i32::from(c == '(') - i32::from(c == ')');
        if open == 0 {
            return Ok(Some(key));
        }
        key.push(c);
    }
    fail("ValueError: incomplete format key")
}

/// A width or a precision, which may be an argument.
fn number(chars: &mut Peekable<Chars>, rest: &mut Vec<Value>) -> Res<Option<i64>> {
    if chars.next_if_eq(&'*').is_some() {
        return match rest.pop().as_ref().and_then(Value::as_int) {
            Some(i) => Ok(Some(i)),
            None => type_error("* wants int"),
        };
    }
    let mut found = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
        found = Some(found.unwrap_or(0i64).saturating_mul(10).saturating_add(i64::from(digit)));
    }
    Ok(found)
}

impl Conversion {
    fn write(&self, budget: &Budget, kind: char, value: &Value, safe: bool) -> Res<String> {
        match kind {
            's' | 'r' | 'a' => {
                let text = match kind {
                    's' => to_text(budget, value)?,
                    'r' => repr(budget, value)?,
                    _ => ascii(&repr(budget, value)?),
                };
                let marked = matches!(value, Value::Str(s) if s.safe);
                let text = if safe && !marked { html::force(budget, &text)? } else { text };
                let cut: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
                self.pad(budget, "", &cut, false)
            }
            'c' => {
                let c = match value {
                    Value::Str(s) if s.text.chars().count() == 1 => s.text.chars().next(),
                    other => other.as_int().and_then(|i| char::from_u32(u32::try_from(i).ok()?)),
                };
                match c {
                    Some(c) => self.pad(budget, "", &c.to_string(), false),
                    None => type_error("%c requires int or char"),
                }
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let (negative, digits) = match (value, value.as_int()) {
                    (_, Some(i)) => (i < 0, int_digits(i, kind)),
                    (Value::Float(x), _) if "diu".contains(kind) && x.is_finite() => {
                        (*x <= -1.0, format!("{:.0}", x.trunc().abs()))
                    }
                    (other, _) => {
                        let what = if "diu".contains(kind) { "a real number" } else { "an integer" };
                        let name = other.type_name();
                        return type_error(&format!("%{kind} format: {what} is required, not {name}"));
                    }
                };
                let least = self.precision.unwrap_or(0);
                budget.text(least)?;
                let digits = "0".repeat(least.saturating_sub(digits.len())) + &digits;
                let base = if self.alternate && "xXo".contains(kind) { format!("0{kind}") } else { String::new() };
                self.pad(budget, &[self.sign(negative), &base].concat(), &digits, true)
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let x = match (value, value.as_int()) {
                    (Value::Float(x), _) => *x,
                    (_, Some(i)) => i as f64,
                    (other, _) => {
                        return type_error(&format!("must be real number, not {}", other.type_name()));
                    }
                };
                let digits = float_digits(x, kind, self.precision, self.alternate)?;
                let negative = x.is_sign_negative() && !x.is_nan();
                self.pad(budget, self.sign(negative), digits.trim_start_matches('-'), true)
            }
            other => fail(format!("ValueError: unsupported format character '{other}' (0x{:x})", other as u32)),
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn pad(&self, budget: &Budget, prefix: &str, body: &str, number: bool) -> Res<String> {
        let align = if self.left {
            '<'
        } else if self.zero && number {
            '='
        } else {
            '>'
        };
        let fill = Some(if align == '=' { '0' } else { ' ' });
        Spec { width: self.width, fill, align: Some(align), ..Spec::default() }.pad(budget, prefix, body, '>')
    }
}

/// Escapes the output of `repr` like `ascii()`.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c as u32 {
            0..0x80 => out.push(c),
            code @ 0x80..0x100 => out.push_str(&format!("\\x{code:02x}")),
            code @ 0x100..0x10000 => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
}

/// `format(value, spec)`.
pub(crate) fn format_value(budget: &Budget, value: &Value, spec: &str) -> Res<String> {
    if spec.is_empty() {
        return to_text(budget, value);
    }
    match value {
        Value::Str(s) => Spec::parse(spec)?.text(budget, &s.text),
        Value::Int(i) => Spec::parse(spec)?.int(budget, *i),
        Value::Bool(b) => {
            let parsed = Spec::parse(spec)?;
            if parsed.kind.is_none() || parsed.kind == Some('s') {
                // Booleans are formatted as numbers here.
                return Spec { kind: Some('d'), ..parsed }.int(budget, i64::from(*b));
            }
            parsed.int(budget, i64::from(*b))
        }
        Value::Float(x) => Spec::parse(spec)?.float(budget, *x),
        other => type_error(&format!("unsupported format string passed to {}.__format__", other.type_name())),
    }
}

/// A piece of a format string.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// Field, conversion, format specification.
    Field(String, Option<char>, String),
}

/// Parses a format string of `str.format`.
pub(crate) fn pieces(text: &str) -> Res<Vec<Piece>> {
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => plain.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => plain.push('}'),
            '}' => return fail("ValueError: Single '}' encountered in format string"),
            '{' => {
                out.push(Piece::Text(std::mem::take(&mut plain)));
                out.push(field(&mut chars)?);
            }
            c => plain.push(c),
        }
    }
    out.push(Piece::Text(plain));
    Ok(out)
}

fn field(chars: &mut Peekable<Chars>) -> Res<Piece> {
    let mut inner = String::new();
    let mut open = 1;
    for c in chars.by_ref() {
        open += i32::from(c == '{') - i32::from(c == '}');
        if open == 0 {
            break;
        }
        inner.push(c);
    }
    if open > 0 {
        let what = if inner.is_empty() {
            "Single '{' encountered in format string"
        } else {
            "expected '}' before end of string"
        };
        return fail(["ValueError: ", what].concat());
    }
    // Inside brackets, the delimiters of names have no meaning.
    let mut bracket = false;
    let end = inner.find(|c| {
        bracket = c == '[' || bracket && c != ']';
        !bracket && (c == ':' || c == '!')
    });
    let Some(end) = end else { return Ok(Piece::Field(inner, None, String::new())) };
    let (name, rest) = (inner[..end].to_string(), &inner[end..]);
    if let Some(spec) = rest.strip_prefix(':') {
        return Ok(Piece::Field(name, None, spec.to_string()));
    }
    let mut rest = rest[1..].chars();
    let conversion = rest.next();
    match (conversion, rest.next()) {
        (Some('r' | 's' | 'a'), None | Some(':')) => Ok(Piece::Field(name, conversion, rest.collect())),
        _ => fail("ValueError: expected ':' after conversion specifier, or an unknown conversion"),
    }
}

/// Applies a conversion such as `!r`.
pub(crate) fn convert(budget: &Budget, value: Value, conversion: Option<char>) -> Res<Value> {
    Ok(match conversion {
        None => value,
        Some('r') => Value::str(repr(budget, &value)?),
        Some('a') => Value::str(ascii(&repr(budget, &value)?)),
        Some(_) => Value::str(to_text(budget, &value)?),
    })
}
