//! Linear layers with few rows of activations. Each weight is read once per row of activations, so speed is bound by
//! memory bandwidth.
//!
//! Tiled weights: a workgroup takes a tile of rows, one row per thread, and several groups of threads share the
//! columns. Adjacent threads read adjacent vectors of the tile. Other weights are stored row by row: a workgroup takes
//! a few rows, and the threads of a row read adjacent packs.

use gristmill_kernel::{Bind, Buf, Expr, F32, GroupOp, Var, f, u};

use super::linear::{Linear, add_dot};
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// Rows per tile of the stored layout.
pub(super) const TILE: u32 = 32;

/// Builds the kernel of a linear layer with few rows of activations.
pub fn build(low: &Lowering<'_>, stored: Stored) -> Result<Built, CompileError> {
    let linear = Linear::new(low, stored.id)?;
    if linear.is_tiled() { by_tiles(low, &linear, stored) } else { by_rows(low, &linear, stored) }
}

fn by_tiles(low: &Lowering<'_>, linear: &Linear<'_>, stored: Stored) -> Result<Built, CompileError> {
    let k_splits = k_splits(low, linear);
    let mut ctx = Ctx::new(low, &format!("matvec_{}", linear.label(low)));
    ctx.b.doc(format!(
        "{}: [{}, {}] weights times vector, a tile of {TILE} rows and {k_splits} K splits",
        low.graph.node(linear.id).path,
        linear.n,
        linear.k
    ));
    let target = Target::bind(&mut ctx, stored.id, stored.root, stored.place);
    let buffers = linear.bind(&mut ctx);
    let tiles = i64::from(linear.n.div_ceil(TILE));
    let grid = [Count::Dim(tiles.into()), Count::Dim(linear.m.clone())];
    let tile = ctx.b.grid_axis("tile", grid[0].expr());
    let m = ctx.b.grid_axis("m", grid[1].expr());
    let k_split = ctx.b.group_axis("k_split", k_splits);
    let row = ctx.b.group_axis("row", TILE);
    let n = ctx.b.let_("n", &tile * TILE + &row);
    let sums = zeros(&mut ctx, buffers.len());
    let packs = linear.weights[0].format.packs();
    add_packs(&mut ctx, linear, (&buffers, &sums), (&m, &n), (k_split.clone(), u(packs), k_splits));
    let totals = reduce_k_splits(&mut ctx, &sums, (&k_split, &row), k_splits);
    ctx.if_(k_split.equals(u(0)).and(n.lt(u(linear.n))), |ctx| linear.finish(ctx, &target, &m, &n, &totals));
    ctx.built(&grid)
}

/// Number of thread groups that share the columns of a tile.
pub(super) fn k_splits(low: &Lowering<'_>, linear: &Linear<'_>) -> u32 {
    low.setting.profile.schedule.matvec.k_splits.min(linear.weights[0].format.packs().next_power_of_two())
}

/// `n` accumulators, one per weight.
pub(super) fn zeros(ctx: &mut Ctx<'_>, n: usize) -> Vec<Var> {
    (0..n).map(|i| ctx.b.var(&format!("sum{i}"), f(0.0))).collect()
}

/// Multiplies some packs of row `n` of each tiled weight with row `m` of the activations, and adds the products to the
/// sums. The last tile is padded in memory, so every thread may read.
pub(super) fn add_packs(
    ctx: &mut Ctx<'_>,
    linear: &Linear<'_>,
    (buffers, sums): (&[Buf], &[Var]),
    (m, n): (&Expr, &Expr),
    packs: (Expr, Expr, u32),
) {
    let weights = linear.weights.iter().zip(buffers);
    let rows: Vec<_> = weights.map(|(w, buf)| w.format.open_row(&mut ctx.b, *buf, n)).collect();
    ctx.for_("pack", packs, Bind::Serial, |ctx, pack| {
        for ((weight, open), sum) in linear.weights.iter().zip(&rows).zip(sums) {
            ctx.for_pack(&weight.format, open, &pack, Bind::Serial, |ctx, column, values| {
                let x = linear.x_quad(ctx, m, &column);
                add_dot(ctx, *sum, &values, &x);
            });
        }
    });
}

/// Adds up the partial sums of the thread groups through shared memory.
pub(super) fn reduce_k_splits(
    ctx: &mut Ctx<'_>,
    sums: &[Var],
    (k_split, row): (&Expr, &Expr),
    k_splits: u32,
) -> Vec<Expr> {
    if k_splits == 1 {
        return sums.iter().map(|s| s.get()).collect();
    }
    let shared: Vec<_> = (0..sums.len()).map(|i| ctx.b.shared(&format!("partial{i}"), F32, k_splits * TILE)).collect();
    for (sum, shared) in sums.iter().zip(&shared) {
        ctx.b.store_shared(*shared, k_split * TILE + row, sum.get());
    }
    ctx.b.barrier();
    let totals: Vec<Var> = (0..sums.len()).map(|i| ctx.b.var(&format!("total{i}"), f(0.0))).collect();
    ctx.for_("part", (u(0), u(k_splits), 1), Bind::Serial, |ctx, part| {
        for (total, shared) in totals.iter().zip(&shared) {
            ctx.b.add(*total, shared.at(&part * TILE + row));
        }
    });
    totals.iter().map(|t| t.get()).collect()
}

fn by_rows(low: &Lowering<'_>, linear: &Linear<'_>, stored: Stored) -> Result<Built, CompileError> {
    let schedule = low.setting.profile.schedule.matvec;
    let (per_group, lanes) = (schedule.rows, schedule.lanes);
    let mut ctx = Ctx::new(low, &format!("matvec_{}", linear.label(low)));
    ctx.b.doc(format!(
        "{}: [{}, {}] weights times vector, {per_group} rows and {lanes} threads per row",
        low.graph.node(linear.id).path,
        linear.n,
        linear.k
    ));
    let target = Target::bind(&mut ctx, stored.id, stored.root, stored.place);
    let buffers = linear.bind(&mut ctx);
    let blocks = i64::from(linear.n.div_ceil(per_group));
    let grid = [Count::Dim(blocks.into()), Count::Dim(linear.m.clone())];
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let m = ctx.b.grid_axis("m", grid[1].expr());
    let row = ctx.b.group_axis("row", per_group);
    let lane = ctx.b.group_axis("lane", lanes);
    let n = ctx.b.let_("n", &block * per_group + &row);
    let existing = ctx.b.let_("existing", n.min(u(linear.n - 1)));
    let sums: Vec<Var> = (0..buffers.len()).map(|i| ctx.b.var(&format!("sum{i}"), f(0.0))).collect();
    for ((weight, buf), sum) in linear.weights.iter().zip(&buffers).zip(&sums) {
        let open = weight.format.open_row(&mut ctx.b, *buf, &existing);
        ctx.for_("pack", (lane.clone(), u(weight.format.packs()), lanes), Bind::Serial, |ctx, pack| {
            ctx.for_pack(&weight.format, &open, &pack, Bind::Serial, |ctx, column, values| {
                let x = linear.x_quad(ctx, &m, &column);
                add_dot(ctx, *sum, &values, &x);
            });
        });
    }
    for sum in &sums {
        ctx.b.group_reduce(GroupOp::Add, *sum);
    }
    let totals: Vec<Expr> = sums.iter().map(|s| s.get()).collect();
    ctx.if_(lane.equals(u(0)).and(n.lt(u(linear.n))), |ctx| linear.finish(ctx, &target, &m, &n, &totals));
    ctx.built(&grid)
}
