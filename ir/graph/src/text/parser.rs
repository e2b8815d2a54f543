//! From the text of a formula to its tree, by recursive descent.
//!
//! Loosest to tightest: `if`, `??`, `or`, `and`, `not`, comparisons and `in`, `+ -`, `* / // %`, sign, `^`,
//! then `.field`, `[index]` and calls.

use super::expr::{Annotation, Argument, Assignment, Expr, Item, Kind, Operator, Param, Signature};
use super::lexer::{FormulaError, Tok, Token, tokens};
use crate::scalar::Binary;

/// Words that cannot be names.
pub(super) const KEYWORDS: [&str; 10] = ["if", "then", "else", "and", "or", "not", "in", "true", "false", "null"];

const MAX_DEPTH: usize = 40;

type Parsed<'a, T> = Result<T, FormulaError<'a>>;

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
}

/// Reads one formula.
pub(super) fn expression(source: &str) -> Parsed<'_, Expr<'_>> {
    let mut p = Parser::new(source)?;
    let value = p.expr()?;
    p.end()?;
    Ok(value)
}

/// Reads a list of formulas with commas between, such as a shape.
pub(super) fn list(source: &str) -> Parsed<'_, Vec<Expr<'_>>> {
    let mut p = Parser::new(source)?;
    let mut all = Vec::new();
    while p.peek().tok != Tok::End {
        all.push(p.expr()?);
        if !p.accept(",") {
            break;
        }
    }
    p.end()?;
    Ok(all)
}

/// Reads `name = formula :: role, precision`.
pub(super) fn assignment(source: &str) -> Parsed<'_, Assignment<'_>> {
    let mut p = Parser::new(source)?;
    let name = p.name("a name to give the value")?;
    p.expect("=", "`name = formula`")?;
    let value = p.expr()?;
    let annotation = p.annotation()?;
    Ok(Assignment { name, value, annotation })
}

/// Reads `formula :: role, precision`.
pub(super) fn annotated(source: &str) -> Parsed<'_, (Expr<'_>, Annotation<'_>)> {
    let mut p = Parser::new(source)?;
    let value = p.expr()?;
    let annotation = p.annotation()?;
    Ok((value, annotation))
}

/// Reads the signature of a block.
pub(super) fn signature(source: &str) -> Parsed<'_, Signature<'_>> {
    let mut p = Parser::new(source)?;
    let name = p.name("the name of the block")?;
    p.expect("(", "the parameters in brackets")?;
    let mut params: Vec<Param<'_>> = Vec::new();
    while !p.accept(")") {
        let param = p.name("a parameter")?;
        if params.iter().any(|q| q.name == param) {
            return Err(FormulaError::new(param, format!("the parameter `{param}` is defined twice")));
        }
        let optional = p.accept("?");
        let default = if p.accept(":") { Some(p.expr()?) } else { None };
        params.push(Param { name: param, optional, default });
        if !p.accept(",") {
            p.expect(")", "`,` or `)`")?;
            break;
        }
    }
    p.end()?;
    Ok(Signature { name, params })
}

