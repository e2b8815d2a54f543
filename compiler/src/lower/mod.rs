//! From a rewritten graph to kernel calls.
//!
//! [`mod@partition`] decides which values become buffers; [`access`] pulls everything else into the kernels that
//! read it; the algorithms in [`crate::kernels`] build one kernel per anchor; equal kernels are found by
//! [`signature()`](signature::signature) before they are built.

pub mod access;
pub mod count;
pub mod index;
pub mod partition;
pub mod signature;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use gristmill_graph::{DType, Graph, Model, NodeId, Op, Precision, QuantSpec};
use gristmill_kernel::{Expr, Kernel, Scalar};

use crate::error::CompileError;
use crate::kernels;
use crate::options::KvPrecision;
use crate::profile::Profile;
use partition::Partition;
use signature::signature;

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
}

/// How a piece of memory holds its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// One element per word. Truth values are i32.
    Dense(Scalar),
    /// f16, two in a word.
    Halves,
    /// Quantized blocks.
    Blocks(QuantSpec),
    /// Activations as bytes with scales: see [`crate::kernels::cpu::bytes`].
    Bytes,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Memory::Dense(s) => write!(f, "{s:?}"),
            Memory::Halves => write!(f, "halves"),
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
    pub spared: bool,
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
    outputs: BTreeMap<NodeId, u32>,
}

impl<'a> Lowering<'a> {
    /// Where a node's value lies, if it is in memory. The node that is being computed is memory, too: its
    /// kernel writes there and never reads it.
    pub fn place(&self, id: NodeId) -> Option<Place> {
        let node = self.graph.node(id);
        match &node.op {
            Op::Weight(w) => Some(Place::Tensor(*w)),
            Op::Dequantize => self.place(node.inputs[0]),
            Op::Input(i) => Some(Place::Input(*i)),
            Op::StateAppend(s) | Op::StateKeep(s) | Op::StateRead(s) => Some(Place::State(*s)),
            _ if self.partition.stored[id.index()] => {
                Some(self.outputs.get(&id).map_or(Place::Value(id), |o| Place::Output(*o)))
            }
            _ => None,
        }
    }

    /// How the memory at `place` holds the elements of `id`.
    pub fn memory(&self, place: Place, id: NodeId) -> Memory {
        match place {
            Place::Tensor(w) => match self.setting.precisions[w as usize] {
                Precision::F32 => Memory::Dense(Scalar::F32),
                Precision::F16 => Memory::Halves,
                Precision::Quant(spec) => Memory::Blocks(spec),
            },
            Place::State(s) => state_memory(self.setting.model, s, self.setting.kv),
            _ if self.graph.node(id).op == Op::RoundBlocks => Memory::Bytes,
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

    /// Row-major position of an element in memory. States that grow are laid out for their capacity `C`.
    pub fn flat(&self, place: Place, id: NodeId, index: &[Expr]) -> Expr {
        let Place::State(s) = place else {
            return index::flatten(index, &self.graph.node(id).shape);
        };
        let mut shape = self.graph.node(id).shape.clone();
        if let Some(axis) = self.setting.model.states[s as usize].axis {
            shape[axis as usize] = gristmill_graph::Dim::symbol(CAPACITY);
        }
        index::flatten(index, &shape)
    }
}

/// The symbol for the capacity of states.
pub const CAPACITY: &str = "C";

/// States are halves if asked for and if rows hold whole words.
pub fn state_memory(model: &Model, state: u32, kv: KvPrecision) -> Memory {
    let even = model.states[state as usize].shape.last().and_then(|d| d.as_const()).is_some_and(|d| d % 2 == 0);
    match kv {
        KvPrecision::F16 if even => Memory::Halves,
        _ => Memory::Dense(Scalar::F32),
    }
}

/// One dispatch: which kernel, how many workgroups, over which memory.
#[derive(Clone, Debug)]
pub struct Call {
    /// Index in [`KernelSet::kernels`].
    pub kernel: usize,
    /// Number of workgroups, a size expression.
    pub grid: String,
    /// Memory in binding order.
    pub places: Vec<Place>,
    /// Paths of the nodes that are computed.
    pub nodes: String,
}

/// A kernel as an algorithm built it.
pub struct Built {
    /// The kernel, not yet legalised.
    pub kernel: Kernel,
    /// Memory in binding order.
    pub places: Vec<Place>,
    /// Number of workgroups, a size expression.
    pub grid: String,
}

/// All kernels of a target, each once.
#[derive(Default)]
pub struct KernelSet {
    /// In order of first use.
    pub kernels: Vec<Kernel>,
    known: HashMap<String, Known>,
    names: BTreeMap<String, u32>,
}

struct Known {
    kernel: usize,
    grid: String,
    /// For every buffer of the kernel, which leaf of the signature it is.
    leaves: Vec<usize>,
}

/// Lowers an entry graph. `outputs` are the names of its results in their order.
///
/// # Errors
/// If a kernel does not fit the limits of the target.
pub fn lower(
    setting: &Setting<'_>,
    graph: &Graph,
    outputs: &[String],
    set: &mut KernelSet,
) -> Result<Vec<Call>, CompileError> {
    let (low, steps) = steps(setting, graph, outputs, setting.profile.limits.storage_buffers)?;
    steps.iter().map(|step| step.call(&low, set)).collect()
}

/// Lowers some steps of an entry graph for another target than [`lower`] did, to the same memory: `buffers` are those per
/// kernel that cut the graph then.
///
/// # Errors
/// If a kernel does not fit the limits of the target.
pub fn lower_again(
    setting: &Setting<'_>,
    graph: &Graph,
    outputs: &[String],
    set: &mut KernelSet,
    (buffers, wanted): (u32, &[usize]),
) -> Result<Vec<Call>, CompileError> {
    let (low, steps) = steps(setting, graph, outputs, buffers)?;
    let known = wanted.iter().filter_map(|at| steps.get(*at));
    known.map(|step| step.call(&low, set)).collect()
}

/// What one kernel computes.
enum Step {
    /// A node, stored in the layout of `root` at `target`.
    Node { id: NodeId, root: NodeId, target: Place },
    /// A result that has a place of its own already.
    Copy { id: NodeId, position: u32 },
}

impl Step {
    fn call(&self, low: &Lowering<'_>, set: &mut KernelSet) -> Result<Call, CompileError> {
        match *self {
            Step::Node { id, root, target } => call(low, id, root, target, set),
            Step::Copy { id, position } => copy_call(low, id, Place::Output(position), set),
        }
    }
}

/// Cuts an entry graph into steps whose kernels bind at most `buffers`, as far as that can be had.
fn steps<'a>(
    setting: &'a Setting<'a>,
    graph: &'a Graph,
    outputs: &[String],
    buffers: u32,
) -> Result<(Lowering<'a>, Vec<Step>), CompileError> {
    let mut low = Lowering {
        setting,
        graph,
        partition: partition::partition(graph, buffers as usize),
        users: graph.users(),
        outputs: BTreeMap::new(),
    };
    let mut copies = Vec::new();
    for (position, name) in outputs.iter().enumerate() {
        let id = graph.outputs[name];
        // A state, an input or a weight that is a result needs a copy.
        let op = &graph.node(id).op;
        let plain = op.written_state().is_none() && !is_given(op);
        if plain && !low.outputs.contains_key(&id) {
            low.outputs.insert(id, position as u32);
        } else {
            copies.push((id, position as u32));
        }
    }
    let mut steps = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let (root, computes) = match low.partition.root[id.index()] {
            Some(root) => (root, true),
            None => (id, low.partition.stored[id.index()] && !is_given(&node.op) && !stored_by_anchor(&low, id)),
        };
        if computes {
            let target = match node.op.written_state() {
                Some(s) => Place::State(s),
                None => low.place(root).ok_or_else(|| CompileError::Internal(format!("{} has no place", node.path)))?,
            };
            steps.push(Step::Node { id, root, target });
        }
    }
    steps.extend(copies.into_iter().map(|(id, position)| Step::Copy { id, position }));
    Ok((low, steps))
}

