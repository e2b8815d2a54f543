//! What is known while an entry is lowered: memory and its places, the rewritten graph, and what is stored of it.

use std::collections::BTreeMap;
use std::fmt;

use gristmill_bundle::Size;
use gristmill_graph::{DType, Dim, Graph, Model, NodeId, Op, Precision, QuantSpec, StateKind};
use gristmill_kernel::{Kernel, Scalar};

use super::partition::Partition;
use crate::options::KvPrecision;
use crate::profile::Profile;

/// A piece of memory that a kernel binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A weight.
    Tensor(u32),
    /// A value in scratch memory.
    Value(NodeId),
    /// A state.
    State(u32),
    /// A model input.
    Input(u32),
    /// A result of the entry: position in its list of outputs.
    Output(u32),
    /// Memory between the kernels of one [`KernelPlan`]: its number there.
    Scratch(u32),
}

/// How a piece of memory holds its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// One element per word. Truth values are i32.
    Dense(Scalar),
    /// f16, two in a word.
    F16x2,
    /// Quantized blocks.
    Blocks(QuantSpec),
    /// Activations as bytes with scales: see [`super::activations`].
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

/// What does not change while an entry is lowered.
pub struct Setting<'a> {
    /// The model, for weights, states and symbols.
    pub model: &'a Model,
    /// How every weight is stored.
    pub precisions: &'a [Precision],
    /// How states are stored.
    pub kv: KvPrecision,
    /// The target.
    pub profile: &'a Profile,
    /// Whether a kernel may bind more buffers than the target has, because another one can take its place.
    pub has_fallback: bool,
}

/// An entry graph with the decisions about it.
pub struct Lowering<'a> {
    /// Model, precisions, target.
    pub setting: &'a Setting<'a>,
    /// The rewritten graph.
    pub graph: &'a Graph,
    /// Which values are buffers.
    pub partition: Partition,
    /// Users of every node.
    pub users: Vec<Vec<NodeId>>,
    /// Nodes that are written straight to an output: position in the entry's list.
    pub(crate) outputs: BTreeMap<NodeId, u32>,
}

impl<'a> Lowering<'a> {
    /// The length of the last axis; a scalar is a row of one.
    pub fn width(&self, id: NodeId) -> Dim {
        self.graph.node(id).shape.last().cloned().unwrap_or_else(|| Dim::constant(1))
    }

    /// Where a node's value lies, if it is in memory. The node that is being computed is memory, too: its
    /// kernel writes there and never reads it.
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

    /// How the memory at `place` holds the elements of `id`.
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

    /// The movements between an anchor and the node in whose layout it is stored, in order. Each is the only user
    /// of the one before.
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

/// States are halves if asked for, if rows hold whole words, and if nothing is computed from them again and again: errors
/// of what is overwritten in every call would add up.
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

/// A result of a kernel: an anchor, the node in whose layout it is stored, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The anchor.
    pub id: NodeId,
    /// The anchor itself, or the end of its layout chain; see [`Partition::root`].
    pub root: NodeId,
    /// The memory.
    pub place: Place,
}

/// A kernel as an algorithm built it.
pub struct Built {
    /// The kernel, not yet legalised.
    pub kernel: Kernel,
    /// Memory in binding order.
    pub places: Vec<Place>,
    /// Number of workgroups.
    pub grid: Size,
}

/// How a part of an entry is computed: kernels that run one after the other, and the memory between them. What is stored
/// is there when the last has run.
pub struct KernelPlan {
    /// In the order in which they run.
    pub kernels: Vec<Built>,
    /// Bytes of [`Place::Scratch`], by number.
    pub scratch: Vec<Dim>,
}

impl From<Built> for KernelPlan {
    fn from(kernel: Built) -> Self {
        KernelPlan { kernels: vec![kernel], scratch: Vec::new() }
    }
}
