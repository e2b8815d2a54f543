//! Activations as bytes: quantizing them, and reading them in products. [`crate::codegen::activations`] describes the
//! layout.

use gristmill_graph::{NodeId, Unary, numel};
use gristmill_kernel::{Buf, Builder, Expr, F32, Scalar, U32, VEC4F, VEC4U, f, u};

use super::lanes::transpose;
use crate::codegen::activations::{BLOCK, CHUNK, STEPS, SUMS, VECTORS};
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::unflatten;
use crate::codegen::inline::const_dim;
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::error::CompileError;

/// Builds the kernel that quantizes activations: one chunk of a row per grid position.
pub fn build(low: &Lowering<'_>, Stored { id, place, .. }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let last = node.shape.len() - 1;
    let (lead, columns) = (&node.shape[..last], const_dim(low, id, &node.shape[last])?);
    let grid = [Count::Dim(numel(lead)), Count::Dim(i64::from(columns.div_ceil(CHUNK)).into())];
    let mut ctx = Ctx::new(low, &format!("bytes_{columns}"));
    ctx.b.doc(format!("{}: rows of {columns} as bytes, a chunk of {CHUNK} columns at a time", node.path));
    let name = format!("out_{}", ctx.label(id));
    let out = ctx.write(place, VEC4U, &name);
    let row = ctx.b.grid_axis("row", grid[0].expr());
    let chunk = ctx.b.grid_axis("chunk", grid[1].expr());
    let source = Source { id: node.inputs[0], row: row.clone(), lead: unflatten(row.clone(), lead), columns };
    let first = ctx.b.let_("first", (row * columns.div_ceil(CHUNK) + &chunk) * VECTORS);
    let (mut steps, mut sums) = (Vec::new(), Vec::new());
    for block in 0..CHUNK / BLOCK {
        let quads: Vec<Expr> = (0..BLOCK / 4)
            .map(|q| {
                let column = ctx.b.simplify(&chunk * CHUNK + block * BLOCK + q * 4);
                let quad = source.quad(&mut ctx, &column);
                ctx.b.let_(&format!("x{q}"), quad)
            })
            .collect();
        let (step, rounded) = round(&mut ctx.b, &quads);
        for (half, four) in rounded.chunks(4).enumerate() {
            let words = pack(&mut ctx.b, four);
            ctx.b.store(out, &first + block * 2 + half as u32, words);
            let all = four.iter().skip(1).fold(four[0].clone(), |sum, q| sum + q);
            let sum = all.to_f32().dot(f(1.0).splat(4)) * &step;
            sums.push(ctx.b.let_("sum", sum));
        }
        steps.push(step);
    }
    let words = |parts: &[Expr]| Expr::vec(parts.to_vec()).bitcast(Scalar::U32);
    ctx.b.store(out, &first + STEPS, words(&steps));
    ctx.b.store(out, &first + SUMS, words(&sums[..4]));
    ctx.b.store(out, &first + (SUMS + 1), words(&sums[4..]));
    ctx.built(&grid)
}

/// The rows to quantize.
struct Source {
    id: NodeId,
    row: Expr,
    lead: Vec<Expr>,
    columns: u32,
}

impl Source {
    /// Four elements from `column` on; zero past the end of the row.
    fn quad(&self, ctx: &mut Ctx<'_>, column: &Expr) -> Expr {
        let whole = self.columns.is_multiple_of(CHUNK);
        if self.columns.is_multiple_of(4) && ctx.low.quads(self.id) {
            let reader = Row { id: self.id, step: 4 };
            if whole {
                return reader.read(ctx, &self.row, &self.lead, &(column / 4));
            }
            let safe = ctx.b.let_("safe", column.min(self.columns - 4));
            let x = reader.read(ctx, &self.row, &self.lead, &(safe / 4));
            return column.lt(self.columns).select(x, f(0.0).splat(4));
        }
        let lanes: Vec<Expr> = (0..4)
            .map(|lane| {
                let at = ctx.b.simplify(column + lane);
                let safe = if whole { at.clone() } else { ctx.b.let_("safe", at.min(self.columns - 1)) };
                let mut index = self.lead.clone();
                index.push(safe);
                let x = ctx.value(self.id, &At::index(index));
                if whole { x } else { at.lt(self.columns).select(x, f(0.0)) }
            })
            .collect();
        Expr::vec(lanes)
    }
}

