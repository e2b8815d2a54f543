//! Identities that remove operations or normalize them.

use egg::Id;
use gristmill_graph::Op;

use super::super::body::Term;
use super::super::facts::{EGraph, type_of};
use super::super::pattern::New;
use super::super::rule::If::{Constant, Length, PerLength};
use super::super::rule::{Found, Rule, finder, rule};

#[rustfmt::skip]
pub(super) fn rules() -> Vec<Rule> {
    vec![
        // x + 0 == x
        rule("add-zero",           "(add ?x 0)",                    "?x"),
        // x - 0 == x
        rule("sub-zero",           "(sub ?x 0)",                    "?x"),
        // x * 1 == x
        rule("mul-one",            "(mul ?x 1)",                    "?x"),
        // x / 1 == x
        rule("div-one",            "(div ?x 1)",                    "?x"),
        // -(-x) == x
        rule("neg-neg",            "(neg (neg ?x))",                "?x"),
        // !(!x) == x
        rule("not-not",            "(not (not ?x))",                "?x"),
        // a - (-b) == a + b
        rule("sub-neg",            "(sub ?a (neg ?b))",             "(add ?a ?b)"),
        // a + (-b) == a - b
        rule("add-neg",            "(add ?a (neg ?b))",             "(sub ?a ?b)"),
        // x / c == x * (1 / c) for a constant c
        rule("div-constant",       "(div ?x ?c)",                   "(mul ?x (recip ?c))").when(&[Constant("?c")]),
        // x^2 == x * x
        rule("pow-two",            "(pow ?x 2)",                    "(mul ?x ?x)"),
        // x^3 == x * x * x
        rule("pow-three",          "(pow ?x 3)",                    "(mul (mul ?x ?x) ?x)"),
        // x^0.5 == sqrt(x)
        rule("pow-half",           "(pow ?x 0.5)",                  "(sqrt ?x)"),
        // x^-0.5 == 1 / sqrt(x)
        rule("pow-minus-half",     "(pow ?x -0.5)",                 "(rsqrt ?x)"),
        // 1 / sqrt(x) == rsqrt(x)
        rule("recip-sqrt",         "(recip (sqrt ?x))",             "(rsqrt ?x)"),
        // 1 / sqrt(x) == rsqrt(x), written as a quotient
        rule("one-div-sqrt",       "(div 1 (sqrt ?x))",             "(rsqrt ?x)"),
        // a / sqrt(x) == a * rsqrt(x)
        rule("div-sqrt",           "(div ?a (sqrt ?x))",            "(mul ?a (rsqrt ?x))"),
        // 1 / x == recip(x)
        rule("one-div",            "(div 1 ?x)",                    "(recip ?x)"),
        // sum(x) / n == mean(x)
        rule("sum-div-length",     "(div (sum ?x) ?n)",             "(mean ?x)").when(&[Length("?n", "?x")]),
        // sum(x) * (1 / n) == mean(x)
        rule("sum-mul-per-length", "(mul (sum ?x) ?c)",             "(mean ?x)").when(&[PerLength("?c", "?x")]),
        // true ? a : b == a
        rule("select-true",        "(select true ?a ?b)",           "?a"),
        // false ? a : b == b
        rule("select-false",       "(select false ?a ?b)",          "?b"),
        // c ? a : a == a
        rule("select-same",        "(select ?c ?a ?a)",             "?a"),
        // cast(x) == x if the type does not change
        rule("cast-same",          "(cast ?x)",                     "?x"),
        // reshape(x) == x if the shape does not change
        rule("reshape-same",       "(reshape ?x)",                  "?x"),
        // broadcast(x) == x if the shape does not change
        rule("broadcast-same",     "(broadcast ?x)",                "?x"),
        // slice(x) == x if the shape does not change
        rule("slice-same",         "(slice ?x)",                    "?x"),
        // reshape(reshape(x)) == reshape(x)
        finder("reshape-reshape",     reshape_reshape),
        // transpose(transpose(x)) == transpose(x) with the composed permutation
        finder("transpose-transpose", transpose_transpose),
        // a (b^T)^T == a b  and  a b^T == a (b^T), if only the last two axes are swapped
        finder("matmul-transposed",   matmul_transposed),
        // f(broadcast(x), y) == f(x, y) for element-wise f, if y already has the result's shape
        finder("implied-broadcast",   implied_broadcast),
    ]
}

