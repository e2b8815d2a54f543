//! Products of two computed matrices outside of attention and linear layers: one element per thread. They are rare, so
//! the kernel is simple.

use gristmill_graph::{Op, numel};
use gristmill_kernel::{Bind, f, u};

use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, numel_expr, through_broadcast, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::Target;
use crate::error::CompileError;

/// Builds the kernel of an [`Op::MatMul`].
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let Op::MatMul { transpose_b } = node.op else { return Err(CompileError::unlowered(node, "form as a product")) };
    let (a, b) = (node.inputs[0], node.inputs[1]);
    let (a_shape, b_shape) = (&low.graph.node(a).shape, &low.graph.node(b).shape);
    let depth = a_shape[a_shape.len() - 1].clone();
    let threads = low.setting.profile.schedule.map.threads;
    let grid = [Count::Ceil(numel(&node.shape), threads)];
    let mut ctx = Ctx::new(low, "matmul_plain");
    ctx.b.doc(format!("{}: product over {depth}, one element per thread", node.path));
    let target = Target::bind(&mut ctx, id, root, place);
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let thread = ctx.b.group_axis("thread", threads);
    let flat = ctx.b.let_("element", block * u(threads) + thread);
    ctx.if_(flat.lt(numel_expr(&node.shape)), |ctx| {
        let index = unflatten(flat.clone(), &node.shape);
        let rank = index.len();
        let lead = &index[..rank - 2];
        let (row, column) = (index[rank - 2].clone(), index[rank - 1].clone());
        let acc = ctx.b.var("acc", f(0.0));
        ctx.for_("depth", (u(0), dim_expr(&depth), 1), Bind::Serial, |ctx, k| {
            let mut at = through_broadcast(lead, &a_shape[..a_shape.len() - 2]);
            at.extend([row.clone(), k.clone()]);
            let x = ctx.value(a, &At::index(at));
            let mut at = through_broadcast(lead, &b_shape[..b_shape.len() - 2]);
            at.extend(if transpose_b { [column.clone(), k] } else { [k, column.clone()] });
            let y = ctx.value(b, &At::index(at));
            ctx.b.add(acc, x * y);
        });
        target.store(ctx, &At { index: index.clone(), flat: Some(flat.clone()) }, acc.get());
    });
    ctx.built(&grid)
}
