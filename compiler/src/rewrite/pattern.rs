//! The notation of rules: `(mul ?x (rsqrt (add (mean (mul ?x ?x)) ?eps)))`.
//!
//! - `?x` is any value; a repeated variable is the same value.
//! - A number or `true`/`false` is a value whose elements are all known to be that constant.
//! - `add`, `mul`, `max`, `min`, `and`, `or` match in both operand orders. (The *matcher* tries both; no
//!   commuted terms are added to the e-graph.)
//! - `mean`, `sum`, `max` and `min` of one operand reduce the last axis.
//! - `matmul` and `matmul_t` are `MatMul` without and with `transpose_b`; `linear` is one weight, no epilogue.
//! - `cast`, `reshape`, `broadcast`, `slice` match with any attributes and cannot be built.
//! - `rms_norm:?e` and `layer_norm:?e` carry their epsilon as a variable.

use egg::Id;
use gristmill_graph::{Binary, Bits, DType, Literal, NormKind, Op, Reduction, Scalar, Unary};

use super::body::{Head, Term};
use super::facts::EGraph;
use super::fold::as_f64;

/// An expression over variables: the left or the right side of a rule.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Var(String),
    Number(f64),
    Truth(bool),
    Node { kind: Kind, attribute: Option<String>, args: Vec<Pattern> },
}

/// Which operations a pattern node stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Exact(Op),
    /// A reduction over the last axis.
    Reduce(Reduction),
    Cast,
    Reshape,
    Broadcast,
    Slice,
    Norm(NormKind),
}

/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    Class(Id),
    Value(Literal),
}

/// One match of a pattern with a class.
#[derive(Clone, Debug, Default)]
pub(super) struct Match {
    vars: Vec<(String, Bound)>,
    /// The terms that the pattern's nodes matched.
    pub(super) terms: Vec<Term>,
}

impl Match {
    pub(super) fn get(&self, var: &str) -> Option<Bound> {
        self.vars.iter().find(|(name, _)| name == var).map(|(_, bound)| *bound)
    }

    pub(super) fn class(&self, var: &str) -> Option<Id> {
        match self.get(var)? {
            Bound::Class(id) => Some(id),
            Bound::Value(_) => None,
        }
    }

    /// The classes of all variables.
    pub(super) fn classes(&self) -> Vec<Id> {
        let class = |(_, bound): &(String, Bound)| match bound {
            Bound::Class(id) => Some(*id),
            Bound::Value(_) => None,
        };
        self.vars.iter().filter_map(class).collect()
    }

    fn bind(&self, egraph: &EGraph, var: &str, bound: Bound) -> Option<Match> {
        let same = |old: Bound| match (old, bound) {
            (Bound::Class(a), Bound::Class(b)) => egraph.find(a) == egraph.find(b),
            (a, b) => a == b,
        };
        match self.get(var) {
            Some(old) => same(old).then(|| self.clone()),
            None => {
                let mut new = self.clone();
                new.vars.push((var.to_string(), bound));
                Some(new)
            }
        }
    }
}

/// The replacement that a rule builds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum New {
    Class(Id),
    Term(Op, Vec<New>),
}

impl Pattern {
    /// Reads the notation.
    ///
    /// # Errors
    /// Describes the first part that cannot be parsed.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        let pattern = read(&mut words)?;
        match words.next() {
            None => Ok(pattern),
            Some(word) => Err(format!("unexpected `{word}` after the end of `{text}`")),
        }
    }

    /// All matches of this pattern with `class`.
    pub(super) fn matches(&self, egraph: &EGraph, class: Id, known: &Match) -> Vec<Match> {
        match self {
            Pattern::Var(name) => known.bind(egraph, name, Bound::Class(egraph.find(class))).into_iter().collect(),
            Pattern::Number(n) => {
                let value = egraph[class].data.value.and_then(as_f64);
                // Compared as f32, which is what a graph holds.
                let equal = value.is_some_and(|v| v as f32 == *n as f32);
                if equal { vec![known.clone()] } else { Vec::new() }
            }
            Pattern::Truth(b) => {
                let equal = egraph[class].data.value == Some(Literal::Bool(*b));
                if equal { vec![known.clone()] } else { Vec::new() }
            }
            Pattern::Node { kind, attribute, args } => {
                let mut all = Vec::new();
                for term in &egraph[class].nodes {
                    if term.args.len() == args.len() && kind.fits(egraph, term) {
                        all.extend(match_term(egraph, term, kind, attribute.as_deref(), args, known));
                    }
                }
                all
            }
        }
    }

    /// Builds the right side of a rule from a match; `None` if an attribute cannot be determined.
    pub(super) fn build(&self, egraph: &EGraph, found: &Match) -> Option<New> {
        match self {
            Pattern::Var(name) => found.class(name).map(New::Class),
            Pattern::Number(n) => Some(New::Term(Op::Const(Literal::f32(*n as f32)), Vec::new())),
            Pattern::Truth(b) => Some(New::Term(Op::Const(Literal::Bool(*b)), Vec::new())),
            Pattern::Node { kind, attribute, args } => {
                let args: Vec<New> = args.iter().map(|a| a.build(egraph, found)).collect::<Option<_>>()?;
                let op = match kind {
                    Kind::Exact(op) => op.clone(),
                    Kind::Reduce(op) => match args.first()? {
                        New::Class(x) => {
                            let axis = egraph[*x].data.ty.shape.len().checked_sub(1)?;
                            Op::Reduce { op: *op, axis: axis as u32 }
                        }
                        New::Term(..) => return None,
                    },
                    Kind::Norm(kind) => Op::Norm { kind: *kind, eps: epsilon(egraph, found, attribute.as_deref()?)? },
                    Kind::Cast | Kind::Reshape | Kind::Broadcast | Kind::Slice => return None,
                };
                Some(New::Term(op, args))
            }
        }
    }
}

