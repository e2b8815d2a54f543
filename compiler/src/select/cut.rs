//! Divides an entry graph into pieces: decides what is stored, and what one plan computes.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_graph::{Graph, NodeId, Op};

use super::signature::signature;
use super::variants::{Wanted, choose};
use crate::codegen::context::{Lowering, Place, Setting, Stored};
use crate::codegen::partition::partition;
use crate::error::CompileError;

/// A part of an entry that one plan computes.
pub(super) enum Piece {
    /// Anchors, or a value that several kernels read.
    Stored(Vec<Stored>),
    /// A result that is already in memory elsewhere, to be copied to an output.
    Copy { id: NodeId, position: u32 },
}

/// Divides an entry graph into pieces whose kernels bind no more buffers than the target allows, as far as that is
/// possible.
pub(super) fn cut<'a>(
    setting: &'a Setting<'a>,
    graph: &'a Graph,
    outputs: &[String],
) -> Result<(Lowering<'a>, Vec<Piece>), CompileError> {
    let mut low = Lowering {
        setting,
        graph,
        partition: partition(graph, setting.profile.limits.storage_buffers as usize),
        users: graph.users(),
        outputs: BTreeMap::new(),
    };
    let mut copies = Vec::new();
    for (position, name) in outputs.iter().enumerate() {
        let id = graph.outputs[name];
        // A result that is a state, an input or a weight needs a copy.
        let op = &graph.node(id).op;
        let plain = op.written_state().is_none() && !op.is_given();
        if plain && !low.outputs.contains_key(&id) {
            low.outputs.insert(id, position as u32);
        } else {
            copies.push((id, position as u32));
        }
    }
    let (mut stored, mut updates) = (Vec::new(), Vec::new());
    for id in graph.ids() {
        let node = graph.node(id);
        let (root, computes) = match low.partition.root[id.index()] {
            Some(root) => (root, true),
            None => (id, low.partition.stored[id.index()] && !node.op.is_given() && !stored_by_anchor(&low, id)),
        };
        if computes {
            let place = match node.op.written_state() {
                Some(s) => Place::State(s),
                None => low.place(root).ok_or_else(|| CompileError::Internal(format!("{} has no place", node.path)))?,
            };
            let one = Stored { id, root, place };
            let Op::StateUpdate(state) = node.op else {
                stored.push(one);
                continue;
            };
            // The state may already have this content.
            if graph.node(node.inputs[0]).op != Op::StatePrevious(state) {
                updates.push(one);
            }
        }
    }
    let mut pieces: Vec<Piece> = together(&low, &stored).into_iter().map(Piece::Stored).collect();
    pieces.extend(copies.into_iter().map(|(id, position)| Piece::Copy { id, position }));
    let pieces = with_updates(&low, pieces, updates)?;
    Ok((low, pieces))
}

/// Inserts each state update after the last read of the state's old content and after its new content is computed, but
/// otherwise as early as possible, so that scratch memory is freed early.
fn with_updates(low: &Lowering<'_>, pieces: Vec<Piece>, updates: Vec<Stored>) -> Result<Vec<Piece>, CompileError> {
    if updates.is_empty() {
        return Ok(pieces);
    }
    let changes = |place: &Place| !matches!(place, Place::Tensor(_) | Place::Input(_));
    let of = |stored: &[Stored]| signature(low, stored).leaves.into_iter().filter(changes).collect::<BTreeSet<_>>();
    let touched = |piece: Piece| {
        let places = match &piece {
            Piece::Stored(stored) => of(stored),
            Piece::Copy { id, .. } => low.place(*id).into_iter().collect(),
        };
        (piece, places)
    };
    let mut pieces: Vec<(Piece, BTreeSet<Place>)> = pieces.into_iter().map(touched).collect();
    let mut waiting: Vec<(Stored, BTreeSet<Place>)> = updates.into_iter().map(|u| (u, of(&[u]))).collect();
    while !waiting.is_empty() {
        let read_by_others = |(at, (update, _)): (usize, &(Stored, BTreeSet<Place>))| {
            waiting.iter().enumerate().any(|(other, (_, places))| other != at && places.contains(&update.place))
        };
        let Some(next) = waiting.iter().enumerate().position(|one| !read_by_others(one)) else {
            let path = &low.graph.node(waiting[0].0.id).path;
            return Err(CompileError::Internal(format!("{path}: states are updated in a circle")));
        };
        let (update, places) = waiting.remove(next);
        let last = pieces.iter().rposition(|(_, touched)| !touched.is_disjoint(&places));
        pieces.insert(last.map_or(0, |at| at + 1), (Piece::Stored(vec![update]), places));
    }
    Ok(pieces.into_iter().map(|(piece, _)| piece).collect())
}

/// Groups results that one plan stores: linear layers with the same activations. The later ones are computed with the
/// first, since nothing that they read is written in between.
fn together(low: &Lowering<'_>, stored: &[Stored]) -> Vec<Vec<Stored>> {
    let mut alike: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
    for (at, one) in stored.iter().enumerate() {
        let node = low.graph.node(one.id);
        if matches!(node.op, Op::Linear { .. }) {
            alike.entry(node.inputs[0]).or_default().push(at);
        }
    }
    // For each position the results that are computed together; `None` for those that are computed with an earlier one.
    let mut pieces: Vec<Option<Vec<Stored>>> = stored.iter().map(|one| Some(vec![*one])).collect();
    for positions in alike.values() {
        for (n, &first) in positions.iter().enumerate() {
            let Some(mut piece) = pieces[first].take() else { continue };
            for &other in &positions[n + 1..] {
                if pieces[other].is_none() {
                    continue;
                }
                piece.push(stored[other]);
                if fits(low, &piece) && !waits(low, &stored[first..other], &stored[other]) {
                    pieces[other] = None;
                } else {
                    piece.pop();
                }
            }
            pieces[first] = Some(piece);
        }
    }
    pieces.into_iter().flatten().collect()
}

/// Whether a result depends on one of these.
fn waits(low: &Lowering<'_>, before: &[Stored], one: &Stored) -> bool {
    let read = signature(low, &[*one]).leaves;
    before.iter().any(|b| read.contains(&b.place))
}

/// Whether a variant can compute these results together within the target's number of buffers.
fn fits(low: &Lowering<'_>, stored: &[Stored]) -> bool {
    let most = low.setting.profile.limits.storage_buffers as usize;
    let places: BTreeSet<Place> = stored.iter().map(|s| s.place).collect();
    places.len() == stored.len()
        && choose(&Wanted { low, stored }).is_some()
        && signature(low, stored).leaves.len() <= most
}

/// Whether a stored node is the end of an anchor's layout chain, and therefore written by the anchor's kernel. The
/// kernels of all operands write a concatenation of anchors, so checking the first operand is enough.
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
