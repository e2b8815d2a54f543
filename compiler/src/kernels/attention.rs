//! Attention without a score matrix in memory: online softmax over tiles of keys (Milakov and Gimelshein
//! 2018; Dao et al. 2022).
//!
//! A workgroup takes one head and a block of queries, which are the lanes of a vector. Each thread scores one key of
//! the tile against all queries of the block, so that a key is read once. Then each thread owns columns of the result
//! and accumulates the values of the tile. Everything between the dot product and the softmax (scale, mask, bias, cap)
//! is an expression of the graph, inlined for each score. Names follow the literature: `m` is the running maximum of
//! the scores, `l` the running sum of weights, and `alpha` the factor that rescales earlier weights when the maximum
//! grows.

use gristmill_graph::{Dim, NodeId, Op, Scalar, Unary, numel};
use gristmill_kernel::{Bind, Expr, F32, GroupOp, Sh, Type, VEC4F, Var, f, u};

use super::reduce::NEG_MAX;
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::epilogue;
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::Target;
use crate::error::CompileError;

/// Builds the kernel of an [`Op::Attention`].
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let attention = Attention::new(low, id)?;
    let queries = attention.queries;
    let mut ctx = Ctx::new(low, &format!("attention_{}x{queries}", attention.depth));
    ctx.b.doc(attention.describe());
    let target = Target::bind(&mut ctx, id, root, place);
    let grid = [Count::Dim(numel(attention.lead)), Count::Ceil(attention.new.clone(), queries)];
    let head = ctx.b.grid_axis("head", grid[0].expr());
    let block = ctx.b.grid_axis("block", grid[1].expr());
    let lane = ctx.b.group_axis("lane", attention.threads);
    let block = Block::open(&mut ctx, &attention, head, &(&block * queries), lane);
    let softmax = block.run(&mut ctx, (attention.begin.clone(), block.keys()));
    ctx.b.group_reduce(GroupOp::Add, softmax.l);
    ctx.for_("query", (u(0), u(queries), 1), Bind::Serial, |ctx, r| {
        let t = ctx.b.let_("t", &block.first + &r);
        ctx.if_(t.lt(dim_expr(&attention.new)), |ctx| {
            block.columns(ctx, &softmax, |ctx, column, o| {
                let mut index = block.lead.clone();
                index.extend([t.clone(), column]);
                let value = attention.lane(o, &r) / attention.lane(softmax.l, &r);
                target.store(ctx, &At::index(index), value);
            });
        });
    });
    ctx.built(&grid)
}

/// An attention node and its parts.
pub(super) struct Attention<'a> {
    path: &'a str,
    score: &'a Scalar,
    args: &'a [NodeId],
    /// Queries, keys and values.
    operands: [NodeId; 3],
    /// Leading dimensions, in front of queries and head dimension.
    pub(super) lead: &'a [Dim],
    /// Number of queries.
    pub(super) new: Dim,
    /// Number of keys.
    pub(super) all: Dim,
    /// The first key to read.
    pub(super) begin: Expr,
    /// Elements per key.
    pub(super) depth: u32,
    /// Elements per value.
    pub(super) columns: u32,
    /// Queries per workgroup: 1, 2 or 4.
    pub(super) queries: u32,
    /// Threads per workgroup, which is also the number of keys per tile.
    pub(super) threads: u32,
    /// Whether queries and keys are read four elements at a time.
    vectors: bool,
}

impl<'a> Attention<'a> {
    pub(super) fn new(low: &'a Lowering<'a>, id: NodeId) -> Result<Self, CompileError> {
        let node = low.graph.node(id);
        let fault = |what: &str| CompileError::Internal(format!("{}: {what}", node.path));
        let Op::Attention { score } = &node.op else { return Err(fault("it is no attention")) };
        let operands = [0, 1, 2].map(|i| node.inputs[i]);
        let rank = node.shape.len();
        let width = |id: NodeId| low.graph.node(id).shape[rank - 1].as_const().and_then(|d| u32::try_from(d).ok());
        let (Some(depth), Some(columns)) = (width(operands[0]), width(operands[2])) else {
            return Err(fault("head dimensions are not constant"));
        };
        let new = node.shape[rank - 2].clone();
        let schedule = low.setting.profile.schedule.attention;
        let all = low.graph.node(operands[1]).shape[rank - 2].clone();
        Ok(Attention {
            path: &node.path,
            score,
            args: &node.inputs[3..],
            operands,
            lead: &node.shape[..rank - 2],
            queries: if new.is_one() { 1 } else { schedule.queries },
            new,
            begin: low.first_key(&operands[1..], &all),
            all,
            depth,
            columns,
            threads: schedule.threads,
            vectors: low.quads(operands[0]) && low.quads(operands[1]),
        })
    }

