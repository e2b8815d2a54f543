//! The operations: the only list of them in the workspace. [`crate::ops`] has a row with all facts about each.
//!
//! Formulas of an architecture file become primitives. Everything else that a model needs (softmax, norms, RoPE,
//! attention, linear layers) is a block over primitives in `models/blocks`. Rewriting introduces the fused operations:
//! no author writes them, and each means exactly what its primitives mean.

use serde::{Deserialize, Serialize};

use crate::dim::{Bindings, Dim, Shape};
use crate::dtype::DType;
use crate::literal::{Bits, Literal};
use crate::scalar::{Binary, Scalar, Unary};

/// How a reduction combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reduction {
    /// Sum (f32 or i32).
    Sum,
    /// Arithmetic mean (f32).
    Mean,
    /// Largest element.
    Max,
    /// Smallest element.
    Min,
}

/// The statistics of a normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NormKind {
    /// `x * rsqrt(mean(x^2) + eps)` (Zhang and Sennrich 2019).
    Rms,
    /// `(x - mean(x)) * rsqrt(var(x) + eps)`, biased variance (Ba, Kiros and Hinton 2016).
    Layer,
}

/// What a node computes. Each variant states its operands, in order, and their shapes. Axes count from 0.
///
/// Element-wise operations broadcast as in NumPy: shapes are aligned at the right, and a dimension that is the
/// constant 1, or missing, repeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Op {
    // ---- leaves
    /// The input with this index in `Model::inputs`.
    Input(u32),
    /// The weight with this index in `Model::weights`, with the shape declared there.
    Weight(u32),
    /// A scalar constant (rank 0).
    Const(Literal),
    /// A small f32 vector in the graph itself, shape `[length]`: RoPE frequencies, filter taps.
    Table(Vec<Bits>),
    /// The integers `0, 1, ..., n - 1` as i32, shape `[n]`.
    Iota(Dim),
    /// The value of a dimension, such as `P` or `T`, as an i32 scalar (rank 0).
    Size(Dim),

    // ---- element-wise
    /// `[x]`: a function of each element.
    Unary(Unary),
    /// `[a, b]`: a function of each pair of elements.
    Binary(Binary),
    /// `[condition, then, otherwise]`: `then` where the bool condition is true, `otherwise` elsewhere.
    Select,
    /// `[x]`: conversion to another type. f32 to i32 truncates and saturates; bool becomes 0 or 1.
    Cast(DType),

    // ---- reductions: the axis keeps size 1
    /// `[x]`: a reduction of one axis.
    Reduce {
        /// Sum, mean, maximum or minimum.
        op: Reduction,
        /// The reduced axis.
        axis: u32,
    },
    /// `[x]`: index (i32) of the largest element on the last axis, which keeps size 1. Of equal elements, the first.
    ArgMax,
    /// `[x]`: indices (i32) of the `k` largest elements on the last axis, in descending order; of equal elements, the
    /// first.
    TopK {
        /// Number of elements; at most the size of the axis.
        k: u32,
    },

    // ---- contraction
    /// `[a, b]`: `a [.., M, K]` times `b [.., K, N]`; with `transpose_b`, `b` is `[.., N, K]`. Leading dimensions
    /// broadcast.
    MatMul {
        /// Whether `b` is transposed.
        transpose_b: bool,
    },

    // ---- views and movement
    /// `[x]`: the same elements, in row-major order, in another shape.
    Reshape(Shape),
    /// `[x]`: a permutation of axes. Result axis `i` is operand axis `perm[i]`.
    Transpose(Vec<u32>),
    /// `[x]`: repeats dimensions that are 1 (aligned at the right).
    Broadcast(Shape),
    /// `[x]`: elements `start .. start + len` of an axis.
    Slice {
        /// The axis.
        axis: u32,
        /// First element.
        start: Dim,
        /// Number of elements.
        len: Dim,
    },
    /// Any number of operands: concatenation along an axis.
    Concat {
        /// The axis.
        axis: u32,
    },
    /// `[x]`: pads an axis with `value`.
    Pad {
        /// The axis.
        axis: u32,
        /// Number of elements added before the first one.
        before: Dim,
        /// Number of elements added after the last one.
        after: Dim,
        /// The value of the added elements.
        value: Literal,
    },
    /// `[x]`: sliding windows over an axis. A new axis of length `size` follows `axis`: `out[.., o, j, ..] = x[.., o *
    /// stride + j * dilation, ..]`, for all `o` whose window lies within `x`. Convolution and pooling are products and
    /// reductions over windows.
    Windows {
        /// The axis.
        axis: u32,
        /// Number of elements of a window.
        size: u32,
        /// Distance between the starts of neighbouring windows.
        stride: u32,
        /// Distance between neighbouring elements of a window.
        dilation: u32,
    },
    /// `[table, indices]`: rows of axis 0 of the table, by i32 indices. The shape is that of `indices`, followed by
    /// `table[1..]`. Indices out of range are clamped.
    Gather,
    /// `[x, indices]`: elements of the last axis, `out[.., j] = x[.., indices[.., j]]`. Leading dimensions must be
    /// equal.
    TakeLast,

    // ---- stored forms
    /// `[weight]`: the f32 values of a weight that is stored in another precision. The compiler inserts it when it
    /// applies a precision policy.
    Dequantize,

    /// `[x]`: 8-bit activations. Rounds each block of 32 (`ROUND_BLOCK`) elements on the last axis to multiples of `m /
    /// 127`, where `m` is the largest magnitude in the block: `floor(x * (127 / m) + 0.5) * (m * (1 / 127))`, or zeros
    /// if `m` is 0. The compiler inserts it for targets with dot products of bytes.
    QuantizeActivations,

    // ---- state
    /// `[x]`: appends `x` to the state with this index, at position `P` (the past length) of the axis of the state, and
    /// returns the entire content, of length `P + T` on that axis. A state with a window may drop older elements: see
    /// `StateKind::Appended`.
    StateAppend(u32),

    /// `[x]`: replaces the content of the state with this index by `x`, and returns it. In entries that decode,
    /// `StateRead` takes its place and returns what an earlier call has stored.
    StateKeep(u32),

    /// No operands: what `StateKeep` has stored in the state with this index in an earlier call.
    StateRead(u32),

    /// No operands: what `StateUpdate` has stored in the state with this index in an earlier call, or zeros before the
    /// first one. An update in the same call does not change it.
    StatePrevious(u32),

    /// `[x]`: replaces the content of the state with this index by `x`, for the next call. No node reads its result;
    /// they read `x`. Calls that read the state by `StatePrevious` update it; no others do.
    StateUpdate(u32),

    // ---- fused: found by rewriting
    /// `[x]`: softmax over the last axis.
    Softmax,
    /// `[x]`, `[x, weight]` or `[x, weight, bias]`: normalization over the last axis, then scale and shift.
    Norm {
        /// RMS norm or layer norm.
        kind: NormKind,
        /// A small number that is added to the mean square or the variance.
        eps: Bits,
    },
    /// `[x, w_0, .., w_{weights-1}, args..]`: `acc_i[.., n] = sum_k x[.., k] * w_i[n, k]`, then the epilogue on each
    /// element. `x` is `[.., K]`, each `w_i` is `[N, K]`, and args broadcast to the result `[.., N]`.
    Linear {
        /// Number of weights: 1, or 2 for gate and up projections.
        weights: u8,
        /// The result as a function of accumulators and args.
        epilogue: Scalar,
    },
    /// `[q, k, v, args..]`: `q [.., T, D]`, `k [.., S, D]`, `v [.., S, E]` with equal leading dimensions:
    /// `softmax_s(score(sum_d q[t, d] * k[s, d], args[t, s])) * v`. Args broadcast to `[.., T, S]`.
    Attention {
        /// The score as a function of the dot product (`Acc(0)`) and args.
        score: Scalar,
    },
}

