//! Quantized weights times one row of bytes: every weight is read once, so decoding is what counts.
//!
//! A position of the grid takes a few times four rows of weights. The codes of a vector belong to
//! one row, so that products of bytes leave four partial sums per row; those of four rows are folded into a vector
//! with a lane per row before scales come in.

use gristmill_kernel::{Bind, Buf, ByteFormat, Expr, Var, u};

use super::group::{Group, Sums, by_engine};
use super::lanes;
use super::output::{FOUR, Out};
use super::quantize_q8::Rounded;
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::error::CompileError;
use crate::kernels::linear::Linear;

/// The kernel.
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let linear = &Linear::new(low, id)?;
    // Words of four quads cost more to arrange activations for; twice as many rows share that.
    let formats = linear.byte_formats(low)?;
    let arranged = formats.iter().any(|f| f.quads() == 4);
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

/// The work of a position.
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

    /// All of it; `kind` says how whole bytes are multiplied, if they are.
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

/// The bytes of the activations as they meet quad `quad` of the words of pack `pack`.
fn arranged(ctx: &mut Ctx<'_>, natural: &[Expr], format: &ByteFormat, pack: u32) -> Vec<Expr> {
    let at = |n: u32| &natural[(pack * format.quads() + n) as usize];
    match format.quads() {
        1 => vec![at(0).clone()],
        2 => [[0, 2, 4, 6], [1, 3, 5, 7]]
            .into_iter()
            .map(|lanes| ctx.b.let_("arranged", at(0).shuffle(at(1), lanes)))
            .collect(),
        _ => {
            let turned = lanes::transpose(&mut ctx.b, [at(0), at(1), at(2), at(3)]);
            turned.into_iter().map(|t| ctx.b.let_("arranged", t)).collect()
        }
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
    let high: Vec<Option<Expr>> =
        (0..FOUR).map(|r| format.high(&group.rows, r, chunk).map(|h| ctx.b.let_("third_bits", h))).collect();
    let block = format.block();
    let columns = 128 / format.packs_per_chunk();
    // Packs that make up a block, or blocks in a pack.
    let packs_per_unit = (block / columns).max(1);
    for unit in 0..format.packs_per_chunk() / packs_per_unit {
        let packs: Vec<u32> = (unit * packs_per_unit..(unit + 1) * packs_per_unit).collect();
        let x_of: Vec<Vec<Expr>> = packs.iter().map(|p| arranged(ctx, natural, format, *p)).collect();
        let rows: Vec<Expr> = (0..FOUR).map(|r| row_sums(ctx, group, chunk, r, (&packs, &x_of), &high)).collect();
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
fn row_sums(
    ctx: &mut Ctx<'_>,
    group: &Group,
    chunk: &Expr,
    r: u32,
    (packs, x): (&[u32], &[Vec<Expr>]),
    high: &[Option<Expr>],
) -> Expr {
    let format = &group.format;
    let mut sums = group.zeros();
    for (pack, x) in packs.iter().zip(x) {
        let words = ctx.b.let_("codes", format.codes(&group.rows, r, chunk, *pack));
        let high = high[r as usize].as_ref().map(|h| {
            // A word of third bits belongs to two words of codes; the second takes the upper half of each byte.
            let lanes = [0, 4, 1, 5].map(|l| l + 2 * *pack as u8);
            let moved = ctx.b.let_("moved", h.shr(4));
            ctx.b.let_("high", h.shuffle(moved, lanes))
        });
        for (quad, x) in (0u32..).zip(x) {
            let planes = group.quad(&words, quad, high.as_ref());
            for (sum, bytes) in sums.iter_mut().zip(planes) {
                *sum = ctx.b.let_("partial", x.dot_bytes(bytes, &*sum));
            }
        }
    }
    ctx.b.let_("row_sum", group.joined(sums))
}
