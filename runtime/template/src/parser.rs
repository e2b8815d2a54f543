//! The parser, equivalent to `jinja2.parser` with loop controls and transformers' tag `generation`.

use std::rc::Rc;

use crate::ast::{Block, Body, Expr, ExprKind, For, Macro, Special, Stmt, StmtKind, Target};
use crate::fault::{Fault, Kind, Res, limit};
use crate::lexer::{Token, tokenize};

/// Maximum nesting of tags and parentheses; Python's limit is lower.
const MAX_TAGS: u32 = 100;

/// Parses a template; returns its statements and its blocks.
pub(crate) fn parse(source: &str) -> Res<(Body, Vec<Rc<Block>>)> {
    let mut parser = Parser {
        tokens: tokenize(source)?,
        at: 0,
        nested: 0,
        soft: 0,
        unknown: Vec::new(),
        loops: 0,
        ends: Vec::new(),
        tags: Vec::new(),
        macros: Vec::new(),
        blocks: Vec::new(),
    };
    match parser.body(&[]) {
        Ok(body) => match parser.unknown.first() {
            Some((line, message)) => parser.fail_at(*line, message),
            None => Ok((body, parser.blocks)),
        },
        Err(mut fault) => {
            if fault.line == 0 {
                fault.line = parser.line();
            }
            Err(fault)
        }
    }
}

pub(crate) struct Parser {
    tokens: Vec<(u32, Token)>,
    at: usize,
    nested: u32,
    /// Number of enclosing conditions. Inside of them, an unknown filter is an error only when it runs.
    pub(crate) soft: u32,
    /// Unknown filters and tests outside of conditions.
    pub(crate) unknown: Vec<(u32, String)>,
    loops: u32,
    ends: Vec<&'static [&'static str]>,
    tags: Vec<Rc<str>>,
    /// Special names that the enclosing macros mention.
    pub(crate) macros: Vec<Special>,
    blocks: Vec<Rc<Block>>,
}

/// A description of a token, for messages.
pub(crate) fn describe(token: &Token) -> String {
    match token {
        Token::Data(_) => "template data / text".into(),
        Token::VariableBegin => "begin of print statement".into(),
        Token::VariableEnd => "end of print statement".into(),
        Token::BlockBegin => "begin of statement block".into(),
        Token::BlockEnd => "end of statement block".into(),
        Token::Name(name) => name.to_string(),
        Token::Str(_) => "string".into(),
        Token::Int(_) => "integer".into(),
        Token::Float(_) => "float".into(),
        Token::Op(op) => (*op).into(),
        Token::Eof => "end of template".into(),
    }
}

