//! The table of operations: a row for each.
//!
//! A row (`Operation`) has the name of an operation, its type rule, its evaluation, and its traits ([`Traits`]):
//! whether it is a view, whether it gets a kernel of its own, what it reads directly from memory, what it costs. Scalar
//! functions have a table of their own ([`crate::scalar`]). The doc of a variant of [`Op`] says what it means, and
//! `models/OPS.md` quotes it.
//!
//! Rows of similar operations share a file. Evaluation is written for readers: each operation computes its entire
//! result from entire operands, and a fused operation is the composition of the primitives in its definition. Elements
//! are f32. Dot products accumulate in f32 in a few independent lanes. Reductions, softmax and normalization accumulate
//! in f64, so that the evaluator is closer to the exact result than what is compared with it. Integers wrap; `x / 0` is
//! `x` and `x % 0` is 0, as in WGSL.

mod check;
mod contract;
mod elementwise;
mod leaves;
mod movement;
mod reduce;
mod row;
mod state;

use crate::op::Op;
pub use check::{broadcast, expands};
pub use elementwise::{binary_type, scalar_type, unary_type};
pub(crate) use movement::{concat, slice};
pub use row::{Anchor, Arity, Declarations, Operand, Role, StateUse, Traits, Typed, Work};
pub(crate) use row::{Environment, Evaluated, Operation, Values};

impl Op {
    /// Calls a method of the row of the operation.
    pub(crate) fn row<R>(&self, ask: impl FnOnce(&dyn Operation) -> R) -> R {
        match self {
            Op::Input(index) => ask(&leaves::Input(*index)),
            Op::Weight(index) => ask(&leaves::Weight(*index)),
            Op::Const(value) => ask(&leaves::Const(*value)),
            Op::Table(values) => ask(&leaves::Table(values)),
            Op::Iota(length) => ask(&leaves::Iota(length)),
            Op::Size(dim) => ask(&leaves::Size(dim)),
            Op::Unary(function) => ask(&elementwise::Unary(*function)),
            Op::Binary(function) => ask(&elementwise::Binary(*function)),
            Op::Select => ask(&elementwise::Select),
            Op::Cast(to) => ask(&elementwise::Cast(*to)),
            Op::Reduce { op, axis } => ask(&reduce::Reduce { op: *op, axis: *axis }),
            Op::ArgMax => ask(&reduce::ArgMax),
            Op::TopK { k } => ask(&reduce::TopK { k: *k }),
            Op::MatMul { transpose_b } => ask(&contract::MatMul { transpose_b: *transpose_b }),
            Op::Reshape(to) => ask(&movement::Reshape(to)),
            Op::Transpose(perm) => ask(&movement::Transpose(perm)),
            Op::Broadcast(to) => ask(&movement::Broadcast(to)),
            Op::Slice { axis, start, len } => ask(&movement::Slice { axis: *axis, start, len }),
            Op::Concat { axis } => ask(&movement::Concat { axis: *axis }),
            Op::Pad { axis, before, after, value } => ask(&movement::Pad { axis: *axis, before, after, value: *value }),
            Op::Windows { axis, size, stride, dilation } => {
                ask(&movement::Windows { axis: *axis, size: *size, stride: *stride, dilation: *dilation })
            }
            Op::Gather => ask(&movement::Gather),
            Op::TakeLast => ask(&movement::TakeLast),
            Op::Dequantize => ask(&state::Dequantize),
            Op::QuantizeActivations => ask(&reduce::QuantizeActivations),
            Op::StateAppend(state) => ask(&state::Append(*state)),
            Op::StateKeep(state) => ask(&state::Keep(*state)),
            Op::StateRead(state) => ask(&state::Read(*state)),
            Op::StatePrevious(state) => ask(&state::Previous(*state)),
            Op::StateUpdate(state) => ask(&state::Update(*state)),
            Op::Softmax => ask(&reduce::Softmax),
            Op::Norm { kind, eps } => ask(&reduce::Norm { kind: *kind, eps: *eps }),
            Op::Linear { weights, epilogue } => ask(&contract::Linear { weights: usize::from(*weights), epilogue }),
            Op::Attention { score } => ask(&contract::Attention { score }),
        }
    }

    /// The name used in traces, errors and shader headers.
    pub fn name(&self) -> String {
        self.row(|row| row.name().into_owned())
    }

    /// What a compiler needs to know about it.
    pub fn traits(&self) -> Traits {
        self.row(|row| row.traits())
    }

    /// Whether each element of the result depends only on the elements of the operands at the same index.
    pub fn is_elementwise(&self) -> bool {
        matches!(self.traits().role, Role::Elementwise { .. })
    }

    /// Whether its value is in memory before any kernel runs.
    pub fn is_given(&self) -> bool {
        self.traits().role == Role::Given
    }

    /// Whether it only changes indices (no arithmetic, no data-dependent index).
    pub fn is_view(&self) -> bool {
        self.traits().role == Role::View
    }

    /// Whether it always gets a kernel of its own.
    pub fn is_anchor(&self) -> bool {
        self.anchor().is_some()
    }

    /// The facts about an operation with a kernel of its own.
    pub fn anchor(&self) -> Option<Anchor> {
        match self.traits().role {
            Role::Anchor(anchor) => Some(anchor),
            Role::Given | Role::Constant | Role::View | Role::Elementwise { .. } | Role::Movement => None,
        }
    }

    /// The state that it reads or writes, if any.
    pub fn state(&self) -> Option<u32> {
        match self.traits().state {
            StateUse::Reads(state) | StateUse::Writes(state) => Some(state),
            StateUse::None => None,
        }
    }

    /// The state that it writes, if any.
    pub fn written_state(&self) -> Option<u32> {
        match self.traits().state {
            StateUse::Writes(state) => Some(state),
            StateUse::Reads(_) | StateUse::None => None,
        }
    }

    /// The state whose previous content it returns, if any.
    pub fn previous_state(&self) -> Option<u32> {
        if let Op::StatePrevious(state) = self { Some(*state) } else { None }
    }

    /// Whether only rewriting introduces it.
    pub fn is_fused(&self) -> bool {
        self.anchor().is_some_and(|a| a.fused)
    }
}

#[cfg(test)]
mod tests;
