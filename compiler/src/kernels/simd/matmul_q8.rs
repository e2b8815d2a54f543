//! Quantized weights multiplied by many rows of bytes: codes are expanded once for several rows of activations.
//!
//! A grid position takes four rows of weights. Their words are transposed so that a vector holds the same columns of
//! all four rows. A product of bytes then gives one sum per row, with no horizontal addition.

use gristmill_kernel::quant::Words;
use gristmill_kernel::{Bind, Buf, ByteFormat, Expr, Var, u};

use super::group::{Group, Sums, by_engine};
use super::output::{FOUR, Out};
use super::quantize_q8::Rounded;
use crate::codegen::activations::CHUNK;
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::error::CompileError;
use crate::kernels::linear::Linear;

/// Four columns of a chunk: the number of the group, and its codes by plane.
type Quad = (u32, Vec<Expr>);

/// Builds the kernel.
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let linear = &Linear::new(low, id)?;
    let formats = linear.byte_formats(low)?;
    let together = low.setting.profile.schedule.matmul.rows_together;
    let mut ctx = Ctx::new(low, &format!("matmul_{}", linear.label(low)));
    ctx.b.doc(format!(
        "{}: [{}, {}] weights times bytes, {FOUR} rows of weights and {together} of activations at a time",
        low.graph.node(linear.id).path,
        linear.n,
        linear.k
    ));
    let out = Out::bind(&mut ctx, linear, root, place);
    let buffers = linear.bind(&mut ctx);
    let x = Rounded::bind(&mut ctx, linear.x)?;
    let grid = [Count::Dim(i64::from(linear.n.div_ceil(FOUR)).into())];
    let four = ctx.b.grid_axis("four", grid[0].expr());
    let first = ctx.b.let_("first", &four * FOUR);
    let task = Task { linear, formats: &formats, out: &out, x: &x, first: &first, together };
    by_engine(&mut ctx, linear, |ctx, kind| task.run(ctx, &buffers, kind));
    ctx.built(&grid)
}

/// The work of one grid position.
struct Task<'t> {
    linear: &'t Linear<'t>,
    formats: &'t [ByteFormat],
    out: &'t Out,
    x: &'t Rounded,
    /// The first of the four rows of weights.
    first: &'t Expr,
    together: u32,
}

impl Task<'_> {
    /// Emits all of it. `kind` says how whole bytes are multiplied, if they are.
    fn run(&self, ctx: &mut Ctx<'_>, buffers: &[Buf], kind: Option<&Expr>) {
        let (linear, x, together) = (self.linear, self.x, self.together);
        let formats = self.formats.iter().zip(buffers);
        let groups: Vec<Group> =
            formats.map(|(format, buf)| Group::open(ctx, *format, *buf, self.first, kind)).collect();
        let rows = linear.rows();
        ctx.for_("m_first", (u(0), rows.clone(), together), Bind::Serial, |ctx, m_first| {
            let ms: Vec<Expr> =
                (0..together).map(|r| ctx.b.let_(&format!("m{r}"), (&m_first + r).min(rows.clone() - 1))).collect();
            let sums: Vec<Vec<Sums>> =
                groups.iter().map(|g| ms.iter().map(|_| Sums::start(ctx, g)).collect()).collect();
            let chunks = groups[0].format.chunks();
            ctx.for_("chunk", (u(0), u(chunks), 1), Bind::Serial, |ctx, chunk| {
                let at: Vec<Expr> = ms.iter().map(|m| ctx.b.let_("at", x.chunk(m, &chunk))).collect();
                for (group, sums) in groups.iter().zip(&sums) {
                    chunk_of(ctx, group, x, &chunk, &at, &sums.iter().collect::<Vec<_>>());
                }
            });
            let rest: Vec<Expr> = ms.iter().map(|m| x.chunk(m, &u(chunks))).collect();
            for (group, sums) in groups.iter().zip(&sums) {
                rest_of(ctx, group, x, &rest, &sums.iter().collect::<Vec<_>>());
            }
            for r in 0..together {
                let m = ctx.b.let_("m", &m_first + r);
                ctx.if_(m.lt(rows.clone()), |ctx| {
                    let totals: Vec<Var> = groups.iter().zip(&sums).map(|(g, s)| s[r as usize].total(ctx, g)).collect();
                    self.out.store(ctx, linear, (&m, self.first), &totals);
                });
            }
        });
    }
}

