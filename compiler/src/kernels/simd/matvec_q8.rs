//! Quantized weights multiplied by one row of bytes: each weight is read once, so decoding dominates.
//!
//! A grid position takes several groups of four rows of weights. The codes in a vector belong to one row, so products
//! of bytes give four partial sums per row. Those of four rows are combined into a vector with one lane per row before
//! scales are applied.

use gristmill_kernel::{Bind, Buf, ByteFormat, Expr, Var, u};

use super::group::{Group, Sums, by_engine};
use super::lanes;
use super::matmul_q8::rest_of;
use super::output::{FOUR, Out};
use super::quantize_q8::Rounded;
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::error::CompileError;
use crate::kernels::linear::Linear;

/// Builds the kernel.
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let linear = &Linear::new(low, id)?;
    // Words with many groups cost more to arrange activations for; twice as many rows share that cost.
    let formats = linear.byte_formats(low)?;
    let arranged = formats.iter().any(|f| f.quads() >= 4);
    let groups = low.setting.profile.schedule.matvec.rows / FOUR * if arranged { 2 } else { 1 };
    let per_weight = (groups / linear.weights.len() as u32).max(1);
    let rows = FOUR * per_weight;
    let mut ctx = Ctx::new(low, &format!("matvec_{}", linear.label(low)));
    ctx.b.doc(format!(
        "{}: [{}, {}] weights times bytes, {rows} rows at a time",
        low.graph.node(linear.id).path,
        linear.n,
        linear.k
    ));
    let out = Out::bind(&mut ctx, linear, root, place);
    let buffers = linear.bind(&mut ctx);
    let x = Rounded::bind(&mut ctx, linear.x)?;
    let grid = [Count::Dim(i64::from(linear.n.div_ceil(rows)).into()), Count::Dim(linear.m.clone())];
    let block = ctx.b.grid_axis("block", grid[0].expr());
    let m = ctx.b.grid_axis("m", grid[1].expr());
    let task = Task { linear, formats: &formats, out: &out, x: &x, block: &block, m: &m, per_weight };
    by_engine(&mut ctx, linear, |ctx, kind| task.run(ctx, &buffers, kind));
    ctx.built(&grid)
}

/// The work of one grid position.
struct Task<'t> {
    linear: &'t Linear<'t>,
    formats: &'t [ByteFormat],
    out: &'t Out,
    x: &'t Rounded,
    block: &'t Expr,
    m: &'t Expr,
    /// Groups of four rows of each weight.
    per_weight: u32,
}

impl Task<'_> {
    /// The first row of group `g` of a weight.
    fn first(&self, ctx: &mut Ctx<'_>, g: u32) -> Expr {
        ctx.b.let_("first", self.block * (FOUR * self.per_weight) + g * FOUR)
    }

    /// Emits all of it. `kind` says how whole bytes are multiplied, if they are.
    fn run(&self, ctx: &mut Ctx<'_>, buffers: &[Buf], kind: Option<&Expr>) {
        let (linear, x, m) = (self.linear, self.x, self.m);
        let mut groups = Vec::new();
        for (format, buf) in self.formats.iter().zip(buffers) {
            for g in 0..self.per_weight {
                let first = self.first(ctx, g);
                let group = Group::open(ctx, *format, *buf, &first, kind);
                let sums = Sums::start(ctx, &group);
                groups.push((group, sums));
            }
        }
        let chunks = groups[0].0.format.chunks();
        ctx.for_("chunk", (u(0), u(chunks), 1), Bind::Serial, |ctx, chunk| {
            let at = ctx.b.let_("at", x.chunk(m, &chunk));
            let natural: Vec<Expr> = (0..8).map(|n| ctx.b.let_(&format!("x{n}"), x.vector(&at, n))).collect();
            let steps = ctx.b.let_("steps", x.steps(&at));
            for (group, sums) in &groups {
                chunk_of(ctx, (group, sums), x, (&at, &chunk), &natural, &steps);
            }
        });
        let rest = x.chunk(m, &u(chunks));
        for (group, sums) in &groups {
            rest_of(ctx, group, x, std::slice::from_ref(&rest), &[sums]);
        }
        for g in 0..self.per_weight {
            let first = self.first(ctx, g);
            ctx.if_(first.lt(u(linear.n)), |ctx| {
                let of_weights = groups.iter().skip(g as usize).step_by(self.per_weight as usize);
                let totals: Vec<Var> = of_weights.map(|(group, sums)| sums.total(ctx, group)).collect();
                self.out.store(ctx, linear, (m, &first), &totals);
            });
        }
    }
}

