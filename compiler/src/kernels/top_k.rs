//! Arg max and top-k: one workgroup per row.

use gristmill_graph::{DType, NodeId, Op, numel};
use gristmill_kernel::{Bind, Expr, GroupOp, Var, f, i, u};

use super::reduce::NEG_MAX;
use crate::codegen::context::{Built, Lowering, Place, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::codegen::store::Target;
use crate::error::CompileError;

/// Marks "no element": larger than every index.
pub(super) const INVALID_INDEX: u32 = u32::MAX;

/// The initial value for comparisons. Integers are compared as integers, because f32 cannot distinguish large ones.
pub fn start(dtype: DType, integer: i32, float: f32) -> Expr {
    if dtype == DType::F32 { f(float) } else { i(integer) }
}

/// Builds the kernel of an [`gristmill_graph::Op::ArgMax`]: the index of the largest element; ties go to the first.
pub fn argmax(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let mut top = TopK::new(low, id, root, place, "argmax");
    let (_, index) = top.best(None);
    top.if_first(|p| p.store(&u(0), index.get()));
    top.ctx.built(&top.grid)
}

/// Builds the kernel of an [`gristmill_graph::Op::TopK`]: `k` times, the best element ranked after the previous one.
pub fn top_k(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let Op::TopK { k } = low.graph.node(id).op else {
        return Err(CompileError::unlowered(low.graph.node(id), "form as a selection"));
    };
    let mut top = TopK::new(low, id, root, place, &format!("top_{k}"));
    let last_value = top.ctx.b.var("last_value", top.start(i32::MAX, -NEG_MAX));
    let last_index = top.ctx.b.var("last_index", u(0));
    let mut ctx = std::mem::replace(&mut top.ctx, Ctx::new(low, ""));
    ctx.for_("rank", (u(0), u(k), 1), Bind::Serial, |ctx, rank| {
        std::mem::swap(ctx, &mut top.ctx);
        let first = rank.equals(u(0));
        let (value, index) = top.best(Some((first, last_value, last_index)));
        top.ctx.b.assign(last_value, value);
        top.ctx.b.assign(last_index, index);
        top.if_first(|p| p.store(&rank, last_index.get()));
        std::mem::swap(ctx, &mut top.ctx);
    });
    ctx.built(&top.grid)
}

/// The best element of some columns of a row: value and column, the same in all threads of the workgroup;
/// [`INVALID_INDEX`] if there is none. `eligible` decides whether a candidate is taken, given whether it is better, its
/// value and its column.
pub(super) fn best_of(
    ctx: &mut Ctx<'_>,
    x: &Row,
    (row, lead): (&Expr, &[Expr]),
    columns: (Expr, Expr, u32),
    lowest: Expr,
    eligible: impl FnOnce(Expr, &Expr, &Expr) -> Expr,
) -> (Var, Var) {
    let value = ctx.b.var("value", lowest);
    let index = ctx.b.var("index", u(INVALID_INDEX));
    ctx.for_("column", columns, Bind::Serial, |ctx, c| {
        let v = x.read(ctx, row, lead, &c);
        let v = ctx.b.let_("candidate", v);
        let better = v.gt(value.get()).or(index.get().equals(u(INVALID_INDEX)));
        ctx.if_(eligible(better, &v, &c), |ctx| {
            ctx.b.assign(value, v);
            ctx.b.assign(index, c);
        });
    });
    let mine = ctx.b.let_("mine", value.get());
    ctx.b.group_reduce(GroupOp::Max, value);
    let loser = mine.lt(value.get());
    ctx.b.assign(index, loser.select(u(INVALID_INDEX), index.get()));
    ctx.b.group_reduce(GroupOp::Min, index);
    (value, index)
}

struct TopK<'a> {
    ctx: Ctx<'a>,
    grid: [Count; 1],
    target: Target,
    row: Expr,
    lane: Expr,
    lead: Vec<Expr>,
    id: NodeId,
    x: Row,
    len: Expr,
    threads: u32,
}

impl<'a> TopK<'a> {
    fn new(low: &'a Lowering<'a>, id: NodeId, root: NodeId, place: Place, name: &str) -> Self {
        let node = low.graph.node(id);
        let x = node.inputs[0];
        let lead_shape = &node.shape[..node.shape.len() - 1];
        let threads = low.setting.profile.schedule.top_k.threads;
        let grid = [Count::Dim(numel(lead_shape))];
        let mut ctx = Ctx::new(low, name);
        let len = low.width(x);
        ctx.b.doc(format!("{}: {name} of {len} elements, {threads} threads per row", node.path));
        let target = Target::bind(&mut ctx, id, root, place);
        let row = ctx.b.grid_axis("row", grid[0].expr());
        let lane = ctx.b.group_axis("lane", threads);
        let lead = unflatten(row.clone(), lead_shape);
        TopK { ctx, grid, target, row, lane, lead, id, x: Row { id: x, step: 1 }, len: dim_expr(&len), threads }
    }

    fn start(&self, integer: i32, float: f32) -> Expr {
        start(self.ctx.low.graph.node(self.x.id).dtype, integer, float)
    }

    /// The best element of the row: value and index, the same in all threads. With `after`, the best of those that rank
    /// after it (smaller, or equal with a higher index); its flag says that nothing was taken yet.
    fn best(&mut self, after: Option<(Expr, Var, Var)>) -> (Var, Var) {
        let lowest = self.start(i32::MIN, NEG_MAX);
        let columns = (self.lane.clone(), self.len.clone(), self.threads);
        best_of(&mut self.ctx, &self.x, (&self.row, &self.lead), columns, lowest, |better, v, c| match &after {
            None => better,
            Some((first, last, last_index)) => {
                let behind = v.lt(last.get()).or(v.equals(last.get()).and(c.gt(last_index.get())));
                better.and(first.or(behind))
            }
        })
    }

    fn if_first(&mut self, then: impl FnOnce(&mut Self)) {
        let low = self.ctx.low;
        let mut ctx = std::mem::replace(&mut self.ctx, Ctx::new(low, ""));
        let first = self.lane.equals(u(0));
        ctx.if_(first, |ctx| {
            std::mem::swap(ctx, &mut self.ctx);
            then(self);
            std::mem::swap(ctx, &mut self.ctx);
        });
        self.ctx = ctx;
    }

    fn store(&mut self, column: &Expr, index: Expr) {
        let width = self.ctx.low.width(self.id);
        let mut at = self.lead.clone();
        at.push(column.clone());
        let flat = &self.row * dim_expr(&width) + column;
        // A row of NaN has no best element; the last index is at least in range.
        let safe = index.min(self.len.clone() - u(1)).to_i32();
        self.target.store(&mut self.ctx, &At { index: at, flat: Some(flat) }, safe);
    }
}