    /// The comment at the top of a kernel.
    pub(super) fn describe(&self) -> String {
        let Attention { path, depth, queries, threads, .. } = self;
        format!("{path}: attention, head dimension {depth}, {queries} queries and {threads} keys at a time")
    }

    /// Columns of the result per thread.
    pub(super) fn columns_per_thread(&self) -> u32 {
        self.columns.div_ceil(self.threads)
    }

    /// The type that holds a number per query of the block.
    fn ty(&self) -> Type {
        if self.queries == 1 { F32 } else { Type::vec(gristmill_kernel::Scalar::F32, self.queries as u8) }
    }

    /// The same number for each query.
    fn all_queries(&self, value: Expr) -> Expr {
        if self.queries == 1 { value } else { value.splat(self.queries as u8) }
    }

    /// Combines one number per query.
    fn join(&self, values: Vec<Expr>) -> Expr {
        if self.queries == 1 { values[0].clone() } else { Expr::vec(values) }
    }

    /// The number for query `r`.
    pub(super) fn lane(&self, values: Var, r: &Expr) -> Expr {
        if self.queries == 1 { values.get() } else { values.get().lane(r) }
    }

    /// Vectors (or elements) per key.
    fn width(&self) -> u32 {
        if self.vectors { self.depth / 4 } else { self.depth }
    }
}

/// The state of an online softmax: for each query of the block the maximum score, this thread's share of the sum of
/// weights, and the columns of the result that this thread owns.
pub(super) struct Softmax {
    pub(super) m: Var,
    pub(super) l: Var,
    pub(super) o: Vec<Var>,
}

/// The head and the block of queries of a workgroup.
pub(super) struct Block<'a> {
    attention: &'a Attention<'a>,
    /// The index of the head.
    pub(super) lead: Vec<Expr>,
    /// The index of the first query.
    pub(super) first: Expr,
    /// The indices of the queries. The last block is filled up with copies of the last query.
    rows: Vec<Expr>,
    lane: Expr,
    /// The queries in shared memory, `[query][depth]`.
    q: Sh,
    weights: Sh,
}

impl<'a> Block<'a> {
    /// Loads the queries from `first` on into shared memory.
    pub(super) fn open(ctx: &mut Ctx<'_>, attention: &'a Attention<'a>, head: Expr, first: &Expr, lane: Expr) -> Self {
        let lead = unflatten(head, attention.lead);
        let lead: Vec<Expr> =
            lead.into_iter().enumerate().map(|(axis, e)| ctx.b.let_(&format!("lead{axis}"), e)).collect();
        let first = ctx.b.let_("first", first);
        let last = dim_expr(&attention.new) - 1;
        let rows = match attention.queries {
            1 => vec![first.clone()],
            n => (0..n).map(|r| ctx.b.let_(&format!("t{r}"), (&first + r).min(last.clone()))).collect(),
        };
        let elem = if attention.vectors { VEC4F } else { F32 };
        let q = ctx.b.shared("q", elem, attention.queries * attention.width());
        let weights = ctx.b.shared("weights", attention.ty(), attention.threads);
        let block = Block { attention, lead, first, rows, lane, q, weights };
        block.stage_queries(ctx);
        block
    }

    /// The number of keys.
    pub(super) fn keys(&self) -> Expr {
        dim_expr(&self.attention.all)
    }

    /// Writes the queries to shared memory.
    fn stage_queries(&self, ctx: &mut Ctx<'_>) {
        let (a, width) = (self.attention, self.attention.width());
        ctx.for_("element", (self.lane.clone(), u(a.queries * width), a.threads), Bind::Serial, |ctx, i| {
            let row = (&self.first + &i / width).min(dim_expr(&a.new) - 1);
            let row = ctx.b.let_("row", row);
            let value = self.element(ctx, a.operands[0], &row, &(&i % width));
            ctx.b.store_shared(self.q, i, value);
        });
        ctx.b.barrier();
    }

    /// Element (or group of four) `d` of a row of queries or keys.
    fn element(&self, ctx: &mut Ctx<'_>, operand: NodeId, row: &Expr, d: &Expr) -> Expr {
        let mut index = self.lead.clone();
        index.push(row.clone());
        if self.attention.vectors
            && let Some(quads) = ctx.vec4_row(operand, &index)
        {
            return quads.at(ctx, d);
        }
        index.push(d.clone());
        ctx.value(operand, &At::index(index))
    }

