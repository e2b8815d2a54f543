//! Attention without a score matrix in memory: online softmax over tiles of keys (Milakov and Gimelshein
//! 2018; Dao et al. 2022).
//!
//! A workgroup takes one head and a block of queries. Each thread scores one key of the tile for all queries of
//! the block, so that a key is read once; then each thread owns columns of the result and adds the tile's values.
//! Whatever stands between dot product and softmax (scale, mask, bias, cap) is an expression of the graph,
//! pulled in for each score.

use gristmill_graph::{Dim, NodeId, Op, Scalar, Unary, numel};
use gristmill_kernel::{Bind, Expr, F32, GroupOp, Sh, VEC4F, Var, f, u};

use super::reduce::LOWEST;
use crate::codegen::context::{Built, Lowering, Place};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::Target;
use crate::error::CompileError;

struct Shape {
    depth: u32,
    columns: u32,
    queries: u32,
    threads: u32,
    vectors: bool,
}

/// Per query of the block: the running maximum, this thread's share of the running sum, and its result columns.
struct Running {
    highest: Var,
    share: Var,
    columns: Vec<Var>,
}

/// The kernel of an [`Op::Attention`].
pub fn build(low: &Lowering<'_>, id: NodeId, root: NodeId, place: Place) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let Op::Attention { score } = &node.op else { unreachable!("only attention comes here") };
    let [q, k, v] = [0, 1, 2].map(|i| node.inputs[i]);
    let rank = node.shape.len();
    let lead_shape = &node.shape[..rank - 2];
    let new = node.shape[rank - 2].clone();
    let all = low.graph.node(k).shape[rank - 2].clone();
    let constant = |id: NodeId| low.graph.node(id).shape[rank - 1].as_const().and_then(|d| u32::try_from(d).ok());
    let (Some(depth), Some(columns)) = (constant(q), constant(v)) else {
        return Err(CompileError::Internal(format!("{}: head dimensions are not constant", node.path)));
    };
    let schedule = low.setting.profile.schedule.attention;
    let queries = if new.is_one() { 1 } else { schedule.queries };
    let mut ctx = Ctx::new(low, &format!("attention_{depth}x{queries}"));
    let vectors = ctx.low.quads(q) && ctx.low.quads(k);
    let shape = Shape { depth, columns, queries, threads: schedule.threads, vectors };
    ctx.b.doc(format!(
        "{}: attention, head dimension {depth}, {queries} queries and {} keys at a time",
        node.path, schedule.threads
    ));
    let target = Target::bind(&mut ctx, id, root, place);
    let grid = [Count::Dim(numel(lead_shape)), Count::Ceil(new.clone(), queries)];
    let head = ctx.b.grid_axis("head", grid[0].expr());
    let block = ctx.b.grid_axis("block", grid[1].expr());
    let lane = ctx.b.group_axis("lane", schedule.threads);
    let lead: Vec<Expr> = unflatten(head, lead_shape)
        .into_iter()
        .enumerate()
        .map(|(axis, e)| ctx.b.let_(&format!("lead{axis}"), e))
        .collect();
    let rows: Vec<Expr> = (0..queries)
        .map(|r| {
            let t = &block * u(queries) + u(r);
            let t = if queries == 1 { t } else { t.min(dim_expr(&new) - u(1)) };
            ctx.b.let_(&format!("t{r}"), t)
        })
        .collect();
    let staged = stage_queries(&mut ctx, &shape, q, &lead, &rows, &lane);
    let weights = ctx.b.shared("weights", F32, queries * schedule.threads);
    let running: Vec<Running> = (0..queries).map(|r| Running::start(&mut ctx, &shape, r)).collect();

    let keys = dim_expr(&all);
    let last = dim_expr(&(&all - &Dim::constant(1)));
    ctx.for_("tile", (u(0), keys.clone(), schedule.threads), Bind::Serial, |ctx, tile| {
        let s = ctx.b.let_("s", &tile + &lane);
        let inside = ctx.b.let_("inside", s.lt(&keys));
        let s = ctx.b.let_("key_index", s.min(&last));
        let dots = dot_products(ctx, &shape, k, &lead, &s, staged);
        for (r, dot) in dots.iter().enumerate() {
            let value = score_of(ctx, score, &node.inputs[3..], &lead, &rows[r], &s, dot.get());
            let value = ctx.b.let_(&format!("score{r}"), value);
            fold_score(ctx, &running[r], &inside, value, weights, &lane, &shape, r as u32);
        }
        ctx.b.barrier();
        add_values(ctx, &shape, v, &lead, (&tile, &keys, &lane), weights, &running);
        ctx.b.barrier();
    });
    for (r, run) in running.iter().enumerate() {
        ctx.b.group_reduce(GroupOp::Add, run.share);
        let t = &block * u(queries) + u(r as u32);
        for (j, acc) in run.columns.iter().enumerate() {
            let column = &lane + u(j as u32 * shape.threads);
            let exists = column.lt(u(columns)).and(t.lt(dim_expr(&new)));
            ctx.if_(exists, |ctx| {
                let mut index = lead.clone();
                index.extend([t.clone(), column.clone()]);
                target.store(ctx, &At::index(index), acc.get() / run.share.get());
            });
        }
    }
    ctx.built(&grid)
}

