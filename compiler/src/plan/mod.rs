//! From kernel calls to a program: scratch buffers and steps.

pub mod memory;

use std::collections::BTreeMap;

use gristmill_bundle as bundle;
use gristmill_graph::{Bindings, Dim, Graph, Model, NodeId, numel};

use crate::lower::{Call, KernelSet, Place};
use memory::Life;

/// Symbol values for which buffers are matched: one row, a short stretch, a middling past.
const NOMINAL_STRETCH: i64 = 64;
const NOMINAL_PAST: i64 = 512;

/// Typical values of the symbols, within their ranges; the cost model and the memory planner share them.
pub fn nominal(model: &Model) -> Bindings {
    let mut bindings: Bindings = model
        .symbols
        .iter()
        .map(|s| {
            let typical = match s.name.as_str() {
                "B" => 1,
                "P" => NOMINAL_PAST,
                _ => NOMINAL_STRETCH,
            };
            (s.name.clone(), typical.clamp(s.min, s.max))
        })
        .collect();
    bindings.insert(crate::lower::CAPACITY.into(), NOMINAL_STRETCH + NOMINAL_PAST);
    bindings
}

/// Bytes of a value in scratch memory.
pub fn bytes(graph: &Graph, id: NodeId) -> Dim {
    let node = graph.node(id);
    match node.op {
        gristmill_graph::Op::RoundBlocks => crate::kernels::cpu::bytes::size(&node.shape),
        _ => &numel(&node.shape) * &Dim::constant(4),
    }
}

/// Assembles the program of an entry.
pub fn program(model: &Model, graph: &Graph, calls: &[Call], set: &KernelSet) -> bundle::Program {
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
    let plan = memory::plan(&ordered, &nominal(model));
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
