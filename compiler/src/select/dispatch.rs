//! From a rewritten graph to kernel calls, each kernel once.

use std::collections::{BTreeMap, HashMap};

use gristmill_graph::{Graph, NodeId};
use gristmill_kernel::Kernel;

use super::signature::signature;
use super::steps::{Step, steps};
use super::variants::{self, Wanted};
use crate::codegen::context::{Built, Lowering, Place, Setting};
use crate::error::CompileError;
use crate::kernels::map;

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
    steps.iter().map(|step| call_of(&low, step, set)).collect()
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
    known.map(|step| call_of(&low, step, set)).collect()
}

fn call_of(low: &Lowering<'_>, step: &Step, set: &mut KernelSet) -> Result<Call, CompileError> {
    match *step {
        Step::Node { id, root, target } => call(low, id, root, target, set),
        Step::Copy { id, position } => copy_call(low, id, Place::Output(position), set),
    }
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
    let built = variants::build(&Wanted { low, id, root, place: target })?;
    add(set, sig.text, &sig.leaves, built, nodes)
}

fn copy_call(low: &Lowering<'_>, id: NodeId, target: Place, set: &mut KernelSet) -> Result<Call, CompileError> {
    let built = map::copy(low, id, target)?;
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
