//! Normalization over the last axis: one workgroup per row.
//!
//! Computes the mean before the variance (two passes), because `E[x^2] - E[x]^2` suffers from cancellation. Each pass
//! reads the row from memory; it is small enough to stay in the cache.

use gristmill_graph::{NormKind, Op, numel};
use gristmill_kernel::{Bind, Buf, Expr, GroupOp, Var, f, u};

use crate::codegen::context::{Built, Lowering, Memory, Stored};
use crate::codegen::grid::Count;
use crate::codegen::index::{dim_expr, unflatten};
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::row::Row;
use crate::codegen::store::{Target, is_plain};
use crate::error::CompileError;

/// How results are stored: four at a time where the layout allows it.
enum Out {
    Vec4(Buf),
    Elements(Target),
}

/// Builds the kernel of an [`Op::Norm`].
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let Op::Norm { kind, eps } = node.op else { return Err(CompileError::unlowered(node, "form as a norm")) };
    let last = node.shape.len() - 1;
    let (lead, width) = (&node.shape[..last], &node.shape[last]);
    let threads = low.setting.profile.schedule.reduce.threads;
    let grid = [Count::Dim(numel(lead))];
    let mut ctx = Ctx::new(low, &format!("{}_{width}", node.op.name()));
    ctx.b.doc(format!("{}: {} over {width} elements, {threads} threads per row", node.path, node.op.name()));
    let plain = is_plain(low, id, root);
    let vectors = plain
        && node.inputs.iter().all(|i| ctx.low.quads(*i))
        && low.memory(place, root) == Memory::Dense(gristmill_kernel::Scalar::F32);
    let step = if vectors { 4 } else { 1 };
    let count = if vectors { dim_expr(width) / u(4) } else { dim_expr(width) };
    let row_reader = Row { id: node.inputs[0], step };
    let target = if vectors {
        let name = format!("out_{}", ctx.label(root));
        Out::Vec4(ctx.write(place, gristmill_kernel::VEC4F, &name))
    } else {
        Out::Elements(Target::bind(&mut ctx, id, root, place))
    };
    let row = ctx.b.grid_axis("row", grid[0].expr());
    let lane = ctx.b.group_axis("lane", threads);
    let lead_index = unflatten(row.clone(), lead);
    let range = || (lane.clone(), count.clone(), threads);
    let n = dim_expr(width).to_f32();

    let mean = (kind == NormKind::Layer).then(|| {
        let sum = ctx.b.var("sum", f(0.0));
        ctx.for_("column", range(), Bind::Serial, |ctx, c| {
            let x = row_reader.read(ctx, &row, &lead_index, &c);
            ctx.b.add(sum, if step == 4 { x.dot(f(1.0).splat(4)) } else { x });
        });
        ctx.b.group_reduce(GroupOp::Add, sum);
        ctx.b.let_("mean", sum.get() / n.clone())
    });
    let centred = |x: Expr| match &mean {
        Some(m) => x - if step == 4 { m.splat(4) } else { m.clone() },
        None => x,
    };
    let squares: Var = ctx.b.var("squares", f(0.0));
    ctx.for_("column", range(), Bind::Serial, |ctx, c| {
        let x = row_reader.read(ctx, &row, &lead_index, &c);
        let x = ctx.b.let_("x", centred(x));
        ctx.b.add(squares, if step == 4 { x.dot(&x) } else { &x * &x });
    });
    ctx.b.group_reduce(GroupOp::Add, squares);
    let spread = squares.get() / n + f(eps.get());
    let scale = ctx.b.let_("scale", spread.unary(gristmill_graph::Unary::Rsqrt));
    ctx.for_("column", range(), Bind::Serial, |ctx, c| {
        let x = row_reader.read(ctx, &row, &lead_index, &c);
        let mut y = centred(x) * if step == 4 { scale.splat(4) } else { scale.clone() };
        for (n, parameter) in node.inputs[1..].iter().enumerate() {
            let p = Row { id: *parameter, step }.parameter(ctx, &c);
            y = if n == 0 { y * p } else { y + p };
        }
        match &target {
            Out::Vec4(buf) => ctx.b.store(*buf, row.clone() * count.clone() + &c, y),
            Out::Elements(target) => {
                let mut index = lead_index.clone();
                index.push(c.clone());
                target.store(ctx, &At { index, flat: Some(row.clone() * dim_expr(width) + &c) }, y);
            }
        }
    });
    ctx.built(&grid)
}
