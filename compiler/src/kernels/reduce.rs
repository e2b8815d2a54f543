//! Reductions along one axis: one workgroup per element of the result.

use gristmill_graph::{DType, Op, Reduction, numel};
use gristmill_kernel::{Bind, GroupOp, f, u};

use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::Target;
use crate::error::CompileError;

/// The initial value of every maximum: finite, so that it can be a literal.
pub const NEG_MAX: f32 = f32::MIN;

/// Builds the kernel of an [`Op::Reduce`]. Integers are summed in f32, which is exact below 2^24.
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let Op::Reduce { op, axis } = node.op else { return Err(CompileError::unlowered(node, "form as a reduction")) };
    let operand = node.inputs[0];
    let axis = axis as usize;
    let len = low.graph.node(operand).shape[axis].clone();
    let threads = low.setting.profile.schedule.reduce.threads;
    let grid = [Count::Dim(numel(&node.shape))];
    let mut ctx = Ctx::new(low, &format!("reduce_{}", node.op.name()));
    ctx.b.doc(format!("{}: {} over an axis of {len}, {threads} threads per result", node.path, node.op.name()));
    let target = Target::bind(&mut ctx, id, root, place);
    let row = ctx.b.grid_axis("row", grid[0].expr());
    let lane = ctx.b.group_axis("lane", threads);
    let mut index = unflatten(row.clone(), &node.shape);
    let (start, group) = match op {
        Reduction::Sum | Reduction::Mean => (0.0, GroupOp::Add),
        Reduction::Max => (NEG_MAX, GroupOp::Max),
        Reduction::Min => (-NEG_MAX, GroupOp::Min),
    };
    let acc = ctx.b.var("acc", f(start));
    ctx.for_("reduced", (lane.clone(), dim_expr(&len), threads), Bind::Serial, |ctx, j| {
        index[axis] = j;
        let x = ctx.value(operand, &At::index(index.clone()));
        let x = if node.dtype == DType::F32 { x } else { x.to_f32() };
        let next = match group {
            GroupOp::Add => acc.get() + x,
            GroupOp::Max => acc.get().max(x),
            GroupOp::Min => acc.get().min(x),
        };
        ctx.b.assign(acc, next);
    });
    ctx.b.group_reduce(group, acc);
    ctx.if_(lane.equals(u(0)), |ctx| {
        index[axis] = u(0);
        let mut value = acc.get();
        if op == Reduction::Mean {
            value = value / dim_expr(&len).to_f32();
        }
        if node.dtype != DType::F32 {
            value = value.to_i32();
        }
        target.store(ctx, &At { index: index.clone(), flat: Some(row.clone()) }, value);
    });
    ctx.built(&grid)
}
