//! JSON as Python reads it, with some extensions: the JSON files of model directories are written by Python, edited by
//! hand, or saved by editors that add a byte order mark.
//!
//! Accepts, besides JSON: `NaN`, `Infinity` and `-Infinity`, numbers beyond the range of floats (Python turns them into
//! infinities), a byte order mark, and comments (`// ..` and `/* .. */`). If a key occurs twice, the last value counts.
//! Everything else is rejected, as by Python, trailing commas included.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::files::MAX_BYTES;
use crate::error::CompileError;

/// The key of the object that stands for a number that JSON does not have; its value is the number's name. transformers
/// 5 uses the same form (`PreTrainedConfig._encode_special_floats`).
pub(crate) use gristmill_graph::text::FLOAT_TAG;

/// Names of numbers that JSON does not have, longest first.
const NAMES: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The content of a JSON file; `None` if it does not exist.
///
/// # Errors
/// If it cannot be read, or is not JSON; then with line and column.
pub fn read(path: &Path) -> Result<Option<Value>, CompileError> {
    let bytes = match gristmill_bundle::files::read(path, MAX_BYTES) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| CompileError::io(path, &e))?,
    };
    parse(&bytes).map(Some).map_err(|fault| CompileError::Config(format!("{}{fault}", path.display())))
}

/// Parses `bytes`.
///
/// # Errors
/// What is wrong, in a form to append to the file name: `:3:14: expected value`.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = decoded(bytes)?;
    // By way of a `Value`, which accepts duplicate keys.
    let plain = plain(text, Infinite::Tag);
    let value = serde_json::from_str::<Value>(&plain).map_err(|e| {
        // Parsed again with the positions of the original text.
        let at = serde_json::from_str::<Value>(&self::plain(text, Infinite::Zero)).err().unwrap_or(e);
        format!(":{}:{}: {}", at.line(), at.column(), message(&at))
    })?;
    serde_json::from_value(value).map_err(|e| format!(": {e}"))
}

/// The same content as strict JSON.
///
/// # Errors
/// See [`parse`].
pub(crate) fn standard(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    parse::<Value>(&bytes)?;
    Ok(match plain(decoded(&bytes)?, Infinite::Tag) {
        Cow::Borrowed(text) if text.len() == bytes.len() => bytes,
        other => other.into_owned().into_bytes(),
    })
}

/// The text without its byte order mark.
fn decoded(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        format!(":{line}:{column}: not UTF-8, as JSON files must be")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The parser's message without its position, which the caller prepends.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_string())
}

/// The replacement for an infinite number.
#[derive(Clone, Copy, PartialEq)]
enum Infinite {
    /// An object that names it.
    Tag,
    /// A zero of the same length.
    Zero,
}

/// The same content as strict JSON: comments become blanks, and infinite numbers become what `infinite` says. Text that
/// is not JSON is left unchanged.
fn plain(text: &str, infinite: Infinite) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let (length, other) = match rest.as_bytes()[0] {
            b'"' => (string(rest), None),
            b'/' => comment(rest).map_or((1, None), |length| (length, Some(blanks(&rest[..length])))),
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                let length = word(rest);
                (length, special(&rest[..length]).map(|name| replaced(name, length, infinite)))
            }
            byte => (if byte < 0x80 { 1 } else { rest.chars().next().map_or(1, char::len_utf8) }, None),
        };
        if let Some(other) = other {
            out.push_str(&text[copied..at]);
            out.push_str(&other);
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The length in bytes of the string at the start of `text`; all of `text` if the string does not end.
fn string(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length in bytes of the comment at the start of `text`; `None` if there is none, or if it does not end.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find(['\n', '\r']).unwrap_or(text.len()));
    }
    text.strip_prefix("/*")?.find("*/").map(|end| end + 4)
}

/// The same number of blanks and line breaks.
fn blanks(text: &str) -> String {
    text.bytes().map(|b| if b == b'\n' || b == b'\r' { char::from(b) } else { ' ' }).collect()
}

/// The length in bytes of the number or word at the start of `text`.
fn word(text: &str) -> usize {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
    text.find(|c| !inside(c)).unwrap_or(text.len())
}