/// Whether the memory of a node is there before an entry runs.
fn is_given(op: &Op) -> bool {
    matches!(op, Op::Input(_) | Op::Weight(_) | Op::StateRead(_) | Op::Dequantize)
}

/// Whether a stored node is the end of an anchor's layout chain, and so written by the anchor's kernel. What joins
/// several anchors is written by the kernels of all, so that it is enough to look at the first.
fn stored_by_anchor(low: &Lowering<'_>, id: NodeId) -> bool {
    let mut at = id;
    while matches!(low.graph.node(at).op, Op::Transpose(_) | Op::Reshape(_) | Op::Concat { .. }) {
        at = low.graph.node(at).inputs[0];
        if low.partition.root[at.index()] == Some(id) {
            return true;
        }
    }
    false
}

fn call(
    low: &Lowering<'_>,
    id: NodeId,
    root: NodeId,
    target: Place,
    set: &mut KernelSet,
) -> Result<Call, CompileError> {
    let sig = signature(low, id, root, target);
    let nodes = low.graph.node(id).path.clone();
    if let Some(known) = set.known.get(&sig.text) {
        let places = known.leaves.iter().map(|l| sig.leaves[*l]).collect();
        return Ok(Call { kernel: known.kernel, grid: known.grid.clone(), places, nodes });
    }
    let built = kernels::build(low, id, root, target)?;
    add(set, sig.text, &sig.leaves, built, nodes)
}

fn copy_call(low: &Lowering<'_>, id: NodeId, target: Place, set: &mut KernelSet) -> Result<Call, CompileError> {
    let built = kernels::map::copy(low, id, target)?;
    let leaves = built.places.clone();
    let text = format!("copy {:?} {:?} {}", low.graph.node(id).shape, built.kernel.body, built.kernel.buffers.len());
    add(set, text, &leaves, built, low.graph.node(id).path.clone())
}

fn add(
    set: &mut KernelSet,
    text: String,
    leaves: &[Place],
    mut built: Built,
    nodes: String,
) -> Result<Call, CompileError> {
    let positions: Option<Vec<usize>> = built.places.iter().map(|p| leaves.iter().position(|l| l == p)).collect();
    let positions = positions.ok_or_else(|| {
        CompileError::Internal(format!("kernel {} reads memory outside of its signature", built.kernel.name))
    })?;
    let count = set.names.entry(built.kernel.name.clone()).or_insert(0);
    *count += 1;
    if *count > 1 {
        built.kernel.name = format!("{}_{count}", built.kernel.name);
    }
    let kernel = set.kernels.len();
    set.kernels.push(built.kernel);
    set.known.insert(text, Known { kernel, grid: built.grid.clone(), leaves: positions });
    Ok(Call { kernel, grid: built.grid, places: built.places, nodes })
}
