//! Which steps an entry graph is cut into: what becomes memory, and who computes it.

use std::collections::BTreeMap;

use gristmill_graph::{Graph, NodeId, Op};

use crate::codegen::context::{Lowering, Place, Setting};
use crate::codegen::partition::partition;
use crate::error::CompileError;

/// What one kernel computes.
pub(super) enum Step {
    /// A node, stored in the layout of `root` at `target`.
    Node { id: NodeId, root: NodeId, target: Place },
    /// A result that has a place of its own already.
    Copy { id: NodeId, position: u32 },
}

/// Cuts an entry graph into steps whose kernels bind at most `buffers`, as far as that can be had.
pub(super) fn steps<'a>(
    setting: &'a Setting<'a>,
    graph: &'a Graph,
    outputs: &[String],
    buffers: u32,
) -> Result<(Lowering<'a>, Vec<Step>), CompileError> {
    let mut low = Lowering {
        setting,
        graph,
        partition: partition(graph, buffers as usize),
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
