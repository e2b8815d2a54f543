//! The table of algorithms: for every family of operations the variants that compute it, best first.

use gristmill_graph::{NodeId, Op, numel};

use super::limits::within_limits;
use crate::codegen::context::{Built, Lowering, Place};
use crate::error::CompileError;
use crate::kernels::{self, simd};
use crate::profile::Language;

/// What a kernel has to compute: an anchor, stored in the layout of a node at a place.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The graph around it.
    pub low: &'a Lowering<'a>,
    /// The anchor.
    pub id: NodeId,
    /// The node in whose layout the result is stored.
    pub root: NodeId,
    /// Where.
    pub place: Place,
}

/// Who a variant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Groups of threads that share memory.
    Groups,
    /// Processors with vectors of four.
    Simd,
    /// Both: with one thread in a group, it is right for a processor, too.
    Any,
}

/// One algorithm for a family of operations.
#[derive(Clone, Copy)]
pub struct Variant {
    /// How it is called where choices are explained.
    pub name: &'static str,
    /// Who it is for.
    pub form: Form,
    /// Whether it can compute this and is worth it.
    pub applies: fn(&Wanted<'_>) -> bool,
    /// Builds the kernel.
    pub build: fn(&Wanted<'_>) -> Result<Built, CompileError>,
}

/// The last row of a family: what computes everything.
const ALWAYS: fn(&Wanted<'_>) -> bool = |_| true;

const LINEAR: &[Variant] = &[
    Variant {
        name: "matmul_q8",
        form: Form::Simd,
        applies: |w| meets_bytes(w) && many_rows(w),
        build: |w| simd::matmul_q8::build(w.low, w.id, w.root, w.place),
    },
    Variant {
        name: "matvec_q8",
        form: Form::Simd,
        applies: meets_bytes,
        build: |w| simd::matvec_q8::build(w.low, w.id, w.root, w.place),
    },
    Variant {
        name: "matmul_f32",
        form: Form::Simd,
        applies: many_rows,
        build: |w| simd::linear_f32::build(w.low, w.id, true, w.root, w.place),
    },
    Variant {
        name: "matvec_f32",
        form: Form::Simd,
        applies: ALWAYS,
        build: |w| simd::linear_f32::build(w.low, w.id, false, w.root, w.place),
    },
    Variant {
        name: "matmul",
        form: Form::Groups,
        applies: many_rows,
        build: |w| kernels::matmul::build(w.low, w.id, w.root, w.place),
    },
    Variant {
        name: "matvec",
        form: Form::Groups,
        applies: ALWAYS,
        build: |w| kernels::matvec::build(w.low, w.id, w.root, w.place),
    },
];

const MATMUL: &[Variant] = &[Variant {
    name: "matmul_plain",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| kernels::matmul_plain::build(w.low, w.id, w.root, w.place),
}];

const NORM: &[Variant] = &[Variant {
    name: "norm",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| kernels::norm::build(w.low, w.id, w.root, w.place),
}];

const SOFTMAX: &[Variant] = &[Variant {
    name: "softmax",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| kernels::softmax::build(w.low, w.id, w.root, w.place),
}];

const ATTENTION: &[Variant] = &[
    Variant {
        name: "attention_vectors",
        form: Form::Simd,
        applies: |w| w.low.graph.node(w.id).inputs[..3].iter().all(|operand| w.low.quads(*operand)),
        build: |w| simd::attention::build(w.low, w.id, w.root, w.place),
    },
    Variant {
        name: "attention",
        form: Form::Any,
        applies: ALWAYS,
        build: |w| kernels::attention::build(w.low, w.id, w.root, w.place),
    },
];

const REDUCE: &[Variant] = &[Variant {
    name: "reduce",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| kernels::reduce::build(w.low, w.id, w.root, w.place),
}];

const ARGMAX: &[Variant] = &[Variant {
    name: "argmax",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| kernels::top_k::argmax(w.low, w.id, w.root, w.place),
}];

const TOP_K: &[Variant] = &[
    Variant {
        name: "top_k_list",
        form: Form::Simd,
        applies: ALWAYS,
        build: |w| simd::top_k::build(w.low, w.id, w.root, w.place),
    },
    Variant {
        name: "top_k",
        form: Form::Groups,
        applies: ALWAYS,
        build: |w| kernels::top_k::top_k(w.low, w.id, w.root, w.place),
    },
];

const ROUND_BLOCKS: &[Variant] = &[Variant {
    name: "quantize_q8",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| simd::quantize_q8::build(w.low, w.id, w.place),
}];

const STATE: &[Variant] = &[Variant {
    name: "store_state",
    form: Form::Any,
    applies: ALWAYS,
    build: |w| kernels::map::store_state(w.low, w.id, w.place),
}];

/// What is no anchor, but stored all the same.
const MAP: &[Variant] = &[
    Variant {
        name: "map_vectors",
        form: Form::Simd,
        applies: |w| simd::map::applies(w.low, w.id, w.place),
        build: |w| simd::map::build(w.low, w.id, w.place),
    },
    Variant { name: "map", form: Form::Any, applies: ALWAYS, build: |w| kernels::map::build(w.low, w.id, w.place) },
];

/// The variants that compute an operation, best first.
pub fn family(op: &Op) -> &'static [Variant] {
    match op {
        Op::Linear { .. } => LINEAR,
        Op::MatMul { .. } => MATMUL,
        Op::Norm { .. } => NORM,
        Op::Softmax => SOFTMAX,
        Op::Attention { .. } => ATTENTION,
        Op::Reduce { .. } => REDUCE,
        Op::ArgMax => ARGMAX,
        Op::TopK { .. } => TOP_K,
        Op::RoundBlocks => ROUND_BLOCKS,
        Op::StateAppend(_) | Op::StateKeep(_) => STATE,
        _ => MAP,
    }
}

/// The first variant of the family that suits the target and applies.
///
/// # Errors
/// If there is none, which is a bug.
pub fn choose(wanted: &Wanted<'_>) -> Result<&'static Variant, CompileError> {
    let own = match wanted.low.setting.profile.language {
        Language::Wgsl => Form::Groups,
        Language::Wasm => Form::Simd,
    };
    let node = wanted.low.graph.node(wanted.id);
    let suits = |v: &&Variant| (v.form == own || v.form == Form::Any) && (v.applies)(wanted);
    family(&node.op).iter().find(suits).ok_or_else(|| {
        CompileError::Internal(format!("no kernel computes {} of {} on this target", node.op.name(), node.path))
    })
}

/// Builds the kernel that computes what is wanted.
///
/// # Errors
/// If the kernel cannot fit the limits of the target.
pub fn build(wanted: &Wanted<'_>) -> Result<Built, CompileError> {
    let built = (choose(wanted)?.build)(wanted)?;
    within_limits(wanted.low, wanted.id, built)
}

/// Whether the activations of a linear layer are bytes.
fn meets_bytes(wanted: &Wanted<'_>) -> bool {
    let graph = wanted.low.graph;
    graph.node(graph.node(wanted.id).inputs[0]).op == Op::RoundBlocks
}

/// Whether there are usually enough rows of activations for tiles.
fn many_rows(wanted: &Wanted<'_>) -> bool {
    let (profile, node) = (wanted.low.setting.profile, wanted.low.graph.node(wanted.id));
    let rows = numel(&node.shape[..node.shape.len() - 1]);
    let typical = rows.eval(&profile.nominal(wanted.low.setting.model)).unwrap_or(i64::MAX);
    typical >= i64::from(profile.schedule.matmul.min_rows)
}
