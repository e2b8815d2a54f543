//! Parses expressions, with Jinja's operator precedence.

use std::rc::Rc;

use crate::ast::{Binary, CallArgs, Compare, Constant, Expr, ExprKind};
use crate::fault::Res;
use crate::lexer::Token;
use crate::parser::{Parser, describe};
use crate::{filters, tests};

impl Parser {
    fn chain(&mut self, ops: &[(&str, Binary)], operand: fn(&mut Self) -> Res<Expr>) -> Res<Expr> {
        let line = self.line();
        let mut left = operand(self)?;
        while let Some((_, op)) = ops.iter().find(|(sign, _)| self.is_op(sign)) {
            self.next();
            let right = operand(self)?;
            left = Expr::new(line, ExprKind::Binary(*op, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    /// An expression, possibly a conditional one.
    pub(crate) fn expression(&mut self) -> Res<Expr> {
        self.deeper(|p| {
            let line = p.line();
            let known = p.unknown.len();
            let mut expr = p.or()?;
            while p.skip_name("if") {
                let test = p.or()?;
                let otherwise = if p.skip_name("else") { Some(Box::new(p.expression()?)) } else { None };
                // The branches of a conditional may never run.
                p.unknown.truncate(known);
                expr = Expr::new(line, ExprKind::If(Box::new(test), Box::new(expr), otherwise))?;
            }
            Ok(expr)
        })
    }

    fn or(&mut self) -> Res<Expr> {
        let line = self.line();
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            left = Expr::new(line, ExprKind::Or(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Res<Expr> {
        let line = self.line();
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            left = Expr::new(line, ExprKind::And(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Res<Expr> {
        let line = self.line();
        if self.skip_name("not") {
            let inner = self.deeper(Self::not)?;
            return Expr::new(line, ExprKind::Not(Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Res<Expr> {
        let line = self.line();
        let first = self.math1()?;
        let mut rest = Vec::new();
        loop {
            let op = match self.peek() {
                Token::Op("==") => Compare::Eq,
                Token::Op("!=") => Compare::Ne,
                Token::Op("<") => Compare::Lt,
                Token::Op("<=") => Compare::Le,
                Token::Op(">") => Compare::Gt,
                Token::Op(">=") => Compare::Ge,
                Token::Name(n) if **n == *"in" => Compare::In,
                Token::Name(n) if **n == *"not" && matches!(self.ahead(), Token::Name(n) if **n == *"in") => {
                    self.next();
                    Compare::NotIn
                }
                _ => break,
            };
            self.next();
            rest.push((op, self.math1()?));
        }
        if rest.is_empty() { Ok(first) } else { Expr::new(line, ExprKind::Compare(Box::new(first), rest)) }
    }

    fn math1(&mut self) -> Res<Expr> {
        self.chain(&[("+", Binary::Add), ("-", Binary::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Res<Expr> {
        let line = self.line();
        let first = self.math2()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip_op("~") {
            all.push(self.math2()?);
        }
        Expr::new(line, ExprKind::Concat(all))
    }

    fn math2(&mut self) -> Res<Expr> {
        let ops = [("*", Binary::Mul), ("/", Binary::Div), ("//", Binary::FloorDiv), ("%", Binary::Mod)];
        self.chain(&ops, Self::power)
    }

    fn power(&mut self) -> Res<Expr> {
        self.chain(&[("**", Binary::Pow)], |p| p.unary(true))
    }

    fn unary(&mut self, filters: bool) -> Res<Expr> {
        let line = self.line();
        let sign = match self.peek() {
            Token::Op("-") => Some(ExprKind::Neg as fn(Box<Expr>) -> ExprKind),
            Token::Op("+") => Some(ExprKind::Pos as fn(Box<Expr>) -> ExprKind),
            _ => None,
        };
        let expr = match sign {
            Some(kind) => {
                self.next();
                let inner = self.deeper(|p| p.unary(false))?;
                Expr::new(line, kind(Box::new(inner)))?
            }
            None => self.primary()?,
        };
        let expr = self.postfix(expr)?;
        if filters { self.filtered(expr) } else { Ok(expr) }
    }

    fn primary(&mut self) -> Res<Expr> {
        let line = self.line();
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                match &*name {
                    "true" | "True" => ExprKind::Const(Constant::Bool(true)),
                    "false" | "False" => ExprKind::Const(Constant::Bool(false)),
                    "none" | "None" => ExprKind::Const(Constant::None),
                    _ => {
                        if let Some(special) = self.macros.last_mut() {
                            special.caller |= *name == *"caller";
                            special.kwargs |= *name == *"kwargs";
                            special.varargs |= *name == *"varargs";
                        }
                        ExprKind::Name(name)
                    }
                }
            }
            Token::Str(first) => {
                self.next();
                let mut text = first;
                while let Token::Str(more) = self.peek() {
                    text = [&*text, &**more].concat().into();
                    self.next();
                }
                ExprKind::Const(Constant::Str(text))
            }
            Token::Int(i) => {
                self.next();
                ExprKind::Const(Constant::Int(i))
            }
            Token::Float(x) => {
                self.next();
                ExprKind::Const(Constant::Float(x))
            }
            Token::Op("(") => {
                self.next();
                let inner = self.tuple(true, true, &[])?;
                self.expect_op(")")?;
                return Ok(inner);
            }
            Token::Op("[") => {
                self.next();
                let mut items = Vec::new();
                while !self.is_op("]") {
                    if !items.is_empty() {
                        self.expect_op(",")?;
                    }
                    if self.is_op("]") {
                        break;
                    }
                    items.push(self.expression()?);
                }
                self.expect_op("]")?;
                ExprKind::List(items)
            }
            Token::Op("{") => self.dict()?,
            other => return self.fail(format!("unexpected '{}'", describe(&other))),
        };
        Expr::new(line, kind)
    }

    fn dict(&mut self) -> Res<ExprKind> {
        self.next();
        let mut items = Vec::new();
        while !self.is_op("}") {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            if self.is_op("}") {
                break;
            }
            let key = self.expression()?;
            self.expect_op(":")?;
            items.push((key, self.expression()?));
        }
        self.expect_op("}")?;
        Ok(ExprKind::Dict(items))
    }

    /// One expression, or several with commas between them.
    pub(crate) fn tuple(&mut self, conditions: bool, parentheses: bool, ends: &[&str]) -> Res<Expr> {
        let line = self.line();
        let mut all = Vec::new();
        let mut is_tuple = false;
        loop {
            if !all.is_empty() {
                self.expect_op(",")?;
            }
            let over = matches!(self.peek(), Token::VariableEnd | Token::BlockEnd) || self.is_op(")");
            if over || ends.iter().any(|end| self.is_name(end)) {
                break;
            }
            all.push(if conditions { self.expression()? } else { self.deeper(Self::or)? });
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            if let Some(only) = all.pop() {
                return Ok(only);
            }
            if !parentheses {
                return self.fail(format!("Expected an expression, got '{}'", describe(self.peek())));
            }
        }
        Expr::new(line, ExprKind::Tuple(all))
    }

    fn postfix(&mut self, mut expr: Expr) -> Res<Expr> {
        loop {
            let line = self.line();
            expr = match self.peek() {
                Token::Op(".") => {
                    self.next();
                    match self.next() {
                        Token::Name(name) => Expr::new(line, ExprKind::Attr(Box::new(expr), name))?,
                        Token::Int(i) => {
                            let index = Expr::new(line, ExprKind::Const(Constant::Int(i)))?;
                            Expr::new(line, ExprKind::Item(Box::new(expr), Box::new(index)))?
                        }
                        _ => return self.fail_at(line, "expected name or number"),
                    }
                }
                Token::Op("[") => {
                    self.next();
                    let index = self.subscript(line)?;
                    Expr::new(line, ExprKind::Item(Box::new(expr), Box::new(index)))?
                }
                Token::Op("(") => {
                    let args = self.call_args()?;
                    Expr::new(line, ExprKind::Call(Box::new(expr), args))?
                }
                _ => return Ok(expr),
            };
        }
    }

    fn subscript(&mut self, line: u32) -> Res<Expr> {
        let mut all = Vec::new();
        while !self.is_op("]") {
            if !all.is_empty() {
                self.expect_op(",")?;
            }
            all.push(self.index()?);
        }
        self.expect_op("]")?;
        match all.pop() {
            Some(only) if all.is_empty() => Ok(only),
            last => {
                all.extend(last);
                Expr::new(line, ExprKind::Tuple(all))
            }
        }
    }

    /// An index or a slice.
    fn index(&mut self) -> Res<Expr> {
        let line = self.line();
        let mut parts = [None, None, None];
        if !self.skip_op(":") {
            let first = self.expression()?;
            if !self.skip_op(":") {
                return Ok(first);
            }
            parts[0] = Some(first);
        }
        let over = |p: &Self| p.is_op("]") || p.is_op(",");
        if !self.is_op(":") && !over(self) {
            parts[1] = Some(self.expression()?);
        }
        if self.skip_op(":") && !over(self) {
            parts[2] = Some(self.expression()?);
        }
        Expr::new(line, ExprKind::Slice(Box::new(parts)))
    }

    fn call_args(&mut self) -> Res<CallArgs> {
        let line = self.line();
        let mut args = CallArgs::default();
        self.expect_op("(")?;
        let mut more = false;
        while !self.is_op(")") {
            if more {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            more = true;
            let valid = if self.skip_op("*") {
                let valid = args.star.is_none() && args.stars.is_none();
                args.star = Some(Box::new(self.expression()?));
                valid
            } else if self.skip_op("**") {
                let valid = args.stars.is_none();
                args.stars = Some(Box::new(self.expression()?));
                valid
            } else if let (Token::Name(name), Token::Op("=")) = (self.peek().clone(), self.ahead()) {
                self.next();
                self.next();
                if args.named.iter().any(|(n, _)| *n == name) {
                    return self.fail_at(line, format!("keyword argument repeated: {name}"));
                }
                let valid = args.stars.is_none();
                args.named.push((name, self.expression()?));
                valid
            } else {
                let valid = args.star.is_none() && args.stars.is_none() && args.named.is_empty();
                args.pos.push(self.expression()?);
                valid
            };
            if !valid {
                return self.fail_at(line, "invalid syntax for function call expression");
            }
        }
        self.expect_op(")")?;
        Ok(args)
    }

    fn filtered(&mut self, mut expr: Expr) -> Res<Expr> {
        loop {
            let line = self.line();
            expr = match self.peek() {
                Token::Op("|") => match self.filters(Some(expr), false)? {
                    Some(filtered) => filtered,
                    None => return self.unexpected("name"),
                },
                Token::Name(name) if **name == *"is" => self.test(expr)?,
                Token::Op("(") => {
                    let args = self.call_args()?;
                    Expr::new(line, ExprKind::Call(Box::new(expr), args))?
                }
                _ => return Ok(expr),
            };
        }
    }

    fn dotted_name(&mut self) -> Res<Rc<str>> {
        let mut name = self.expect_name()?;
        while self.skip_op(".") {
            name = [&*name, ".", &*self.expect_name()?].concat().into();
        }
        Ok(name)
    }

    /// A chain of filters. With `inline`, the first one has no `|` in front.
    pub(crate) fn filters(&mut self, mut expr: Option<Expr>, mut inline: bool) -> Res<Option<Expr>> {
        while inline || self.is_op("|") {
            if !inline {
                self.next();
            }
            inline = false;
            let line = self.line();
            let name = self.dotted_name()?;
            let args = if self.is_op("(") { self.call_args()? } else { CallArgs::default() };
            self.check_known("filter", &name, filters::exists(&name), line);
            expr = Some(Expr::new(line, ExprKind::Filter(expr.map(Box::new), name, args))?);
        }
        Ok(expr)
    }

    fn check_known(&mut self, kind: &str, name: &str, known: bool, line: u32) {
        if !known && self.soft == 0 {
            self.unknown.push((line, format!("No {kind} named '{name}'.")));
        }
    }

    fn test(&mut self, expr: Expr) -> Res<Expr> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let mut args = CallArgs::default();
        match self.peek() {
            Token::Op("(") => args = self.call_args()?,
            Token::Name(next) if matches!(&**next, "else" | "or" | "and") => {}
            Token::Name(next) if **next == *"is" => return self.fail("You cannot chain multiple tests with is"),
            Token::Name(_) | Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => {
                let arg = self.primary()?;
                args.pos.push(self.postfix(arg)?);
            }
            _ => {}
        }
        self.check_known("test", &name, tests::exists(&name), line);
        let test = Expr::new(line, ExprKind::Test(Box::new(expr), name, args))?;
        if negated { Expr::new(line, ExprKind::Not(Box::new(test))) } else { Ok(test) }
    }
}
