//! Attention: two products with a softmax between them, without the score matrix in memory.

use std::collections::BTreeSet;

use egg::Id;
use gristmill_graph::{Dim, Op, Scalar, Shape};

use super::super::facts::EGraph;
use super::super::fusion_region::{Expression, between, private};
use super::super::pattern::New;
use super::super::rule::{Found, Rule, finder};

pub(super) fn rules() -> Vec<Rule> {
    vec![
        // softmax(f(q k^T, a..)) v == attention{f}(q, k, v, a..) for element-wise f (scale, mask, bias, cap)
        finder("attention", attention),
    ]
}

fn attention(egraph: &EGraph, class: Id) -> Vec<Found> {
    let mut all = Vec::new();
    for &root in &egraph[class].data.members {
        all.extend(from_product(egraph, class, root));
    }
    all
}

/// All ways to read the term `root` as attention, one for each product that the scores may come from.
fn from_product(egraph: &EGraph, class: Id, root: usize) -> Vec<Found> {
    let facts = &egraph.analysis;
    let body = &facts.body;
    let Some(Op::MatMul { transpose_b: false }) = body.terms[root].op() else { return Vec::new() };
    let operands: Vec<usize> = body.args(root).collect();
    let [weights, v] = operands[..] else { return Vec::new() };
    let Some(Op::Softmax) = body.terms[weights].op() else { return Vec::new() };
    let Some(scores) = body.args(weights).next() else { return Vec::new() };
    let products = (0..=scores).filter(|&t| body.types[t] == body.types[scores]);
    let mut all = Vec::new();
    for product in products {
        let Some((q, k)) = scored(egraph, product) else { continue };
        let Some(path) = between(body, product, scores) else { continue };
        all.extend(fused(egraph, class, &path, (product, scores), [q, k, facts.ids[v]]));
    }
    all
}

/// Query and key, if a term is the product of the two.
fn scored(egraph: &EGraph, term: usize) -> Option<(Id, Id)> {
    let facts = &egraph.analysis;
    let term = &facts.body.terms[term];
    let plain = || term.as_linear().is_some_and(|(n, epilogue, _)| n == 1 && *epilogue == Scalar::identity());
    let product = *term.op()? == Op::MatMul { transpose_b: true } || plain();
    let class = |i: usize| facts.ids[usize::from(term.args[i])];
    (product && term.args.len() == 2).then(|| (class(0), class(1)))
}

fn fused(
    egraph: &EGraph,
    class: Id,
    path: &BTreeSet<usize>,
    (product, scores): (usize, usize),
    qkv: [Id; 3],
) -> Option<Found> {
    let identity = Scalar::identity();
    let mut expression = Expression { egraph, path, base: (product, &identity), args: Vec::new() };
    let score = expression.of(scores)?;
    let args = expression.args;
    let operands = [&qkv[..], &args[..]].concat();
    if operands.len() > egraph.analysis.max_operands || !private(egraph, class, &operands) {
        return None;
    }
    let mut new: Vec<New> = repeated(egraph, qkv)?.into();
    new.extend(args.into_iter().map(New::Class));
    Some(Found { new: New::Term(Op::Attention { score }, new), from: Vec::new() })
}

/// Products broadcast leading axes, but attention needs them equal: key heads that several query heads share become
/// views.
fn repeated(egraph: &EGraph, qkv: [Id; 3]) -> Option<[New; 3]> {
    let shape = |id: Id| &egraph[id].data.ty.shape;
    let rank = qkv.iter().map(|&id| shape(id).len()).max()?;
    let mut lead: Shape = vec![Dim::constant(1); rank.checked_sub(2)?];
    for id in qkv {
        let own = shape(id);
        let own = &own[..own.len().checked_sub(2)?];
        let offset = lead.len() - own.len();
        for (all, dim) in lead[offset..].iter_mut().zip(own) {
            if all.is_one() {
                *all = dim.clone();
            }
        }
    }
    Some(qkv.map(|id| {
        let own = shape(id);
        let full: Shape = lead.iter().chain(&own[own.len() - 2..]).cloned().collect();
        if full == *own { New::Class(id) } else { New::Term(Op::Broadcast(full), vec![New::Class(id)]) }
    }))
}
