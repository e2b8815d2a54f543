//! Linear layers with few rows of activations and few rows of weights. Several workgroups share the columns of a tile,
//! so that a device with many cores is busy. They write partial sums to scratch memory; a second kernel adds these up
//! and applies the epilogue.

use gristmill_graph::{Dim, numel};
use gristmill_kernel::{Bind, Expr, F32, Var, u};

use super::linear::Linear;
use super::matvec::{TILE, add_packs, k_splits, reduce_k_splits, zeros};
use crate::codegen::context::{Built, KernelPlan, Lowering, Place, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// The partial sums, `[part][weight][m][n]`.
const SUMS: Place = Place::Scratch(0);

/// Builds the kernels of a linear layer with tiled weights.
pub fn build(low: &Lowering<'_>, stored: Stored) -> Result<KernelPlan, CompileError> {
    let linear = Linear::new(low, stored.id)?;
    let parts = low.setting.profile.schedule.matvec.parts;
    let of_each = i64::from(parts) * linear.weights.len() as i64 * i64::from(linear.n) * 4;
    Ok(KernelPlan {
        kernels: vec![part(low, &linear, parts)?, sum(low, &linear, parts, stored)?],
        scratch: vec![&linear.m * &Dim::constant(of_each)],
    })
}

/// The offset of a part's sum for result `[m, n]` and weight `w`.
fn place(linear: &Linear<'_>, (part, w): (&Expr, usize), m: &Expr, n: &Expr) -> Expr {
    let weights = linear.weights.len() as u32;
    ((part * weights + w as u32) * linear.rows() + m) * linear.n + n
}

/// The sums over one part of the columns.
fn part(low: &Lowering<'_>, linear: &Linear<'_>, parts: u32) -> Result<Built, CompileError> {
    let k_splits = k_splits(low, linear);
    let mut ctx = Ctx::new(low, &format!("matvec_{}_part", linear.label(low)));
    ctx.b.doc(format!(
        "{}: [{}, {}] weights times vector, a tile of {TILE} rows, {parts} parts of the columns with {k_splits} K splits each",
        low.graph.node(linear.id).path,
        linear.n,
        linear.k
    ));
    let sums_out = ctx.write(SUMS, F32, "sums");
    let buffers = linear.bind(&mut ctx);
    let tiles = i64::from(linear.n.div_ceil(TILE));
    let grid = [Count::Dim(tiles.into()), Count::Dim(i64::from(parts).into()), Count::Dim(linear.m.clone())];
    let tile = ctx.b.grid_axis("tile", grid[0].expr());
    let part = ctx.b.grid_axis("part", grid[1].expr());
    let m = ctx.b.grid_axis("m", grid[2].expr());
    let k_split = ctx.b.group_axis("k_split", k_splits);
    let row = ctx.b.group_axis("row", TILE);
    let n = ctx.b.let_("n", &tile * TILE + &row);
    let sums = zeros(&mut ctx, buffers.len());
    let packs = linear.weights[0].format.packs();
    let of_part = packs.div_ceil(parts);
    let first = ctx.b.let_("first", &part * of_part);
    let end = ctx.b.let_("end", (&first + of_part).min(packs));
    add_packs(&mut ctx, linear, (&buffers, &sums), (&m, &n), (&first + &k_split, end, k_splits));
    let totals = reduce_k_splits(&mut ctx, &sums, (&k_split, &row), k_splits);
    ctx.if_(k_split.equals(u(0)).and(n.lt(u(linear.n))), |ctx| {
        for (w, total) in totals.iter().enumerate() {
            ctx.b.store(sums_out, place(linear, (&part, w), &m, &n), total);
        }
    });
    ctx.built(&grid)
}

/// Adds up the parts, one result per thread.
fn sum(
    low: &Lowering<'_>,
    linear: &Linear<'_>,
    parts: u32,
    Stored { id, root, place: out }: Stored,
) -> Result<Built, CompileError> {
    let threads = low.setting.profile.schedule.map.threads;
    let mut ctx = Ctx::new(low, &format!("matvec_{}_sum", linear.label(low)));
    ctx.b.doc(format!("{}: adds up {parts} parts, a result per thread", low.graph.node(id).path));
    let sums_in = ctx.read(SUMS, F32, "sums");
    let target = Target::bind(&mut ctx, id, root, out);
    let shape = [linear.m.clone(), Dim::constant(i64::from(linear.n))];
    let grid = [Count::Ceil(numel(&shape), threads)];
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let thread = ctx.b.group_axis("thread", threads);
    let element = ctx.b.let_("element", block * threads + thread);
    ctx.if_(element.lt(linear.rows() * linear.n), |ctx| {
        let m = ctx.b.let_("m", &element / linear.n);
        let n = ctx.b.let_("n", &element % linear.n);
        let sums: Vec<Var> = zeros(ctx, linear.weights.len());
        ctx.for_("part", (u(0), u(parts), 1), Bind::Serial, |ctx, part| {
            for (w, sum) in sums.iter().enumerate() {
                ctx.b.add(*sum, sums_in.at(place(linear, (&part, w), &m, &n)));
            }
        });
        let totals: Vec<Expr> = sums.iter().map(|s| s.get()).collect();
        linear.finish(ctx, &target, &m, &n, &totals);
    });
    ctx.built(&grid)
}
