//! The lexer, equivalent to `jinja2.lexer` with `trim_blocks` and `lstrip_blocks`: it decides which whitespace around
//! tags is text.

use std::rc::Rc;

use crate::fault::{Fault, Kind, Res};
use crate::platform;
use crate::repr::quoted;
use crate::unicode::is_space;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Data(Rc<str>),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(Rc<str>),
    Str(Rc<str>),
    Int(i64),
    Float(f64),
    Op(&'static str),
    Eof,
}

/// Operators, longest first.
const OPERATORS: [&str; 25] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",",
];

/// Splits a template into tokens, with their lines.
pub(crate) fn tokenize(source: &str) -> Res<Vec<(u32, Token)>> {
    let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
    if text.ends_with('\n') {
        text.pop();
    }
    let mut lexer = Lexer { text: &text, pos: 0, line: 1, line_starts: true, tokens: Vec::new() };
    lexer.run()?;
    let line = lexer.line;
    let mut tokens = lexer.tokens;
    tokens.push((line, Token::Eof));
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    line: u32,
    /// Whether the last match ended with a line break.
    line_starts: bool,
    tokens: Vec<(u32, Token)>,
}

fn syntax<T>(line: u32, message: impl Into<String>) -> Res<T> {
    Err(Box::new(Fault { kind: Kind::Template, line, message: message.into() }))
}

