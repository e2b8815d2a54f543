//! Softmax over the last axis.

use super::super::rule::If::Private;
use super::super::rule::{Rule, rule};

#[rustfmt::skip]
pub(super) fn rules() -> Vec<Rule> {
    vec![
        // e / sum(e) == softmax(x)  where e = exp(x - max(x))
        rule("softmax",            "(div (exp (sub ?x (max ?x))) (sum (exp (sub ?x (max ?x)))))",         "(softmax ?x)").when(&[Private]),
        // e * (1 / sum(e)) == softmax(x)
        rule("softmax-recip",      "(mul (exp (sub ?x (max ?x))) (recip (sum (exp (sub ?x (max ?x))))))", "(softmax ?x)").when(&[Private]),
        // exp(x) / sum(exp(x)) == softmax(x): without the guard against overflow
        rule("softmax-unshifted",  "(div (exp ?x) (sum (exp ?x)))",                                       "(softmax ?x)").when(&[Private]),
    ]
}