    /// Processes the keys from `begin` to `end`, tile by tile.
    pub(super) fn run(&self, ctx: &mut Ctx<'_>, (begin, end): (Expr, Expr)) -> Softmax {
        let a = self.attention;
        let softmax = Softmax {
            m: ctx.b.var("m", a.all_queries(f(NEG_MAX))),
            l: ctx.b.var("l", a.all_queries(f(0.0))),
            o: (0..a.columns_per_thread()).map(|j| ctx.b.var(&format!("o{j}"), a.all_queries(f(0.0)))).collect(),
        };
        let last = dim_expr(&(&a.all - &Dim::constant(1)));
        ctx.for_("k_tile", (begin, end.clone(), a.threads), Bind::Serial, |ctx, tile| {
            let key = ctx.b.let_("key", &tile + &self.lane);
            let inside = ctx.b.let_("inside", key.lt(&end));
            let s = ctx.b.let_("s", key.min(&last));
            let count = ctx.b.let_("count", (&end - &tile).min(u(a.threads)));
            let score = self.scores(ctx, &s, &inside);
            // Threads synchronize in here after the values of the last tile, before its weights are overwritten.
            let alpha = self.weigh(ctx, &softmax, &score, &inside);
            ctx.b.barrier();
            self.add_values(ctx, &softmax, &tile, &count, &alpha);
        });
        softmax
    }

    /// The scores of the queries with key `s`. Keys past the end get the lowest score.
    fn scores(&self, ctx: &mut Ctx<'_>, s: &Expr, inside: &Expr) -> Expr {
        let a = self.attention;
        let dots = ctx.b.var("dots", a.all_queries(f(0.0)));
        let mut row = self.lead.clone();
        row.push(s.clone());
        let quads = if a.vectors { ctx.vec4_row(a.operands[1], &row) } else { None };
        ctx.for_("d", (u(0), u(a.width()), 1), Bind::Serial, |ctx, d| {
            let k = match &quads {
                Some(quads) => quads.at(ctx, &d),
                None => self.element(ctx, a.operands[1], s, &d),
            };
            let k = ctx.b.let_("k", k);
            let products = (0..a.queries).map(|r| {
                let q = self.q.at(u(r * a.width()) + &d);
                if a.vectors { q.dot(&k) } else { q * &k }
            });
            let products = a.join(products.collect());
            ctx.b.add(dots, products);
        });
        let scores = self.rows.iter().enumerate().map(|(r, t)| {
            let mut index = self.lead.clone();
            index.extend([t.clone(), s.clone()]);
            let dot = a.lane(dots, &u(r as u32));
            let score = epilogue::apply(ctx, a.score, &[dot], a.args, &At::index(index));
            ctx.b.let_(&format!("score{r}"), score)
        });
        let scores = a.join(scores.collect());
        ctx.b.let_("score", inside.select(scores, a.all_queries(f(NEG_MAX))))
    }

    /// Adds a tile of scores to the softmax and writes its weights to shared memory. Returns the factor for earlier
    /// weights.
    fn weigh(&self, ctx: &mut Ctx<'_>, softmax: &Softmax, score: &Expr, inside: &Expr) -> Expr {
        let tile_max = ctx.b.var("tile_max", score.clone());
        ctx.b.group_reduce(GroupOp::Max, tile_max);
        let before = ctx.b.let_("before", softmax.m.get());
        ctx.b.assign(softmax.m, tile_max.get().max(&before));
        let alpha = ctx.b.let_("alpha", (before - softmax.m.get()).unary(Unary::Exp));
        let weight = (score - softmax.m.get()).unary(Unary::Exp);
        let weight = ctx.b.let_("weight", inside.select(weight, self.attention.all_queries(f(0.0))));
        ctx.b.assign(softmax.l, softmax.l.get() * &alpha + &weight);
        ctx.b.store_shared(self.weights, self.lane.clone(), weight);
        alpha
    }

    /// Adds the weighted values of a tile to this thread's columns.
    fn add_values(&self, ctx: &mut Ctx<'_>, softmax: &Softmax, tile: &Expr, count: &Expr, alpha: &Expr) {
        let a = self.attention;
        self.columns(ctx, softmax, |ctx, column, o| {
            ctx.b.assign(o, o.get() * alpha);
            ctx.for_("i", (u(0), count.clone(), 1), Bind::Serial, |ctx, i| {
                let mut index = self.lead.clone();
                index.extend([tile + &i, column.clone()]);
                let v = ctx.value(a.operands[2], &At::index(index));
                let v = ctx.b.let_("v", v);
                ctx.b.add(o, self.weights.at(i) * a.all_queries(v));
            });
        });
    }

    /// Runs `body` for each column that this thread owns.
    pub(super) fn columns(&self, ctx: &mut Ctx<'_>, softmax: &Softmax, mut body: impl FnMut(&mut Ctx<'_>, Expr, Var)) {
        let a = self.attention;
        for (j, o) in (0u32..).zip(&softmax.o) {
            let column = ctx.b.simplify(&self.lane + j * a.threads);
            if (j + 1) * a.threads <= a.columns {
                body(ctx, column, *o);
            } else {
                ctx.if_(column.lt(a.columns), |ctx| body(ctx, column.clone(), *o));
            }
        }
    }
}
