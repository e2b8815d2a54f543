//! Element-wise kernels on a CPU: four adjacent elements per grid position where possible.

use gristmill_graph::{Binary, DType, Dim, NodeId, Op, Unary, numel};
use gristmill_kernel::quant::unpack_quad_at;
use gristmill_kernel::{Expr, Scalar, WeightFormat, i};

use crate::codegen::context::{Built, Lowering, Memory, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, through_broadcast, unflatten};
use crate::codegen::inline::const_dim;
use crate::codegen::kernel::{At, Ctx, label};
use crate::codegen::vec4::WHOLE;
use crate::error::CompileError;

/// Whether a node can be computed four elements at a time.
pub fn applies(low: &Lowering<'_>, Stored { id, place, .. }: Stored) -> bool {
    low.memory(place, id) == Memory::Dense(Scalar::F32) && fours(low, id, true)
}

/// Builds the kernel of an element-wise node for which [`applies`] is true.
pub fn build(low: &Lowering<'_>, Stored { id, place, .. }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let mut ctx = Ctx::new(low, &format!("map_{}", label(&node.path)));
    let last = node.shape.len() - 1;
    let mut shape = node.shape.clone();
    shape[last] = Dim::constant(i64::from(const_dim(low, id, &node.shape[last])? / 4));
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
    let value = four(&mut ctx, id, &index, true)?;
    ctx.b.store(out, quad, value);
    ctx.built(&grid)
}

/// Whether four adjacent elements on the last axis can be computed at once. The node at the `top` is computed even if
/// it has memory of its own.
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
    match vector_form(&node.op) {
        Some(VectorForm::Unary(_) | VectorForm::Binary(_)) => node.inputs.iter().all(|input| fours(low, *input, false)),
        Some(VectorForm::Gather) => {
            let table = low.graph.node(node.inputs[0]);
            let blocks = low.place(node.inputs[0]).map(|p| low.memory(p, node.inputs[0]));
            table.shape.len() == 2 && (matches!(blocks, Some(Memory::Blocks(_))) || low.quads(node.inputs[0]))
        }
        None => false,
    }
}

/// An operation that can compute four elements at once. All others compute one at a time.
enum VectorForm {
    Unary(Unary),
    Binary(Binary),
    Gather,
}

fn vector_form(op: &Op) -> Option<VectorForm> {
    if let Op::Unary(op) = op {
        return Some(VectorForm::Unary(*op));
    }
    if let Op::Binary(op) = op {
        return (*op != Binary::Rem && !op.is_comparison()).then_some(VectorForm::Binary(*op));
    }
    (*op == Op::Gather).then_some(VectorForm::Gather)
}

/// The four elements from `index` on.
fn four(ctx: &mut Ctx<'_>, id: NodeId, index: &[Expr], top: bool) -> Result<Expr, CompileError> {
    let low = ctx.low;
    let node = low.graph.node(id);
    if !top && node.shape.last().is_none_or(Dim::is_one) {
        return Ok(ctx.value(id, &At::index(index.to_vec())).splat(4));
    }
    if !top && (low.place(id).is_some() || node.op.is_view()) {
        return quad_of(ctx, id, index);
    }
    let value = match vector_form(&node.op) {
        Some(VectorForm::Unary(op)) => operand(ctx, id, 0, index)?.unary(op),
        Some(VectorForm::Binary(op)) => {
            let (a, b) = (operand(ctx, id, 0, index)?, operand(ctx, id, 1, index)?);
            Expr::Binary(op, Box::new(a), Box::new(b))
        }
        Some(VectorForm::Gather) => gather(ctx, id, index)?,
        None => return Err(CompileError::unlowered(node, "form of four elements")),
    };
    Ok(ctx.b.let_("part", value))
}

fn operand(ctx: &mut Ctx<'_>, id: NodeId, n: usize, index: &[Expr]) -> Result<Expr, CompileError> {
    let input = ctx.low.graph.node(id).inputs[n];
    let index = through_broadcast(index, &ctx.low.graph.node(input).shape);
    four(ctx, input, &index, false)
}

/// Four adjacent elements in memory.
fn quad_of(ctx: &mut Ctx<'_>, id: NodeId, index: &[Expr]) -> Result<Expr, CompileError> {
    let row = index.split_last().and_then(|(column, lead)| Some((column, ctx.vec4_row(id, lead)?)));
    match row {
        Some((column, row)) => Ok(row.at(ctx, column / 4)),
        None => Err(CompileError::unlowered(ctx.low.graph.node(id), WHOLE)),
    }
}

/// Four adjacent elements of a row of a table.
fn gather(ctx: &mut Ctx<'_>, id: NodeId, index: &[Expr]) -> Result<Expr, CompileError> {
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
        let format = WeightFormat::new(precision, const_dim(low, table, &shape[0])?, const_dim(low, table, &shape[1])?);
        let name = ctx.label(table);
        let buf = ctx.read(place, format.elem(), &name);
        return Ok(unpack_quad_at(&mut ctx.b, buf, &format, row, column));
    }
    quad_of(ctx, table, &[row, column])
}
