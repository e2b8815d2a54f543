//! The operations: the only list in the workspace. What there is to know of each stands in [`crate::ops`].
//!
//! Primitives are what an architecture file can write; everything else a model needs (softmax, norms,
//! RoPE, attention, linear layers) is a block over them in `models/blocks`. Fused operations are what
//! rewriting finds; no author writes them, and each means exactly what its primitives mean.

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

/// Which statistics a normalisation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NormKind {
    /// `x * rsqrt(mean(x^2) + eps)` (Zhang and Sennrich 2019).
    Rms,
    /// `(x - mean(x)) * rsqrt(var(x) + eps)`, biased variance (Ba, Kiros and Hinton 2016).
    Layer,
}

/// What a node computes. Operand order and shapes are stated per variant; axes count from 0.
///
/// Element-wise operations broadcast as NumPy does: shapes are aligned at the right, and a dimension that is
/// the constant 1 (or missing) repeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Op {
    // ---- leaves
    /// The model input with this index in [`crate::Model::inputs`].
    Input(u32),
    /// The weight with this index in [`crate::Model::weights`], with the shape declared there.
    Weight(u32),
    /// A scalar constant (rank 0).
    Const(Literal),
    /// A small f32 vector written into the graph, shape `[length]`: rotation frequencies, filter taps.
    Table(Vec<Bits>),
    /// `[0, 1, ..., n-1]` as i32, shape `[n]`.
    Iota(Dim),
    /// The value of a dimension as an i32 scalar (rank 0); how formulas see `P` or `T`.
    Size(Dim),

    // ---- element-wise
    /// `[x]`: a function of every element.
    Unary(Unary),
    /// `[a, b]`: a function of every two elements.
    Binary(Binary),
    /// `[condition, then, otherwise]`.
    Select,
    /// `[x]`: conversion. f32 to i32 truncates; bool is 0 or 1.
    Cast(DType),

    // ---- reductions: the axis stays with size 1
    /// `[x]`.
    Reduce {
        /// How elements combine.
        op: Reduction,
        /// The reduced axis.
        axis: u32,
    },
    /// `[x]`: index (i32) of the largest element on the last axis, which stays with size 1. The first of equals wins.
    ArgMax,
    /// `[x]`: indices (i32) of the `k` largest elements on the last axis, largest first; ties by lower index.
    TopK {
        /// How many; at most the size of the axis.
        k: u32,
    },

    // ---- contraction
    /// `[a, b]`: `a [.., M, K]` times `b [.., K, N]`; with `transpose_b`, `b` is `[.., N, K]`. Leading dimensions broadcast.
    MatMul {
        /// Whether the last two dimensions of `b` are exchanged.
        transpose_b: bool,
    },

    // ---- views and movement
    /// `[x]`: same elements in row-major order.
    Reshape(Shape),
    /// `[x]`: result axis `i` is operand axis `perm[i]`.
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
    /// Any number of operands, joined along an axis.
    Concat {
        /// The axis.
        axis: u32,
    },
    /// `[x]`: adds `before` and `after` elements of `value` on an axis.
    Pad {
        /// The axis.
        axis: u32,
        /// Elements added in front.
        before: Dim,
        /// Elements added behind.
        after: Dim,
        /// The value of the added elements.
        value: Literal,
    },
    /// `[x]`: overlapping stretches of an axis. A new axis of length `size` follows `axis`:
    /// `out[.., o, j, ..] = x[.., o * stride + j * dilation, ..]`, for all `o` whose window lies within `x`. Convolution
    /// and pooling are products and reductions over windows.
    Windows {
        /// The axis.
        axis: u32,
        /// Elements of a window.
        size: u32,
        /// Elements from the start of a window to that of the next one.
        stride: u32,
        /// Elements from one element of a window to the next one.
        dilation: u32,
    },
    /// `[table, indices]`: rows of axis 0 of the table; shape `indices ++ table[1..]`. Indices (i32) outside the
    /// table are clamped.
    Gather,
    /// `[x, indices]`: elements along the last axis: `out[.., j] = x[.., indices[.., j]]`; leading dimensions are equal.
    TakeLast,

    // ---- stored forms
    /// `[weight]`: the f32 values of a weight that is stored in another precision. Inserted by the compiler
    /// when it applies a precision policy; a semantic no-op.
    Dequantize,

    /// `[x]`: 8-bit activations. Each block of [`ROUND_BLOCK`] elements on the last axis becomes whole multiples of a
    /// 127th of its largest magnitude `m`: `floor(x * (127 / m) + 0.5) * (m * (1 / 127))`, or zeros if `m` is 0. Inserted by
    /// the compiler for targets that multiply bytes.
    QuantizeActivations,

    // ---- state
    /// `[x]`: appends `x` to the state with this index at the past length `P` along the state's axis, and gives
    /// everything in it so far (`P + T` long on that axis). Where the state has a window, what is older may be lost: see
    /// [`crate::StateKind::Appended`].
    StateAppend(u32),

    /// `[x]`: puts `x` into the state with this index, in place of what it held, and gives it. Entries that decode
    /// read what an earlier call has kept instead: see [`Op::StateRead`].
    StateKeep(u32),

    /// No operands: what [`Op::StateKeep`] has put into the state with this index in an earlier call.
    StateRead(u32),

    /// No operands: what [`Op::StateUpdate`] has put into the state with this index in an earlier call, or zeros if none
    /// has. It is the same wherever in the graph it stands.
    StatePrevious(u32),

    /// `[x]`: puts `x` into the state with this index for the next call, in place of what it held. It has no readers:
    /// they read `x`. Calls that read the state with [`Op::StatePrevious`] update it, and no others do.
    StateUpdate(u32),

    // ---- fused: found by rewriting
    /// `[x]`: softmax over the last axis.
    Softmax,
    /// `[x]`, `[x, weight]` or `[x, weight, bias]`: normalisation over the last axis, then scale and shift.
    Norm {
        /// Which statistics.
        kind: NormKind,
        /// Added to the mean square or variance.
        eps: Bits,
    },
    /// `[x, w_0, .., w_{weights-1}, args..]`: `acc_i[.., n] = sum_k x[.., k] * w_i[n, k]`, then the epilogue for
    /// each element; args broadcast to the result `[.., N]`. Every `w_i` is `[N, K]`.
    Linear {
        /// How many weights (1; 2 for a gate/up pair).
        weights: u8,
        /// From accumulators and args to the result.
        epilogue: Scalar,
    },
    /// `[q, k, v, args..]`: `q [.., T, D]`, `k [.., S, D]`, `v [.., S, E]` with equal leading dimensions:
    /// `softmax_s(score(sum_d q[t, d] * k[s, d], args[t, s])) * v`. Args broadcast to `[.., T, S]`.
    Attention {
        /// From the dot product (`Acc(0)`) and args to the score.
        score: Scalar,
    },
}

/// Elements that [`Op::QuantizeActivations`] rounds with one scale.
pub const ROUND_BLOCK: usize = 32;

/// An operation that only renames elements, with its parameters; see the variants of [`Op`].
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
        /// Elements of a window.
        size: u32,
        /// Elements between windows.
        stride: u32,
        /// Elements between those of a window.
        dilation: u32,
    },
}

/// A function of dimensions.
type MapDim<'f> = &'f mut dyn FnMut(&Dim) -> Dim;

impl Op {
    /// The same operation with every dimension that it carries replaced.
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

    /// What it shows of its operand, if it is a view.
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

    /// The dimensions that it carries.
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
