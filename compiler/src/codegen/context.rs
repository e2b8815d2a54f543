//! The context in which an entry is lowered: the rewritten graph, which of its values are stored, and in what memory.

use std::collections::BTreeMap;
use std::fmt;

use gristmill_bundle::Size;
use gristmill_graph::{DType, Dim, Graph, Model, NodeId, Op, Precision, QuantSpec, StateKind};
use gristmill_kernel::{Kernel, Scalar};

use super::partition::Partition;
use crate::options::KvPrecision;
use crate::profile::Profile;

/// Memory that a kernel can bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A weight.
    Tensor(u32),
    /// A value in scratch memory, by the node that computes it.
    Value(NodeId),
    /// A state.
    State(u32),
    /// A model input.
    Input(u32),
    /// A result of the entry, by its position in the list of outputs.
    Output(u32),
    /// Memory between the kernels of one [`KernelPlan`], by its index in [`KernelPlan::scratch`].
    Scratch(u32),
}

/// How memory encodes elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// One element per 32-bit word. Booleans are i32.
    Dense(Scalar),
    /// f16, two per word.
    F16x2,
    /// Quantized blocks.
    Blocks(QuantSpec),
    /// Activations as bytes with scales; see [`super::activations`].
    Bytes,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Memory::Dense(s) => write!(f, "{s:?}"),
            Memory::F16x2 => write!(f, "f16x2"),
            Memory::Blocks(spec) => write!(f, "{}", Precision::Quant(*spec)),
            Memory::Bytes => write!(f, "bytes"),
        }
    }
}

/// What stays the same while an entry is lowered.
pub struct Setting<'a> {
    /// The model: its weights, states and symbols.
    pub model: &'a Model,
    /// How each weight is stored, by its index in the model.
    pub precisions: &'a [Precision],
    /// How states are stored.
    pub kv: KvPrecision,
    /// The target.
    pub profile: &'a Profile,
    /// Whether a kernel may bind more buffers than the target allows, because a fallback can replace it.
    pub has_fallback: bool,
}

/// An entry graph and the decisions about how to lower it.
pub struct Lowering<'a> {
    /// Model, precisions and target.
    pub setting: &'a Setting<'a>,
    /// The rewritten graph.
    pub graph: &'a Graph,
    /// Which values are stored in buffers.
    pub partition: Partition,
    /// The users of each node.
    pub users: Vec<Vec<NodeId>>,
    /// Nodes that are written directly to an output, with its position in the entry's list.
    pub(crate) outputs: BTreeMap<NodeId, u32>,
}

impl<'a> Lowering<'a> {
    /// The length of the last axis; 1 for a scalar.
    pub fn width(&self, id: NodeId) -> Dim {
        self.graph.node(id).shape.last().cloned().unwrap_or_else(|| Dim::constant(1))
    }

    /// The memory that holds a node's value, if any. This includes the node that is being computed: its kernel writes
    /// that memory and never reads it.
    pub fn place(&self, id: NodeId) -> Option<Place> {
        let node = self.graph.node(id);
        if let Some(state) = node.op.state() {
            return Some(Place::State(state));
        }
        if let Op::Weight(w) = node.op {
            return Some(Place::Tensor(w));
        }
        if let Op::Input(i) = node.op {
            return Some(Place::Input(i));
        }
        if node.op == Op::Dequantize {
            return self.place(node.inputs[0]);
        }
        let stored = || self.outputs.get(&id).map_or(Place::Value(id), |o| Place::Output(*o));
        self.partition.stored[id.index()].then(stored)
    }

    /// How the memory at `place` encodes the elements of `id`.
    pub fn memory(&self, place: Place, id: NodeId) -> Memory {
        match place {
            Place::Tensor(w) => match self.setting.precisions[w as usize] {
                Precision::F32 => Memory::Dense(Scalar::F32),
                Precision::F16 => Memory::F16x2,
                Precision::Quant(spec) => Memory::Blocks(spec),
            },
            Place::State(s) => state_memory(self.setting.model, s, self.setting.kv),
            _ if self.graph.node(id).op == Op::QuantizeActivations => Memory::Bytes,
            _ => match self.graph.node(id).dtype {
                DType::F32 => Memory::Dense(Scalar::F32),
                DType::I32 | DType::Bool => Memory::Dense(Scalar::I32),
            },
        }
    }

    /// The views between an anchor and `root`, the node in whose layout its result is stored, in order. Each is the
    /// only user of the previous one.
    pub fn layout_chain(&self, anchor: NodeId, root: NodeId) -> Vec<NodeId> {
        let (mut chain, mut at) = (Vec::new(), anchor);
        while at != root {
            let Some(user) = self.users[at.index()].first() else { break };
            at = *user;
            chain.push(at);
        }
        chain
    }
}

/// The encoding of a state. It is f16 if `kv` asks for that, if rows fill whole words, and if the state is not updated
/// from its own content: rounding errors would add up over the calls.
pub fn state_memory(model: &Model, state: u32, kv: KvPrecision) -> Memory {
    if model.states[state as usize].kind == StateKind::Overwritten {
        return Memory::Dense(Scalar::F32);
    }
    let even = model.states[state as usize].shape.last().and_then(|d| d.as_const()).is_some_and(|d| d % 2 == 0);
    match kv {
        KvPrecision::F16 if even => Memory::F16x2,
        _ => Memory::Dense(Scalar::F32),
    }
}

/// A result of a kernel: the anchor, the node in whose layout it is stored, and the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The anchor.
    pub id: NodeId,
    /// The anchor itself, or the end of its layout chain; see [`Partition::root`].
    pub root: NodeId,
    /// The memory it is written to.
    pub place: Place,
}

/// A kernel as built by an algorithm.
pub struct Built {
    /// The kernel, before legalization.
    pub kernel: Kernel,
    /// The memory that it binds, in binding order.
    pub places: Vec<Place>,
    /// Number of workgroups.
    pub grid: Size,
}

/// How a part of an entry is computed: kernels that run one after the other, and the scratch memory between them. The
/// results are complete after the last kernel.
pub struct KernelPlan {
    /// The kernels, in execution order.
    pub kernels: Vec<Built>,
    /// Sizes of the [`Place::Scratch`] memory in bytes, by index.
    pub scratch: Vec<Dim>,
}

impl From<Built> for KernelPlan {
    fn from(kernel: Built) -> Self {
        KernelPlan { kernels: vec![kernel], scratch: Vec::new() }
    }
}
