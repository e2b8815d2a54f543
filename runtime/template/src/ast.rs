//! The syntax tree of a template.

use std::rc::Rc;

use crate::fault::{MAX_NESTING, Res, limit};

/// A list of statements.
pub(crate) type Body = Rc<[Stmt]>;

/// A statement and its line.
#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) line: u32,
    pub(crate) kind: StmtKind,
}

#[derive(Debug)]
pub(crate) enum StmtKind {
    Text(Rc<str>),
    Print(Vec<Expr>),
    If(Vec<(Expr, Body)>, Body),
    For(Rc<For>),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Body),
    With(Vec<(Target, Expr)>, Body),
    Macro(Rc<Macro>),
    Call(Expr, Rc<Macro>),
    FilterBlock(Expr, Body),
    Autoescape(Expr, Body),
    Block(Rc<Block>),
    Break,
    Continue,
    /// `extends`, `include` and imports, which always fail: there are no other templates.
    Load(&'static str),
}

#[derive(Debug)]
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) iter: Expr,
    pub(crate) test: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Body,
    pub(crate) otherwise: Body,
}

/// A macro, or the body of a call block (which has no name).
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: Option<Rc<str>>,
    pub(crate) args: Vec<Rc<str>>,
    /// Defaults of the last parameters.
    pub(crate) defaults: Vec<Expr>,
    pub(crate) body: Body,
    /// The special names that the body uses.
    pub(crate) special: Special,
}

/// Special names, which are only defined in macros that mention them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Special {
    pub(crate) caller: bool,
    pub(crate) kwargs: bool,
    pub(crate) varargs: bool,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: Rc<str>,
    pub(crate) scoped: bool,
    pub(crate) required: bool,
    pub(crate) body: Body,
}

/// The target of an assignment.
#[derive(Debug)]
pub(crate) enum Target {
    Name(Rc<str>),
    Attr(Rc<str>, Rc<str>),
    Tuple(Vec<Target>),
}

/// An expression, its line, and its nesting depth.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) line: u32,
    depth: u32,
    pub(crate) kind: ExprKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug, Default)]
pub(crate) struct CallArgs {
    pub(crate) pos: Vec<Expr>,
    pub(crate) named: Vec<(Rc<str>, Expr)>,
    pub(crate) star: Option<Box<Expr>>,
    pub(crate) stars: Option<Box<Expr>>,
}

/// A literal.
#[derive(Debug)]
pub(crate) enum Constant {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Const(Constant),
    Name(Rc<str>),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, Rc<str>),
    Item(Box<Expr>, Box<Expr>),
    /// Only occurs as an index.
    Slice(Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, CallArgs),
    /// Without an operand, it filters the text of a block.
    Filter(Option<Box<Expr>>, Rc<str>, CallArgs),
    Test(Box<Expr>, Rc<str>, CallArgs),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Compare, Expr)>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// Condition, value if true, value if false.
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

impl Expr {
    /// An expression; fails if it is nested too deeply.
    pub(crate) fn new(line: u32, kind: ExprKind) -> Res<Self> {
        let depth = kind.depth() + 1;
        if depth > MAX_NESTING {
            return limit("nests expressions", u64::from(MAX_NESTING), " deep");
        }
        Ok(Expr { line, depth, kind })
    }
}

impl CallArgs {
    fn depth(&self) -> u32 {
        let star = [&self.star, &self.stars].into_iter().flatten().map(|e| e.depth);
        let named = self.named.iter().map(|(_, e)| e.depth);
        self.pos.iter().map(|e| e.depth).chain(named).chain(star).max().unwrap_or(0)
    }
}

fn deepest<'a>(all: impl IntoIterator<Item = &'a Expr>) -> u32 {
    all.into_iter().map(|e| e.depth).max().unwrap_or(0)
}

impl ExprKind {
    fn depth(&self) -> u32 {
        match self {
            ExprKind::Const(_) | ExprKind::Name(_) => 0,
            ExprKind::Tuple(all) | ExprKind::List(all) | ExprKind::Concat(all) => deepest(all),
            ExprKind::Dict(all) => deepest(all.iter().flat_map(|(k, v)| [k, v])),
            ExprKind::Attr(e, _) | ExprKind::Not(e) | ExprKind::Neg(e) | ExprKind::Pos(e) => e.depth,
            ExprKind::Slice(parts) => deepest(parts.iter().flatten()),
            ExprKind::Call(e, args) | ExprKind::Test(e, _, args) => e.depth.max(args.depth()),
            ExprKind::Filter(e, _, args) => e.as_ref().map_or(0, |e| e.depth).max(args.depth()),
            ExprKind::Item(a, b) | ExprKind::Binary(_, a, b) | ExprKind::And(a, b) | ExprKind::Or(a, b) => {
                a.depth.max(b.depth)
            }
            ExprKind::Compare(e, rest) => e.depth.max(deepest(rest.iter().map(|(_, e)| e))),
            ExprKind::If(c, a, b) => c.depth.max(a.depth).max(b.as_ref().map_or(0, |e| e.depth)),
        }
    }
}
