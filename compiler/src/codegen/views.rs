//! Views: which memory they show, and where in it an element is.

use gristmill_graph::{NodeId, Op};
use gristmill_kernel::{Expr, u};

use super::context::Lowering;
use super::index::{dim_expr, through_broadcast, through_reshape};

/// Follows views down to memory (or to the first node that is not a view).
pub fn resolve_views(low: &Lowering<'_>, mut id: NodeId, mut index: Vec<Expr>) -> (NodeId, Vec<Expr>) {
    while low.place(id).is_none() && low.graph.node(id).op.is_view() {
        (id, index) = below_view(low, id, index);
    }
    (id, index)
}

/// The operand of a view, and the index in it.
pub(super) fn below_view(low: &Lowering<'_>, id: NodeId, mut index: Vec<Expr>) -> (NodeId, Vec<Expr>) {
    let node = low.graph.node(id);
    let below = node.inputs[0];
    let from = &low.graph.node(below).shape;
    let index = match &node.op {
        Op::Reshape(_) => through_reshape(&index, &node.shape, from),
        Op::Transpose(perm) => {
            let mut out = vec![u(0); perm.len()];
            for (i, p) in perm.iter().enumerate() {
                out[*p as usize] = index[i].clone();
            }
            out
        }
        Op::Slice { axis, start, .. } => {
            let a = *axis as usize;
            index[a] = index[a].clone() + dim_expr(start);
            index
        }
        Op::Windows { axis, stride, dilation, .. } => {
            let a = *axis as usize;
            let inside = index.remove(a + 1);
            index[a] = index[a].clone() * u(*stride) + inside * u(*dilation);
            index
        }
        _ => through_broadcast(&index, from),
    };
    (below, index)
}

/// The memory below a chain of views that keep whole quads of the last axis together, and with `rows` also whole rows.
pub(super) fn contiguous_last(low: &Lowering<'_>, mut id: NodeId, rows: bool) -> Option<NodeId> {
    while low.place(id).is_none() {
        let node = low.graph.node(id);
        let below = *node.inputs.first()?;
        let from = &low.graph.node(below).shape;
        let last = node.shape.last()?;
        let fine = match &node.op {
            Op::Transpose(perm) => perm.last().map(|p| *p as usize) == Some(perm.len() - 1),
            Op::Reshape(_) => {
                let source = from.last()?;
                let parts = || last.exact_div(source).is_some() && source.as_const().is_some_and(|n| n % 4 == 0);
                source == last || source.exact_div(last).is_some() || (!rows && parts())
            }
            Op::Broadcast(_) => from.last() == Some(last),
            Op::Slice { axis, start, .. } => {
                *axis as usize != node.shape.len() - 1 || start.as_const().is_some_and(|s| s % 4 == 0)
            }
            Op::Windows { axis, .. } => *axis as usize != from.len() - 1,
            _ => false,
        };
        if !fine {
            return None;
        }
        id = below;
    }
    Some(id)
}
