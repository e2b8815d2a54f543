//! RMS norm and layer norm over the last axis.
//!
//! `mul` and `add` match in both operand orders, so only groupings are listed. The guards of the later rules look below
//! the norm that they extend: nothing between the new result and its operands may have another user.

use super::super::rule::If::{Constant, PerFeature, Private};
use super::super::rule::{Rule, rule};

#[rustfmt::skip]
pub(super) fn rules() -> Vec<Rule> {
    let rms = "(rsqrt (add (mean (mul ?x ?x)) ?e))";
    let c = "(sub ?x (mean ?x))";
    let deviation = &format!("(rsqrt (add (mean (mul {c} {c})) ?e))");
    vec![
        // x * rsqrt(mean(x^2) + e) == rms_norm(x)
        rule("rms-norm",                &format!("(mul ?x {rms})"),                "(rms_norm:?e ?x)").when(&[Constant("?e"), Private]),
        // x * (rsqrt(mean(x^2) + e) * w) == rms_norm(x, w)
        rule("rms-norm-scale-right",    &format!("(mul ?x (mul {rms} ?w))"),       "(rms_norm:?e ?x ?w)").when(&[Constant("?e"), PerFeature("?w", "?x"), Private]),
        // (x * w) * rsqrt(mean(x^2) + e) == rms_norm(x, w)
        rule("rms-norm-scale-left",     &format!("(mul (mul ?x ?w) {rms})"),       "(rms_norm:?e ?x ?w)").when(&[Constant("?e"), PerFeature("?w", "?x"), Private]),
        // rms_norm(x) * w == rms_norm(x, w)
        rule("rms-norm-weight",         "(mul (rms_norm:?e ?x) ?w)",               "(rms_norm:?e ?x ?w)").when(&[PerFeature("?w", "?x"), Private]),
        // c * rsqrt(mean(c^2) + e) == layer_norm(x)  where c = x - mean(x)
        rule("layer-norm",              &format!("(mul {c} {deviation})"),         "(layer_norm:?e ?x)").when(&[Constant("?e"), Private]),
        // c * (rsqrt(mean(c^2) + e) * w) == layer_norm(x, w)
        rule("layer-norm-scale-right",  &format!("(mul {c} (mul {deviation} ?w))"), "(layer_norm:?e ?x ?w)").when(&[Constant("?e"), PerFeature("?w", "?x"), Private]),
        // (c * w) * rsqrt(mean(c^2) + e) == layer_norm(x, w)
        rule("layer-norm-scale-left",   &format!("(mul (mul {c} ?w) {deviation})"), "(layer_norm:?e ?x ?w)").when(&[Constant("?e"), PerFeature("?w", "?x"), Private]),
        // layer_norm(x) * w == layer_norm(x, w)
        rule("layer-norm-weight",       "(mul (layer_norm:?e ?x) ?w)",             "(layer_norm:?e ?x ?w)").when(&[PerFeature("?w", "?x"), Private]),
        // layer_norm(x, w) + b == layer_norm(x, w, b)
        rule("layer-norm-bias",         "(add (layer_norm:?e ?x ?w) ?b)",          "(layer_norm:?e ?x ?w ?b)").when(&[PerFeature("?b", "?x"), Private]),
    ]
}
