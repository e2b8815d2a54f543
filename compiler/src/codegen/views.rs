//! Views: the memory that they show, and the position of an element in it.

use gristmill_graph::{NodeId, View};
use gristmill_kernel::{Expr, u};

use super::context::Lowering;
use super::index::{dim_expr, through_broadcast, through_reshape};

/// Follows views to the first node that is not a view. Returns it with the index into it.
pub fn resolve_views(low: &Lowering<'_>, mut id: NodeId, mut index: Vec<Expr>) -> (NodeId, Vec<Expr>) {
    while low.place(id).is_none()
        && let Some(view) = low.graph.node(id).op.view()
    {
        (id, index) = below_view(low, id, view, index);
    }
    (id, index)
}

/// The operand of a view, and the index into it.
pub(super) fn below_view(low: &Lowering<'_>, id: NodeId, view: View<'_>, mut index: Vec<Expr>) -> (NodeId, Vec<Expr>) {
    let node = low.graph.node(id);
    let below = node.inputs[0];
    let from = &low.graph.node(below).shape;
    let index = match view {
        View::Reshape(_) => through_reshape(&index, &node.shape, from),
        View::Transpose(perm) => {
            let mut out = vec![u(0); perm.len()];
            for (i, p) in perm.iter().enumerate() {
                out[*p as usize] = index[i].clone();
            }
            out
        }
        View::Slice { axis, start, .. } => {
            index[axis] = index[axis].clone() + dim_expr(start);
            index
        }
        View::Windows { axis, stride, dilation, .. } => {
            let inside = index.remove(axis + 1);
            index[axis] = index[axis].clone() * u(stride) + inside * u(dilation);
            index
        }
        View::Broadcast(_) => through_broadcast(&index, from),
    };
    (below, index)
}

/// The memory below a chain of views that keeps groups of four on the last axis contiguous, and whole rows as well if
/// `rows` is set.
pub(super) fn contiguous_last(low: &Lowering<'_>, mut id: NodeId, rows: bool) -> Option<NodeId> {
    while low.place(id).is_none() {
        let node = low.graph.node(id);
        let below = *node.inputs.first()?;
        let from = &low.graph.node(below).shape;
        let last = node.shape.last()?;
        let fine = match node.op.view()? {
            View::Transpose(perm) => perm.last().map(|p| *p as usize) == Some(perm.len() - 1),
            View::Reshape(_) => {
                let source = from.last()?;
                let parts = || last.exact_div(source).is_some() && source.as_const().is_some_and(|n| n % 4 == 0);
                source == last || source.exact_div(last).is_some() || (!rows && parts())
            }
            View::Broadcast(_) => from.last() == Some(last),
            View::Slice { axis, start, .. } => {
                axis != node.shape.len() - 1 || start.as_const().is_some_and(|s| s % 4 == 0)
            }
            View::Windows { axis, .. } => axis != from.len() - 1,
        };
        if !fine {
            return None;
        }
        id = below;
    }
    Some(id)
}
