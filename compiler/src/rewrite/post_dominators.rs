//! Finds the values that a fused operation may contain: those whose uses all converge in one term.
//!
//! That term is the value's immediate post-dominator: its immediate dominator in the reversed graph of uses, seen from
//! an exit node after everything that leaves the body.

use std::collections::BTreeSet;

use gristmill_graph::Op;
use petgraph::algo::dominators::simple_fast;
use petgraph::graph::{DiGraph, NodeIndex};

use super::body::Body;

/// A value whose uses all converge in one element-wise term, the root.
#[derive(Clone, Debug)]
pub(super) struct PostDominated {
    /// The value.
    pub(super) base: usize,
    /// The terms between the value and the root, including the root.
    pub(super) path: BTreeSet<usize>,
}

/// For each term, the values that it post-dominates through element-wise terms of the value's shape.
pub(super) fn post_dominated(body: &Body, users: &[Vec<usize>]) -> Vec<Vec<PostDominated>> {
    let roots: BTreeSet<usize> = body.roots.iter().copied().collect();
    let mut all = vec![Vec::new(); body.terms.len()];
    for (base, root) in post_dominators(users, &roots).into_iter().enumerate() {
        let shape = &body.types[base].shape;
        let inside = |t: usize| body.terms[t].op().is_some_and(Op::is_elementwise) && body.types[t].shape == *shape;
        if let Some((root, path)) = root.and_then(|root| Some((root, between(users, base, root, inside)?))) {
            all[root].push(PostDominated { base, path });
        }
    }
    all
}

/// For each term, the first term that all its uses go through; `None` if they leave the body on separate paths. Unused
/// terms leave the body, as do `roots`.
fn post_dominators(users: &[Vec<usize>], roots: &BTreeSet<usize>) -> Vec<Option<usize>> {
    let exit = users.len();
    let mut reversed: DiGraph<(), (), usize> = DiGraph::default();
    for _ in 0..=exit {
        reversed.add_node(());
    }
    for (term, users) in users.iter().enumerate() {
        let leaves = (users.is_empty() || roots.contains(&term)).then_some(exit);
        for from in users.iter().copied().chain(leaves) {
            reversed.add_edge(NodeIndex::new(from), NodeIndex::new(term), ());
        }
    }
    let dominators = simple_fast(&reversed, NodeIndex::new(exit));
    let of = |term| dominators.immediate_dominator(NodeIndex::new(term)).map(NodeIndex::index);
    (0..exit).map(|term| of(term).filter(|root| *root != exit)).collect()
}

/// The terms on paths from `base` to its post-dominator `root`; `None` if one of them is not `inside`.
fn between(users: &[Vec<usize>], base: usize, root: usize, inside: impl Fn(usize) -> bool) -> Option<BTreeSet<usize>> {
    let mut path = BTreeSet::new();
    let mut open = users[base].clone();
    while let Some(term) = open.pop() {
        if !path.insert(term) {
            continue;
        }
        if !inside(term) {
            return None;
        }
        if term != root {
            open.extend(&users[term]);
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The terms that can be reached from `from` without passing `without`.
    fn reached(users: &[Vec<usize>], from: usize, without: Option<usize>) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut open = vec![from];
        while let Some(term) = open.pop() {
            if Some(term) != without && all.insert(term) {
                open.extend(&users[term]);
            }
        }
        all
    }

    proptest! {
        #[test]
        fn post_dominators_are_what_they_are_called(
            uses in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..14),
            roots in prop::collection::btree_set(0usize..14, 0..3),
        ) {
            // Operands of a term precede it.
            let mut users = vec![Vec::new(); uses.len()];
            for (term, args) in uses.iter().enumerate().skip(1) {
                let args: BTreeSet<usize> = args.iter().map(|a| a.index(term)).collect();
                args.into_iter().for_each(|arg| users[arg].push(term));
            }
            let roots: BTreeSet<usize> = roots.into_iter().filter(|r| *r < users.len()).collect();
            let leaves = |term: &usize| users[*term].is_empty() || roots.contains(term);
            for (term, found) in post_dominators(&users, &roots).into_iter().enumerate() {
                let all_through = |via: &usize| !reached(&users, term, Some(*via)).iter().any(leaves);
                // The nearest one comes first in the order of the terms.
                let expected = (term + 1..users.len()).find(all_through);
                prop_assert_eq!(found, expected, "{} of {:?}, roots {:?}", term, users, roots);
                if let Some(root) = found {
                    let path = between(&users, term, root, |_| true).expect("all is inside");
                    let mut way = reached(&users, term, Some(root));
                    way.remove(&term);
                    way.insert(root);
                    prop_assert_eq!(path, way);
                }
            }
        }
    }
}