impl Parser {
    pub(crate) fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    pub(crate) fn ahead(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].1
    }

    pub(crate) fn line(&self) -> u32 {
        self.tokens[self.at.min(self.tokens.len() - 1)].0
    }

    pub(crate) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Res<T> {
        self.fail_at(self.line(), message)
    }

    pub(crate) fn fail_at<T>(&self, line: u32, message: impl Into<String>) -> Res<T> {
        Err(Box::new(Fault { kind: Kind::Template, line, message: message.into() }))
    }

    pub(crate) fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(o) if *o == op)
    }

    pub(crate) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(n) if **n == *name)
    }

    pub(crate) fn skip_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect_op(&mut self, op: &str) -> Res<()> {
        if self.skip_op(op) { Ok(()) } else { self.unexpected(op) }
    }

    pub(crate) fn unexpected<T>(&self, wanted: &str) -> Res<T> {
        match self.peek() {
            Token::Eof => self.fail(format!("unexpected end of template, expected '{wanted}'.")),
            other => self.fail(format!("expected token '{wanted}', got '{}'", describe(other))),
        }
    }

    fn expect(&mut self, wanted: &Token) -> Res<()> {
        if self.peek() != wanted {
            return self.unexpected(&describe(wanted));
        }
        self.next();
        Ok(())
    }

    pub(crate) fn expect_name(&mut self) -> Res<Rc<str>> {
        match self.peek() {
            Token::Name(name) => {
                let name = name.clone();
                self.next();
                Ok(name)
            }
            _ => self.unexpected("name"),
        }
    }

    /// Runs a part of the parser one nesting level deeper.
    pub(crate) fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.nested += 1;
        if self.nested > MAX_TAGS {
            return limit("nests tags and parentheses", u64::from(MAX_TAGS), " deep");
        }
        let result = part(self);
        self.nested -= 1;
        result
    }

    /// Parses statements up to one of these tags, whose name is then the current token.
    fn body(&mut self, ends: &'static [&'static str]) -> Res<Body> {
        let mut body: Vec<Stmt> = Vec::new();
        if !ends.is_empty() {
            self.ends.push(ends);
        }
        loop {
            let line = self.line();
            let kind = match self.peek() {
                Token::Eof => break,
                Token::Data(text) => {
                    let kind = StmtKind::Text(text.clone());
                    self.next();
                    kind
                }
                Token::VariableBegin => {
                    self.next();
                    let expr = self.tuple(true, false, &[])?;
                    self.expect(&Token::VariableEnd)?;
                    StmtKind::Print(vec![expr])
                }
                _ => {
                    self.next();
                    if ends.iter().any(|end| self.is_name(end)) {
                        self.ends.pop();
                        return Ok(body.into());
                    }
                    let kind = self.deeper(Self::statement)?;
                    self.expect(&Token::BlockEnd)?;
                    kind
                }
            };
            body.push(Stmt { line, kind });
        }
        if ends.is_empty() { Ok(body.into()) } else { self.unknown(None) }
    }

    /// Parses the body of a tag, after the end of its opening.
    fn block_body(&mut self, ends: &'static [&'static str]) -> Res<Body> {
        self.skip_op(":");
        self.expect(&Token::BlockEnd)?;
        self.body(ends)
    }

    /// The same with a single closing tag, which is skipped.
    fn whole_body(&mut self, ends: &'static [&'static str]) -> Res<Body> {
        let body = self.block_body(ends)?;
        self.next();
        Ok(body)
    }

    /// The error for a tag that does not belong here, or for the end of the template.
    fn unknown<T>(&self, name: Option<&str>) -> Res<T> {
        let mut message = match name {
            None => "Unexpected end of template.".to_string(),
            Some(name) => format!("Encountered unknown tag '{name}'."),
        };
        if let Some(last) = self.ends.last() {
            let looking: Vec<String> = last.iter().map(|end| format!("'{end}'")).collect();
            let looking = looking.join(" or ");
            message += &match name.filter(|name| self.ends.iter().any(|ends| ends.contains(name))) {
                Some(_) => format!(
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for \
                     {looking}."
                ),
                None => format!(" Jinja was looking for the following tags: {looking}."),
            };
        }
        if let Some(tag) = self.tags.last() {
            message += &format!(" The innermost block that needs to be closed is '{tag}'.");
        }
        self.fail(message)
    }

    fn statement(&mut self) -> Res<StmtKind> {
        let Token::Name(tag) = self.peek().clone() else { return self.fail("tag name expected") };
        let line = self.line();
        self.tags.push(tag.clone());
        let known = self.known(&tag, line)?;
        self.tags.pop();
        match known {
            Some(kind) => Ok(kind),
            None => self.unknown(Some(&tag)),
        }
    }

    fn known(&mut self, tag: &str, line: u32) -> Res<Option<StmtKind>> {
        if !matches!(
            tag,
            "if" | "for"
                | "set"
                | "with"
                | "macro"
                | "call"
                | "filter"
                | "generation"
                | "autoescape"
                | "block"
                | "print"
                | "break"
                | "continue"
                | "extends"
                | "include"
                | "import"
                | "from"
        ) {
            return Ok(None);
        }
        self.next();
        Ok(Some(match tag {
            "if" => self.conditions()?,
            "for" => self.for_loop()?,
            "set" => self.assignment()?,
            "with" => self.with()?,
            "macro" => {
                let name = self.target_name()?;
                StmtKind::Macro(Rc::new(self.macro_body(Some(name), true, &["endmacro"])?))
            }
            "call" => self.call_block(line)?,
            "generation" => {
                // A call block that only outputs its content.
                let body = self.macro_body(None, false, &["endgeneration"])?;
                StmtKind::Call(Expr::new(line, ExprKind::Name("caller".into()))?, Rc::new(body))
            }
            "filter" => {
                let filter = self.filters(None, true)?;
                let body = self.whole_body(&["endfilter"])?;
                match filter {
                    Some(filter) => StmtKind::FilterBlock(filter, body),
                    None => return self.unexpected("name"),
                }
            }
            "autoescape" => {
                let on = self.expression()?;
                StmtKind::Autoescape(on, self.whole_body(&["endautoescape"])?)
            }
            "block" => self.named_block()?,
            "print" => {
                let mut all = Vec::new();
                while *self.peek() != Token::BlockEnd {
                    if !all.is_empty() {
                        self.expect_op(",")?;
                    }
                    all.push(self.expression()?);
                }
                StmtKind::Print(all)
            }
            "break" | "continue" if self.loops == 0 => return self.fail_at(line, format!("'{tag}' outside loop")),
            "break" => StmtKind::Break,
            "continue" => StmtKind::Continue,
            _ => self.load(tag)?,
        }))
    }

    fn conditions(&mut self) -> Res<StmtKind> {
        let mut branches = Vec::new();
        self.soft += 1;
        loop {
            let test = self.tuple(false, false, &[])?;
            branches.push((test, self.block_body(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            let otherwise = if self.skip_name("else") {
                self.whole_body(&["endif"])?
            } else {
                self.next();
                [].into()
            };
            self.soft -= 1;
            return Ok(StmtKind::If(branches, otherwise));
        }
    }

    fn for_loop(&mut self) -> Res<StmtKind> {
        let line = self.line();
        let target = self.target(&["in"], false)?;
        if target.names("loop") {
            return self.fail_at(line, "Can't assign to special loop variable in for-loop target");
        }
        if !self.skip_name("in") {
            return self.unexpected("in");
        }
        let iter = self.tuple(false, false, &["recursive"])?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.loops += 1;
        let body = self.block_body(&["endfor", "else"])?;
        self.loops -= 1;
        let more = self.skip_name("else");
        let otherwise = if more { self.whole_body(&["endfor"])? } else { [].into() };
        if !more {
            self.next();
        }
        Ok(StmtKind::For(Rc::new(For { target, iter, test, recursive, body, otherwise })))
    }

    fn assignment(&mut self) -> Res<StmtKind> {
        let line = self.line();
        let target = self.target(&[], true)?;
        if self.loops > 0 && target.names("loop") {
            return self.fail_at(line, "Can't assign to special loop variable in for-loop target");
        }
        if self.skip_op("=") {
            return Ok(StmtKind::Set(target, self.tuple(true, false, &[])?));
        }
        let filter = self.filters(None, false)?;
        Ok(StmtKind::SetBlock(target, filter, self.whole_body(&["endset"])?))
    }

    fn with(&mut self) -> Res<StmtKind> {
        let mut values = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target(&[], false)?;
            self.expect_op("=")?;
            values.push((target, self.expression()?));
        }
        Ok(StmtKind::With(values, self.whole_body(&["endwith"])?))
    }

    fn call_block(&mut self, line: u32) -> Res<StmtKind> {
        let (args, defaults) = if self.is_op("(") { self.signature()? } else { (Vec::new(), Vec::new()) };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(..)) {
            return self.fail_at(line, "expected call");
        }
        let mut body = self.macro_body(None, false, &["endcall"])?;
        (body.args, body.defaults) = (args, defaults);
        Ok(StmtKind::Call(call, Rc::new(body)))
    }

    /// Parses the rest of a macro. Loops around it do not count inside.
    fn macro_body(&mut self, name: Option<Rc<str>>, signature: bool, ends: &'static [&'static str]) -> Res<Macro> {
        let (line, loops) = (self.line(), std::mem::take(&mut self.loops));
        let (args, defaults) = if signature { self.signature()? } else { (Vec::new(), Vec::new()) };
        self.macros.push(Special::default());
        let body = self.whole_body(ends)?;
        self.loops = loops;
        let mut special = self.macros.pop().unwrap_or_default();
        if let Some(outer) = self.macros.last_mut() {
            outer.caller |= special.caller;
            outer.kwargs |= special.kwargs;
            outer.varargs |= special.varargs;
        }
        let own = |name: &str| args.iter().position(|a| **a == *name);
        special.kwargs &= own("kwargs").is_none();
        special.varargs &= own("varargs").is_none();
        if let Some(at) = own("caller") {
            if special.caller && at < args.len() - defaults.len() {
                let message = "When defining macros or call blocks the special \"caller\" argument must be omitted or \
                               be given a default.";
                return self.fail_at(line, message);
            }
            special.caller = false;
        }
        Ok(Macro { name, args, defaults, body, special })
    }

    fn signature(&mut self) -> Res<(Vec<Rc<str>>, Vec<Expr>)> {
        let (mut args, mut defaults) = (Vec::new(), Vec::new());
        self.expect_op("(")?;
        while !self.is_op(")") {
            if !args.is_empty() {
                self.expect_op(",")?;
            }
            args.push(self.target_name()?);
            if self.skip_op("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return self.fail("non-default argument follows default argument");
            }
        }
        self.expect_op(")")?;
        Ok((args, defaults))
    }

    fn named_block(&mut self) -> Res<StmtKind> {
        let name = self.expect_name()?;
        let scoped = self.skip_name("scoped");
        let required = self.skip_name("required");
        if self.is_op("-") {
            return self.fail(
                "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an \
                 underscore instead.",
            );
        }
        if self.blocks.iter().any(|b| b.name == name) {
            return self.fail(format!("block '{name}' defined twice"));
        }
        let loops = std::mem::take(&mut self.loops);
        let body = self.whole_body(&["endblock"])?;
        self.loops = loops;
        let blank = |s: &Stmt| matches!(&s.kind, StmtKind::Text(t) if t.chars().all(crate::unicode::is_space));
        if required && !body.iter().all(blank) {
            return self.fail("Required blocks can only contain comments or whitespace");
        }
        self.skip_name(&name);
        let block = Rc::new(Block { name, scoped, required, body });
        self.blocks.push(block.clone());
        Ok(StmtKind::Block(block))
    }

    /// Parses tags that load other templates, which do not exist.
    fn load(&mut self, tag: &str) -> Res<StmtKind> {
        let _ = self.expression()?;
        let kind = match tag {
            "extends" => "extends",
            "include" => {
                if self.skip_name("ignore") && !self.skip_name("missing") {
                    return self.unexpected("missing");
                }
                "include"
            }
            "import" => {
                if !self.skip_name("as") {
                    return self.unexpected("as");
                }
                self.target_name()?;
                "import"
            }
            _ => {
                if !self.skip_name("import") {
                    return self.unexpected("import");
                }
                loop {
                    self.target_name()?;
                    if self.skip_name("as") {
                        self.target_name()?;
                    }
                    if !self.skip_op(",") {
                        break;
                    }
                }
                "from"
            }
        };
        if self.skip_name("with") || self.skip_name("without") {
            self.skip_name("context");
        }
        Ok(StmtKind::Load(kind))
    }

    fn target_name(&mut self) -> Res<Rc<str>> {
        let line = self.line();
        let name = self.expect_name()?;
        match &*name {
            "true" | "false" | "none" | "True" | "False" | "None" => self.fail_at(line, "can't assign to 'const'"),
            _ => Ok(name),
        }
    }

    fn target(&mut self, ends: &[&str], attrs: bool) -> Res<Target> {
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
            all.push(self.deeper(|p| p.single_target(attrs))?);
            if !self.is_op(",") {
                break;
            }
            is_tuple = true;
        }
        match (all.pop(), is_tuple) {
            (Some(only), false) => Ok(only),
            (Some(last), true) => {
                all.push(last);
                Ok(Target::Tuple(all))
            }
            (None, _) => self.fail(format!("Expected an expression, got '{}'", describe(self.peek()))),
        }
    }

    fn single_target(&mut self, attrs: bool) -> Res<Target> {
        match self.peek() {
            Token::Name(_) => {
                let name = self.target_name()?;
                if attrs && self.skip_op(".") {
                    return Ok(Target::Attr(name, self.expect_name()?));
                }
                Ok(Target::Name(name))
            }
            Token::Op("(") => {
                self.next();
                let inner = self.target(&[], attrs)?;
                self.expect_op(")")?;
                Ok(inner)
            }
            Token::Op("[" | "{") | Token::Str(_) | Token::Int(_) | Token::Float(_) => {
                self.fail(format!("can't assign to '{}'", describe(self.peek())))
            }
            other => self.fail(format!("unexpected '{}'", describe(other))),
        }
    }
}

impl Target {
    fn names(&self, name: &str) -> bool {
        match self {
            Target::Name(n) => **n == *name,
            Target::Attr(..) => false,
            Target::Tuple(all) => all.iter().any(|t| t.names(name)),
        }
    }
}