/// The length of leading whitespace.
fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    /// Advances, counting lines.
    fn advance(&mut self, bytes: usize) {
        let passed = &self.text[self.pos..self.pos + bytes];
        self.line += passed.matches('\n').count() as u32;
        if bytes > 0 {
            self.line_starts = passed.ends_with('\n');
        }
        self.pos += bytes;
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((self.line, token));
    }

    fn data(&mut self, text: &str) {
        if !text.is_empty() {
            self.tokens.push((self.line, Token::Data(text.into())));
        }
    }

    fn run(&mut self) -> Res<()> {
        while self.pos < self.text.len() {
            let rest = self.rest();
            let tag = rest.match_indices('{').find_map(|(at, _)| match rest.as_bytes().get(at + 1) {
                Some(b'{') => Some((at, '{')),
                Some(b'%') => Some((at, '%')),
                Some(b'#') => Some((at, '#')),
                _ => None,
            });
            let Some((at, kind)) = tag else {
                self.data(rest);
                self.advance(rest.len());
                break;
            };
            let text = &rest[..at];
            let sign = rest[at + 2..].chars().next().filter(|c| *c == '-' || *c == '+');
            self.data(self.stripped(text, sign, kind != '{'));
            self.advance(at);
            match kind {
                '{' => self.variable(sign.is_some())?,
                '#' => self.comment(sign.is_some())?,
                _ => match raw_begin(self.rest()) {
                    Some(length) => self.raw(length)?,
                    None => self.block(sign.is_some())?,
                },
            }
        }
        Ok(())
    }

    /// The text before a tag, without the whitespace that the tag removes.
    fn stripped<'t>(&self, text: &'t str, sign: Option<char>, strips: bool) -> &'t str {
        match sign {
            Some('-') => text.trim_end_matches(is_space),
            None if strips => {
                let line = text.rfind('\n').map_or(0, |at| at + 1);
                let blank = line < text.len() && text[line..].chars().all(is_space);
                if blank && (line > 0 || self.line_starts) { &text[..line] } else { text }
            }
            _ => text,
        }
    }

    fn variable(&mut self, signed: bool) -> Res<()> {
        self.push(Token::VariableBegin);
        self.advance(2 + usize::from(signed));
        self.inside(Token::VariableEnd, |rest| {
            if let Some(after) = rest.strip_prefix("-}}") {
                return Some(3 + spaces(after));
            }
            rest.starts_with("}}").then_some(2)
        })
    }

    fn block(&mut self, signed: bool) -> Res<()> {
        self.push(Token::BlockBegin);
        self.advance(2 + usize::from(signed));
        self.inside(Token::BlockEnd, |rest| tag_end(rest, "%}"))
    }

    fn comment(&mut self, signed: bool) -> Res<()> {
        let line = self.line;
        self.advance(2 + usize::from(signed));
        let rest = self.rest();
        let found = rest.char_indices().find_map(|(at, _)| Some(at + tag_end(&rest[at..], "#}")?));
        match found {
            Some(end) => self.advance(end),
            None => return syntax(line, "Missing end of comment tag"),
        }
        Ok(())
    }

    fn raw(&mut self, length: usize) -> Res<()> {
        let line = self.line;
        self.advance(length);
        let rest = self.rest();
        let found = rest.match_indices("{%").find_map(|(at, _)| {
            let after = &rest[at + 2..];
            let sign = after.chars().next().filter(|c| *c == '-' || *c == '+');
            // A sign may also be part of what does not match; there is no name such as `-endraw`.
            let mut inner = &after[usize::from(sign.is_some())..];
            inner = inner.trim_start_matches(is_space).strip_prefix("endraw")?.trim_start_matches(is_space);
            let end = tag_end(inner, "%}")?;
            Some((at, sign, rest.len() - inner.len() + end))
        });
        let Some((at, sign, end)) = found else { return syntax(line, "Missing end of raw directive") };
        self.data(self.stripped(&rest[..at], sign, true));
        self.advance(end);
        Ok(())
    }

    /// Reads tokens up to the end of a tag.
    fn inside(&mut self, end: Token, ends: impl Fn(&str) -> Option<usize>) -> Res<()> {
        let mut open: Vec<char> = Vec::new();
        loop {
            let rest = self.rest();
            if open.is_empty()
                && let Some(length) = ends(rest)
            {
                self.push(end);
                self.advance(length);
                return Ok(());
            }
            let Some(first) = rest.chars().next() else { return Ok(()) };
            let blank = spaces(rest);
            if blank > 0 {
                self.advance(blank);
            } else if first.is_ascii_digit() {
                self.number()?;
            } else if first == '_' || first.is_alphanumeric() {
                self.name()?;
            } else if (first == '"' || first == '\'') && self.string(first)? {
            } else if let Some(op) = OPERATORS.into_iter().chain([";"]).find(|op| rest.starts_with(op)) {
                self.operator(op, &mut open)?;
            } else {
                return syntax(self.line, format!("unexpected char {} at {}", quoted(&first.to_string()), self.pos));
            }
        }
    }

    fn operator(&mut self, op: &'static str, open: &mut Vec<char>) -> Res<()> {
        match op {
            "{" => open.push('}'),
            "(" => open.push(')'),
            "[" => open.push(']'),
            "}" | ")" | "]" => match open.pop() {
                None => return syntax(self.line, format!("unexpected '{op}'")),
                Some(expected) if !op.starts_with(expected) => {
                    return syntax(self.line, format!("unexpected '{op}', expected '{expected}'"));
                }
                Some(_) => {}
            },
            _ => {}
        }
        self.push(Token::Op(op));
        self.advance(op.len());
        Ok(())
    }

    fn name(&mut self) -> Res<()> {
        let rest = self.rest();
        let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        let name: Rc<str> = rest[..length].into();
        self.push(Token::Name(name));
        self.advance(length);
        Ok(())
    }

    fn number(&mut self) -> Res<()> {
        let rest = self.rest();
        let after_dot = self.text[..self.pos].ends_with('.');
        let whole = digits(rest, |c| c.is_ascii_digit());
        let mut end = whole;
        if !after_dot {
            if rest[end..].starts_with('.') {
                let fraction = digits(&rest[end + 1..], |c| c.is_ascii_digit());
                end += if fraction > 0 { 1 + fraction } else { 0 };
            }
            if let Some(power) = rest[end..].strip_prefix(['e', 'E']) {
                let sign = usize::from(power.starts_with(['+', '-']));
                let exponent = digits(&power[sign..], |c| c.is_ascii_digit());
                end += if exponent > 0 { 1 + sign + exponent } else { 0 };
            }
        }
        if end > whole {
            self.push(Token::Float(platform::parse_float(&rest[..end].replace('_', ""))));
            self.advance(end);
            return Ok(());
        }
        let (length, value) = integer(rest, whole);
        match value {
            Some(value) => self.push(Token::Int(value)),
            None => return syntax(self.line, "an integer of more than 63 bits, the limit for chat templates"),
        }
        self.advance(length);
        Ok(())
    }

    /// Reads a string literal; false if it is not terminated.
    fn string(&mut self, quote: char) -> Res<bool> {
        let rest = self.rest();
        let (mut end, mut escaped) = (None, false);
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else { return Ok(false) };
        let text = match unescape(&rest[1..end]) {
            Ok(text) => text,
            Err(message) => return syntax(self.line, message),
        };
        self.push(Token::Str(text.into()));
        self.advance(end + 1);
        Ok(true)
    }
}

