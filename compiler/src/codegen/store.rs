//! Stores results: layouts, states and element types in one place.

use gristmill_graph::{DType, NodeId, Op};
use gristmill_kernel::{Buf, Expr, Scalar, Type, u};

use super::context::{Lowering, Memory, Place};
use super::index::{dim_expr, flatten, start_in_concat, through_reshape};
use super::kernel::{At, Ctx};
use crate::error::CompileError;

/// Where and how the result of an anchor is stored.
#[derive(Clone, Copy)]
pub struct Target {
    /// The anchor.
    pub id: NodeId,
    /// The node in whose layout the result is stored.
    pub root: NodeId,
    /// The bound buffer.
    pub buf: Buf,
    dtype: DType,
}

impl Target {
    /// Binds the target memory, to be written element by element.
    pub fn bind(ctx: &mut Ctx<'_>, id: NodeId, root: NodeId, place: Place) -> Target {
        let dtype = ctx.low.graph.node(id).dtype;
        let elem = match ctx.low.memory(place, root) {
            Memory::Dense(s) => Type::scalar(s),
            Memory::F16x2 | Memory::Blocks(_) | Memory::Bytes => {
                ctx.fail(CompileError::unlowered(ctx.low.graph.node(root), "elements to store one by one"));
                gristmill_kernel::U32
            }
        };
        let name = format!("out_{}", ctx.label(root));
        let buf = ctx.write(place, elem, &name);
        Target { id, root, buf, dtype }
    }

    /// Stores one element of the anchor's result.
    pub fn store(&self, ctx: &mut Ctx<'_>, at: &At, value: Expr) {
        let flat = position(ctx.low, self.id, self.root, at);
        let flat = ctx.settle(flat, u(0));
        let value = if self.dtype == DType::Bool { value.cast(Scalar::I32) } else { value };
        ctx.b.store(self.buf, flat, value);
    }
}

/// The row-major position, in the layout of `root`, of an element of the anchor `id`.
fn position(low: &Lowering<'_>, id: NodeId, root: NodeId, at: &At) -> Result<Expr, CompileError> {
    if id == root {
        return Ok(at.flat.clone().unwrap_or_else(|| flatten(&at.index, &low.graph.node(id).shape)));
    }
    let (mut index, mut before) = (at.index.clone(), id);
    for view in low.layout_chain(id, root) {
        let node = low.graph.node(view);
        if let Op::Transpose(perm) = &node.op {
            index = perm.iter().map(|p| index[*p as usize].clone()).collect();
        } else if let Op::Concat { axis } = node.op {
            let a = axis as usize;
            index[a] = index[a].clone() + dim_expr(&start_in_concat(low.graph, view, axis, before));
        } else if let Op::Reshape(_) = node.op {
            index = through_reshape(&index, &low.graph.node(before).shape, &node.shape);
        } else {
            return Err(CompileError::unlowered(node, "layout in which an anchor can store"));
        }
        before = view;
    }
    Ok(flatten(&index, &low.graph.node(root).shape))
}

/// Whether the result is stored in the plain row-major order of the anchor.
pub fn is_plain(low: &Lowering<'_>, id: NodeId, root: NodeId) -> bool {
    low.layout_chain(id, root).iter().all(|view| matches!(low.graph.node(*view).op, Op::Reshape(_)))
}

/// Where and how results of an anchor are stored four at a time.
#[derive(Clone, Copy)]
pub struct Vec4Target {
    id: NodeId,
    root: NodeId,
    buf: Buf,
}

impl Vec4Target {
    /// Binds the target memory as vectors; `None` if adjacent elements of the last axis are not adjacent in memory.
    pub fn bind(ctx: &mut Ctx<'_>, id: NodeId, root: NodeId, place: Place) -> Option<Vec4Target> {
        if ctx.low.memory(place, root) != Memory::Dense(Scalar::F32) || !keeps_quads(ctx.low, id, root) {
            return None;
        }
        let name = format!("out_{}", ctx.label(root));
        let buf = ctx.write(place, gristmill_kernel::VEC4F, &name);
        Some(Vec4Target { id, root, buf })
    }

    /// Stores the four results from `at` on.
    pub fn store(&self, ctx: &mut Ctx<'_>, at: &At, value: Expr) {
        let flat = position(ctx.low, self.id, self.root, at);
        let flat = ctx.settle(flat, u(0));
        let quad = ctx.b.simplify(flat / u(4));
        ctx.b.store(self.buf, quad, value);
    }
}

/// Whether aligned groups of four on the last axis of an anchor stay aligned groups of four in the layout of `root`.
fn keeps_quads(low: &Lowering<'_>, id: NodeId, root: NodeId) -> bool {
    let fours = |id: NodeId| low.graph.node(id).shape.last().and_then(|d| d.as_const()).is_some_and(|d| d % 4 == 0);
    let mut before = id;
    fours(id)
        && low.layout_chain(id, root).into_iter().all(|view| {
            let node = low.graph.node(view);
            let last = node.shape.len() - 1;
            let kept = if let Op::Transpose(perm) = &node.op {
                perm.last().is_some_and(|p| *p as usize == last)
            } else if let Op::Concat { axis } = node.op {
                let start = start_in_concat(low.graph, view, axis, before).as_const();
                axis as usize != last || start.is_some_and(|s| s % 4 == 0)
            } else {
                matches!(node.op, Op::Reshape(_))
            };
            before = view;
            kept && fours(view)
        })
}