/// Number of elements that share a scale in [`Op::QuantizeActivations`].
pub const ROUND_BLOCK: usize = 32;

/// An operation that only changes the indices of elements, with its parameters; see the variants of [`Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View<'a> {
    /// [`Op::Reshape`].
    Reshape(&'a [Dim]),
    /// [`Op::Transpose`].
    Transpose(&'a [u32]),
    /// [`Op::Broadcast`].
    Broadcast(&'a [Dim]),
    /// [`Op::Slice`].
    Slice {
        /// The axis.
        axis: usize,
        /// First element.
        start: &'a Dim,
        /// Number of elements.
        len: &'a Dim,
    },
    /// [`Op::Windows`].
    Windows {
        /// The axis.
        axis: usize,
        /// Number of elements of a window.
        size: u32,
        /// Distance between the starts of neighbouring windows.
        stride: u32,
        /// Distance between neighbouring elements of a window.
        dilation: u32,
    },
}

/// A function of dimensions.
type MapDim<'f> = &'f mut dyn FnMut(&Dim) -> Dim;

impl Op {
    /// The same operation with `f` applied to every dimension among its parameters.
    pub fn map_dims(&self, f: MapDim<'_>) -> Op {
        let shape = |s: &Shape, f: MapDim<'_>| s.iter().map(f).collect();
        match self {
            Op::Iota(n) => Op::Iota(f(n)),
            Op::Size(n) => Op::Size(f(n)),
            Op::Reshape(s) => Op::Reshape(shape(s, f)),
            Op::Broadcast(s) => Op::Broadcast(shape(s, f)),
            Op::Slice { axis, start, len } => Op::Slice { axis: *axis, start: f(start), len: f(len) },
            Op::Pad { axis, before, after, value } => {
                Op::Pad { axis: *axis, before: f(before), after: f(after), value: *value }
            }
            Op::Input(_) | Op::Weight(_) | Op::Const(_) | Op::Table(_) => self.clone(),
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => self.clone(),
            Op::Reduce { .. } | Op::ArgMax | Op::TopK { .. } | Op::MatMul { .. } => self.clone(),
            Op::Transpose(_) | Op::Concat { .. } | Op::Windows { .. } | Op::Gather | Op::TakeLast => self.clone(),
            Op::Dequantize | Op::QuantizeActivations => self.clone(),
            Op::StateAppend(_) | Op::StateKeep(_) | Op::StateRead(_) => self.clone(),
            Op::StatePrevious(_) | Op::StateUpdate(_) => self.clone(),
            Op::Softmax | Op::Norm { .. } | Op::Linear { .. } | Op::Attention { .. } => self.clone(),
        }
    }

    /// The operation as a view of its operand, if it is one.
    pub fn view(&self) -> Option<View<'_>> {
        match self {
            Op::Reshape(to) => Some(View::Reshape(to)),
            Op::Transpose(perm) => Some(View::Transpose(perm)),
            Op::Broadcast(to) => Some(View::Broadcast(to)),
            Op::Slice { axis, start, len } => Some(View::Slice { axis: *axis as usize, start, len }),
            Op::Windows { axis, size, stride, dilation } => {
                Some(View::Windows { axis: *axis as usize, size: *size, stride: *stride, dilation: *dilation })
            }
            Op::Input(_) | Op::Weight(_) | Op::Const(_) | Op::Table(_) | Op::Iota(_) | Op::Size(_) => None,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => None,
            Op::Reduce { .. } | Op::ArgMax | Op::TopK { .. } | Op::MatMul { .. } => None,
            Op::Concat { .. } | Op::Pad { .. } | Op::Gather | Op::TakeLast => None,
            Op::Dequantize | Op::QuantizeActivations => None,
            Op::StateAppend(_) | Op::StateKeep(_) | Op::StateRead(_) => None,
            Op::StatePrevious(_) | Op::StateUpdate(_) => None,
            Op::Softmax | Op::Norm { .. } | Op::Linear { .. } | Op::Attention { .. } => None,
        }
    }

    /// The dimensions among its parameters.
    pub fn dims(&self) -> Vec<Dim> {
        let mut dims = Vec::new();
        self.map_dims(&mut |d| {
            dims.push(d.clone());
            d.clone()
        });
        dims
    }

    /// The same operation with the symbols of `bindings` replaced by their values.
    pub fn with_symbols(&self, bindings: &Bindings) -> Op {
        self.map_dims(&mut |d| d.bind(bindings))
    }
}
