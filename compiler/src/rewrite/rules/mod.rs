//! The rules, by topic, and the stages that run them. How to write one: `README.md` beside this file.

mod algebra;
mod attention;
mod epilogue;
mod linear;
mod norm;
mod softmax;

use super::rule::Rule;

/// Stage 1: fewer and plainer operations, so that guards of later stages see who really uses a value.
pub(super) fn simplify() -> Vec<Rule> {
    algebra::rules()
}

/// Stage 2: fused operations that are a fixed pattern.
pub(super) fn recognise() -> Vec<Rule> {
    [algebra::rules(), norm::rules(), softmax::rules(), linear::rules()].concat()
}

/// Stage 3: what grows around them.
pub(super) fn fuse() -> Vec<Rule> {
    [epilogue::rules(), attention::rules()].concat()
}
