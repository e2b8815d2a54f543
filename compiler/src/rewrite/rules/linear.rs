//! Products with a weight matrix.

use super::super::rule::If::{Batched, WeightMatrix};
use super::super::rule::{Rule, rule};

#[rustfmt::skip]
pub(super) fn rules() -> Vec<Rule> {
    vec![
        // x W^T == linear(x, W)
        rule("linear", "(matmul_t ?x ?w)", "(linear ?x ?w)").when(&[WeightMatrix("?w"), Batched("?x")]),
    ]
}
