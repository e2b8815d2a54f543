//! Linear layers on a processor: which kernel, and what all of them share.

use gristmill_graph::{NodeId, Op};
use gristmill_kernel::{Bind, Expr, Var, u};

use super::{floats, matmul_bytes, matvec_bytes};
use crate::error::CompileError;
use crate::kernels::linear::Linear;
use crate::kernels::matmul;
use crate::kernels::store::Target;
use crate::lower::access::Ctx;
use crate::lower::{Built, Lowering, Place};

/// Rows of weights in a vector of results.
pub const FOUR: u32 = 4;

/// The kernel of a linear layer.
pub fn build(low: &Lowering<'_>, id: NodeId, root: NodeId, place: Place) -> Result<Built, CompileError> {
    let linear = Linear::new(low, id)?;
    let bytes = low.graph.node(linear.x).op == Op::RoundBlocks;
    match (bytes, matmul::applies(low, id)) {
        (true, true) => matmul_bytes::build(low, &linear, root, place),
        (true, false) => matvec_bytes::build(low, &linear, root, place),
        (false, many) => floats::build(low, &linear, many, root, place),
    }
}

/// Stores results `[m, first .. first + 4]`; `sums` has a vector of them for each weight.
pub fn store_four(ctx: &mut Ctx<'_>, linear: &Linear<'_>, target: &Target, (m, first): (&Expr, &Expr), sums: &[Var]) {
    let rest = u(linear.n) - first.clone();
    let count = if linear.n.is_multiple_of(FOUR) { u(FOUR) } else { rest.min(u(FOUR)) };
    let count = ctx.b.let_("count", count);
    ctx.for_("lane", (u(0), count, 1), Bind::Serial, |ctx, lane| {
        let n = ctx.b.let_("n", first + &lane);
        let accs: Vec<Expr> = sums.iter().map(|s| ctx.b.let_("acc", s.get().lane(&lane))).collect();
        linear.finish(ctx, target, m, &n, &accs);
    });
}