/// `(outer term, inner term)` for all chains of two unary operations.
fn chains(egraph: &EGraph, class: Id) -> impl Iterator<Item = (&Term, &Term)> {
    let unary = |t: &&Term| t.op().is_some() && t.args.len() == 1;
    let outer = egraph[class].nodes.iter().filter(unary);
    outer.flat_map(move |o| egraph[o.args[0]].nodes.iter().filter(unary).map(move |i| (o, i)))
}

fn found(op: Op, args: Vec<New>, from: &[&Term]) -> Found {
    Found { new: New::Term(op, args), from: from.iter().map(|t| (*t).clone()).collect() }
}

fn reshape_reshape(egraph: &EGraph, class: Id) -> Vec<Found> {
    let mut all = Vec::new();
    for (outer, inner) in chains(egraph, class) {
        if let (Some(Op::Reshape(shape)), Some(Op::Reshape(_))) = (outer.op(), inner.op()) {
            all.push(found(Op::Reshape(shape.clone()), vec![New::Class(inner.args[0])], &[outer, inner]));
        }
    }
    all
}

fn transpose_transpose(egraph: &EGraph, class: Id) -> Vec<Found> {
    let mut all = Vec::new();
    for (outer, inner) in chains(egraph, class) {
        let (Some(Op::Transpose(second)), Some(Op::Transpose(first))) = (outer.op(), inner.op()) else { continue };
        let Some(perm) = second.iter().map(|&i| first.get(i as usize).copied()).collect::<Option<Vec<u32>>>() else {
            continue;
        };
        let from = vec![outer.clone(), inner.clone()];
        let x = New::Class(inner.args[0]);
        let identity = perm.iter().enumerate().all(|(i, &p)| i == p as usize);
        all.push(Found { new: if identity { x } else { New::Term(Op::Transpose(perm), vec![x]) }, from });
    }
    all
}

/// Whether this permutation swaps the last two axes and nothing else.
fn exchanges_last(perm: &[u32]) -> bool {
    let n = perm.len();
    n >= 2
        && perm[n - 2] as usize == n - 1
        && perm[n - 1] as usize == n - 2
        && perm[..n - 2].iter().enumerate().all(|(i, &p)| i == p as usize)
}

fn matmul_transposed(egraph: &EGraph, class: Id) -> Vec<Found> {
    let mut all = Vec::new();
    for term in &egraph[class].nodes {
        let Some(Op::MatMul { transpose_b }) = term.op() else { continue };
        for inner in &egraph[term.args[1]].nodes {
            if matches!(inner.op(), Some(Op::Transpose(perm)) if exchanges_last(perm)) {
                let args = vec![New::Class(term.args[0]), New::Class(inner.args[0])];
                all.push(found(Op::MatMul { transpose_b: !transpose_b }, args, &[term, inner]));
            }
        }
    }
    all
}

/// Element-wise operations broadcast their operands anyway; an explicit broadcast only hides what they are.
fn implied_broadcast(egraph: &EGraph, class: Id) -> Vec<Found> {
    let mut all = Vec::new();
    for term in &egraph[class].nodes {
        let Some(op) = term.op().filter(|op| op.is_elementwise()) else { continue };
        for (i, &arg) in term.args.iter().enumerate() {
            for view in &egraph[arg].nodes {
                if !repeats_only(egraph, view) {
                    continue;
                }
                let mut shorter = term.clone();
                shorter.args[i] = view.args[0];
                if type_of(egraph, &shorter).is_ok_and(|ty| ty == egraph[class].data.ty) {
                    let args = shorter.args.into_iter().map(New::Class).collect();
                    all.push(found(op.clone(), args, &[term, view]));
                }
            }
        }
    }
    all
}

/// Whether a view is a broadcast, or a reshape that only adds leading axes of length 1.
fn repeats_only(egraph: &EGraph, view: &Term) -> bool {
    if let Some(Op::Reshape(shape)) = view.op() {
        let inner = &egraph[view.args[0]].data.ty.shape;
        let extra = shape.len().checked_sub(inner.len());
        return extra.is_some_and(|n| shape[..n].iter().all(|d| d.is_one()) && shape[n..] == inner[..]);
    }
    matches!(view.op(), Some(Op::Broadcast(_)))
}
