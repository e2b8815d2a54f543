//! Float weights multiplied by rows of activations, in tiles of four rows of weights and a few rows of activations,
//! whose sums stay in registers. Both are contiguous along the columns, so a sum is a vector of partial sums until the
//! end.

use gristmill_kernel::{Bind, Expr, Var, f, u};

use super::lanes;
use super::output::{FOUR, Out};
use crate::codegen::context::{Built, Lowering, Stored};
use crate::codegen::grid::Count;
use crate::codegen::kernel::Ctx;
use crate::error::CompileError;
use crate::kernels::linear::Linear;

/// Builds the kernel. `many` says whether several rows of activations are typical.
pub fn build(low: &Lowering<'_>, Stored { id, root, place }: Stored, many: bool) -> Result<Built, CompileError> {
    let linear = &Linear::new(low, id)?;
    let weights = linear.weights.len() as u32;
    let together = if many { (low.setting.profile.schedule.matmul.float_rows_together / weights).max(1) } else { 1 };
    let name = if many { "matmul" } else { "matvec" };
    let mut ctx = Ctx::new(low, &format!("{name}_{}", linear.label(low)));
    ctx.b.doc(format!(
        "{}: [{}, {}] weights, {FOUR} rows of weights and {together} of activations at a time",
        low.graph.node(linear.id).path,
        linear.n,
        linear.k
    ));
    let out = Out::bind(&mut ctx, linear, root, place);
    let buffers = linear.bind(&mut ctx);
    let grid = [Count::Dim(i64::from(linear.n.div_ceil(FOUR)).into())];
    let four = ctx.b.grid_axis("four", grid[0].expr());
    let first = ctx.b.let_("first", &four * FOUR);
    let rows = linear.rows();
    let opened: Vec<Vec<_>> = linear
        .weights
        .iter()
        .zip(&buffers)
        .map(|(weight, buf)| {
            (0..FOUR)
                .map(|r| {
                    let n = ctx.b.let_(&format!("n{r}"), (&first + r).min(linear.n - 1));
                    weight.format.open_row(&mut ctx.b, *buf, n)
                })
                .collect()
        })
        .collect();
    ctx.for_("m_first", (u(0), rows.clone(), together), Bind::Serial, |ctx, m_first| {
        let ms: Vec<Expr> =
            (0..together).map(|r| ctx.b.let_(&format!("m{r}"), (&m_first + r).min(rows.clone() - 1))).collect();
        // By weight, row of activations, and row of weights.
        let sums: Vec<Vec<Vec<Var>>> = (0..weights)
            .map(|_| ms.iter().map(|_| (0..FOUR).map(|_| ctx.b.var("sum", f(0.0).splat(4))).collect()).collect())
            .collect();
        for ((weight, opened), sums) in linear.weights.iter().zip(&opened).zip(&sums) {
            ctx.for_("pack", (u(0), u(weight.format.packs()), 1), Bind::Serial, |ctx, pack| {
                for (r, row) in opened.iter().enumerate() {
                    ctx.for_pack(&weight.format, row, &pack, Bind::Unroll, |ctx, column, values| {
                        for (m, sums) in ms.iter().zip(sums) {
                            let x = linear.x_quad(ctx, m, &column);
                            let x = ctx.b.let_("x", x);
                            ctx.b.assign(sums[r], values.fma(x, sums[r].get()));
                        }
                    });
                }
            });
        }
        for r in 0..together {
            let m = ctx.b.let_("m", &m_first + r);
            ctx.if_(m.lt(rows.clone()), |ctx| {
                let totals: Vec<Var> = sums
                    .iter()
                    .map(|by_row| {
                        let four: Vec<Expr> = by_row[r as usize].iter().map(|s| s.get()).collect();
                        let total = lanes::sums(&mut ctx.b, [&four[0], &four[1], &four[2], &four[3]], false);
                        ctx.b.var("total", total)
                    })
                    .collect();
                out.store(ctx, linear, (&m, &first), &totals);
            });
        }
    });
    ctx.built(&grid)
}
