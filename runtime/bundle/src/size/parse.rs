//! Sizes as text.
//!
//! Grammar: sums and products of integers, symbol names, `ceil_div(a, b)`, `floor_div(a, b)`, `max(a, b, ..)`,
//! `min(a, b, ..)` and parentheses, with `+`, `-` (also in front) and `*`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tree::{Size, SizeError, SizeOp};

/// Longest accepted text, in bytes. Real expressions stay below two hundred.
pub const MAX_TEXT: usize = 1000;
/// Deepest accepted nesting.
const MAX_DEPTH: u32 = 32;

impl FromStr for Size {
    type Err = SizeError;

    // Deserialization of every field that is a size comes here; in a page, bytes count.
    #[inline(never)]
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let read = || -> Result<Size, String> {
            if text.len() > MAX_TEXT {
                return Err(format!("is longer than {MAX_TEXT} bytes"));
            }
            Parser { tokens: tokens(text)?, at: 0 }.whole()
        };
        read().map_err(|what| SizeError::new(text, &what))
    }
}

impl Serialize for Size {
    /// Fails where a reader would reject the text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        text.parse::<Size>().map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Int(u64),
    Name(&'a str),
    Mark(char),
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Result<Size, String> {
        let size = self.sum(0)?;
        match self.tokens.get(self.at) {
            None => Ok(size),
            Some(t) => Err(format!("expected an operator or the end, found {}", show(Some(t)))),
        }
    }

    fn eat(&mut self, mark: char) -> bool {
        let hit = self.tokens.get(self.at) == Some(&Token::Mark(mark));
        self.at += usize::from(hit);
        hit
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        let found = self.tokens.get(self.at).copied();
        if self.eat(mark) { Ok(()) } else { Err(format!("expected `{mark}`, found {}", show(found.as_ref()))) }
    }

    fn sum(&mut self, depth: u32) -> Result<Size, String> {
        if depth > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH}"));
        }
        let negative = self.eat('-');
        let mut sum = self.product(depth)?;
        if negative {
            sum = Size::of(SizeOp::Sub, Size::Int(0), sum);
        }
        loop {
            let op = match (self.eat('+'), self.eat('-')) {
                (true, false) => SizeOp::Add,
                (false, true) => SizeOp::Sub,
                (false, false) => return Ok(sum),
                (true, true) => return Err("expected a value after `+`, found `-`".to_string()),
            };
            sum = Size::of(op, sum, self.product(depth)?);
        }
    }

    fn product(&mut self, depth: u32) -> Result<Size, String> {
        let mut product = self.value(depth)?;
        while self.eat('*') {
            product = Size::of(SizeOp::Mul, product, self.value(depth)?);
        }
        Ok(product)
    }

    fn value(&mut self, depth: u32) -> Result<Size, String> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        match token {
            Some(Token::Int(v)) => Ok(Size::Int(v)),
            Some(Token::Mark('(')) => {
                let inner = self.sum(depth + 1)?;
                self.expect(')').map(|()| inner)
            }
            Some(Token::Name(name)) => match self.function(name) {
                Some(op) => self.operands(op, depth),
                None => Ok(Size::symbol(name)),
            },
            other => Err(format!("expected a value, found {}", show(other.as_ref()))),
        }
    }

    fn operands(&mut self, op: SizeOp, depth: u32) -> Result<Size, String> {
        self.expect('(')?;
        let first = self.sum(depth + 1)?;
        self.expect(',')?;
        let mut size = Size::of(op, first, self.sum(depth + 1)?);
        while op.is_list() && self.eat(',') {
            size = Size::of(op, size, self.sum(depth + 1)?);
        }
        self.expect(')').map(|()| size)
    }

    /// A name is a function only in front of a parenthesis, so that a symbol may be called `max`.
    fn function(&self, name: &str) -> Option<SizeOp> {
        let called = self.tokens.get(self.at) == Some(&Token::Mark('('));
        SizeOp::FUNCTIONS.iter().find(|(function, _)| called && *function == name).map(|(_, op)| *op)
    }
}

fn show(token: Option<&Token<'_>>) -> String {
    match token {
        None => "the end".to_string(),
        Some(Token::Int(v)) => format!("`{v}`"),
        Some(Token::Name(n)) => format!("`{n}`"),
        Some(Token::Mark(c)) => format!("`{c}`"),
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let run = |keep: fn(&u8) -> bool| bytes[at..].iter().take_while(|b| keep(b)).count();
        match b {
            b' ' => at += 1,
            b'0'..=b'9' => {
                let len = run(u8::is_ascii_digit);
                let value =
                    text[at..at + len].parse().map_err(|_| "contains a number of more than 64 bits".to_string())?;
                out.push(Token::Int(value));
                at += len;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let len = run(|b| b.is_ascii_alphanumeric() || *b == b'_');
                out.push(Token::Name(&text[at..at + len]));
                at += len;
            }
            b'+' | b'-' | b'*' | b'(' | b')' | b',' => {
                out.push(Token::Mark(char::from(b)));
                at += 1;
            }
            _ => return Err(format!("unexpected character at byte {at}")),
        }
    }
    Ok(out)
}
