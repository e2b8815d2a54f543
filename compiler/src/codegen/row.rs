//! Rows of values, read element by element or four at a time.

use gristmill_graph::NodeId;
use gristmill_kernel::{Expr, u};

use super::context::Place;
use super::index::dim_expr;
use super::kernel::{At, Ctx};

/// Reads columns of a row, `step` at a time.
pub struct Row {
    /// The node.
    pub id: NodeId,
    /// 1 or 4.
    pub step: u32,
}

impl Row {
    /// Column (or quad of columns) `c` of a row, given by number and by index.
    pub fn read(&self, ctx: &mut Ctx<'_>, row: &Expr, lead: &[Expr], c: &Expr) -> Expr {
        let width = dim_expr(&ctx.low.width(self.id));
        // Plain memory is addressed by the row number, without taking it apart.
        if let Some(place @ (Place::Value(_) | Place::Output(_) | Place::Input(_))) = ctx.low.place(self.id) {
            if self.step == 4 {
                return ctx.vec4_row_at(place, self.id, row * (width / u(4))).at(ctx, c);
            }
            let mut index = lead.to_vec();
            index.push(c.clone());
            return ctx.value(self.id, &At { index, flat: Some(row * width + c) });
        }
        if self.step == 4
            && let Some(x) = ctx.vec4_row(self.id, lead)
        {
            return x.at(ctx, c);
        }
        let mut index = lead.to_vec();
        index.push(c.clone());
        ctx.value(self.id, &At::index(index))
    }

    /// Column (or quad) `c` of a 1-D parameter, or of a broadcast one with leading ones.
    pub fn parameter(&self, ctx: &mut Ctx<'_>, c: &Expr) -> Expr {
        let rank = ctx.low.graph.node(self.id).shape.len();
        let lead = vec![u(0); rank - 1];
        if self.step == 4
            && let Some(x) = ctx.vec4_row(self.id, &lead)
        {
            return x.at(ctx, c);
        }
        let mut index = lead;
        index.push(c.clone());
        ctx.value(self.id, &At::index(index))
    }
}
