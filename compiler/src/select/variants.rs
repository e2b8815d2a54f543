//! The table of algorithms: the variants for each family of operations, best first.

use gristmill_graph::{Dim, Node, NodeId, Op, numel};

use super::limits::within_limits;
use crate::codegen::context::{KernelPlan, Lowering, Memory, Place, Stored};
use crate::error::CompileError;
use crate::kernels::{self, simd};
use crate::profile::Language;

/// The operation to compute: an anchor, or several whose results one plan stores.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The entry that it belongs to.
    pub low: &'a Lowering<'a>,
    /// The results, at least one. If there are several, they are linear layers with the same activations.
    pub stored: &'a [Stored],
}

impl Wanted<'_> {
    /// The only result, or the first.
    pub fn first(&self) -> Stored {
        self.stored[0]
    }

    /// The node of the first result.
    pub fn node(&self) -> &Node {
        self.low.graph.node(self.first().id)
    }
}

/// The kind of target that a variant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Workgroups of threads that share memory.
    Groups,
    /// CPUs with vectors of four elements.
    Simd,
    /// Both: with one thread per workgroup, it is also correct on a CPU.
    Any,
}

/// One algorithm for a family of operations.
#[derive(Clone, Copy)]
pub struct Variant {
    /// Its name in explanations of choices.
    pub name: &'static str,
    /// The kind of target that it is for.
    pub form: Form,
    /// Whether it can store several results at once.
    pub several: bool,
    /// Whether it can compute this, and should.
    pub applies: fn(&Wanted<'_>) -> bool,
    /// Builds the kernels.
    pub build: fn(&Wanted<'_>) -> Result<KernelPlan, CompileError>,
}

/// For the last row of a family, which always applies.
const ALWAYS: fn(&Wanted<'_>) -> bool = |_| true;

const LINEAR: &[Variant] = &[
    Variant {
        name: "matmul_q8",
        form: Form::Simd,
        several: false,
        applies: |w| meets_bytes(w) && many_rows(w),
        build: |w| simd::matmul_q8::build(w.low, w.first()).map(Into::into),
    },
    Variant {
        name: "matvec_q8",
        form: Form::Simd,
        several: false,
        applies: meets_bytes,
        build: |w| simd::matvec_q8::build(w.low, w.first()).map(Into::into),
    },
    Variant {
        name: "matmul_f32",
        form: Form::Simd,
        several: false,
        applies: many_rows,
        build: |w| simd::linear_f32::build(w.low, w.first(), true).map(Into::into),
    },
    Variant {
        name: "matvec_f32",
        form: Form::Simd,
        several: false,
        applies: ALWAYS,
        build: |w| simd::linear_f32::build(w.low, w.first(), false).map(Into::into),
    },
    Variant {
        name: "matmul",
        form: Form::Groups,
        several: false,
        applies: many_rows,
        build: |w| kernels::matmul::build(w.low, w.first()).map(Into::into),
    },
    Variant {
        name: "matvec_together",
        form: Form::Groups,
        several: true,
        applies: |w| w.low.setting.profile.schedule.matvec.together && !many_rows(w) && all_tiled(w),
        build: |w| kernels::matvec_together::build(w.low, w.stored).map(Into::into),
    },
    Variant {
        name: "matvec_split",
        form: Form::Groups,
        several: false,
        applies: |w| all_tiled(w) && is_split(w),
        build: |w| kernels::matvec_split::build(w.low, w.first()),
    },
    Variant {
        name: "matvec",
        form: Form::Groups,
        several: false,
        applies: ALWAYS,
        build: |w| kernels::matvec::build(w.low, w.first()).map(Into::into),
    },
];

const MATMUL: &[Variant] = &[Variant {
    name: "matmul_plain",
    form: Form::Any,
    several: false,
    applies: ALWAYS,
    build: |w| kernels::matmul_plain::build(w.low, w.first()).map(Into::into),
}];

const NORM: &[Variant] = &[Variant {
    name: "norm",
    form: Form::Any,
    several: false,
    applies: ALWAYS,
    build: |w| kernels::norm::build(w.low, w.first()).map(Into::into),
}];

const SOFTMAX: &[Variant] = &[Variant {
    name: "softmax",
    form: Form::Any,
    several: false,
    applies: ALWAYS,
    build: |w| kernels::softmax::build(w.low, w.first()).map(Into::into),
}];

const ATTENTION: &[Variant] = &[
    Variant {
        name: "attention_vectors",
        form: Form::Simd,
        several: false,
        applies: |w| w.node().inputs[..3].iter().all(|operand| w.low.quads(*operand)),
        build: |w| simd::attention::build(w.low, w.first()).map(Into::into),
    },
    Variant {
        name: "attention_split",
        form: Form::Groups,
        several: false,
        applies: |w| w.low.setting.profile.schedule.attention.parts > 1 && has_one_query(w),
        build: |w| kernels::attention_split::build(w.low, w.first()),
    },
    Variant {
        name: "attention",
        form: Form::Any,
        several: false,
        applies: ALWAYS,
        build: |w| kernels::attention::build(w.low, w.first()).map(Into::into),
    },
];

const REDUCE: &[Variant] = &[Variant {
    name: "reduce",
    form: Form::Any,
    several: false,
    applies: ALWAYS,
    build: |w| kernels::reduce::build(w.low, w.first()).map(Into::into),
}];

const ARGMAX: &[Variant] = &[
    Variant {
        name: "argmax_split",
        form: Form::Groups,
        several: false,
        applies: has_long_rows,
        build: |w| kernels::argmax_split::build(w.low, w.first()),
    },
    Variant {
        name: "argmax",
        form: Form::Any,
        several: false,
        applies: ALWAYS,
        build: |w| kernels::top_k::argmax(w.low, w.first()).map(Into::into),
    },
];

const TOP_K: &[Variant] = &[
    Variant {
        name: "top_k_list",
        form: Form::Simd,
        several: false,
        applies: ALWAYS,
        build: |w| simd::top_k::build(w.low, w.first()).map(Into::into),
    },
    Variant {
        name: "top_k",
        form: Form::Groups,
        several: false,
        applies: ALWAYS,
        build: |w| kernels::top_k::top_k(w.low, w.first()).map(Into::into),
    },
];

const QUANTIZE_ACTIVATIONS: &[Variant] = &[Variant {
    name: "quantize_q8",
    form: Form::Any,
    several: false,
    applies: ALWAYS,
    build: |w| simd::quantize_q8::build(w.low, w.first()).map(Into::into),
}];

const STATE: &[Variant] = &[Variant {
    name: "store_state",
    form: Form::Any,
    several: false,
    applies: ALWAYS,
    build: |w| kernels::map::store_state(w.low, w.first()).map(Into::into),
}];

/// Stored values that are not anchors.
const MAP: &[Variant] = &[
    Variant {
        name: "map_vectors",
        form: Form::Simd,
        several: false,
        applies: |w| simd::map::applies(w.low, w.first()),
        build: |w| simd::map::build(w.low, w.first()).map(Into::into),
    },
    Variant {
        name: "map",
        form: Form::Any,
        several: false,
        applies: ALWAYS,
        build: |w| kernels::map::build(w.low, w.first()).map(Into::into),
    },
];

/// The variants for an operation, best first.
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
        Op::QuantizeActivations => QUANTIZE_ACTIVATIONS,
        Op::StateAppend(_) | Op::StateKeep(_) | Op::StateUpdate(_) => STATE,
        Op::Input(_) | Op::Weight(_) | Op::Dequantize | Op::StateRead(_) | Op::StatePrevious(_) => MAP,
        Op::Const(_) | Op::Table(_) | Op::Iota(_) | Op::Size(_) => MAP,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => MAP,
        Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice { .. } | Op::Windows { .. } => MAP,
        Op::Concat { .. } | Op::Pad { .. } | Op::Gather | Op::TakeLast => MAP,
    }
}

/// The first variant of the family that suits the target and applies. `None` if there are several results and no
/// variant stores them together.
pub fn choose(wanted: &Wanted<'_>) -> Option<&'static Variant> {
    let own = match wanted.low.setting.profile.language {
        Language::Wgsl => Form::Groups,
        Language::Wasm => Form::Simd,
    };
    let suits = |v: &&Variant| {
        let form = v.form == own || v.form == Form::Any;
        form && v.several == (wanted.stored.len() > 1) && (v.applies)(wanted)
    };
    family(&wanted.node().op).iter().find(suits)
}

/// Builds the kernels for what is wanted.
///
/// # Errors
/// If a kernel exceeds a limit of the target. An internal error if no variant applies.
pub fn build(wanted: &Wanted<'_>) -> Result<KernelPlan, CompileError> {
    let Some(variant) = choose(wanted) else { return one_by_one(wanted) };
    let plan = (variant.build)(wanted)?;
    plan.kernels.iter().try_for_each(|kernel| within_limits(wanted.low, wanted.first().id, kernel))?;
    Ok(plan)
}

/// Combines one plan for each of several results.
fn one_by_one(wanted: &Wanted<'_>) -> Result<KernelPlan, CompileError> {
    let node = wanted.node();
    if wanted.stored.len() < 2 {
        let what = format!("no kernel computes {} of {} on this target", node.op.name(), node.path);
        return Err(CompileError::Internal(what));
    }
    let mut all = KernelPlan { kernels: Vec::new(), scratch: Vec::new() };
    for stored in wanted.stored.chunks(1) {
        let plan = build(&Wanted { stored, ..*wanted })?;
        let before = all.scratch.len() as u32;
        all.scratch.extend(plan.scratch);
        all.kernels.extend(plan.kernels.into_iter().map(|mut kernel| {
            kernel.places.iter_mut().for_each(|place| {
                if let Place::Scratch(n) = place {
                    *n += before;
                }
            });
            kernel
        }));
    }
    Ok(all)
}

/// Whether the activations of a linear layer are bytes.
fn meets_bytes(wanted: &Wanted<'_>) -> bool {
    wanted.low.graph.node(wanted.node().inputs[0]).op == Op::QuantizeActivations
}

/// Whether all weights of linear layers are stored in tiles of rows.
fn all_tiled(wanted: &Wanted<'_>) -> bool {
    let low = wanted.low;
    let tiled = |id: &NodeId| low.place(*id).is_some_and(|p| matches!(low.memory(p, *id), Memory::Blocks(_)));
    let of_layer = |stored: &Stored| {
        let Node { op: Op::Linear { weights, .. }, inputs, .. } = low.graph.node(stored.id) else { return false };
        inputs[1..=usize::from(*weights)].iter().all(tiled)
    };
    wanted.stored.iter().all(of_layer)
}

/// Whether a matrix-vector product would leave a device idle: it has fewer tiles than the profile asks for.
fn is_split(wanted: &Wanted<'_>) -> bool {
    let (schedule, node) = (wanted.low.setting.profile.schedule.matvec, wanted.node());
    let (rows, lead) = node.shape.split_last().map_or((None, &[][..]), |(n, lead)| (n.as_const(), lead));
    let groups = rows.unwrap_or(i64::MAX).saturating_add(31) / 32;
    schedule.parts > 1 && groups.saturating_mul(typical(wanted, lead)) < i64::from(schedule.fill)
}

/// Whether an attention always has a single query.
fn has_one_query(wanted: &Wanted<'_>) -> bool {
    let shape = &wanted.node().shape;
    shape.len() > 1 && shape[shape.len() - 2].is_one()
}

/// Whether rows are long enough for every thread of all the workgroups that may share one.
fn has_long_rows(wanted: &Wanted<'_>) -> bool {
    let schedule = wanted.low.setting.profile.schedule.top_k;
    let width = wanted.low.width(wanted.node().inputs[0]);
    schedule.parts > 1 && typical(wanted, &[width]) >= i64::from(schedule.parts * schedule.threads)
}

/// Whether there are typically enough rows of activations for tiles.
fn many_rows(wanted: &Wanted<'_>) -> bool {
    let (profile, node) = (wanted.low.setting.profile, wanted.node());
    typical(wanted, &node.shape[..node.shape.len() - 1]) >= i64::from(profile.schedule.matmul.min_rows)
}

/// The typical number of elements of a shape.
fn typical(wanted: &Wanted<'_>, shape: &[Dim]) -> i64 {
    let setting = wanted.low.setting;
    numel(shape).eval(&setting.profile.nominal(setting.model)).unwrap_or(i64::MAX)
}