/// A text with `{formula}` in it: literal parts and formulas, in order.
pub(super) fn template(source: &str) -> Parsed<'_, Vec<Result<&str, Expr<'_>>>> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else {
            return Err(FormulaError::new(&rest[open..], "this `{` has no `}`"));
        };
        parts.push(Ok(&rest[..open]));
        parts.push(Err(expression(&rest[open + 1..open + close])?));
        rest = &rest[open + close + 1..];
    }
    parts.push(Ok(rest));
    Ok(parts)
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Parsed<'a, Self> {
        Ok(Self { source, tokens: tokens(source)?, at: 0, depth: 0 })
    }

    fn peek(&self) -> Token<'a> {
        self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek().tok, Tok::Sign(s) if s == sign)
    }

    fn accept(&mut self, sign: &str) -> bool {
        let yes = self.is(sign);
        self.at += usize::from(yes);
        yes
    }

    fn is_word(&self, word: &str) -> bool {
        let t = self.peek();
        t.tok == Tok::Name && t.text == word
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let yes = self.is_word(word);
        self.at += usize::from(yes);
        yes
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<'a, T> {
        let token = self.peek();
        let (at, found) = match token.tok {
            Tok::End => (self.source, "the end".to_string()),
            _ => (token.text, format!("`{}`", token.text)),
        };
        Err(FormulaError::new(at, format!("expected {expected}, found {found}")))
    }

    fn expect(&mut self, sign: &str, expected: &str) -> Parsed<'a, ()> {
        if self.accept(sign) { Ok(()) } else { self.unexpected(expected) }
    }

    fn end(&self) -> Parsed<'a, ()> {
        match self.peek().tok {
            Tok::End => Ok(()),
            _ => self.unexpected("an operator or the end of the formula"),
        }
    }

    fn name(&mut self, expected: &str) -> Parsed<'a, &'a str> {
        let token = self.peek();
        if token.tok != Tok::Name {
            return self.unexpected(expected);
        }
        if KEYWORDS.contains(&token.text) {
            return Err(FormulaError::new(
                token.text,
                format!("`{}` is a word of the language, not a name", token.text),
            ));
        }
        self.at += 1;
        Ok(token.text)
    }

    /// The text from token `start` up to the last token read.
    fn span(&self, start: usize) -> &'a str {
        let from = self.tokens[start].text.as_ptr() as usize - self.source.as_ptr() as usize;
        let last = self.tokens[(self.at.max(start + 1) - 1).min(self.tokens.len() - 1)].text;
        let to = last.as_ptr() as usize - self.source.as_ptr() as usize + last.len();
        &self.source[from..to]
    }

    fn node(&self, start: usize, kind: Kind<'a>) -> Expr<'a> {
        Expr { text: self.span(start), kind }
    }

    fn annotation(&mut self) -> Parsed<'a, Annotation<'a>> {
        let mut annotation = Annotation::default();
        if !self.accept("::") {
            self.end()?;
            return Ok(annotation);
        }
        let rest = &self.source[self.peek().text.as_ptr() as usize - self.source.as_ptr() as usize..];
        let (role, precision) = match rest.split_once(',') {
            Some((r, p)) => (r.trim(), Some(p.trim())),
            None => (rest.trim(), None),
        };
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
        if role.is_empty() || !role.chars().all(valid) {
            let at = if role.is_empty() { self.source } else { role };
            return Err(FormulaError::new(at, "expected a role such as `attention.query` after `::`"));
        }
        annotation.role = Some(role);
        if let Some(text) = precision {
            annotation.precision = Some(text.parse().map_err(|e: String| FormulaError::new(text, e))?);
        }
        Ok(annotation)
    }

    fn expr(&mut self) -> Parsed<'a, Expr<'a>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FormulaError::new(
                self.peek().text,
                "this formula is nested too deeply; split it into named parts",
            ));
        }
        let start = self.at;
        let value = if self.accept_word("if") {
            let condition = self.expr()?;
            if !self.accept_word("then") {
                return self.unexpected("`then`");
            }
            let then = self.expr()?;
            if !self.accept_word("else") {
                return self.unexpected("`else`");
            }
            let other = self.expr()?;
            self.node(start, Kind::If(Box::new(condition), Box::new(then), Box::new(other)))
        } else {
            let left = self.or()?;
            if self.accept("??") {
                let right = self.expr()?;
                self.node(start, Kind::Otherwise(Box::new(left), Box::new(right)))
            } else {
                left
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn or(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut left = self.and()?;
        while self.accept_word("or") {
            let right = self.and()?;
            left = self.binary(start, Operator::Op(Binary::Or), left, right);
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut left = self.not()?;
        while self.accept_word("and") {
            let right = self.not()?;
            left = self.binary(start, Operator::Op(Binary::And), left, right);
        }
        Ok(left)
    }

    fn binary(&self, start: usize, op: Operator, left: Expr<'a>, right: Expr<'a>) -> Expr<'a> {
        self.node(start, Kind::Binary(op, Box::new(left), Box::new(right)))
    }

    fn not(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut count = 0;
        while self.accept_word("not") {
            count += 1;
        }
        let mut value = self.comparison()?;
        for i in (0..count).rev() {
            value = self.node(start + i, Kind::Not(Box::new(value)));
        }
        Ok(value)
    }

    fn comparison_sign(&mut self) -> Option<Operator> {
        const SIGNS: [(&str, Binary); 6] = [
            ("==", Binary::Eq),
            ("!=", Binary::Ne),
            ("<=", Binary::Le),
            (">=", Binary::Ge),
            ("<", Binary::Lt),
            (">", Binary::Gt),
        ];
        if self.accept_word("in") {
            return Some(Operator::In);
        }
        SIGNS.iter().find(|(s, _)| self.accept(s)).map(|(_, op)| Operator::Op(*op))
    }

    fn comparison(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let left = self.sum()?;
        let Some(op) = self.comparison_sign() else { return Ok(left) };
        let right = self.sum()?;
        let again = self.peek().text;
        if self.comparison_sign().is_some() {
            return Err(FormulaError::new(again, "comparisons do not chain; write `a < b and b < c`"));
        }
        Ok(self.binary(start, op, left, right))
    }

    fn sum(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut left = self.product()?;
        loop {
            let op = if self.accept("+") {
                Binary::Add
            } else if self.accept("-") {
                Binary::Sub
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.binary(start, Operator::Op(op), left, right);
        }
    }

    fn product(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut left = self.unary()?;
        loop {
            let op = if self.accept("*") {
                Operator::Op(Binary::Mul)
            } else if self.accept("//") {
                Operator::FloorDiv
            } else if self.accept("/") {
                Operator::Op(Binary::Div)
            } else if self.accept("%") {
                Operator::Op(Binary::Rem)
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = self.binary(start, op, left, right);
        }
    }

    fn unary(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut count = 0;
        while self.accept("-") {
            count += 1;
        }
        let mut value = self.power()?;
        for i in (0..count).rev() {
            value = self.node(start + i, Kind::Neg(Box::new(value)));
        }
        Ok(value)
    }

    /// `a ^ b`, binding tighter than a sign in front and to the right: `-a^b^c` is `-(a^(b^c))`.
    fn power(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let base = self.postfix()?;
        if !self.accept("^") {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FormulaError::new(base.text, "this formula is nested too deeply; split it into named parts"));
        }
        let exponent = self.unary()?;
        self.depth -= 1;
        Ok(self.binary(start, Operator::Op(Binary::Pow), base, exponent))
    }

    fn postfix(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let mut value = self.atom()?;
        loop {
            if self.accept(".") {
                let field = self.next();
                if field.tok != Tok::Name {
                    self.at -= 1;
                    return self.unexpected("the name of a field");
                }
                value = self.node(start, Kind::Member(Box::new(value), field.text));
            } else if self.accept("[") {
                let items = self.index_items()?;
                value = self.node(start, Kind::Index(Box::new(value), items));
            } else {
                return Ok(value);
            }
        }
    }

    fn index_items(&mut self) -> Parsed<'a, Vec<Item<'a>>> {
        let mut items = Vec::new();
        loop {
            if self.accept("...") {
                items.push(Item::Rest);
            } else {
                let from = if self.is(":") { None } else { Some(self.expr()?) };
                if self.accept(":") {
                    let to = if self.is(",") || self.is("]") { None } else { Some(self.expr()?) };
                    items.push(Item::Range(from, to));
                } else if let Some(at) = from {
                    items.push(Item::At(at));
                }
            }
            if !self.accept(",") {
                self.expect("]", "`,` or `]`")?;
                return Ok(items);
            }
        }
    }

    fn atom(&mut self) -> Parsed<'a, Expr<'a>> {
        let start = self.at;
        let token = self.peek();
        match token.tok {
            Tok::Int(v) => {
                self.at += 1;
                Ok(self.node(start, Kind::Int(v)))
            }
            Tok::Float(v) => {
                self.at += 1;
                Ok(self.node(start, Kind::Float(v)))
            }
            Tok::Text => {
                self.at += 1;
                Ok(self.node(start, Kind::Text(&token.text[1..token.text.len() - 1])))
            }
            Tok::Name => self.word(start),
            Tok::Sign("(") => {
                self.at += 1;
                let inner = self.expr()?;
                self.expect(")", "`)`")?;
                Ok(self.node(start, inner.kind))
            }
            Tok::Sign("[") => {
                self.at += 1;
                let mut all = Vec::new();
                while !self.is("]") {
                    all.push(self.expr()?);
                    if !self.accept(",") {
                        break;
                    }
                }
                self.expect("]", "`,` or `]`")?;
                Ok(self.node(start, Kind::List(all)))
            }
            Tok::Sign(_) | Tok::End => self.unexpected("a value"),
        }
    }

    fn word(&mut self, start: usize) -> Parsed<'a, Expr<'a>> {
        for (word, kind) in [("true", Kind::Bool(true)), ("false", Kind::Bool(false)), ("null", Kind::Null)] {
            if self.accept_word(word) {
                return Ok(self.node(start, kind));
            }
        }
        if self.is_word("if") {
            return self.unexpected("a value (put `if ... then ... else ...` in brackets)");
        }
        let name = self.name("a value")?;
        if !self.accept("(") {
            return Ok(self.node(start, Kind::Name(name)));
        }
        let mut arguments: Vec<Argument<'a>> = Vec::new();
        while !self.is(")") {
            let argument = self.argument()?;
            if argument.name.is_none() && arguments.iter().any(|a| a.name.is_some()) {
                return Err(FormulaError::new(argument.value.text, "named arguments must come after the others"));
            }
            arguments.push(argument);
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")", "`,` or `)`")?;
        Ok(self.node(start, Kind::Call(name, arguments)))
    }

    fn argument(&mut self) -> Parsed<'a, Argument<'a>> {
        let token = self.peek();
        let colon = self.tokens.get(self.at + 1).is_some_and(|t| t.tok == Tok::Sign(":"));
        if token.tok == Tok::Name && colon {
            self.at += 2;
            return Ok(Argument { name: Some(token.text), value: self.expr()? });
        }
        Ok(Argument { name: None, value: self.expr()? })
    }
}
