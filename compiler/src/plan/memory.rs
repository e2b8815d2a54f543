//! Scratch memory: decides which values share a buffer.
//!
//! Values are assigned in order of their first write. A buffer is free after the last read of its value; the next value
//! takes the free buffer that fits best at nominal symbol values. A buffer is as large as the largest of its values, so
//! sharing is correct for all symbol values.

use std::collections::BTreeMap;

use gristmill_graph::{Bindings, Dim, NodeId};

use crate::codegen::context::Place;

/// A resident of scratch memory: a value, or the memory between the kernels of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resident {
    /// A value of the graph.
    Value(NodeId),
    /// [`Place::Scratch`] memory: the index of the step, and the index of the memory in it.
    Scratch(usize, u32),
}

/// The resident at a place while step `step` runs; `None` if the place is not scratch memory.
pub fn resident(place: &Place, step: usize) -> Option<Resident> {
    match place {
        Place::Value(id) => Some(Resident::Value(*id)),
        Place::Scratch(n) => Some(Resident::Scratch(step, *n)),
        Place::Tensor(_) | Place::State(_) | Place::Input(_) | Place::Output(_) => None,
    }
}

/// The lifetime of a resident: from the dispatch that writes it to the last one that reads it.
#[derive(Clone, Debug)]
pub struct LiveRange {
    /// The resident.
    pub who: Resident,
    /// Its size in bytes.
    pub bytes: Dim,
    /// Index of the dispatch that writes it.
    pub start: usize,
    /// Index of the last dispatch that reads it (at least `start`).
    pub end: usize,
}

/// Buffers, and the assignment of residents to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// For each buffer, the sizes of its residents in bytes, without duplicates. The buffer is as large as the largest.
    pub slots: Vec<Vec<Dim>>,
    /// The index of each resident's buffer.
    pub slot_of: BTreeMap<Resident, u32>,
}

struct Slot {
    nominal: i64,
    free_from: usize,
}

/// Assigns all residents to buffers. `lives` is in order of `start`; `nominal` has a value for each symbol.
pub fn plan(lives: &[LiveRange], nominal: &Bindings) -> Plan {
    let mut plan = Plan::default();
    let mut slots: Vec<Slot> = Vec::new();
    for life in lives {
        let bytes = life.bytes.eval(nominal).unwrap_or(i64::MAX);
        // A dispatch must not read and write the same buffer, hence `<` and not `<=`.
        let best = (0..slots.len())
            .filter(|i| slots[*i].free_from < life.start + 1)
            .min_by_key(|i| (waste(slots[*i].nominal, bytes), *i));
        // Any free buffer is better than a new one: growing it costs at most as much as a new one.
        let at = best.unwrap_or_else(|| {
            slots.push(Slot { nominal: 0, free_from: 0 });
            plan.slots.push(Vec::new());
            slots.len() - 1
        });
        slots[at].nominal = slots[at].nominal.max(bytes);
        slots[at].free_from = life.end + 1;
        if !plan.slots[at].contains(&life.bytes) {
            plan.slots[at].push(life.bytes.clone());
        }
        plan.slot_of.insert(life.who, at as u32);
    }
    plan
}

/// Bytes that are wasted, or have to be added, when a value of `need` bytes moves into a buffer of `have`.
fn waste(have: i64, need: i64) -> i64 {
    (have - need).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(value: u32, bytes: i64, start: usize, end: usize) -> LiveRange {
        LiveRange { who: Resident::Value(NodeId(value)), bytes: Dim::constant(bytes), start, end }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let lives: Vec<LiveRange> = (0..6).map(|i| life(i, 64, i as usize, i as usize + 1)).collect();
        let p = plan(&lives, &Bindings::new());
        assert_eq!(p.slots.len(), 2);
        for w in lives.windows(2) {
            assert_ne!(p.slot_of[&w[0].who], p.slot_of[&w[1].who], "a step reads one and writes the other");
        }
    }

    #[test]
    fn live_values_never_share() {
        let lives = [life(0, 64, 0, 5), life(1, 64, 1, 2), life(2, 64, 2, 3), life(3, 128, 3, 5), life(4, 8, 4, 5)];
        let p = plan(&lives, &Bindings::new());
        for a in &lives {
            for b in &lives {
                if a.who < b.who && a.start <= b.end && b.start <= a.end {
                    assert_ne!(p.slot_of[&a.who], p.slot_of[&b.who], "{a:?} {b:?}");
                }
            }
        }
    }
}