/// The end of a block or comment, with the whitespace that it removes.
fn tag_end(rest: &str, end: &str) -> Option<usize> {
    if let Some(after) = rest.strip_prefix('+').and_then(|r| r.strip_prefix(end)) {
        return Some(rest.len() - after.len());
    }
    if let Some(after) = rest.strip_prefix('-').and_then(|r| r.strip_prefix(end)) {
        return Some(rest.len() - after.len() + spaces(after));
    }
    let after = rest.strip_prefix(end)?;
    Some(end.len() + usize::from(after.starts_with('\n')))
}

/// The length of a tag that starts a raw block.
fn raw_begin(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix("{%")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_start_matches(is_space);
    let inner = inner.strip_prefix("raw")?.trim_start_matches(is_space);
    if let Some(after) = inner.strip_prefix("-%}") {
        return Some(rest.len() - after.len() + spaces(after));
    }
    Some(rest.len() - inner.strip_prefix("%}")?.len())
}

/// The length of leading digits, with single underscores between them.
fn digits(text: &str, is: impl Fn(char) -> bool) -> usize {
    let (mut length, mut last) = (0, '_');
    for c in text.chars() {
        if !(is(c) || (c == '_' && last != '_')) {
            break;
        }
        (length, last) = (length + 1, c);
    }
    if last == '_' && length > 0 { length - 1 } else { length }
}

/// A leading integer and its length; `whole` is the length of its decimal digits.
fn integer(rest: &str, whole: usize) -> (usize, Option<i64>) {
    let prefix = rest.get(..2).unwrap_or_default().to_ascii_lowercase();
    let radix = match prefix.as_str() {
        "0b" => 2,
        "0o" => 8,
        "0x" => 16,
        _ => 10,
    };
    if radix != 10 {
        // One underscore may follow the prefix.
        let body = &rest[2..];
        let skipped = usize::from(body.starts_with('_'));
        let length = digits(&body[skipped..], |c| c.is_digit(radix));
        if length > 0 {
            let text = body[skipped..skipped + length].replace('_', "");
            return (2 + skipped + length, i64::from_str_radix(&text, radix).ok());
        }
    }
    // A leading zero stands alone, unless only zeros follow.
    let zeros = digits(rest, |c| c == '0');
    let length = if zeros > 0 { zeros } else { whole };
    (length, rest[..length].replace('_', "").parse().ok())
}

/// Decodes escapes as in Python's string literals.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else { return Err("\\ at end of string".into()) };
        rest = &rest[c.len_utf8()..];
        let (digits, radix) = match c {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => {
                let more = rest.chars().take(2).take_while(|c| c.is_digit(8)).count();
                rest = &text[text.len() - rest.len() - 1..];
                (1 + more, 8)
            }
            _ => {
                match c {
                    '\n' => {}
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'a' => out.push('\x07'),
                    'b' => out.push('\x08'),
                    'f' => out.push('\x0c'),
                    'v' => out.push('\x0b'),
                    '\\' | '\'' | '"' => out.push(c),
                    'N' => return Err("\\N{..} in a string is not supported; write \\u and the number".into()),
                    other => out.extend(['\\', other]),
                }
                continue;
            }
        };
        let number = rest.get(..digits).and_then(|d| u32::from_str_radix(d, radix).ok());
        let number = number.filter(|_| rest.as_bytes()[0] != b'+');
        let Some(number) = number else { return Err(format!("truncated \\{c} escape")) };
        match char::from_u32(number) {
            Some(c) => out.push(c),
            None if number > 0x10_ffff => return Err("illegal Unicode character".into()),
            None => return Err(format!("\\{c}{}: half of a surrogate pair is not supported", &rest[..digits])),
        }
        rest = &rest[digits..];
    }
    out.push_str(rest);
    Ok(out)
}
