//! Signatures identify equal kernels.
//!
//! Equal layers need equal kernels. Before a kernel is built, the part of the graph that it computes is written as
//! text, with its memory operands numbered in order of appearance. The same text means the same kernel with other
//! buffers. This is much cheaper than building, legalizing and printing.

use std::collections::BTreeMap;
use std::fmt::Write;

use gristmill_graph::{NodeId, Op};

use crate::codegen::context::{Lowering, Place, Stored};
use crate::codegen::index::start_in_concat;
use crate::codegen::states;

/// The text, and the memory operands in order of appearance.
#[derive(Debug, Default)]
pub struct Signature {
    /// Equal texts mean equal kernels.
    pub text: String,
    /// The memory operands, without duplicates.
    pub leaves: Vec<Place>,
}

/// The signature of the kernels that compute some results.
pub fn signature(low: &Lowering<'_>, stored: &[Stored]) -> Signature {
    let mut sig = Signature::default();
    let mut seen = BTreeMap::new();
    for Stored { id, root, place } in stored {
        sig.leaf(*place);
        let _ = write!(sig.text, "{} ", low.memory(*place, *root));
        region(low, *id, true, &mut sig, &mut seen);
        let mut before = *id;
        for view in low.layout_chain(*id, *root) {
            let node = low.graph.node(view);
            let _ = write!(sig.text, " -> {:?}{:?}", node.op, node.shape);
            if let Op::Concat { axis } = node.op {
                let _ = write!(sig.text, "@{}", start_in_concat(low.graph, view, axis, before));
            }
            before = view;
        }
        sig.text.push(';');
    }
    sig
}

impl Signature {
    /// The number of a memory operand in the text.
    fn leaf(&mut self, place: Place) -> usize {
        self.leaves.iter().position(|p| *p == place).unwrap_or_else(|| {
            self.leaves.push(place);
            self.leaves.len() - 1
        })
    }
}

fn region(low: &Lowering<'_>, id: NodeId, top: bool, sig: &mut Signature, seen: &mut BTreeMap<NodeId, usize>) {
    if !top && let Some(place) = low.place(id) {
        let leaf = sig.leaf(place);
        let _ = write!(sig.text, "@{leaf}:{}{:?}", low.memory(place, id), low.graph.node(id).shape);
        if let Place::State(s) = place {
            // Growing states are laid out for their capacity, unlike other values of the same shape.
            sig.text.push_str(&states::layout(&low.setting.model.states[s as usize]));
        }
        return;
    }
    if let Some(n) = seen.get(&id) {
        let _ = write!(sig.text, "#{n}");
        return;
    }
    seen.insert(id, seen.len());
    let node = low.graph.node(id);
    let _ = match (&node.op, node.op.written_state()) {
        (op, Some(s)) => write!(sig.text, "{}{}", op.name(), states::layout(&low.setting.model.states[s as usize])),
        (op, None) => write!(sig.text, "{op:?}"),
    };
    let _ = write!(sig.text, "{:?}{}(", node.shape, node.dtype);
    for input in &node.inputs {
        region(low, *input, false, sig, seen);
        sig.text.push(',');
    }
    sig.text.push(')');
}
