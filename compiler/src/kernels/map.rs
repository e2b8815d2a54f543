//! Element-wise kernels and writes to states: one element (or one word of a state) per thread.

use gristmill_graph::{DType, Dim, NodeId, StateKind, numel};
use gristmill_kernel::{Expr, Scalar, Type, u};

use crate::codegen::context::{Built, Lowering, Memory, Place, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, numel_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::states::position;
use crate::error::CompileError;

/// Builds the kernel of an element-wise node.
pub fn build(low: &Lowering<'_>, Stored { id, place, .. }: Stored) -> Result<Built, CompileError> {
    one_per_thread(low, id, place, false)
}

/// Builds a kernel that copies a value to an output. The value is in memory already, or is cheap to compute.
pub fn copy(low: &Lowering<'_>, id: NodeId, target: Place) -> Result<Built, CompileError> {
    one_per_thread(low, id, target, true)
}

fn one_per_thread(low: &Lowering<'_>, id: NodeId, target: Place, copy: bool) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let what = if copy { "copy" } else { "map" };
    let mut ctx = Ctx::new(low, &format!("{what}_{}", crate::codegen::kernel::label(&node.path)));
    let threads = low.setting.profile.schedule.map.threads;
    let grid = [Count::Ceil(numel(&node.shape), threads)];
    ctx.b.doc(format!("{}: element-wise, {threads} threads", node.path));
    let scalar = match node.dtype {
        DType::F32 => Scalar::F32,
        DType::I32 | DType::Bool => Scalar::I32,
    };
    let name = format!("out_{}", ctx.label(id));
    let out = ctx.write(target, Type::scalar(scalar), &name);
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let thread = ctx.b.group_axis("thread", threads);
    let flat = ctx.b.let_("element", block * u(threads) + thread);
    ctx.if_(flat.lt(numel_expr(&node.shape)), |ctx| {
        let index = named(ctx, unflatten(flat.clone(), &node.shape));
        let at = At { index, flat: Some(flat.clone()) };
        let value = if copy { ctx.value(id, &at) } else { ctx.compute(id, &at) };
        let value = if node.dtype == DType::Bool { value.to_i32() } else { value };
        ctx.b.store(out, flat, value);
    });
    ctx.built(&grid)
}

/// Binds computed parts of an index to names, so that the printed text stays short.
fn named(ctx: &mut Ctx<'_>, index: Vec<Expr>) -> Vec<Expr> {
    index
        .into_iter()
        .enumerate()
        .map(|(axis, e)| match e {
            Expr::Var(_) | Expr::U32(_) => e,
            e => ctx.b.let_(&format!("i{axis}"), e),
        })
        .collect()
}

/// Writes new rows of a state: after the past ones, in a ring buffer over the oldest ones, or, if the state does not
/// grow, over all of it. f16 states are written word by word.
pub fn store_state(low: &Lowering<'_>, Stored { id, place: target, .. }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let Some(state) = node.op.written_state() else {
        return Err(CompileError::Internal(format!("{} writes no state", node.path)));
    };
    let operand = node.inputs[0];
    let decl = &low.setting.model.states[state as usize];
    let halves = low.memory(target, id) == Memory::F16x2;
    let mut shape = low.graph.node(operand).shape.clone();
    let last = shape.len() - 1;
    if halves {
        let words = shape[last].exact_div(&Dim::constant(2));
        shape[last] = words.ok_or_else(|| CompileError::unlowered(node, "rows of whole words, but stores halves"))?;
    }
    let (what, does) = match decl.kind {
        StateKind::Appended { .. } => ("append", "appends to a state"),
        StateKind::Overwritten => ("update", "overwrites a state"),
        StateKind::Kept => ("keep", "fills a state"),
    };
    let mut ctx = Ctx::new(low, &format!("{what}_{}", crate::codegen::kernel::label(&node.path)));
    let threads = low.setting.profile.schedule.map.threads;
    let grid = [Count::Ceil(numel(&shape), threads)];
    let form = if halves { "two halves per thread" } else { "one element per thread" };
    ctx.b.doc(format!("{}: {does}, {form}, {threads} threads", node.path));
    let elem = if halves { gristmill_kernel::U32 } else { gristmill_kernel::F32 };
    let name = format!("state_{}", ctx.label(id));
    let out = ctx.write(target, elem, &name);
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let thread = ctx.b.group_axis("thread", threads);
    let flat = ctx.b.let_("element", block * u(threads) + thread);
    ctx.if_(flat.lt(numel_expr(&shape)), |ctx| {
        let index = named(ctx, unflatten(flat, &shape));
        let mut place = index.clone();
        if let Some(axis) = decl.axis().map(|a| a as usize) {
            place[axis] = place[axis].clone() + dim_expr(&decl.shape[axis]);
        }
        if halves {
            let even = index[last].clone() * u(2);
            let pair = [even.clone(), even.clone() + u(1)].map(|i| {
                let mut at = index.clone();
                at[last] = i;
                ctx.value(operand, &At::index(at))
            });
            place[last] = even;
            let word = position(decl, &place, &decl.shape) / u(2);
            ctx.b.store(out, word, Expr::vec(pair).pack_f16());
        } else {
            let value = ctx.value(operand, &At::index(index));
            let value = ctx.b.let_("appended", value);
            ctx.b.store(out, position(decl, &place, &decl.shape), value);
        }
    });
    ctx.built(&grid)
}
