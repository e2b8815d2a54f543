//! Attention for one query, with the keys divided among several workgroups, for long contexts and few heads (Dao,
//! Haziza, Massa and Sizov 2023, "Flash-Decoding"). Each workgroup writes the state of its online softmax to scratch
//! memory; a second kernel merges them.

use gristmill_graph::{Dim, Unary, numel};
use gristmill_kernel::{Bind, Expr, F32, GroupOp, f, u};

use super::attention::{Attention, Block};
use super::reduce::NEG_MAX;
use crate::codegen::context::{Built, KernelPlan, Lowering, Place, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::unflatten;
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::Target;
use crate::error::CompileError;

/// The states, `[head][part]`; each is `m`, `l` and the columns of `o`.
const STATES: Place = Place::Scratch(0);

/// Builds the kernels of an attention with one query.
pub fn build(low: &Lowering<'_>, stored: Stored) -> Result<KernelPlan, CompileError> {
    let attention = Attention::new(low, stored.id)?;
    let parts = low.setting.profile.schedule.attention.parts;
    let states = &numel(attention.lead) * &Dim::constant(i64::from(parts * (attention.columns + 2)));
    Ok(KernelPlan {
        kernels: vec![part(low, &attention, parts)?, merge(low, &attention, parts, stored)?],
        scratch: vec![&states * &Dim::constant(4)],
    })
}

/// The offset of the state of a part.
fn state(attention: &Attention<'_>, parts: u32, head: &Expr, part: &Expr) -> Expr {
    (head * parts + part) * (attention.columns + 2)
}

/// The softmax over one part of the keys, in whole tiles.
fn part(low: &Lowering<'_>, attention: &Attention<'_>, parts: u32) -> Result<Built, CompileError> {
    let mut ctx = Ctx::new(low, &format!("attention_{}_part", attention.depth));
    ctx.b.doc(attention.describe());
    ctx.b.doc(format!("the keys are shared by {parts} workgroups"));
    let states = ctx.write(STATES, F32, "states");
    let grid = [Count::Dim(numel(attention.lead)), Count::Dim(i64::from(parts).into())];
    let head = ctx.b.grid_axis("head", grid[0].expr());
    let part = ctx.b.grid_axis("part", grid[1].expr());
    let lane = ctx.b.group_axis("lane", attention.threads);
    let block = Block::open(&mut ctx, attention, head.clone(), &u(0), lane.clone());
    let first = ctx.b.let_("first_key", &attention.begin);
    let tiles = (block.keys() - &first + (attention.threads * parts - 1)) / (attention.threads * parts);
    let keys_per_part = ctx.b.let_("keys_per_part", tiles * attention.threads);
    let begin = ctx.b.let_("begin", first + &part * &keys_per_part);
    let end = ctx.b.let_("end", (&begin + &keys_per_part).min(block.keys()));
    let softmax = block.run(&mut ctx, (begin, end));
    ctx.b.group_reduce(GroupOp::Add, softmax.l);
    let state = ctx.b.let_("state", state(attention, parts, &head, &part));
    ctx.if_(lane.equals(0), |ctx| {
        ctx.b.store(states, state.clone(), softmax.m.get());
        ctx.b.store(states, &state + 1, softmax.l.get());
    });
    block.columns(&mut ctx, &softmax, |ctx, column, o| ctx.b.store(states, &state + 2 + column, o.get()));
    ctx.built(&grid)
}

/// Rescales the parts to a common maximum and divides by the sum of all weights.
fn merge(
    low: &Lowering<'_>,
    attention: &Attention<'_>,
    parts: u32,
    Stored { id, root, place }: Stored,
) -> Result<Built, CompileError> {
    let threads = attention.threads;
    let mut ctx = Ctx::new(low, &format!("attention_{}_merge", attention.depth));
    ctx.b.doc(format!("{}: joins {parts} parts of an attention", low.graph.node(id).path));
    let states = ctx.read(STATES, F32, "states");
    let target = Target::bind(&mut ctx, id, root, place);
    let grid = [Count::Dim(numel(attention.lead))];
    let head = ctx.b.grid_axis("head", grid[0].expr());
    let lane = ctx.b.group_axis("lane", threads);
    let first = ctx.b.let_("first", state(attention, parts, &head, &u(0)));
    let of = |part: &Expr| &first + part * (attention.columns + 2);
    let m = ctx.b.var("m", f(NEG_MAX));
    ctx.for_("part", (u(0), u(parts), 1), Bind::Serial, |ctx, part| {
        ctx.b.assign(m, m.get().max(states.at(of(&part))));
    });
    let l = ctx.b.var("l", f(0.0));
    ctx.for_("part", (u(0), u(parts), 1), Bind::Serial, |ctx, part| {
        let alpha = (states.at(of(&part)) - m.get()).unary(Unary::Exp);
        ctx.b.add(l, states.at(of(&part) + 1) * alpha);
    });
    let lead = unflatten(head.clone(), attention.lead);
    ctx.for_("column", (lane, u(attention.columns), threads), Bind::Serial, |ctx, column| {
        let o = ctx.b.var("o", f(0.0));
        ctx.for_("part", (u(0), u(parts), 1), Bind::Serial, |ctx, part| {
            let alpha = (states.at(of(&part)) - m.get()).unary(Unary::Exp);
            ctx.b.add(o, states.at(of(&part) + 2 + &column) * alpha);
        });
        let mut index = lead.clone();
        index.extend([u(0), column]);
        target.store(ctx, &At::index(index), o.get() / l.get());
    });
    ctx.built(&grid)
}
