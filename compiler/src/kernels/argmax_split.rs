//! Arg max over long rows, such as the logits of a large vocabulary: several workgroups share the columns of a row.
//! Each writes its best element to scratch memory; a second kernel takes the best of these.

use gristmill_graph::{DType, Dim, NodeId, numel};
use gristmill_kernel::{Bind, F32, I32, Type, U32, u};

use super::reduce::NEG_MAX;
use super::top_k::{INVALID_INDEX, best_of, start};
use crate::codegen::context::{Built, KernelPlan, Lowering, Place, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// The best values and their columns, `[row][part]` each.
const VALUES: Place = Place::Scratch(0);
const COLUMNS: Place = Place::Scratch(1);

/// An arg max node and its parts.
struct ArgMax<'a> {
    path: &'a str,
    /// Leading dimensions, in front of the row.
    lead: &'a [Dim],
    /// The node with the rows, its type, and the length of a row.
    x: NodeId,
    dtype: DType,
    len: Dim,
    parts: u32,
}

impl ArgMax<'_> {
    fn elem(&self) -> Type {
        if self.dtype == DType::F32 { F32 } else { I32 }
    }
}

/// Builds the kernels of an [`gristmill_graph::Op::ArgMax`].
pub fn build(low: &Lowering<'_>, stored: Stored) -> Result<KernelPlan, CompileError> {
    let node = low.graph.node(stored.id);
    let x = node.inputs[0];
    let a = ArgMax {
        path: &node.path,
        lead: &node.shape[..node.shape.len() - 1],
        x,
        dtype: low.graph.node(x).dtype,
        len: low.width(x),
        parts: low.setting.profile.schedule.top_k.parts,
    };
    let bytes = &numel(a.lead) * &Dim::constant(i64::from(a.parts) * 4);
    Ok(KernelPlan { kernels: vec![part(low, &a)?, merge(low, &a, stored)?], scratch: vec![bytes.clone(), bytes] })
}

/// Finds the best element of one part of the columns.
fn part(low: &Lowering<'_>, a: &ArgMax<'_>) -> Result<Built, CompileError> {
    let (threads, parts) = (low.setting.profile.schedule.top_k.threads, a.parts);
    let mut ctx = Ctx::new(low, "argmax_part");
    ctx.b.doc(format!("{}: argmax of {} elements, {parts} parts with {threads} threads each", a.path, a.len));
    let values = ctx.write(VALUES, a.elem(), "values");
    let columns = ctx.write(COLUMNS, U32, "columns");
    let grid = [Count::Dim(numel(a.lead)), Count::Dim(i64::from(parts).into())];
    let row = ctx.b.grid_axis("row", grid[0].expr());
    let part = ctx.b.grid_axis("part", grid[1].expr());
    let lane = ctx.b.group_axis("lane", threads);
    let lead = unflatten(row.clone(), a.lead);
    let len = dim_expr(&a.len);
    let of_part = ctx.b.let_("of_part", (&len + (parts - 1)) / parts);
    let begin = ctx.b.let_("begin", &part * &of_part);
    let end = ctx.b.let_("end", (&begin + &of_part).min(len));
    let x = Row { id: a.x, step: 1 };
    let lowest = start(a.dtype, i32::MIN, NEG_MAX);
    let (value, column) =
        best_of(&mut ctx, &x, (&row, &lead), (begin + &lane, end, threads), lowest, |better, _, _| better);
    ctx.if_(lane.equals(u(0)), |ctx| {
        let at = ctx.b.let_("at", &row * parts + &part);
        ctx.b.store(values, at.clone(), value.get());
        ctx.b.store(columns, at, column.get());
    });
    ctx.built(&grid)
}

/// Takes the best of the parts, one row per thread. Parts are in order of columns, so ties go to the lowest column.
fn merge(low: &Lowering<'_>, a: &ArgMax<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let (threads, parts) = (low.setting.profile.schedule.map.threads, a.parts);
    let mut ctx = Ctx::new(low, "argmax_merge");
    ctx.b.doc(format!("{}: the best of {parts} parts", a.path));
    let values = ctx.read(VALUES, a.elem(), "values");
    let columns = ctx.read(COLUMNS, U32, "columns");
    let target = Target::bind(&mut ctx, id, root, place);
    let rows = numel(a.lead);
    let grid = [Count::Ceil(rows.clone(), threads)];
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let thread = ctx.b.group_axis("thread", threads);
    let row = ctx.b.let_("row", block * threads + thread);
    ctx.if_(row.lt(dim_expr(&rows)), |ctx| {
        let value = ctx.b.var("value", start(a.dtype, i32::MIN, NEG_MAX));
        let column = ctx.b.var("column", u(INVALID_INDEX));
        ctx.for_("part", (u(0), u(parts), 1), Bind::Serial, |ctx, part| {
            let at = ctx.b.let_("at", &row * parts + part);
            let candidate = ctx.b.let_("candidate", values.at(&at));
            let found = ctx.b.let_("found", columns.at(at));
            let better = candidate.gt(value.get()).or(column.get().equals(u(INVALID_INDEX)));
            ctx.if_(better, |ctx| {
                ctx.b.assign(value, candidate);
                ctx.b.assign(column, found);
            });
        });
        let mut index = unflatten(row.clone(), a.lead);
        index.push(u(0));
        // A row of NaN has no best element; the last column is at least in range.
        let safe = column.get().min(dim_expr(&a.len) - 1).to_i32();
        target.store(ctx, &At { index, flat: Some(row.clone()) }, safe);
    });
    ctx.built(&grid)
}
