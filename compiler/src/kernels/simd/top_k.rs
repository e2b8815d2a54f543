//! Top-k of a row on a CPU: one pass that maintains a sorted list. Few elements of a long row enter the list, so nearly
//! all of them cost one comparison.

use gristmill_graph::{DType, Op, numel};
use gristmill_kernel::{Bind, Expr, F32, I32, U32, u};

use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::codegen::store::Target;
use crate::error::CompileError;
use crate::kernels::reduce::NEG_MAX;
use crate::kernels::top_k::start;

/// Marks an empty slot: larger than every index.
const INVALID_INDEX: u32 = u32::MAX;

/// Builds the kernel of an [`gristmill_graph::Op::TopK`].
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let Op::TopK { k } = low.graph.node(id).op else {
        return Err(CompileError::unlowered(low.graph.node(id), "form as a selection"));
    };
    let node = low.graph.node(id);
    let lead_shape = &node.shape[..node.shape.len() - 1];
    let grid = [Count::Dim(numel(lead_shape))];
    let mut ctx = Ctx::new(low, &format!("top_{k}"));
    let len = low.width(node.inputs[0]);
    ctx.b.doc(format!("{}: the best {k} of {len} elements", node.path));
    let target = Target::bind(&mut ctx, id, root, place);
    let row = ctx.b.grid_axis("row", grid[0].expr());
    let lead = unflatten(row.clone(), lead_shape);
    let x = Row { id: node.inputs[0], step: 1 };
    let dtype = low.graph.node(x.id).dtype;
    let lowest = || start(dtype, i32::MIN, NEG_MAX);
    let values = ctx.b.shared("values", if dtype == DType::F32 { F32 } else { I32 }, k);
    let indices = ctx.b.shared("indices", U32, k);
    ctx.for_("rank", (u(0), u(k), 1), Bind::Serial, |ctx, rank| {
        ctx.b.store_shared(values, &rank, lowest());
        ctx.b.store_shared(indices, rank, u(INVALID_INDEX));
    });
    // The value that an element must exceed to enter the list.
    let least = ctx.b.var("least", lowest());
    let room = ctx.b.var("room", true);
    let len = dim_expr(&len);
    ctx.for_("column", (u(0), len.clone(), 1), Bind::Serial, |ctx, column| {
        let v = x.read(ctx, &row, &lead, &column);
        let v = ctx.b.let_("candidate", v);
        ctx.if_(v.gt(least.get()).or(room.get()), |ctx| {
            let at = ctx.b.var("at", u(k - 1));
            ctx.for_("step", (u(1), u(k), 1), Bind::Serial, |ctx, step| {
                let below = ctx.b.let_("below", u(k - 1) - step);
                let (value, index) = (values.at(&below), indices.at(&below));
                let (value, index) = (ctx.b.let_("value", value), ctx.b.let_("index", index));
                // Ties keep the earlier element in front.
                let moves = v.gt(value.clone()).or(index.equals(INVALID_INDEX));
                ctx.if_(at.get().equals(&below + 1).and(moves), |ctx| {
                    ctx.b.store_shared(values, &below + 1, value);
                    ctx.b.store_shared(indices, &below + 1, index);
                    ctx.b.assign(at, below);
                });
            });
            ctx.b.store_shared(values, at.get(), &v);
            ctx.b.store_shared(indices, at.get(), &column);
            ctx.b.assign(least, values.at(k - 1));
            ctx.b.assign(room, indices.at(k - 1).equals(INVALID_INDEX));
        });
    });
    ctx.for_("rank", (u(0), u(k), 1), Bind::Serial, |ctx, rank| {
        let mut index = lead.clone();
        index.push(rank.clone());
        // A row of NaN has no best element; the last index is at least in range.
        let safe: Expr = indices.at(&rank).min(len.clone() - u(1)).to_i32();
        target.store(ctx, &At { index, flat: Some(&row * k + rank) }, safe);
    });
    ctx.built(&grid)
}
