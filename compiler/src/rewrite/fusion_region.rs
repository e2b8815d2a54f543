//! Guards about the uses of a value, and expressions over the terms of a body.
//!
//! A fused operation recomputes its whole expression, so it must be the only user of the values inside. This does not
//! mean a single use: `y * sigmoid(y)` uses `y` twice and is still closed, because everything computed from `y` ends in
//! the product.

use std::collections::BTreeSet;

use egg::Id;
use gristmill_graph::{Op, Scalar};

use super::body::{Body, Head};
use super::facts::EGraph;

/// Whether everything that is computed from `operands` on the way to `class` is only used for `class`.
///
/// Constants and other operations without operands may be shared, because they are repeated wherever needed.
pub(super) fn private(egraph: &EGraph, class: Id, operands: &[Id]) -> bool {
    let facts = &egraph.analysis;
    let operands: BTreeSet<Id> = operands.iter().map(|&id| egraph.find(id)).collect();
    let tops = &egraph[class].data.members;
    let mut inside: BTreeSet<usize> = BTreeSet::new();
    let mut open = tops.clone();
    while let Some(term) = open.pop() {
        for arg in facts.body.args(term) {
            let id = egraph.find(facts.ids[arg]);
            let node = &facts.body.terms[arg];
            let free = node.is_nullary() || egraph[id].data.value.is_some() || matches!(node.head, Head::Leaf(_));
            if !free && !operands.contains(&id) && inside.insert(arg) {
                open.push(arg);
            }
        }
    }
    let user_inside = |user: &usize| inside.contains(user) || tops.contains(user);
    inside.iter().all(|&term| !facts.roots.contains(&term) && facts.users[term].iter().all(user_inside))
}

/// All element-wise terms of one shape on paths from `from` to `to` (both included); `None` if there is no path.
pub(super) fn between(body: &Body, from: usize, to: usize) -> Option<BTreeSet<usize>> {
    let shape = &body.types[from].shape;
    let mut above = BTreeSet::from([from]);
    for term in from + 1..=to {
        let elementwise = body.terms[term].op().is_some_and(Op::is_elementwise);
        if elementwise && body.types[term].shape == *shape && body.args(term).any(|a| above.contains(&a)) {
            above.insert(term);
        }
    }
    above.remove(&from);
    (from == to || above.contains(&to)).then_some(above)
}

/// Builds one scalar expression from the element-wise terms of `path`.
pub(super) struct Expression<'a> {
    pub(super) egraph: &'a EGraph,
    /// The terms that become part of the expression.
    pub(super) path: &'a BTreeSet<usize>,
    /// The term that the expression starts from, and the scalar that stands for it.
    pub(super) base: (usize, &'a Scalar),
    /// Extra operands. New ones are appended.
    pub(super) args: Vec<Id>,
}

/// Expressions have no local names, so a value that is used twice is repeated. Larger expressions are not fused.
const MAX_SIZE: usize = 256;

impl Expression<'_> {
    /// The expression of `term`; `None` if it becomes too large.
    pub(super) fn of(&mut self, term: usize) -> Option<Scalar> {
        let mut budget = MAX_SIZE;
        self.write(term, &mut budget)
    }

    fn write(&mut self, term: usize, budget: &mut usize) -> Option<Scalar> {
        if term == self.base.0 {
            *budget = budget.checked_sub(self.base.1.size())?;
            return Some(self.base.1.clone());
        }
        *budget = budget.checked_sub(1)?;
        let facts = &self.egraph.analysis;
        let body = &facts.body;
        let op = match body.terms[term].op() {
            Some(op) if self.path.contains(&term) => op,
            _ => return self.operand(facts.ids[term]),
        };
        let mut parts = Vec::with_capacity(3);
        for arg in body.args(term) {
            parts.push(Box::new(self.write(arg, budget)?));
        }
        let mut parts = parts.into_iter();
        let mut part = || parts.next();
        if let Op::Unary(u) = op {
            return Some(Scalar::Unary(*u, part()?));
        }
        if let Op::Binary(b) = op {
            return Some(Scalar::Binary(*b, part()?, part()?));
        }
        if let Op::Cast(to) = op {
            return Some(Scalar::Cast(*to, part()?));
        }
        // Anything else stays outside of the expression.
        if *op == Op::Select { Some(Scalar::Select(part()?, part()?, part()?)) } else { None }
    }

    fn operand(&mut self, id: Id) -> Option<Scalar> {
        let id = self.egraph.find(id);
        if let Some(value) = self.egraph[id].data.value {
            return Some(Scalar::Lit(value));
        }
        let known = self.args.iter().position(|&a| self.egraph.find(a) == id);
        let index = known.unwrap_or_else(|| {
            self.args.push(id);
            self.args.len() - 1
        });
        u8::try_from(index).ok().map(Scalar::Arg)
    }
}
