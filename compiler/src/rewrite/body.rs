//! The part of a graph in one e-graph: terms over leaves, without names.
//!
//! Two layers of a model have equal bodies, whatever their weights and states are called. A result can therefore be
//! reused: a [`Body`] is its own cache key.

use std::fmt;

use egg::{Id, Language};
use gristmill_graph::{DType, Op, Precision, Shape};

use super::show;

/// Shape and element type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Type {
    pub(super) shape: Shape,
    pub(super) dtype: DType,
}

/// The kind of a leaf, as far as rewriting is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// A stored weight, dequantized or not.
    Weight(Precision),
    /// A model input, or a value that another region computes.
    Value,
}

/// A value that comes from outside the body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leaf {
    pub(super) ty: Type,
    pub(super) from: Origin,
}

/// What a term computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Head {
    /// The leaf with this index in [`Body::leaves`].
    Leaf(u32),
    /// A write to the state with this number, given `x` as its only argument. The type of the result is in
    /// [`Body::slots`].
    Store(u32),
    /// Any other operation. Never `Input`, `Weight`, or an operation on a state.
    Op(Op),
}

/// A node of an e-graph or, with indices as arguments, of a [`Body`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Term {
    pub(super) head: Head,
    pub(super) args: Vec<Id>,
}

impl Term {
    pub(super) fn new(op: Op, args: Vec<Id>) -> Self {
        Term { head: Head::Op(op), args }
    }

    /// The operation, unless it is a leaf or a store.
    pub(super) fn op(&self) -> Option<&Op> {
        match &self.head {
            Head::Op(op) => Some(op),
            Head::Leaf(_) | Head::Store(_) => None,
        }
    }

    /// The name for reports.
    pub(super) fn name(&self) -> String {
        match &self.head {
            Head::Leaf(_) => "leaf".into(),
            Head::Store(_) => "store".into(),
            Head::Op(op) => op.name(),
        }
    }

    /// Whether it has no operands and is free to recompute.
    pub(super) fn is_nullary(&self) -> bool {
        self.args.is_empty() && !matches!(self.head, Head::Leaf(_))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.head {
            Head::Op(op) => f.write_str(&show::op(op)),
            Head::Leaf(_) | Head::Store(_) => f.write_str(&self.name()),
        }
    }
}

impl Language for Term {
    type Discriminant = std::mem::Discriminant<Head>;

    fn discriminant(&self) -> Self::Discriminant {
        std::mem::discriminant(&self.head)
    }

    fn matches(&self, other: &Self) -> bool {
        self.head == other.head && self.args.len() == other.args.len()
    }

    fn children(&self) -> &[Id] {
        &self.args
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.args
    }
}

/// Terms in topological order; arguments are indices of earlier terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Body {
    /// Values from outside the body, in order of first use.
    pub(super) leaves: Vec<Leaf>,
    /// Result types of state writes, in order of first use.
    pub(super) slots: Vec<Type>,
    /// The terms.
    pub(super) terms: Vec<Term>,
    /// The type of every term.
    pub(super) types: Vec<Type>,
    /// For each term, the term of the *first* body (before any rewriting) with the same value; `None` for values that
    /// rewriting created.
    pub(super) origin: Vec<Option<usize>>,
    /// Terms whose values are used outside the body.
    pub(super) roots: Vec<usize>,
}

impl Body {
    /// The users of each term, in order and without duplicates.
    pub(super) fn users(&self) -> Vec<Vec<usize>> {
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); self.terms.len()];
        for (i, term) in self.terms.iter().enumerate() {
            for &arg in &term.args {
                let list = &mut users[usize::from(arg)];
                if list.last() != Some(&i) {
                    list.push(i);
                }
            }
        }
        users
    }

    /// Arguments of a term as indices.
    pub(super) fn args(&self, term: usize) -> impl Iterator<Item = usize> + '_ {
        self.terms[term].args.iter().map(|&id| usize::from(id))
    }

    /// Number of terms that compute something.
    pub(super) fn size(&self) -> usize {
        self.terms.iter().filter(|t| !matches!(t.head, Head::Leaf(_))).count()
    }
}