/// The step of a block, and its elements in units of the step (`vec4<i32>`).
fn round(b: &mut Builder, quads: &[Expr]) -> (Expr, Vec<Expr>) {
    let magnitudes: Vec<Expr> = quads.iter().map(|q| q.unary(Unary::Abs)).collect();
    let largest = magnitudes.into_iter().reduce(|a, c| a.max(c)).unwrap_or_else(|| f(0.0).splat(4));
    let largest = b.let_("largest", largest);
    let lanes = largest.lane(0).max(largest.lane(1)).max(largest.lane(2).max(largest.lane(3)));
    let largest = b.let_("largest", lanes);
    let steps = largest.gt(0.0).select(f(127.0) / largest.max(f32::MIN_POSITIVE), f(0.0));
    let steps = b.let_("steps", steps.splat(4));
    let step = b.let_("step", largest * (1.0 / 127.0));
    let rounded = quads
        .iter()
        .enumerate()
        .map(|(i, q)| {
            let scaled = b.let_("scaled", q * &steps);
            b.let_(&format!("q{i}"), (scaled + f(0.5).splat(4)).unary(Unary::Floor).to_i32())
        })
        .collect();
    (step, rounded)
}

/// Packs sixteen byte-sized numbers into four words.
fn pack(b: &mut Builder, quads: &[Expr]) -> Expr {
    let transposed = transpose(b, [&quads[0], &quads[1], &quads[2], &quads[3]]);
    let byte = |i: usize| transposed[i].bitcast(Scalar::U32).band(u(255).splat(4)).shl(8 * i as u32);
    let words = byte(0).bor(byte(1)).bor(byte(2)).bor(transposed[3].bitcast(Scalar::U32).shl(24));
    b.let_("words", words)
}

/// 8-bit activations, as a linear layer reads them.
pub struct Rounded {
    vectors: Buf,
    floats: Buf,
    words: Buf,
    scalars: Buf,
    chunks: u32,
}

impl Rounded {
    /// Binds quantized activations.
    ///
    /// # Errors
    /// An internal error if they are not in memory.
    pub fn bind(ctx: &mut Ctx<'_>, id: NodeId) -> Result<Self, CompileError> {
        let node = ctx.low.graph.node(id);
        let lacking = |what: &str| CompileError::unlowered(node, what);
        let place = ctx.low.place(id).ok_or_else(|| lacking("place in memory"))?;
        let name = ctx.label(id);
        let columns = const_dim(ctx.low, id, node.shape.last().ok_or_else(|| lacking("axis"))?)?;
        Ok(Rounded {
            vectors: ctx.read(place, VEC4U, &format!("{name}_vectors")),
            floats: ctx.read(place, VEC4F, &format!("{name}_steps")),
            words: ctx.read(place, U32, &format!("{name}_words")),
            scalars: ctx.read(place, F32, &format!("{name}_scalars")),
            chunks: columns.div_ceil(CHUNK),
        })
    }

    /// The offset of a chunk of a row, in vectors.
    pub fn chunk(&self, row: &Expr, chunk: &Expr) -> Expr {
        (row * self.chunks + chunk) * VECTORS
    }

    /// Vector `n` of the bytes of the chunk at `first`: columns `16 n ..`.
    pub fn vector(&self, first: &Expr, n: u32) -> Expr {
        self.vectors.at(first + n)
    }

    /// Word `n` of the chunk in all lanes: columns `4 n .. 4 n + 4`.
    pub fn word(&self, first: &Expr, n: u32) -> Expr {
        self.words.at(first * 4 + n).splat(4)
    }

    /// The step of block `n` of the chunk, in all lanes.
    pub fn step(&self, first: &Expr, n: u32) -> Expr {
        self.scalars.at(first * 4 + (STEPS * 4 + n)).splat(4)
    }

    /// The sum of a block (of 16 or 32 columns) from `column` on, multiplied by its step, in all lanes.
    pub fn sum(&self, first: &Expr, column: u32, block: u32) -> Expr {
        let at = |n: u32| self.scalars.at(first * 4 + (SUMS * 4 + n)).splat(4);
        let n = column / 16;
        if block == 16 { at(n) } else { at(n) + at(n + 1) }
    }

    /// The steps of the four blocks of the chunk.
    pub fn steps(&self, first: &Expr) -> Expr {
        self.floats.at(first + STEPS)
    }
}