fn epsilon(egraph: &EGraph, found: &Match, name: &str) -> Option<Bits> {
    let value = match found.get(name)? {
        Bound::Value(value) => value,
        Bound::Class(id) => egraph[id].data.value?,
    };
    match value {
        Literal::F32(bits) => Some(bits),
        _ => None,
    }
}

fn match_term(
    egraph: &EGraph,
    term: &Term,
    kind: &Kind,
    attribute: Option<&str>,
    args: &[Pattern],
    known: &Match,
) -> Vec<Match> {
    let mut start = known.clone();
    if let (Some(name), Some(Op::Norm { eps, .. })) = (attribute, term.op()) {
        match start.bind(egraph, name, Bound::Value(Literal::F32(*eps))) {
            Some(bound) => start = bound,
            None => return Vec::new(),
        }
    }
    start.terms.push(term.clone());
    let in_order = |order: &[Id]| {
        let step = |partial: Vec<Match>, (pattern, id): (&Pattern, &Id)| {
            partial.iter().flat_map(|m| pattern.matches(egraph, *id, m)).collect::<Vec<_>>()
        };
        args.iter().zip(order).fold(vec![start.clone()], step)
    };
    let mut all = in_order(&term.args);
    if kind.commutes() && term.args[0] != term.args[1] {
        all.extend(in_order(&[term.args[1], term.args[0]]));
    }
    all
}

impl Kind {
    fn commutes(&self) -> bool {
        matches!(self, Kind::Exact(Op::Binary(op)) if op.row().commutes)
    }

    fn fits(&self, egraph: &EGraph, term: &Term) -> bool {
        let Some(op) = term.op() else { return false };
        match self {
            Kind::Exact(expected) => expected == op,
            Kind::Reduce(expected) => matches!(op, Op::Reduce { op, axis }
                if expected == op && *axis as usize + 1 == egraph[term.args[0]].data.ty.shape.len()),
            Kind::Norm(expected) => matches!(op, Op::Norm { kind, .. } if expected == kind),
            Kind::Cast => matches!(op, Op::Cast(_)),
            Kind::Reshape => matches!(op, Op::Reshape(_)),
            Kind::Broadcast => matches!(op, Op::Broadcast(_)),
            Kind::Slice => matches!(op, Op::Slice { .. }),
        }
    }
}

fn read<'a>(words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Result<Pattern, String> {
    let word = words.next().ok_or("unexpected end")?;
    match word {
        "(" => {}
        ")" => return Err("unexpected `)`".into()),
        "true" => return Ok(Pattern::Truth(true)),
        "false" => return Ok(Pattern::Truth(false)),
        _ if word.starts_with('?') => return Ok(Pattern::Var(word.into())),
        _ => return word.parse().map(Pattern::Number).map_err(|_| format!("`{word}` is no number and no variable")),
    }
    let head = words.next().ok_or("unexpected end")?;
    let (name, attribute) = match head.split_once(':') {
        Some((name, attribute)) => (name, Some(attribute.to_string())),
        None => (head, None),
    };
    let mut args = Vec::new();
    while words.peek().is_some_and(|w| *w != ")") {
        args.push(read(words)?);
    }
    words.next().ok_or("a `)` is missing")?;
    let kind = kind(name, args.len()).ok_or_else(|| format!("`{name}` with {} operands is unknown", args.len()))?;
    Ok(Pattern::Node { kind, attribute, args })
}

fn kind(name: &str, arity: usize) -> Option<Kind> {
    let reduce = match name {
        "mean" => Some(Reduction::Mean),
        "sum" => Some(Reduction::Sum),
        "max" => Some(Reduction::Max),
        "min" => Some(Reduction::Min),
        _ => None,
    };
    if let (Some(op), 1) = (reduce, arity) {
        return Some(Kind::Reduce(op));
    }
    let special = match (name, arity) {
        ("cast", 1) => Kind::Cast,
        ("reshape", 1) => Kind::Reshape,
        ("broadcast", 1) => Kind::Broadcast,
        ("slice", 1) => Kind::Slice,
        ("rms_norm", 1..=2) => Kind::Norm(NormKind::Rms),
        ("layer_norm", 1..=3) => Kind::Norm(NormKind::Layer),
        ("matmul", 2) => Kind::Exact(Op::MatMul { transpose_b: false }),
        ("matmul_t", 2) => Kind::Exact(Op::MatMul { transpose_b: true }),
        ("linear", 2) => Kind::Exact(Op::Linear { weights: 1, epilogue: Scalar::identity() }),
        ("softmax", 1) => Kind::Exact(Op::Softmax),
        ("select", 3) => Kind::Exact(Op::Select),
        ("cast_f32", 1) => Kind::Exact(Op::Cast(DType::F32)),
        (_, 1) => Kind::Exact(Op::Unary(Unary::named(name)?)),
        (_, 2) => Kind::Exact(Op::Binary(Binary::named(name)?)),
        _ => return None,
    };
    Some(special)
}

impl Term {
    /// The parts of a linear term: number of weights, epilogue, and `[x, weights.., args..]`.
    pub(super) fn as_linear(&self) -> Option<(u8, &Scalar, &[Id])> {
        if let Head::Op(Op::Linear { weights, epilogue }) = &self.head {
            return Some((*weights, epilogue, &self.args));
        }
        None
    }
}
