//! The rules by topic, and the stages that run them. `README.md` beside this file explains how to write one.

mod algebra;
mod attention;
mod epilogue;
mod linear;
mod norm;
mod softmax;

use super::rule::Rule;

/// Stage 1: fewer and simpler operations, so that the guards of later stages see the real users of a value.
pub(super) fn simplify() -> Vec<Rule> {
    algebra::rules()
}

/// Stage 2: fused operations with a fixed pattern.
pub(super) fn recognise() -> Vec<Rule> {
    [algebra::rules(), norm::rules(), softmax::rules(), linear::rules()].concat()
}

/// Stage 3: extensions of the operations from stage 2.
pub(super) fn fuse() -> Vec<Rule> {
    [epilogue::rules(), attention::rules()].concat()
}
