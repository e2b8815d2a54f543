//! Attention on a CPU: online softmax over tiles of keys (Milakov and Gimelshein 2018; Dao et al. 2022).
//!
//! A grid position takes one head and four queries, or one query if there is only one. The scores of a tile are kept in
//! scratch memory as vectors of four: four queries with one key, or one query with four keys. Then the values of the
//! tile are accumulated, a few columns at a time, so that sums stay in registers.

use gristmill_graph::{Dim, NodeId, Op, Scalar, Unary, numel};
use gristmill_kernel::{Bind, Expr, Sh, VEC4F, Var, f, u};

use super::lanes;
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::epilogue;
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::inline::const_dim;
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::Target;
use crate::codegen::vec4::Vec4Row;
use crate::error::CompileError;
use crate::kernels::reduce::NEG_MAX;
use crate::profile::AttentionSchedule;

struct Attention<'a> {
    score: &'a Scalar,
    args: &'a [NodeId],
    operands: [NodeId; 3],
    lead: Vec<Expr>,
    /// Indices of the queries.
    ts: Vec<Expr>,
    /// Number of keys.
    keys: Expr,
    /// Groups of four elements per key and per value.
    depth: u32,
    columns: u32,
    /// Groups of four of a value that are accumulated at a time.
    together: u32,
    /// Scores of a tile, later its weights.
    weights: Sh,
    /// Accumulated values: by group of four, then by query.
    sums: Sh,
}

/// Builds the kernel of an [`Op::Attention`].
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let Op::Attention { score } = &node.op else { return Err(CompileError::unlowered(node, "form as attention")) };
    let operands = [0, 1, 2].map(|i| node.inputs[i]);
    let rank = node.shape.len();
    let lead_shape = &node.shape[..rank - 2];
    let new = node.shape[rank - 2].clone();
    let all = low.graph.node(operands[1]).shape[rank - 2].clone();
    let begin = low.first_key(&operands[1..], &all);
    let width = |id: NodeId| const_dim(low, id, &low.graph.node(id).shape[rank - 1]);
    let (depth, columns) = (width(operands[0])?, width(operands[2])?);
    let AttentionSchedule { tile: tile_keys, quads, .. } = low.setting.profile.schedule.attention;
    let (queries, together) = if new.is_one() { (1, 4 * quads) } else { (4, quads) };
    let mut ctx = Ctx::new(low, &format!("attention_{depth}x{queries}"));
    ctx.b.doc(format!("{}: attention, head dimension {depth}, {queries} queries at a time", node.path));
    let target = Target::bind(&mut ctx, id, root, place);
    let grid = [Count::Dim(numel(lead_shape)), Count::Ceil(new.clone(), queries)];
    let head = ctx.b.grid_axis("head", grid[0].expr());
    let block = ctx.b.grid_axis("block", grid[1].expr());
    let lead = unflatten(head, lead_shape);
    let lead: Vec<Expr> = lead.into_iter().enumerate().map(|(i, e)| ctx.b.let_(&format!("lead{i}"), e)).collect();
    let t = |r: u32| &block * u(queries) + u(r);
    let last = dim_expr(&(&new - &Dim::constant(1)));
    let ts: Vec<Expr> = (0..queries)
        .map(|r| ctx.b.let_(&format!("t{r}"), if queries == 1 { t(r) } else { t(r).min(last.clone()) }))
        .collect();
    let a = Attention {
        score,
        args: &node.inputs[3..],
        operands,
        lead,
        ts,
        keys: dim_expr(&all),
        depth: depth / 4,
        columns: columns / 4,
        together,
        weights: ctx.b.shared("weights", VEC4F, if queries == 1 { tile_keys / 4 } else { tile_keys }),
        sums: ctx.b.shared("sums", VEC4F, columns / 4 * queries),
    };
    let zero = f(0.0).splat(4);
    ctx.for_("sum", (u(0), u(a.columns * queries), 1), Bind::Serial, |ctx, i| {
        ctx.b.store_shared(a.sums, i, zero.clone())
    });
    let m = ctx.b.var("m", f(NEG_MAX).splat(4));
    let l = ctx.b.var("l", zero);
    ctx.for_("tile", (begin, a.keys.clone(), tile_keys), Bind::Serial, |ctx, tile| {
        let count = ctx.b.let_("count", (a.keys.clone() - tile.clone()).min(u(tile_keys)));
        if queries == 1 {
            a.tile_of_one(ctx, (&tile, &count), m, l);
        } else {
            a.tile_of_four(ctx, (&tile, &count), m, l);
        }
    });
    if queries == 1 {
        let total = l.get().dot(f(1.0).splat(4));
        ctx.b.assign(l, total.splat(4));
    }
    for r in 0..queries {
        let t = ctx.b.let_("t", t(r));
        ctx.if_(t.lt(dim_expr(&new)), |ctx| {
            let total = ctx.b.let_("total", l.get().lane(r));
            ctx.for_("column", (u(0), u(columns), 1), Bind::Serial, |ctx, column| {
                let at = &column / 4 * queries + r;
                let value = a.sums.at(at).lane(&column % 4) / &total;
                let mut index = a.lead.clone();
                index.extend([t.clone(), column]);
                target.store(ctx, &At::index(index), value);
            });
        });
    }
    ctx.built(&grid)
}

