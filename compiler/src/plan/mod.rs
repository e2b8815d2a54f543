//! From dispatches to a program: scratch buffers and steps.

pub mod memory;

use std::collections::BTreeMap;

use gristmill_bundle as bundle;
use gristmill_graph::{Dim, Graph, NodeId, Op, numel};

use crate::codegen::activations;
use crate::codegen::context::{Place, Setting};
use crate::select::{Call, KernelSet, Step};
use crate::size::largest;
use memory::{LiveRange, Resident, resident};

/// The size of a value in scratch memory, in bytes.
pub fn bytes(graph: &Graph, id: NodeId) -> Dim {
    let node = graph.node(id);
    if node.op == Op::QuantizeActivations {
        return activations::size(&node.shape);
    }
    &numel(&node.shape) * &Dim::constant(4)
}

/// Assembles the program of an entry.
pub fn program(setting: &Setting<'_>, graph: &Graph, steps: &[Step], set: &KernelSet) -> bundle::Program {
    let mut lives: BTreeMap<Resident, LiveRange> = BTreeMap::new();
    // Time is counted in dispatches, of which a step may have several. Values nevertheless live for whole steps,
    // because a fallback may compute a step with a different number of dispatches.
    let mut time = 0;
    for (at, step) in steps.iter().enumerate() {
        let (first, last) = (time, (time + step.calls.len()).saturating_sub(1));
        for call in &step.calls {
            for place in &call.places {
                let Some(who) = resident(place, at) else { continue };
                let (bytes, start, end) = match who {
                    Resident::Value(id) => (bytes(graph, id), first, last),
                    Resident::Scratch(_, n) => (step.scratch[n as usize].clone(), time, time),
                };
                lives.entry(who).or_insert_with(|| LiveRange { who, bytes, start, end }).end = end;
            }
            time += 1;
        }
    }
    let mut ordered: Vec<LiveRange> = lives.into_values().collect();
    ordered.sort_by_key(|l| (l.start, l.who));
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
    debug_assert!(steps.iter().flat_map(|step| &step.calls).all(|c| c.kernel < set.kernels.len()));
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
