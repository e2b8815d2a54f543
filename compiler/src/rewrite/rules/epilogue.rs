//! Epilogues of linear operations, and two linear operations in one.

use egg::Id;
use gristmill_graph::{DType, Op, Scalar};

use super::super::body::{Origin, Term};
use super::super::facts::EGraph;
use super::super::fusion_region::{Expression, private};
use super::super::pattern::New;
use super::super::rule::{Found, Rule, finder, stored};

pub(super) fn rules() -> Vec<Rule> {
    vec![
        // f(linear(x, W), a..) == linear{f}(x, W, a..) for element-wise f, if the product is used for nothing else
        finder("epilogue", epilogue),
        // linear{f(acc0, linear{g}(x, V))}(x, W) == linear{f(acc0, g(acc1))}(x, W, V)
        finder("shared-input", shared_input),
    ]
}

/// Bias, activation, residual: any element-wise expression that contains all uses of a linear operation.
fn epilogue(egraph: &EGraph, class: Id) -> Vec<Found> {
    let facts = &egraph.analysis;
    let mut all = Vec::new();
    if egraph[class].data.ty.dtype != DType::F32 {
        return all;
    }
    for &root in &egraph[class].data.members {
        for region in &facts.post_dominated[root] {
            for term in &egraph[facts.ids[region.base]].nodes {
                all.extend(term.as_linear().and_then(|(weights, old, operands)| {
                    let args = operands[1 + usize::from(weights)..].to_vec();
                    let mut expression = Expression { egraph, path: &region.path, base: (region.base, old), args };
                    let epilogue = expression.of(root)?;
                    let operands = [&operands[..=usize::from(weights)], &expression.args].concat();
                    linear(egraph, weights, epilogue, &operands, &[term])
                }));
            }
        }
    }
    all
}

/// An extra operand that is a linear operation of the same input becomes a second accumulator.
fn shared_input(egraph: &EGraph, class: Id) -> Vec<Found> {
    let mut all = Vec::new();
    for outer in &egraph[class].nodes {
        let Some((1, f, first)) = outer.as_linear() else { continue };
        for j in 2..first.len() {
            for inner in &egraph[first[j]].nodes {
                let Some((1, g, second)) = inner.as_linear() else { continue };
                let same_size = egraph[first[j]].data.ty == egraph[class].data.ty && alike(egraph, first[1], second[1]);
                if egraph.find(first[0]) != egraph.find(second[0]) || !same_size {
                    continue;
                }
                let mut operands = vec![first[0], first[1], second[1]];
                operands.extend(first[2..].iter().enumerate().filter(|(i, _)| i + 2 != j).map(|(_, id)| id));
                operands.extend(&second[2..]);
                if private(egraph, class, &operands) {
                    let epilogue = nested(f, j - 2, g, first.len() - 3);
                    all.extend(linear(egraph, 2, epilogue, &operands, &[outer, inner]));
                }
            }
        }
    }
    all
}

/// `f` with `g` in place of its argument `hole`. The arguments of `g` follow the `kept` other ones of `f`.
fn nested(f: &Scalar, hole: usize, g: &Scalar, kept: usize) -> Scalar {
    let g = g.map_leaves(&mut |leaf| match leaf {
        Scalar::Acc(_) => Scalar::Acc(1),
        Scalar::Arg(i) => Scalar::Arg(i + kept as u8),
        other => other.clone(),
    });
    f.map_leaves(&mut |leaf| match leaf {
        Scalar::Arg(i) if usize::from(*i) == hole => g.clone(),
        Scalar::Arg(i) if usize::from(*i) > hole => Scalar::Arg(i - 1),
        other => other.clone(),
    })
}

/// Whether one kernel can read two weights in step: same shape, same storage.
fn alike(egraph: &EGraph, a: Id, b: Id) -> bool {
    let way = |id| match stored(egraph, id) {
        Some(Origin::Weight(precision)) => Some(precision),
        Some(Origin::Value) | None => None,
    };
    egraph[a].data.ty == egraph[b].data.ty && way(a) == way(b)
}

fn linear(egraph: &EGraph, weights: u8, epilogue: Scalar, operands: &[Id], from: &[&Term]) -> Option<Found> {
    let fits = operands.len() <= egraph.analysis.max_operands;
    fits.then(|| Found {
        new: New::Term(Op::Linear { weights, epilogue }, operands.iter().copied().map(New::Class).collect()),
        from: from.iter().map(|t| (*t).clone()).collect(),
    })
}