/// Adds the products of a complete chunk, block by block.
fn chunk_of(ctx: &mut Ctx<'_>, group: &Group, x: &Rounded, chunk: &Expr, at: &[Expr], sums: &[&Sums]) {
    let block = group.format.block();
    let mut quads: Vec<Quad> = Vec::new();
    for pack in 0..group.format.packs_per_chunk() {
        quads.extend(pack_of(ctx, group, chunk, pack));
        let done = (pack + 1) * CHUNK / group.format.packs_per_chunk();
        while quads.len() as u32 >= block / 4 {
            let rest = quads.split_off(block as usize / 4);
            let column = done - (quads.len() + rest.len()) as u32 * 4;
            block_of(ctx, group, x, (chunk, column), at, &quads, sums);
            quads = rest;
        }
    }
}

/// Adds the products of the columns after the complete chunks. `at` is their position in the rows of activations.
pub(super) fn rest_of(ctx: &mut Ctx<'_>, group: &Group, x: &Rounded, at: &[Expr], sums: &[&Sums]) {
    if group.format.rest() == 0 {
        return;
    }
    let at: Vec<Expr> = at.iter().map(|at| ctx.b.let_("at", at)).collect();
    let words = group.format.rest_words(&mut ctx.b, &group.rows);
    let planes = |ctx: &mut Ctx<'_>, words: &Words| {
        group.quad(words, 0).into_iter().map(|p| ctx.b.let_("bytes", p)).collect::<Vec<Expr>>()
    };
    let quads: Vec<Quad> = (0u32..).zip(&words).map(|(n, words)| (n, planes(ctx, words))).collect();
    let (chunk, block) = (u(group.format.chunks()), group.format.block());
    for (column, quads) in (0..).step_by(block as usize).zip(quads.chunks(block as usize / 4)) {
        block_of(ctx, group, x, (&chunk, column), &at, quads, sums);
    }
}

/// The groups of four of a pack, in column order.
fn pack_of(ctx: &mut Ctx<'_>, group: &Group, chunk: &Expr, pack: u32) -> Vec<Quad> {
    let format = &group.format;
    let mut quads = Vec::new();
    for (w, words) in (0u32..).zip(format.column_words(&mut ctx.b, &group.rows, chunk, pack)) {
        for quad in 0..format.quads() {
            let planes = group.quad(&words, quad);
            let planes = planes.into_iter().map(|p| ctx.b.let_("bytes", p)).collect();
            quads.push(((pack * 4 + w) * format.quads() + quad, planes));
        }
    }
    quads
}

/// Adds the products of a block with all rows of activations.
fn block_of(
    ctx: &mut Ctx<'_>,
    group: &Group,
    x: &Rounded,
    (chunk, column): (&Expr, u32),
    at: &[Expr],
    quads: &[Quad],
    sums: &[&Sums],
) {
    let format = &group.format;
    let (factor, offset) = format.block_terms(&mut ctx.b, &group.rows, chunk, column);
    let moved = group.moved(&factor).map(|moved| ctx.b.let_("moved_by", moved));
    for (at, sums) in at.iter().zip(sums) {
        let mut dots = group.zeros();
        for (n, planes) in quads {
            let word = ctx.b.let_("word", x.word(at, *n));
            for (dot, bytes) in dots.iter_mut().zip(planes) {
                *dot = ctx.b.let_("dot", word.dot_bytes(bytes, &*dot));
            }
        }
        let scaled = group.joined(dots).to_f32() * &factor;
        sums.add(ctx, &scaled, x.step(at, column / 32));
        if let Some(moved) = &moved {
            sums.add(ctx, moved, x.sum(at, column, format.block()));
        }
        if let Some(offset) = &offset {
            sums.add_offset(ctx, offset, x.sum(at, column, format.block()));
        }
    }
}
