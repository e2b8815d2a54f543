//! Linear layers with many rows of activations. Tiles of activations and decoded weights are staged in shared memory,
//! so that a weight is decoded once for all rows of a tile.
//!
//! A workgroup computes `tile_m x tile_n` results. A thread computes `thread_m x thread_n` of them: adjacent rows of
//! activations, and rows of weights that are `tile_n / thread_n` apart, so that adjacent threads store adjacent
//! elements.

use gristmill_kernel::{Bind, Expr, Sh, VEC4F, Var, f, u};

use super::linear::{Linear, Weight};
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::codegen::store::Target;
use crate::error::CompileError;
use crate::profile::MatmulSchedule;

/// Tile sizes.
struct Tiles {
    /// Rows of activations per workgroup and per thread.
    m: u32,
    thread_m: u32,
    /// Rows of weights per workgroup and per thread.
    n: u32,
    thread_n: u32,
    /// Groups of four columns that are staged at a time.
    quads: u32,
}

impl Tiles {
    /// Threads along the rows of activations.
    fn threads_m(&self) -> u32 {
        self.m / self.thread_m
    }

    /// Threads along the rows of weights.
    fn threads_n(&self) -> u32 {
        self.n / self.thread_n
    }

    fn threads(&self) -> u32 {
        self.threads_m() * self.threads_n()
    }
}

/// Builds the kernel of a linear layer with many rows of activations.
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let linear = Linear::new(low, id)?;
    let schedule = low.setting.profile.schedule.matmul;
    // Whole packs of each weight; their numbers of columns are powers of two.
    let packs = linear.weights.iter().map(|w| w.format.pack_columns());
    let columns = schedule.tile_k.next_multiple_of(packs.max().unwrap_or(1));
    let MatmulSchedule { tile_m: m, tile_n: n, thread_m, thread_n, .. } = schedule;
    let tiles = Tiles { m, thread_m, n, thread_n, quads: columns / 4 };
    let mut ctx = Ctx::new(low, &format!("matmul_{}", linear.label(low)));
    ctx.b.doc(format!(
        "{}: activations times [{}, {}] weights, tiles of {} x {} results and {columns} columns",
        low.graph.node(id).path,
        linear.n,
        linear.k,
        tiles.m,
        tiles.n
    ));
    let target = Target::bind(&mut ctx, id, root, place);
    let buffers = linear.bind(&mut ctx);
    let n_tiles = i64::from(linear.n.div_ceil(tiles.n));
    let grid = [Count::Ceil(linear.m.clone(), tiles.m), Count::Dim(n_tiles.into())];
    let m_tile = ctx.b.grid_axis("m_tile", grid[0].expr());
    let n_tile = ctx.b.grid_axis("n_tile", grid[1].expr());
    let thread_m = ctx.b.group_axis("thread_m", tiles.threads_m());
    let thread_n = ctx.b.group_axis("thread_n", tiles.threads_n());
    let thread = ctx.b.let_("local", &thread_m * tiles.threads_n() + &thread_n);
    let x_tile = ctx.b.shared("x_tile", VEC4F, tiles.m * tiles.quads);
    let w_tile = ctx.b.shared("w_tile", VEC4F, tiles.n * tiles.quads);
    let sums: Vec<Vec<Var>> = (0..buffers.len())
        .map(|w| {
            (0..tiles.thread_m).map(|i| ctx.b.var(&format!("sum{w}_{i}"), f(0.0).splat(tiles.thread_n as u8))).collect()
        })
        .collect();
    if !linear.k.is_multiple_of(columns) {
        // Columns past the end of the weights are never staged. They are multiplied by zeros, so they only have to be
        // finite.
        clear(&mut ctx, w_tile, tiles.n * tiles.quads, &thread, tiles.threads());
        ctx.b.barrier();
    }
    let n_first = ctx.b.let_("n_first", &n_tile * tiles.n);
    let m_first = ctx.b.let_("m_first", &m_tile * tiles.m);
    ctx.for_("k_tile", (u(0), u(linear.k), columns), Bind::Serial, |ctx, first| {
        stage_x(ctx, &linear, &tiles, x_tile, (&m_first, &first), &thread);
        for ((weight, buf), sums) in linear.weights.iter().zip(&buffers).zip(&sums) {
            stage_weights(ctx, weight, *buf, &tiles, w_tile, (&n_first, &first), &thread);
            ctx.b.barrier();
            multiply(ctx, &tiles, x_tile, w_tile, (&thread_m, &thread_n), sums);
            ctx.b.barrier();
        }
    });
    ctx.for_("side", (u(0), u(tiles.thread_m), 1), Bind::Serial, |ctx, i| {
        let m = ctx.b.let_("m", &m_first + &thread_m * tiles.thread_m + &i);
        ctx.if_(m.lt(linear.rows()), |ctx| {
            let sums: Vec<Expr> = sums.iter().map(|s| ctx.b.let_("row_sums", numbered(s, &i))).collect();
            ctx.for_("column", (u(0), u(tiles.thread_n), 1), Bind::Serial, |ctx, j| {
                let n = ctx.b.let_("n", &n_first + &thread_n + &j * tiles.threads_n());
                ctx.if_(n.lt(u(linear.n)), |ctx| {
                    let accs: Vec<Expr> = sums.iter().map(|s| s.lane(&j)).collect();
                    linear.finish(ctx, &target, &m, &n, &accs);
                });
            });
        });
    });
    ctx.built(&grid)
}

