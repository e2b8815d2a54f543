//! Softmax over the last axis: one workgroup per row. Only used where it was not fused into attention.

use gristmill_graph::{Unary, numel};
use gristmill_kernel::{Bind, GroupOp, f};

use super::reduce::NEG_MAX;
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// Builds the kernel of an [`gristmill_graph::Op::Softmax`].
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let last = node.shape.len() - 1;
    let (lead, width) = (&node.shape[..last], &node.shape[last]);
    let threads = low.setting.profile.schedule.reduce.threads;
    let grid = [Count::Dim(numel(lead))];
    let mut ctx = Ctx::new(low, "softmax");
    ctx.b.doc(format!("{}: softmax over {width} elements, {threads} threads per row", node.path));
    let target = Target::bind(&mut ctx, id, root, place);
    let row = ctx.b.grid_axis("row", grid[0].expr());
    let lane = ctx.b.group_axis("lane", threads);
    let lead_index = unflatten(row.clone(), lead);
    let x = Row { id: node.inputs[0], step: 1 };
    let range = || (lane.clone(), dim_expr(width), threads);
    let m = ctx.b.var("m", f(NEG_MAX));
    ctx.for_("column", range(), Bind::Serial, |ctx, c| {
        let x = x.read(ctx, &row, &lead_index, &c);
        ctx.b.assign(m, m.get().max(x));
    });
    ctx.b.group_reduce(GroupOp::Max, m);
    let l = ctx.b.var("l", f(0.0));
    ctx.for_("column", range(), Bind::Serial, |ctx, c| {
        let x = x.read(ctx, &row, &lead_index, &c);
        ctx.b.add(l, (x - m.get()).unary(Unary::Exp));
    });
    ctx.b.group_reduce(GroupOp::Add, l);
    ctx.for_("column", range(), Bind::Serial, |ctx, c| {
        let x = x.read(ctx, &row, &lead_index, &c);
        let y = (x - m.get()).unary(Unary::Exp) / l.get();
        let mut index = lead_index.clone();
        index.push(c.clone());
        target.store(ctx, &At { index, flat: Some(&row * dim_expr(width) + &c) }, y);
    });
    ctx.built(&grid)
}
