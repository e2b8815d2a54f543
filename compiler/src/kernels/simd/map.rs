//! Element-wise kernels on a processor: four neighbouring elements per position where the values allow it.

use gristmill_graph::{Binary, DType, Dim, NodeId, Op, numel};
use gristmill_kernel::quant::unpack_quad_at;
use gristmill_kernel::{Expr, Scalar, WeightFormat, i, u};

use crate::codegen::context::{Built, Lowering, Memory, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, through_broadcast, unflatten};
use crate::codegen::inline::{const_dim, literal};
use crate::codegen::kernel::{At, Ctx, label};
use crate::error::CompileError;

/// Whether a node can be computed four elements at a time.
pub fn applies(low: &Lowering<'_>, Stored { id, place, .. }: Stored) -> bool {
    low.memory(place, id) == Memory::Dense(Scalar::F32) && fours(low, id, true)
}

/// The kernel of an element-wise node to which [`applies`] applies.
pub fn build(low: &Lowering<'_>, Stored { id, place, .. }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let mut ctx = Ctx::new(low, &format!("map_{}", label(&node.path)));
    let last = node.shape.len() - 1;
    let mut shape = node.shape.clone();
    shape[last] = Dim::constant(i64::from(const_dim(&node.shape[last]) / 4));
    let grid = [Count::Dim(numel(&shape))];
    ctx.b.doc(format!("{}: element-wise, four at a time", node.path));
    let name = format!("out_{}", ctx.label(id));
    let out = ctx.write(place, gristmill_kernel::VEC4F, &name);
    let quad = ctx.b.grid_axis("quad", grid[0].expr());
    let mut index: Vec<Expr> = unflatten(quad.clone(), &shape)
        .into_iter()
        .enumerate()
        .map(|(axis, e)| ctx.b.let_(&format!("i{axis}"), e))
        .collect();
    index[last] = ctx.b.simplify(index[last].clone() * 4);
    let value = four(&mut ctx, id, &index, true);
    ctx.b.store(out, quad, value);
    ctx.built(&grid)
}

/// Whether four neighbours on the last axis can be computed at a time. The node at the `top` is computed, although it
/// has a place.
fn fours(low: &Lowering<'_>, id: NodeId, top: bool) -> bool {
    let node = low.graph.node(id);
    if node.dtype != DType::F32 {
        return false;
    }
    if !top && node.shape.last().is_none_or(Dim::is_one) {
        return true;
    }
    if node.shape.last().and_then(Dim::as_const).is_none_or(|n| n % 4 != 0) {
        return false;
    }
    if !top && (low.place(id).is_some() || node.op.is_view()) {
        return low.quads(id);
    }
    match &node.op {
        Op::Unary(_) => fours(low, node.inputs[0], false),
        Op::Binary(op) if *op != Binary::Rem && !op.is_comparison() => {
            node.inputs.iter().all(|input| fours(low, *input, false))
        }
        Op::Gather => {
            let table = low.graph.node(node.inputs[0]);
            let blocks = low.place(node.inputs[0]).map(|p| low.memory(p, node.inputs[0]));
            table.shape.len() == 2 && (matches!(blocks, Some(Memory::Blocks(_))) || low.quads(node.inputs[0]))
        }
        _ => false,
    }
}

/// The four elements from `index` on.
fn four(ctx: &mut Ctx<'_>, id: NodeId, index: &[Expr], top: bool) -> Expr {
    let low = ctx.low;
    let node = low.graph.node(id);
    if !top && node.shape.last().is_none_or(Dim::is_one) {
        return ctx.value(id, &At::index(index.to_vec())).splat(4);
    }
    if !top && (low.place(id).is_some() || node.op.is_view()) {
        return quad_of(ctx, id, index);
    }
    let value = match &node.op {
        Op::Unary(op) => operand(ctx, id, 0, index).unary(*op),
        Op::Binary(op) => {
            let (a, b) = (operand(ctx, id, 0, index), operand(ctx, id, 1, index));
            Expr::Binary(*op, Box::new(a), Box::new(b))
        }
        Op::Gather => gather(ctx, id, index),
        _ => literal(gristmill_graph::Literal::f32(0.0)).splat(4),
    };
    ctx.b.let_("part", value)
}

fn operand(ctx: &mut Ctx<'_>, id: NodeId, n: usize, index: &[Expr]) -> Expr {
    let input = ctx.low.graph.node(id).inputs[n];
    let index = through_broadcast(index, &ctx.low.graph.node(input).shape);
    four(ctx, input, &index, false)
}

/// A quad of memory.
fn quad_of(ctx: &mut Ctx<'_>, id: NodeId, index: &[Expr]) -> Expr {
    let (column, lead) = index.split_last().map_or((u(0), &[][..]), |(c, l)| (c.clone(), l));
    match ctx.quad_row(id, lead) {
        Some(row) => row.at(ctx, column / 4),
        None => literal(gristmill_graph::Literal::f32(0.0)).splat(4),
    }
}

/// A quad of a row of a table.
fn gather(ctx: &mut Ctx<'_>, id: NodeId, index: &[Expr]) -> Expr {
    let low = ctx.low;
    let node = low.graph.node(id);
    let (table, indices) = (node.inputs[0], node.inputs[1]);
    let rank = low.graph.node(indices).shape.len();
    let row = ctx.value(indices, &At::index(index[..rank].to_vec()));
    let rows = &low.graph.node(table).shape[0] - &Dim::constant(1);
    let row = row.max(i(0)).min(dim_expr(&rows).cast(Scalar::I32)).cast(Scalar::U32);
    let row = ctx.b.let_("row", row);
    let column = index[index.len() - 1].clone();
    let place = low.place(table);
    if let Some((place, Memory::Blocks(spec))) = place.map(|p| (p, low.memory(p, table))) {
        let shape = &low.graph.node(table).shape;
        let precision = gristmill_graph::Precision::Quant(spec);
        let format = WeightFormat::new(precision, const_dim(&shape[0]), const_dim(&shape[1]));
        let name = ctx.label(table);
        let buf = ctx.read(place, format.elem(), &name);
        return unpack_quad_at(&mut ctx.b, buf, &format, row, column);
    }
    quad_of(ctx, table, &[row, column])
}
