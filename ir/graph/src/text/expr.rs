//! Formulas as trees; `parser` reads them.

use crate::dtype::Precision;
use crate::scalar::Binary;

/// A formula with the text it was read from.
#[derive(Clone, Debug)]
pub(super) struct Expr<'a> {
    pub(super) text: &'a str,
    pub(super) kind: Kind<'a>,
}

/// The forms of a formula.
#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    Int(i64),
    Float(f64),
    Bool(bool),
    Null,
    Text(&'a str),
    Name(&'a str),
    /// `base.field`.
    Member(Box<Expr<'a>>, &'a str),
    /// `base[items]`.
    Index(Box<Expr<'a>>, Vec<Item<'a>>),
    List(Vec<Expr<'a>>),
    Neg(Box<Expr<'a>>),
    Not(Box<Expr<'a>>),
    Binary(Operator, Box<Expr<'a>>, Box<Expr<'a>>),
    /// `a ?? b`.
    Otherwise(Box<Expr<'a>>, Box<Expr<'a>>),
    If(Box<Expr<'a>>, Box<Expr<'a>>, Box<Expr<'a>>),
    Call(&'a str, Vec<Argument<'a>>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// One that the graph has.
    Op(Binary),
    /// `//`: integer division rounding down.
    FloorDiv,
    /// `in`: member of a list.
    In,
}

/// One argument of a call.
#[derive(Clone, Debug)]
pub(super) struct Argument<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) value: Expr<'a>,
}

/// One item between index brackets.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    /// `...`: as many whole axes as are left.
    Rest,
    /// `a:b`, either end may be missing.
    Range(Option<Expr<'a>>, Option<Expr<'a>>),
    /// A single position; its axis disappears.
    At(Expr<'a>),
}

/// What follows `::` in a statement.
#[derive(Clone, Debug, Default)]
pub(super) struct Annotation<'a> {
    pub(super) role: Option<&'a str>,
    pub(super) precision: Option<Precision>,
}

/// `name = formula`, perhaps annotated.
#[derive(Clone, Debug)]
pub(super) struct Assignment<'a> {
    pub(super) name: &'a str,
    pub(super) value: Expr<'a>,
    pub(super) annotation: Annotation<'a>,
}

/// `name(param, optional?, named: default)`.
#[derive(Clone, Debug)]
pub(super) struct Signature<'a> {
    pub(super) name: &'a str,
    pub(super) params: Vec<Param<'a>>,
}

/// A parameter of a block.
#[derive(Clone, Debug)]
pub(super) struct Param<'a> {
    pub(super) name: &'a str,
    /// `name?`: absent if not given.
    pub(super) optional: bool,
    /// `name: default`.
    pub(super) default: Option<Expr<'a>>,
}

impl<'a> Expr<'a> {
    /// The direct parts.
    pub(super) fn parts(&self) -> Vec<&Expr<'a>> {
        match &self.kind {
            Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Null | Kind::Text(_) | Kind::Name(_) => Vec::new(),
            Kind::Member(a, _) | Kind::Neg(a) | Kind::Not(a) => vec![a],
            Kind::Index(a, items) => {
                let mut all: Vec<&Expr<'a>> = vec![a];
                for item in items {
                    match item {
                        Item::Rest => {}
                        Item::Range(from, to) => all.extend(from.iter().chain(to)),
                        Item::At(at) => all.push(at),
                    }
                }
                all
            }
            Kind::List(items) => items.iter().collect(),
            Kind::Binary(_, a, b) | Kind::Otherwise(a, b) => vec![a, b],
            Kind::If(a, b, c) => vec![a, b, c],
            Kind::Call(_, arguments) => arguments.iter().map(|a| &a.value).collect(),
        }
    }
}