impl Running {
    fn start(ctx: &mut Ctx<'_>, shape: &Shape, r: u32) -> Running {
        let columns = shape.columns.div_ceil(shape.threads);
        Running {
            highest: ctx.b.var(&format!("highest{r}"), f(LOWEST)),
            share: ctx.b.var(&format!("share{r}"), f(0.0)),
            columns: (0..columns).map(|j| ctx.b.var(&format!("acc{r}_{j}"), f(0.0))).collect(),
        }
    }
}

/// Puts the queries of the block into shared memory, `[query][depth]`.
fn stage_queries(ctx: &mut Ctx<'_>, shape: &Shape, q: NodeId, lead: &[Expr], rows: &[Expr], lane: &Expr) -> Sh {
    let (elem, width) = if shape.vectors { (VEC4F, shape.depth / 4) } else { (F32, shape.depth) };
    let staged = ctx.b.shared("queries", elem, shape.queries * width);
    for (r, t) in rows.iter().enumerate() {
        let mut row = lead.to_vec();
        row.push(t.clone());
        ctx.for_("dim", (lane.clone(), u(width), shape.threads), Bind::Serial, |ctx, d| {
            let value = element(ctx, shape, q, &row, &d);
            ctx.b.store_shared(staged, u(r as u32 * width) + &d, value);
        });
    }
    ctx.b.barrier();
    staged
}

/// Element (or quad) `d` of a row.
fn element(ctx: &mut Ctx<'_>, shape: &Shape, id: NodeId, row: &[Expr], d: &Expr) -> Expr {
    if shape.vectors
        && let Some(quads) = ctx.quad_row(id, row)
    {
        return quads.at(ctx, d);
    }
    let mut index = row.to_vec();
    index.push(d.clone());
    ctx.value(id, &At::index(index))
}

/// The dot products of one key with all queries of the block.
fn dot_products(ctx: &mut Ctx<'_>, shape: &Shape, k: NodeId, lead: &[Expr], s: &Expr, staged: Sh) -> Vec<Var> {
    let width = if shape.vectors { shape.depth / 4 } else { shape.depth };
    let dots: Vec<Var> = (0..shape.queries).map(|r| ctx.b.var(&format!("dot{r}"), f(0.0))).collect();
    let mut row = lead.to_vec();
    row.push(s.clone());
    let quads = if shape.vectors { ctx.quad_row(k, &row) } else { None };
    ctx.for_("dim", (u(0), u(width), 1), Bind::Serial, |ctx, d| {
        let key = match &quads {
            Some(quads) => quads.at(ctx, &d),
            None => {
                let mut index = row.clone();
                index.push(d.clone());
                ctx.value(k, &At::index(index))
            }
        };
        let key = ctx.b.let_("key", key);
        for (r, dot) in dots.iter().enumerate() {
            let query = staged.at(u(r as u32 * width) + &d);
            ctx.b.add(*dot, if shape.vectors { query.dot(&key) } else { query * &key });
        }
    });
    dots
}

/// The score expression at one query and key.
fn score_of(ctx: &mut Ctx<'_>, score: &Scalar, args: &[NodeId], lead: &[Expr], t: &Expr, s: &Expr, dot: Expr) -> Expr {
    let mut index = lead.to_vec();
    index.extend([t.clone(), s.clone()]);
    crate::codegen::epilogue::apply(ctx, score, &[dot], args, &At::index(index))
}

/// Brings a score into the running softmax and leaves its weight in shared memory.
#[allow(clippy::too_many_arguments, reason = "the registers of one step; a struct would only rename them")]
fn fold_score(
    ctx: &mut Ctx<'_>,
    run: &Running,
    inside: &Expr,
    score: Expr,
    weights: Sh,
    lane: &Expr,
    shape: &Shape,
    r: u32,
) {
    let best = ctx.b.var(&format!("best{r}"), inside.select(&score, f(LOWEST)));
    ctx.b.group_reduce(GroupOp::Max, best);
    let next = ctx.b.let_(&format!("next{r}"), run.highest.get().max(best));
    let fade = ctx.b.let_(&format!("fade{r}"), (run.highest.get() - &next).unary(Unary::Exp));
    let weight = inside.select((score - &next).unary(Unary::Exp), f(0.0));
    let weight = ctx.b.let_(&format!("weight{r}"), weight);
    ctx.b.assign(run.highest, next);
    ctx.b.assign(run.share, run.share.get() * &fade + &weight);
    for acc in &run.columns {
        ctx.b.assign(*acc, acc.get() * &fade);
    }
    ctx.b.store_shared(weights, u(r * shape.threads) + lane, weight);
}

/// Adds the weighted values of a tile to this thread's columns.
fn add_values(
    ctx: &mut Ctx<'_>,
    shape: &Shape,
    v: NodeId,
    lead: &[Expr],
    (tile, keys, lane): (&Expr, &Expr, &Expr),
    weights: Sh,
    running: &[Running],
) {
    let count = ctx.b.let_("count", (keys - tile.clone()).min(u(shape.threads)));
    for j in 0..shape.columns.div_ceil(shape.threads) {
        let column = lane + u(j * shape.threads);
        ctx.if_(column.lt(u(shape.columns)), |ctx| {
            ctx.for_("key_in_tile", (u(0), count.clone(), 1), Bind::Serial, |ctx, i| {
                let mut index = lead.to_vec();
                index.extend([tile + &i, column.clone()]);
                let value = ctx.value(v, &At::index(index));
                let value = ctx.b.let_("value", value);
                for (r, run) in running.iter().enumerate() {
                    let weight = weights.at(u(r as u32 * shape.threads) + &i);
                    ctx.b.add(run.columns[j as usize], weight * &value);
                }
            });
        });
    }
}