/// The bytes of the activations, arranged to match the groups of four in the words of pack `pack`: lane `l` of result
/// `n` is word `l * quads + n`.
fn arranged(ctx: &mut Ctx<'_>, natural: &[Expr], format: &ByteFormat, pack: u32) -> Vec<Expr> {
    let (quads, first) = (format.quads() as usize, (pack * format.quads()) as usize);
    let at = |n: usize| &natural[first + n];
    match quads {
        1 => vec![at(0).clone()],
        2 => [[0, 2, 4, 6], [1, 3, 5, 7]]
            .into_iter()
            .map(|lanes| ctx.b.let_("arranged", at(0).shuffle(at(1), lanes)))
            .collect(),
        _ => (0..quads / 4)
            .flat_map(|n| {
                let [a, b, c, d] = [0, 1, 2, 3].map(|lane| at(n + lane * quads / 4));
                let transposed = lanes::transpose(&mut ctx.b, [a, b, c, d]);
                transposed.map(|t| ctx.b.let_("arranged", t))
            })
            .collect(),
    }
}

/// Adds the products of a chunk.
fn chunk_of(
    ctx: &mut Ctx<'_>,
    (group, sums): (&Group, &Sums),
    x: &Rounded,
    (at, chunk): (&Expr, &Expr),
    natural: &[Expr],
    steps: &Expr,
) {
    let format = &group.format;
    let block = format.block();
    let columns = 128 / format.packs_per_chunk();
    // Packs per block, or blocks per pack.
    let packs_per_unit = (block / columns).max(1);
    for unit in 0..format.packs_per_chunk() / packs_per_unit {
        let packs: Vec<u32> = (unit * packs_per_unit..(unit + 1) * packs_per_unit).collect();
        let x_of: Vec<Vec<Expr>> = packs.iter().map(|p| arranged(ctx, natural, format, *p)).collect();
        let rows: Vec<Expr> = (0..FOUR).map(|r| row_sums(ctx, group, chunk, r, (&packs, &x_of))).collect();
        let four = [&rows[0], &rows[1], &rows[2], &rows[3]];
        let narrow = format.sums_fit_16_bits();
        let dots = match columns * packs_per_unit / block {
            1 => vec![lanes::sums(&mut ctx.b, four, narrow)],
            2 => lanes::half_sums(&mut ctx.b, four, narrow).to_vec(),
            _ => lanes::transpose(&mut ctx.b, four).to_vec(),
        };
        for (n, dots) in (0u32..).zip(dots) {
            let column = unit * packs_per_unit * columns + n * block;
            let (factor, offset) = format.block_terms(&mut ctx.b, &group.rows, chunk, column);
            let lane = (column / 32) as u8;
            let step = steps.shuffle(steps, [lane; 4]);
            let scaled = ctx.b.let_("scaled", dots.to_f32() * &factor);
            sums.add(ctx, &scaled, step);
            if let Some(moved) = group.moved(&factor) {
                sums.add(ctx, &moved, x.sum(at, column, block));
            }
            if let Some(offset) = offset {
                sums.add_offset(ctx, &offset, x.sum(at, column, block));
            }
        }
    }
}

/// The products of row `r` with the activations of some packs, as four partial sums.
fn row_sums(ctx: &mut Ctx<'_>, group: &Group, chunk: &Expr, r: u32, (packs, x): (&[u32], &[Vec<Expr>])) -> Expr {
    let mut sums = group.zeros();
    for (pack, x) in packs.iter().zip(x) {
        let words = group.format.row_words(&mut ctx.b, &group.rows, r, chunk, *pack);
        for (quad, x) in (0u32..).zip(x) {
            let planes = group.quad(&words, quad);
            for (sum, bytes) in sums.iter_mut().zip(planes) {
                *sum = ctx.b.let_("partial", x.dot_bytes(bytes, &*sum));
            }
        }
    }
    ctx.b.let_("row_sum", group.joined(sums))
}
