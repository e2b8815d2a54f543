//! Small integer expressions of symbols.
//!
//! Grammar: sums and products of integers, symbol names, `ceil_div(a, b)`, `floor_div(a, b)`, `max(a, b)`, `min(a, b)`
//! and parentheses, with `+`, `-` (also in front) and `*`. Arithmetic is checked; a result must not be negative.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest accepted text, in bytes. Real expressions stay below a hundred.
pub const MAX_TEXT: usize = 1000;
/// Deepest accepted nesting.
const MAX_DEPTH: u32 = 32;

/// An integer expression over declared symbols, as text: `4*B*T*(P + T)`, `ceil_div(B*T, 64)`, `max(T, 16)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub String);

impl Size {
    /// An expression that is always `value`.
    pub fn constant(value: u64) -> Self {
        Size(value.to_string())
    }

    /// Parses the text; names must occur in `symbols`, whose order is the order of the values given to
    /// [`Expr::eval`].
    pub fn parse<S: AsRef<str>>(&self, symbols: &[S]) -> Result<Expr, SizeError> {
        let lookup = |name: &str| symbols.iter().position(|s| s.as_ref() == name);
        Parser::new(&self.0, &lookup)?.finish().map_err(|what| self.error(what))
    }

    /// The value under `symbols`, by name. Parses anew on each call: use [`Size::parse`] where it is evaluated often.
    pub fn eval(&self, symbols: &BTreeMap<String, u32>) -> Result<u64, SizeError> {
        let names: Vec<&String> = symbols.keys().collect();
        let values: Vec<u32> = symbols.values().copied().collect();
        self.parse(&names)?.eval(&values)
    }

    fn error(&self, what: String) -> SizeError {
        SizeError { text: shown(&self.0), what }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a size expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("size `{text}`: {what}")]
pub struct SizeError {
    /// The expression, shortened if it is long.
    pub text: String,
    /// The fault.
    pub what: String,
}

/// The text for messages; hostile files hold long ones.
fn shown(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_string(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Int(i64),
    Symbol(u32),
    Neg,
    Add,
    Sub,
    Mul,
    CeilDiv,
    FloorDiv,
    Max,
    Min,
}

/// A parsed [`Size`], in postfix order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    text: String,
    ops: Vec<Op>,
}

impl Expr {
    /// The value when the symbols (in the order given to [`Size::parse`]) have these values. An error names the
    /// expression: overflow, division by zero, negative result, too few values.
    pub fn eval(&self, values: &[u32]) -> Result<u64, SizeError> {
        let fail = |what: &str| SizeError { text: shown(&self.text), what: what.to_string() };
        let mut stack: Vec<i64> = Vec::with_capacity(8);
        for op in &self.ops {
            let value = match op {
                Op::Int(v) => Some(*v),
                Op::Symbol(i) => {
                    Some(i64::from(*values.get(*i as usize).ok_or_else(|| fail("a symbol has no value"))?))
                }
                Op::Neg => stack.pop().and_then(i64::checked_neg),
                _ => {
                    let (Some(b), Some(a)) = (stack.pop(), stack.pop()) else { return Err(fail("is malformed")) };
                    match op {
                        Op::Add => a.checked_add(b),
                        Op::Sub => a.checked_sub(b),
                        Op::Mul => a.checked_mul(b),
                        Op::Max => Some(a.max(b)),
                        Op::Min => Some(a.min(b)),
                        _ if b <= 0 || a < 0 => return Err(fail("divides by zero or with a negative operand")),
                        Op::FloorDiv => Some(a / b),
                        _ => a.checked_add(b - 1).map(|n| n / b),
                    }
                }
            };
            stack.push(value.ok_or_else(|| fail("overflows"))?);
        }
        match stack.as_slice() {
            [v] => u64::try_from(*v).map_err(|_| fail("is negative here")),
            _ => Err(fail("is malformed")),
        }
    }

