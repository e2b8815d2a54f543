//! Reads other RON files, such as target profiles: records of named fields, with diagnostics of the same form.

use std::iter::Peekable;

use serde::de::DeserializeOwned;

use super::diagnostics::{Diagnostic, Diagnostics, Sources};
use super::file::read;

/// Reads a file; `name` is its name in diagnostics.
///
/// # Errors
/// If the RON is invalid or has another form: the place, and the nearest name for an unknown one.
pub fn read_record<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Diagnostics> {
    read(&Sources::default(), name, text).map_err(|d| Diagnostics(vec![*d]))
}

/// A problem with the value of a field of a file that [`read_record`] has read. The field is a path:
/// `schedule.matvec.rows`. If it is not in the file, because it has a default, the place is the innermost field around
/// it that is.
pub fn at_field(name: &str, text: &str, field: &str, message: String, hint: Option<String>) -> Diagnostic {
    let mut sources = Sources::default();
    sources.add(name, text);
    let whole = || Tokens { text, at: 0 }.next().map_or("", |(_, first)| first);
    Diagnostic { hint, ..sources.diagnostic(value(text, field).unwrap_or_else(whole), message) }
}

/// The text of the value of a field, or of the innermost field around it in the file. For a record, it is the
/// parenthesis.
fn value<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    let mut parts = field.split('.').peekable();
    let mut tokens = Tokens { text, at: 0 }.peekable();
    // How deep the next part stands, and how deep we are.
    let (mut wanted, mut depth) = (1, 0);
    let mut found = None;
    while let Some((_, token)) = tokens.next() {
        match token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth -= 1;
                if depth < wanted {
                    // The record that could have the next part has ended.
                    break;
                }
            }
            name if depth == wanted
                && parts.peek() == Some(&name)
                && tokens.next_if(|(_, token)| *token == ":").is_some() =>
            {
                found = leaf(text, &mut tokens);
                parts.next();
                if parts.peek().is_none() {
                    break;
                }
                wanted += 1;
            }
            _ => {}
        }
    }
    found
}

/// What stands in front of the next comma or end; of a record, its begin.
fn leaf<'a>(text: &'a str, tokens: &mut Peekable<Tokens<'a>>) -> Option<&'a str> {
    let (start, first) = *tokens.peek()?;
    if matches!(first, "(" | "[" | "{") {
        return Some(first);
    }
    let mut end = start;
    while let Some((at, token)) = tokens.next_if(|(_, token)| !matches!(*token, "," | ")" | "]" | "}")) {
        end = at + token.len();
    }
    Some(&text[start..end])
}

/// Words, strings and punctuation with their offsets, without comments.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, rest) = (self.at, &self.text[self.at..]);
            let first = rest.chars().next()?;
            let is_comment = rest.starts_with("//") || rest.starts_with("/*");
            let length = match first {
                _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                _ if rest.starts_with("/*") => block_comment(rest),
                '"' => string(rest),
                'r' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
                c if is_of_word(c) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            self.at += length;
            if !is_comment && !first.is_whitespace() {
                return Some((at, &rest[..length]));
            }
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a comment that may have others in it.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        match text.get(at..at + 2) {
            Some("/*") => depth += 1,
            Some("*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a string with escapes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// The length of a string such as `r#"..."#`, if one begins here.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|b| *b == b'#').count();
    let content = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = text.len() - content.len();
    Some(content.find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "P(\n    // rows: 1, a: (rows: 2)\n    note: \"b: (rows: 7)\",\n    a: (columns: 2, rows: -3.5),\n    \
                    /* b: /* */ */ raw: r#\"b: (\"#,\n    b: (rows: 44, deep: (rows: 5)),\n    last: [1, 2],\n)";
        let place = |field: &str| {
            let found = at_field("p.ron", text, field, "m".into(), None);
            (found.line, found.column, found.width)
        };
        assert_eq!(place("a.rows"), (4, 27, 4));
        assert_eq!(place("b.rows"), (6, 15, 2));
        assert_eq!(place("b.deep.rows"), (6, 32, 1));
        assert_eq!(place("note"), (3, 11, 14));
        assert_eq!(place("a"), (4, 8, 1));
        assert_eq!(place("last"), (7, 11, 1));
        assert_eq!(place("a.deep"), (4, 8, 1), "a record without it, though another one has such a field");
        assert_eq!(place("c"), (1, 1, 1), "the begin of a file that does not have it");
    }

    #[test]
    fn texts_that_end_early_end_the_search() {
        for text in ["", "P(a: \"", "P(a: \"\\", "P(/*", "P(/* / *", "P(a: r##\"\"#", "P(a:", ")", "P(ä: \"ö\", a: é"]
        {
            let found = at_field("p.ron", text, "a.b", "m".into(), None);
            assert_eq!(found.message, "m", "{text}");
        }
    }

    #[test]
    fn unknown_names_come_with_the_nearest() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct P {
            #[serde(rename = "columns")]
            _columns: u32,
        }
        let error = read_record::<P>("p.ron", "P(\n    colums: 2,\n)").unwrap_err();
        let found = &error.0[0];
        let expected = ("p.ron", 2, Some("did you mean `columns`?"));
        assert_eq!((found.file.as_str(), found.line, found.hint.as_deref()), expected);
    }
}
