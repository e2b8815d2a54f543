//! Filters of single values.

use crate::fault::{Res, fail, type_error};
use crate::number::parse_float;
use crate::platform;
use crate::value::{Args, Value};

/// Whether Python's `reversed(value)` works.
pub(super) fn reversible(value: &Value) -> bool {
    matches!(
        value,
        Value::Undefined(_)
            | Value::Str(_)
            | Value::List(_)
            | Value::Tuple(_)
            | Value::Dict(_)
            | Value::View(..)
            | Value::Range(_)
    )
}

/// `float(value)`.
pub(super) fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(x) => Some(*x),
        Value::Str(s) => parse_float(&s.text),
        other => other.as_int().map(|i| i as f64),
    }
}

pub(super) fn round(value: &Value, args: Args) -> Res<Value> {
    let mut args = args.bind("round", &["precision", "method"])?;
    let precision = args.int(0, 0)?.clamp(-400, 400) as i32;
    let method = match args.take(1) {
        None => "common".into(),
        Some(Value::Str(s)) => s.text,
        Some(_) => "".into(),
    };
    let (x, int) = match (value, value.as_int()) {
        (_, Some(i)) => (i as f64, Some(i)),
        (Value::Float(x), _) => (*x, None),
        (other, _) => {
            return type_error(&format!("type {} doesn't define __round__ method", other.type_name()));
        }
    };
    match (&*method, int) {
        ("common", Some(i)) if precision >= 0 => Ok(Value::Int(i)),
        ("common", Some(i)) => {
            let Some(unit) = 10i64.checked_pow(precision.unsigned_abs()) else { return Ok(Value::Int(0)) };
            let (down, rest) = (i.div_euclid(unit), i.rem_euclid(unit));
            // Halves are rounded to even.
            let up = rest * 2 > unit || rest * 2 == unit && down % 2 != 0;
            Ok(Value::Int((down + i64::from(up)) * unit))
        }
        ("common", None) if !x.is_finite() => Ok(value.clone()),
        ("common", None) if precision >= 0 => {
            let text = format!("{x:.*}", precision as usize);
            Ok(Value::Float(platform::parse_float(&text)))
        }
        ("common", None) => {
            let unit = 10f64.powi(-precision);
            Ok(Value::Float((x / unit).round_ties_even() * unit))
        }
        ("ceil" | "floor", _) => {
            let scaled = if precision >= 0 { x * 10f64.powi(precision) } else { x / 10f64.powi(-precision) };
            let whole = if *method == *"ceil" { scaled.ceil() } else { scaled.floor() };
            if !whole.is_finite() {
                return fail("OverflowError: cannot convert float infinity to integer");
            }
            Ok(Value::Float(if precision >= 0 {
                whole / 10f64.powi(precision)
            } else {
                whole * 10f64.powi(-precision)
            }))
        }
        _ => fail("method must be common, ceil or floor"),
    }
}

pub(super) fn file_size(bytes: f64, binary: bool) -> String {
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let units: [&str; 8] = match binary {
        true => ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        false => ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"],
    };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc() as i64);
    }
    let mut unit = base;
    for (at, name) in units.iter().enumerate() {
        unit *= base;
        if bytes < unit || at == units.len() - 1 {
            return format!("{:.1} {name}", base * bytes / unit);
        }
    }
    String::new()
}

/// Title case: words start after whitespace, hyphens and opening brackets.
pub(super) fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let begins = |c: char| crate::unicode::is_space(c) || "-({[<".contains(c);
    let mut rest = s;
    while let Some(first) = rest.chars().next() {
        let is_gap = begins(first);
        let end = rest.find(|c| begins(c) != is_gap).unwrap_or(rest.len());
        let word = &rest[..end];
        let (head, tail) = word.split_at(first.len_utf8());
        out.push_str(&platform::upper(head));
        out.push_str(&platform::lower(tail));
        rest = &rest[end..];
    }
    out
}

/// Percent-encodes a string. In queries, spaces become plus signs and slashes are encoded.
pub(super) fn quote(text: &str, query: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(byte as char),
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