    /// Whether the symbol with this index occurs.
    pub fn uses(&self, symbol: usize) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Symbol(i) if *i as usize == symbol))
    }

    /// The index of the symbol, if the expression is nothing but that symbol.
    pub fn as_symbol(&self) -> Option<usize> {
        match self.ops.as_slice() {
            [Op::Symbol(i)] => Some(*i as usize),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Int(i64),
    Name(&'a str),
    Mark(char),
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    lookup: &'a dyn Fn(&str) -> Option<usize>,
    ops: Vec<Op>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, lookup: &'a dyn Fn(&str) -> Option<usize>) -> Result<Self, SizeError> {
        let fail = |what: String| SizeError { text: shown(text), what };
        if text.len() > MAX_TEXT {
            return Err(fail(format!("is longer than {MAX_TEXT} bytes")));
        }
        Ok(Parser { text, tokens: tokens(text).map_err(fail)?, at: 0, lookup, ops: Vec::new() })
    }

    fn finish(mut self) -> Result<Expr, String> {
        self.sum(0)?;
        match self.tokens.get(self.at) {
            None => Ok(Expr { text: self.text.to_string(), ops: self.ops }),
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

    fn sum(&mut self, depth: u32) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH}"));
        }
        let negative = self.eat('-');
        self.product(depth)?;
        if negative {
            self.ops.push(Op::Neg);
        }
        loop {
            let op = match (self.eat('+'), self.eat('-')) {
                (true, false) => Op::Add,
                (false, true) => Op::Sub,
                (false, false) => return Ok(()),
                (true, true) => return Err("expected a value after `+`, found `-`".to_string()),
            };
            self.product(depth)?;
            self.ops.push(op);
        }
    }

    fn product(&mut self, depth: u32) -> Result<(), String> {
        self.value(depth)?;
        while self.eat('*') {
            self.value(depth)?;
            self.ops.push(Op::Mul);
        }
        Ok(())
    }

    fn value(&mut self, depth: u32) -> Result<(), String> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        match token {
            Some(Token::Int(v)) => self.ops.push(Op::Int(v)),
            Some(Token::Mark('(')) => {
                self.sum(depth + 1)?;
                self.expect(')')?;
            }
            Some(Token::Name(name)) => match self.function(name) {
                Some(op) => {
                    self.expect('(')?;
                    self.sum(depth + 1)?;
                    self.expect(',')?;
                    self.sum(depth + 1)?;
                    self.expect(')')?;
                    self.ops.push(op);
                }
                None => {
                    let index = (self.lookup)(name).ok_or_else(|| format!("`{name}` is not a declared symbol"))?;
                    self.ops.push(Op::Symbol(index as u32));
                }
            },
            other => return Err(format!("expected a value, found {}", show(other.as_ref()))),
        }
        Ok(())
    }

    /// A name is a function only in front of a parenthesis, so that a symbol may be called `max`.
    fn function(&self, name: &str) -> Option<Op> {
        if self.tokens.get(self.at) != Some(&Token::Mark('(')) {
            return None;
        }
        match name {
            "ceil_div" => Some(Op::CeilDiv),
            "floor_div" => Some(Op::FloorDiv),
            "max" => Some(Op::Max),
            "min" => Some(Op::Min),
            _ => None,
        }
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
                let value = text[at..at + len].parse().map_err(|_| "holds a number beyond 64 bits".to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eval(text: &str) -> Result<u64, SizeError> {
        let symbols = [("B", 2), ("P", 5), ("T", 7)].map(|(k, v)| (k.to_string(), v));
        Size(text.to_string()).eval(&symbols.into_iter().collect())
    }

    #[test]
    fn values() {
        for (text, value) in [
            ("4*B*T*(P + T)", 4 * 2 * 7 * 12),
            ("ceil_div(B*T, 4)", 4),
            ("floor_div(B*T, 4)", 3),
            ("max(T, 16)", 16),
            ("min(T, 16) - 1", 6),
            ("-P + T", 2),
            ("-(P - T)*3", 6),
            ("0", 0),
            ("T - P - 1", 1),
        ] {
            assert_eq!(eval(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn faults() {
        for (text, what) in [
            ("", "expected a value, found the end"),
            ("B +", "expected a value, found the end"),
            ("B T", "expected an operator or the end, found `T`"),
            ("Q", "`Q` is not a declared symbol"),
            ("max(B)", "expected `,`, found `)`"),
            ("B / 2", "unexpected character at byte 2"),
            ("P - T", "is negative here"),
            ("ceil_div(T, B - 2)", "divides by zero or with a negative operand"),
            ("9223372036854775807*B", "overflows"),
            ("99999999999999999999", "holds a number beyond 64 bits"),
        ] {
            assert_eq!(eval(text).unwrap_err().what, what, "{text}");
        }
        let deep = format!("{}B{}", "(".repeat(100), ")".repeat(100));
        assert!(eval(&deep).unwrap_err().what.contains("nested deeper"));
        assert!(eval(&"1+".repeat(600)).unwrap_err().what.contains("longer than"));
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "[-BPTxcm0-9a-z_+*(), é]{0,60}") {
            let _ = eval(&text);
        }
    }
}