/// The name of a number that JSON does not have.
fn special(word: &str) -> Option<&'static str> {
    if let Some(name) = NAMES.iter().find(|name| **name == word) {
        return Some(name);
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    // Shorter numbers need no second parse.
    let large = digits.len() > 300 || digits.bytes().any(|b| b == b'e' || b == b'E');
    if !large || !digits.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    // Invalid JSON is left for the parser to reject.
    let valid = serde_json::from_str::<serde::de::IgnoredAny>(word);
    let infinite = valid.is_ok() && word.parse::<f64>().is_ok_and(f64::is_infinite);
    infinite.then_some(if digits.len() < word.len() { NAMES[0] } else { NAMES[1] })
}

fn replaced(name: &str, length: usize, infinite: Infinite) -> String {
    let mut text = String::new();
    match infinite {
        Infinite::Tag => {
            let _ = write!(text, "{{\"{FLOAT_TAG}\": \"{name}\"}}");
        }
        Infinite::Zero => {
            let _ = write!(text, "{:0<length$}", "0e0");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse(text.as_bytes()).unwrap()
    }

    fn fault(text: &str) -> String {
        parse::<Value>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn numbers_that_json_does_not_have_are_named() {
        let read = value(
            r#"{"a": [0.0, Infinity], "b": -Infinity,"c":NaN, "d": "Infinity, NaN // no", "e": 1e999, "f": -1E400}"#,
        );
        let tag = |name: &str| json!({FLOAT_TAG: name});
        assert_eq!(read["a"], json!([0.0, tag("Infinity")]));
        assert_eq!((&read["b"], &read["c"]), (&tag("-Infinity"), &tag("NaN")));
        assert_eq!(read["d"], "Infinity, NaN // no");
        assert_eq!((&read["e"], &read["f"]), (&tag("Infinity"), &tag("-Infinity")));
        // The form that transformers 5 writes.
        assert_eq!(value(r#"{"a": {"__float__": "Infinity"}}"#)["a"], tag("Infinity"));
        assert_eq!(value("1000000000000000019884624838656").as_f64(), Some(1e30));
        assert_eq!(value(&format!("1{}", "0".repeat(400))), tag("Infinity"));
    }

    #[test]
    fn marks_comments_and_repeated_keys_are_read() {
        let text = "\u{feff}{ // one\r\n \"a\": 1, /* \"a\": 2,\n ü */ \"b\": \"// \\\" /* */\", \"a\": 3} // end";
        assert_eq!(value(text), json!({"a": 3, "b": "// \" /* */"}));
        assert_eq!(parse::<std::collections::BTreeMap<String, u32>>(br#"{"a": 1, "a": 2}"#).unwrap()["a"], 2);
    }

    #[test]
    fn what_python_refuses_is_refused_with_its_place() {
        assert_eq!(fault("{\"a\": 1,\n}"), ":2:1: trailing comma");
        assert_eq!(fault("{\"a\": [Infinity, NaN, /* x */ 1,]}"), ":1:33: trailing comma");
        assert_eq!(fault(""), ":1:0: EOF while parsing a value");
        assert_eq!(fault("{'a': 1}"), ":1:2: key must be a string");
        for wrong in
            ["{\"a\": inf}", "infinity", "+Infinity", "01e999", "1e", "Infinityx", "/* {}", "{} / {}", "{} {}", "\"a"]
        {
            assert!(parse::<Value>(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let latin = b"{\n \"a\": \"\xfc\"}";
        assert_eq!(parse::<Value>(latin).unwrap_err(), ":2:8: not UTF-8, as JSON files must be");
        assert!(fault(&"[".repeat(100_000)).contains("recursion limit exceeded"));
    }

    #[test]
    fn what_a_bundle_carries_is_json_for_everybody() {
        let kept = b"{\"b\": 1000000000000000019884624838656, \"a\": 1}\n".to_vec();
        assert_eq!(standard(kept.clone()).unwrap(), kept);
        let marked = "\u{feff}{\"a\": NaN /* none */}".as_bytes().to_vec();
        let plain = String::from_utf8(standard(marked).unwrap()).unwrap();
        assert_eq!(plain, "{\"a\": {\"__float__\": \"NaN\"}           }");
        assert!(standard(b"{,}".to_vec()).is_err());
    }
}
