//! From kernel calls to a program: scratch buffers and steps.

pub mod memory;

use std::collections::BTreeMap;

use gristmill_bundle as bundle;
use gristmill_graph::{Dim, Graph, NodeId, Op, numel};

use crate::codegen::context::{Place, Setting};
use crate::codegen::rounded;
use crate::select::{Call, KernelSet, Step};
use crate::size::largest;
use memory::{Life, Resident, resident};

/// Bytes of a value in scratch memory.
pub fn bytes(graph: &Graph, id: NodeId) -> Dim {
    let node = graph.node(id);
    if node.op == Op::RoundBlocks {
        return rounded::size(&node.shape);
    }
    &numel(&node.shape) * &Dim::constant(4)
}

/// Assembles the program of an entry.
pub fn program(setting: &Setting<'_>, graph: &Graph, steps: &[Step], set: &KernelSet) -> bundle::Program {
    let mut lives: BTreeMap<Resident, Life> = BTreeMap::new();
    // Time goes by dispatches, of which a step may have several.
    let calls = || steps.iter().enumerate().flat_map(|(at, step)| step.calls.iter().map(move |call| (at, step, call)));
    for (time, (at, step, call)) in calls().enumerate() {
        for place in &call.places {
            let Some(who) = resident(place, at) else { continue };
            let bytes = || match who {
                Resident::Value(id) => bytes(graph, id),
                Resident::Scratch(_, n) => step.scratch[n as usize].clone(),
            };
            let life = lives.entry(who).or_insert_with(|| Life { who, bytes: bytes(), born: time, dies: time });
            life.dies = time;
        }
    }
    let mut ordered: Vec<Life> = lives.into_values().collect();
    ordered.sort_by_key(|l| (l.born, l.who));
    let nominal = setting.profile.nominal(setting.model);
    let plan = memory::plan(&ordered, &nominal);
    let least = setting.model.symbols.iter().map(|s| (s.name.clone(), s.min)).collect();
    let bind = |at: usize, place: &Place| match place {
        Place::Tensor(i) => bundle::Binding::Tensor(*i),
        Place::Value(id) => bundle::Binding::Slot(plan.slot_of[&Resident::Value(*id)]),
        Place::Scratch(n) => bundle::Binding::Slot(plan.slot_of[&Resident::Scratch(at, *n)]),
        Place::State(i) => bundle::Binding::State(*i),
        Place::Input(i) => bundle::Binding::Input(*i),
        Place::Output(i) => bundle::Binding::Output(*i),
    };
    debug_assert!(calls().all(|(_, _, c)| c.kernel < set.kernels.len()));
    let dispatch = |at: usize, call: &Call| bundle::Dispatch {
        kernel: call.kernel as u32,
        grid: call.grid.clone(),
        bind: call.places.iter().map(|place| bind(at, place)).collect(),
    };
    let step = |(at, step): (usize, &Step)| bundle::Step {
        dispatches: step.calls.iter().map(|call| dispatch(at, call)).collect(),
        nodes: step.nodes.clone(),
        fallback: Vec::new(),
    };
    bundle::Program {
        slots: plan.slots.iter().map(|sizes| largest(sizes, &least, &nominal)).collect(),
        steps: steps.iter().enumerate().map(step).collect(),
    }
}
