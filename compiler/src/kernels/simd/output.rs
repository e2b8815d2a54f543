//! How linear layers on a CPU store their results.

use gristmill_graph::NodeId;
use gristmill_kernel::{Bind, Expr, Var, u};

use crate::codegen::context::Place;
use crate::codegen::epilogue;
use crate::codegen::kernel::{At, Ctx};
use crate::codegen::store::{Target, Vec4Target};
use crate::kernels::linear::Linear;

/// Rows of weights per vector of results.
pub const FOUR: u32 = 4;

/// Where results are stored; four at a time if possible.
pub enum Out {
    /// Vectors.
    Vec4(Vec4Target),
    /// Single elements.
    Elements(Target),
}

impl Out {
    /// Binds the target memory.
    pub fn bind(ctx: &mut Ctx<'_>, linear: &Linear<'_>, root: NodeId, place: Place) -> Out {
        let vectors = linear.n.is_multiple_of(FOUR) && epilogue::vectorizes(ctx, linear.epilogue, linear.args);
        let quads = if vectors { Vec4Target::bind(ctx, linear.id, root, place) } else { None };
        match quads {
            Some(target) => Out::Vec4(target),
            None => Out::Elements(Target::bind(ctx, linear.id, root, place)),
        }
    }

    /// Stores results `[m, first .. first + 4]`; `sums` has one vector for each weight.
    pub fn store(&self, ctx: &mut Ctx<'_>, linear: &Linear<'_>, (m, first): (&Expr, &Expr), sums: &[Var]) {
        match self {
            Out::Vec4(target) => {
                let accs: Vec<Expr> = sums.iter().map(|s| ctx.b.let_("acc", s.get())).collect();
                let mut index = linear.lead_index(m);
                index.push(first.clone());
                let at = At { index, flat: Some(m * u(linear.n) + first) };
                let value = epilogue::apply_four(ctx, linear.id, linear.epilogue, &accs, linear.args, &at);
                target.store(ctx, &at, value);
            }
            Out::Elements(target) => {
                let count = (u(linear.n) - first.clone()).min(u(FOUR));
                let count = if linear.n.is_multiple_of(FOUR) { u(FOUR) } else { ctx.b.let_("count", count) };
                ctx.for_("lane", (u(0), count, 1), Bind::Serial, |ctx, lane| {
                    let n = ctx.b.let_("n", first + &lane);
                    let accs: Vec<Expr> = sums.iter().map(|s| ctx.b.let_("acc", s.get().lane(&lane))).collect();
                    linear.finish(ctx, target, m, &n, &accs);
                });
            }
        }
    }
}
