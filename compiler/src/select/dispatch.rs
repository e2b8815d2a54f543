//! From a rewritten graph to steps: the kernels of each piece's plan, without duplicates.

use std::collections::{BTreeMap, HashMap};

use gristmill_bundle::Size;
use gristmill_graph::{Dim, Graph};
use gristmill_kernel::Kernel;

use super::cut::{Piece, cut};
use super::signature::{Signature, signature};
use super::variants::{self, Wanted};
use crate::codegen::context::{KernelPlan, Lowering, Place, Setting};
use crate::error::CompileError;
use crate::kernels::map;

/// A dispatch: kernel, number of workgroups, and memory.
#[derive(Clone, Debug)]
pub struct Call {
    /// Index in [`KernelSet::kernels`].
    pub kernel: usize,
    /// Number of workgroups.
    pub grid: Size,
    /// The memory that it binds, in binding order.
    pub places: Vec<Place>,
}

/// A step of an entry: the dispatches of a kernel plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// The dispatches, in execution order.
    pub calls: Vec<Call>,
    /// Sizes of the [`Place::Scratch`] memory between them in bytes, by index.
    pub scratch: Vec<Dim>,
    /// Paths of the nodes that it computes.
    pub nodes: String,
}

/// All kernels of a target, without duplicates.
#[derive(Default)]
pub struct KernelSet {
    /// In order of first use.
    pub kernels: Vec<Kernel>,
    known: HashMap<String, Known>,
    names: BTreeMap<String, u32>,
}

/// The kernels of pieces with the same signature.
struct Known {
    calls: Vec<KnownCall>,
    scratch: Vec<Dim>,
}

struct KnownCall {
    kernel: usize,
    grid: Size,
    buffers: Vec<Buffer>,
}

/// What a kernel binds, independent of the piece.
enum Buffer {
    /// A leaf of the signature, by index.
    Leaf(usize),
    /// Memory between kernels, by index.
    Scratch(u32),
}

/// Lowers an entry graph. `outputs` are the names of its results, in order.
///
/// # Errors
/// If a kernel does not fit the limits of the target.
pub fn lower(
    setting: &Setting<'_>,
    graph: &Graph,
    outputs: &[String],
    set: &mut KernelSet,
) -> Result<Vec<Step>, CompileError> {
    let (low, pieces) = cut(setting, graph, outputs)?;
    pieces.iter().map(|piece| set.step(&low, piece)).collect()
}

/// Lowers some steps of an entry graph again, for another target but with the same memory. `first` is the input of
/// [`lower`], `setting` the other target, and `wanted` the indices of the steps.
///
/// # Errors
/// If a kernel does not fit the limits of the target.
pub fn lower_again<'a>(
    first: &'a Setting<'a>,
    setting: &'a Setting<'a>,
    graph: &'a Graph,
    outputs: &[String],
    set: &mut KernelSet,
    wanted: &[usize],
) -> Result<Vec<Step>, CompileError> {
    let (low, pieces) = cut(first, graph, outputs)?;
    let low = Lowering { setting, ..low };
    let piece = |at: &usize| {
        let piece = pieces.get(*at);
        piece.ok_or_else(|| {
            CompileError::Internal(format!("step {at} is lowered again, but there are {}", pieces.len()))
        })
    };
    wanted.iter().map(|at| set.step(&low, piece(at)?)).collect()
}

impl KernelSet {
    /// The step for a piece. New kernels are added to the set.
    fn step(&mut self, low: &Lowering<'_>, piece: &Piece) -> Result<Step, CompileError> {
        let path = |id| low.graph.node(id).path.as_str();
        match piece {
            Piece::Stored(stored) => {
                let nodes = stored.iter().map(|s| path(s.id)).collect::<Vec<_>>().join(" ");
                let sig = signature(low, stored);
                match self.known.get(&sig.text) {
                    Some(known) => Ok(known.step(&sig.leaves, nodes)),
                    None => self.add(sig, variants::build(&Wanted { low, stored })?, nodes),
                }
            }
            Piece::Copy { id, position } => {
                let built = map::copy(low, *id, Place::Output(*position))?;
                let shape = &low.graph.node(*id).shape;
                let text = format!("copy {shape:?} {:?} {}", built.kernel.body, built.kernel.buffers.len());
                let sig = Signature { text, leaves: built.places.clone() };
                match self.known.get(&sig.text) {
                    Some(known) => Ok(known.step(&sig.leaves, path(*id).to_string())),
                    None => self.add(sig, built.into(), path(*id).to_string()),
                }
            }
        }
    }

    fn add(&mut self, sig: Signature, plan: KernelPlan, nodes: String) -> Result<Step, CompileError> {
        let mut calls = Vec::with_capacity(plan.kernels.len());
        for mut built in plan.kernels {
            let buffer = |place: &Place| match place {
                Place::Scratch(n) => Some(Buffer::Scratch(*n)).filter(|_| (*n as usize) < plan.scratch.len()),
                place => sig.leaves.iter().position(|l| l == place).map(Buffer::Leaf),
            };
            let buffers: Option<Vec<Buffer>> = built.places.iter().map(buffer).collect();
            let buffers = buffers.ok_or_else(|| {
                CompileError::Internal(format!("kernel {} reads memory outside of its signature", built.kernel.name))
            })?;
            let count = self.names.entry(built.kernel.name.clone()).or_insert(0);
            *count += 1;
            if *count > 1 {
                built.kernel.name = format!("{}_{count}", built.kernel.name);
            }
            calls.push(KnownCall { kernel: self.kernels.len(), grid: built.grid, buffers });
            self.kernels.push(built.kernel);
        }
        let known = Known { calls, scratch: plan.scratch };
        let step = known.step(&sig.leaves, nodes);
        self.known.insert(sig.text, known);
        Ok(step)
    }
}

impl Known {
    /// The step for a piece with these leaves.
    fn step(&self, leaves: &[Place], nodes: String) -> Step {
        let place = |buffer: &Buffer| match buffer {
            Buffer::Leaf(n) => leaves[*n],
            Buffer::Scratch(n) => Place::Scratch(*n),
        };
        let call = |c: &KnownCall| Call {
            kernel: c.kernel,
            grid: c.grid.clone(),
            places: c.buffers.iter().map(place).collect(),
        };
        Step { calls: self.calls.iter().map(call).collect(), scratch: self.scratch.clone(), nodes }
    }
}