impl Attention<'_> {
    /// The row of an operand for a query or key.
    fn row(&self, ctx: &mut Ctx<'_>, operand: usize, at: &Expr) -> Vec4Row {
        let mut lead = self.lead.clone();
        lead.push(at.clone());
        ctx.whole_vec4_row(self.operands[operand], &lead)
    }

    /// The score expression at query `t` and key `s`.
    fn score_of(&self, ctx: &mut Ctx<'_>, t: &Expr, s: &Expr, dot: Expr) -> Expr {
        let mut index = self.lead.clone();
        index.extend([t.clone(), s.clone()]);
        let score = epilogue::apply(ctx, self.score, &[dot], self.args, &At::index(index));
        ctx.b.let_("score", score)
    }

    /// Processes a tile for four queries, one key at a time.
    fn tile_of_four(&self, ctx: &mut Ctx<'_>, (tile, count): (&Expr, &Expr), m: Var, l: Var) {
        let before = ctx.b.let_("before", m.get());
        let queries: Vec<Vec4Row> = self.ts.iter().map(|t| self.row(ctx, 0, t)).collect();
        ctx.for_("key", (u(0), count.clone(), 1), Bind::Serial, |ctx, key| {
            let s = ctx.b.let_("s", tile + &key);
            let k = self.row(ctx, 1, &s);
            let dots: Vec<Var> = queries.iter().map(|_| ctx.b.var("dot", f(0.0).splat(4))).collect();
            ctx.for_("dim", (u(0), u(self.depth), 1), Bind::Unroll, |ctx, d| {
                let k = k.at(ctx, &d);
                let k = ctx.b.let_("k", k);
                for (dot, q) in dots.iter().zip(&queries) {
                    let q = q.at(ctx, &d);
                    ctx.b.assign(*dot, q.fma(&k, dot.get()));
                }
            });
            let four: Vec<Expr> = dots.iter().map(|d| d.get()).collect();
            let dots = lanes::sums(&mut ctx.b, [&four[0], &four[1], &four[2], &four[3]], false);
            let scores: Vec<Expr> =
                (0u32..).zip(&self.ts).map(|(r, t)| self.score_of(ctx, t, &s, dots.lane(r))).collect();
            let scores = ctx.b.let_("scores", Expr::vec(scores));
            ctx.b.store_shared(self.weights, key, &scores);
            ctx.b.assign(m, m.get().max(scores));
        });
        let m_new = ctx.b.let_("m_new", m.get());
        let alpha = ctx.b.let_("alpha", (before - &m_new).unary(Unary::Exp));
        let kept = ctx.b.let_("kept", l.get() * &alpha);
        ctx.b.assign(l, kept);
        ctx.for_("key", (u(0), count.clone(), 1), Bind::Serial, |ctx, key| {
            let weight = ctx.b.let_("weight", (self.weights.at(&key) - &m_new).unary(Unary::Exp));
            ctx.b.store_shared(self.weights, key, &weight);
            ctx.b.add(l, weight);
        });
        self.quads(ctx, |ctx, first, n| {
            let sums: Vec<Vec<Var>> =
                (0..n).map(|q| (0..4).map(|r| self.scaled(ctx, (&first, q), 4, r, &alpha)).collect()).collect();
            ctx.for_("key", (u(0), count.clone(), 1), Bind::Serial, |ctx, key| {
                let weight = ctx.b.let_("weight", self.weights.at(&key));
                let of: Vec<Expr> = (0..4u8).map(|r| ctx.b.let_("of_query", weight.shuffle(&weight, [r; 4]))).collect();
                let v = self.row(ctx, 2, &(tile + &key));
                for (q, sums) in (0u32..).zip(&sums) {
                    let v = v.at(ctx, &first + q);
                    let v = ctx.b.let_("v", v);
                    for (sum, weight) in sums.iter().zip(&of) {
                        ctx.b.assign(*sum, v.fma(weight, sum.get()));
                    }
                }
            });
            for (q, sums) in (0u32..).zip(&sums) {
                for (r, sum) in (0u32..).zip(sums) {
                    ctx.b.store_shared(self.sums, (&first + q) * 4 + r, sum.get());
                }
            }
        });
    }

    /// Processes a tile for one query, four keys at a time. Copies of the last key fill up the last group, with weight
    /// zero.
    fn tile_of_one(&self, ctx: &mut Ctx<'_>, (tile, count): (&Expr, &Expr), m: Var, l: Var) {
        let before = ctx.b.let_("before", m.get());
        let query = self.row(ctx, 0, &self.ts[0]);
        let groups = ctx.b.let_("groups", (count + 3) / 4);
        let key = |ctx: &mut Ctx<'_>, group: &Expr, n: u32| {
            let s = tile + group * 4 + n;
            ctx.b.let_("s", s.min(self.keys.clone() - 1))
        };
        ctx.for_("group", (u(0), groups.clone(), 1), Bind::Serial, |ctx, group| {
            let keys: Vec<Expr> = (0..4).map(|n| key(ctx, &group, n)).collect();
            let rows: Vec<Vec4Row> = keys.iter().map(|s| self.row(ctx, 1, s)).collect();
            let dots: Vec<Var> = rows.iter().map(|_| ctx.b.var("dot", f(0.0).splat(4))).collect();
            ctx.for_("dim", (u(0), u(self.depth), 1), Bind::Unroll, |ctx, d| {
                let q = query.at(ctx, &d);
                let q = ctx.b.let_("q", q);
                for (dot, k) in dots.iter().zip(&rows) {
                    let k = k.at(ctx, &d);
                    ctx.b.assign(*dot, k.fma(&q, dot.get()));
                }
            });
            let four: Vec<Expr> = dots.iter().map(|d| d.get()).collect();
            let dots = lanes::sums(&mut ctx.b, [&four[0], &four[1], &four[2], &four[3]], false);
            let scores: Vec<Expr> =
                (0u32..).zip(&keys).map(|(n, s)| self.score_of(ctx, &self.ts[0], s, dots.lane(n))).collect();
            let scores = ctx.b.let_("scores", Expr::vec(scores));
            ctx.b.store_shared(self.weights, group, &scores);
            ctx.b.assign(m, m.get().max(scores));
        });
        let most = m.get();
        let most = most.lane(0).max(most.lane(1)).max(most.lane(2).max(most.lane(3)));
        let m_new = ctx.b.let_("m_new", most.splat(4));
        ctx.b.assign(m, &m_new);
        let alpha = ctx.b.let_("alpha", (before - &m_new).unary(Unary::Exp));
        let kept = ctx.b.let_("kept", l.get() * &alpha);
        ctx.b.assign(l, kept);
        let order = Expr::vec([f(0.0), f(1.0), f(2.0), f(3.0)]);
        ctx.for_("group", (u(0), groups.clone(), 1), Bind::Serial, |ctx, group| {
            let left = (count.clone() - &group * 4).to_f32().splat(4) - order.clone();
            let alive = left.max(f(0.0).splat(4)).min(f(1.0).splat(4));
            let weight = (self.weights.at(&group) - &m_new).unary(Unary::Exp) * alive;
            let weight = ctx.b.let_("weight", weight);
            ctx.b.store_shared(self.weights, group, &weight);
            ctx.b.add(l, weight);
        });
        self.quads(ctx, |ctx, first, n| {
            let sums: Vec<Var> = (0..n).map(|q| self.scaled(ctx, (&first, q), 1, 0, &alpha)).collect();
            ctx.for_("group", (u(0), groups.clone(), 1), Bind::Serial, |ctx, group| {
                let weight = ctx.b.let_("weight", self.weights.at(&group));
                for lane in 0..4u8 {
                    let of = ctx.b.let_("of_key", weight.shuffle(&weight, [lane; 4]));
                    let s = key(ctx, &group, lane.into());
                    let v = self.row(ctx, 2, &s);
                    for (q, sum) in (0u32..).zip(&sums) {
                        let v = v.at(ctx, &first + q);
                        ctx.b.assign(*sum, v.fma(&of, sum.get()));
                    }
                }
            });
            for (q, sum) in (0u32..).zip(&sums) {
                ctx.b.store_shared(self.sums, &first + q, sum.get());
            }
        });
    }

    /// An accumulated value, rescaled by `alpha`.
    fn scaled(&self, ctx: &mut Ctx<'_>, (first, q): (&Expr, u32), queries: u32, r: u32, alpha: &Expr) -> Var {
        let alpha = alpha.shuffle(alpha, [r as u8; 4]);
        let sum = self.sums.at((first + q) * queries + r) * alpha;
        ctx.b.var("sum", sum)
    }

    /// Runs `body` for the groups of four of a value, a few at a time, with the first group and their number.
    fn quads(&self, ctx: &mut Ctx<'_>, mut body: impl FnMut(&mut Ctx<'_>, Expr, u32)) {
        let together = self.together;
        let whole = self.columns / together * together;
        ctx.for_("quad", (u(0), u(whole), together), Bind::Serial, |ctx, first| body(ctx, first, together));
        if whole < self.columns {
            body(ctx, u(whole), self.columns - whole);
        }
    }
}
