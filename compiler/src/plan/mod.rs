//! From kernel calls to a program: scratch buffers and steps.

pub mod memory;

use std::collections::BTreeMap;

use gristmill_bundle as bundle;
use gristmill_graph::{Dim, Graph, NodeId, Op, numel};

use crate::codegen::context::{Place, Setting};
use crate::codegen::rounded;
use crate::select::{Call, KernelSet};
use memory::Life;

/// Bytes of a value in scratch memory.
pub fn bytes(graph: &Graph, id: NodeId) -> Dim {
    let node = graph.node(id);
    match node.op {
        Op::RoundBlocks => rounded::size(&node.shape),
        _ => &numel(&node.shape) * &Dim::constant(4),
    }
}

/// Assembles the program of an entry.
pub fn program(setting: &Setting<'_>, graph: &Graph, calls: &[Call], set: &KernelSet) -> bundle::Program {
    let mut lives: BTreeMap<NodeId, Life> = BTreeMap::new();
    for (step, call) in calls.iter().enumerate() {
        for place in &call.places {
            if let Place::Value(id) = place {
                let life = lives.entry(*id).or_insert_with(|| Life {
                    value: *id,
                    bytes: bytes(graph, *id),
                    born: step,
                    dies: step,
                });
                life.dies = step;
            }
        }
    }
    let mut ordered: Vec<Life> = lives.into_values().collect();
    ordered.sort_by_key(|l| (l.born, l.value));
    let plan = memory::plan(&ordered, &setting.profile.nominal(setting.model));
    let bind = |place: &Place| match place {
        Place::Tensor(i) => bundle::Binding::Tensor(*i),
        Place::Value(id) => bundle::Binding::Slot(plan.slot_of[id]),
        Place::State(i) => bundle::Binding::State(*i),
        Place::Input(i) => bundle::Binding::Input(*i),
        Place::Output(i) => bundle::Binding::Output(*i),
    };
    debug_assert!(calls.iter().all(|c| c.kernel < set.kernels.len()));
    bundle::Program {
        slots: plan.slots.iter().map(|sizes| bundle::Size(largest(sizes))).collect(),
        steps: calls
            .iter()
            .map(|c| bundle::Step {
                kernel: c.kernel as u32,
                grid: bundle::Size(c.grid.clone()),
                bind: c.places.iter().map(bind).collect(),
                nodes: c.nodes.clone(),
                spare: None,
            })
            .collect(),
    }
}

/// `max(a, max(b, c))`.
fn largest(sizes: &[Dim]) -> String {
    let mut sizes = sizes.iter().map(Dim::to_string);
    let first = sizes.next().unwrap_or_else(|| "0".into());
    sizes.fold(first, |all, size| format!("max({all}, {size})"))
}