/// The register with this number.
fn numbered(registers: &[Var], number: &Expr) -> Expr {
    let others = (1u32..).zip(&registers[1..]);
    others.fold(registers[0].get(), |chosen, (i, register)| number.equals(i).select(register.get(), chosen))
}

fn clear(ctx: &mut Ctx<'_>, tile: Sh, len: u32, thread: &Expr, threads: u32) {
    ctx.for_("cell", (thread.clone(), u(len), threads), Bind::Serial, |ctx, i| {
        ctx.b.store_shared(tile, i, f(0.0).splat(4));
    });
}

/// Stages `[tile_m, columns]` activations in shared memory, with zeros for rows and columns out of range.
fn stage_x(
    ctx: &mut Ctx<'_>,
    linear: &Linear<'_>,
    tiles: &Tiles,
    x_tile: Sh,
    (m_first, first): (&Expr, &Expr),
    thread: &Expr,
) {
    let len = tiles.m * tiles.quads;
    ctx.for_("cell", (thread.clone(), u(len), tiles.threads()), Bind::Serial, |ctx, i| {
        let m = ctx.b.let_("m", m_first + &i / tiles.quads);
        let column = ctx.b.let_("column", first + &i % tiles.quads * 4);
        let (last_row, last_column) = (linear.rows() - 1, (linear.k - 1) / 4 * 4);
        let row = ctx.b.let_("row", m.min(last_row));
        let safe = ctx.b.let_("safe", column.min(last_column));
        let x = linear.x_quad(ctx, &row, &safe);
        let x = ctx.b.let_("x", x);
        let exists = m.lt(linear.rows()).and(column.lt(linear.k));
        let mut value = exists.select(&x, f(0.0).splat(4));
        if !linear.k.is_multiple_of(4) {
            // The last group of four may extend past the row.
            let lane = |l: u32| exists.and((&column + l).lt(linear.k)).select(x.lane(l), f(0.0));
            value = Expr::vec((0..4).map(lane).collect::<Vec<_>>());
        }
        ctx.b.store_shared(x_tile, i, value);
    });
}

/// Decodes `[tile_n, columns]` weights into shared memory, one pack per thread at a time.
fn stage_weights(
    ctx: &mut Ctx<'_>,
    weight: &Weight,
    buf: gristmill_kernel::Buf,
    tiles: &Tiles,
    w_tile: Sh,
    (n_first, first): (&Expr, &Expr),
    thread: &Expr,
) {
    let per_row = tiles.quads * 4 / weight.format.pack_columns();
    let (rows, packs) = (weight.format.rows(), weight.format.packs());
    ctx.for_("pack_of_tile", (thread.clone(), u(tiles.n * per_row), tiles.threads()), Bind::Serial, |ctx, i| {
        // Adjacent threads take adjacent rows of tiled weights, but adjacent packs of others.
        let (row, pack) = if weight.tiled { (&i % tiles.n, &i / tiles.n) } else { (&i / per_row, &i % per_row) };
        let row = ctx.b.let_("row", row);
        let pack = ctx.b.let_("pack", first / weight.format.pack_columns() + pack);
        let n = ctx.b.let_("n", (n_first + &row).min(rows - 1));
        ctx.if_(pack.lt(packs), |ctx| {
            let open = weight.format.open_row(&mut ctx.b, buf, &n);
            ctx.for_pack(&weight.format, &open, &pack, Bind::Serial, |ctx, column, values| {
                let at = &row * tiles.quads + (column - first) / 4;
                ctx.b.store_shared(w_tile, at, values);
            });
        });
    });
}

/// Multiplies the staged columns and adds the products to the thread's results.
fn multiply(
    ctx: &mut Ctx<'_>,
    tiles: &Tiles,
    x_tile: Sh,
    w_tile: Sh,
    (thread_m, thread_n): (&Expr, &Expr),
    sums: &[Var],
) {
    ctx.for_("quad", (u(0), u(tiles.quads), 1), Bind::Serial, |ctx, q| {
        let w: Vec<Expr> = (0..tiles.thread_n)
            .map(|j| ctx.b.let_(&format!("w{j}"), w_tile.at((thread_n + j * tiles.threads_n()) * tiles.quads + &q)))
            .collect();
        for (i, sum) in sums.iter().enumerate() {
            let x = ctx.b.let_(&format!("x{i}"), x_tile.at((thread_m * tiles.thread_m + i as u32) * tiles.quads + &q));
            let dots: Vec<Expr> = w.iter().map(|w| x.dot(w)).collect();
            ctx.b.add(*sum, Expr::vec(dots));
        }
    });
}
