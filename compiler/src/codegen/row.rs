//! Rows of values, read element by element or four at a time.

use gristmill_graph::NodeId;
use gristmill_kernel::{Expr, u};

use super::context::Place;
use super::index::dim_expr;
use super::kernel::{At, Ctx};

/// A row of a node, read `step` columns at a time.
pub struct Row {
    /// The node.
    pub id: NodeId,
    /// Columns per read: 1 or 4.
    pub step: u32,
}

impl Row {
    /// Column (or group of four columns) `c` of a row. The row is given by its number (`row`) and its index (`lead`).
    pub fn read(&self, ctx: &mut Ctx<'_>, row: &Expr, lead: &[Expr], c: &Expr) -> Expr {
        let width = dim_expr(&ctx.low.width(self.id));
        // Plain memory is addressed by the row number, without splitting it into an index.
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

    /// Column (or group of four) `c` of a 1-D parameter, or of one with leading axes of length 1.
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
