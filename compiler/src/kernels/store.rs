//! Storing results: layouts, states and element types in one place.

use gristmill_graph::{DType, NodeId, Op};
use gristmill_kernel::{Buf, Expr, Scalar, Type};

use crate::lower::access::{At, Ctx};
use crate::lower::index::{dim_expr, flatten, start_in_concat, through_reshape};
use crate::lower::{Lowering, Memory, Place};

/// Where and how the result of an anchor is stored.
#[derive(Clone, Copy)]
pub struct Target {
    /// The anchor.
    pub id: NodeId,
    /// The node in whose layout the result lies.
    pub root: NodeId,
    /// The bound buffer.
    pub buf: Buf,
    dtype: DType,
}

impl Target {
    /// Binds the target memory as single elements.
    pub fn bind(ctx: &mut Ctx<'_>, id: NodeId, root: NodeId, place: Place) -> Target {
        let dtype = ctx.low.graph.node(id).dtype;
        let elem = match ctx.low.memory(place, root) {
            Memory::Dense(s) => Type::scalar(s),
            _ => gristmill_kernel::U32,
        };
        let name = format!("out_{}", ctx.label(root));
        let buf = ctx.write(place, elem, &name);
        Target { id, root, buf, dtype }
    }

    /// Stores one element of the anchor's result.
    pub fn store(&self, ctx: &mut Ctx<'_>, at: &At, value: Expr) {
        let flat = position(ctx.low, self.id, self.root, at);
        let value = if self.dtype == DType::Bool { value.cast(Scalar::I32) } else { value };
        ctx.b.store(self.buf, flat, value);
    }
}

/// Row-major position, in the layout of `root`, of an element of the anchor `id`.
pub fn position(low: &Lowering<'_>, id: NodeId, root: NodeId, at: &At) -> Expr {
    if id == root {
        return at.flat.clone().unwrap_or_else(|| flatten(&at.index, &low.graph.node(id).shape));
    }
    let (mut index, mut before) = (at.index.clone(), id);
    for view in low.layout_chain(id, root) {
        let node = low.graph.node(view);
        index = match &node.op {
            Op::Transpose(perm) => perm.iter().map(|p| index[*p as usize].clone()).collect(),
            Op::Concat { axis } => {
                let a = *axis as usize;
                index[a] = index[a].clone() + dim_expr(&start_in_concat(low.graph, view, *axis, before));
                index
            }
            _ => through_reshape(&index, &low.graph.node(before).shape, &node.shape),
        };
        before = view;
    }
    flatten(&index, &low.graph.node(root).shape)
}

/// Whether the layout of the result is plain row-major order of the anchor itself.
pub fn is_plain(low: &Lowering<'_>, id: NodeId, root: NodeId) -> bool {
    low.layout_chain(id, root).iter().all(|view| matches!(low.graph.node(*view).op, Op::Reshape(_)))
}
