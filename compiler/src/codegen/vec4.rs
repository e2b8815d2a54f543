//! Reads memory four elements at a time where its layout allows it.

use gristmill_graph::NodeId;
use gristmill_kernel::{self as k, Buf, Expr, Scalar, Type, u};

use super::context::{Lowering, Memory, Place};
use super::index::divide_exact;
use super::kernel::Ctx;
use super::views::{contiguous_last, resolve_views};
use crate::error::CompileError;

/// What a node lacks if it cannot be read four elements at a time.
pub const WHOLE: &str = "rows of whole vectors in memory";

impl Ctx<'_> {
    /// A row (all axes but the last are given by `lead`) to be read in aligned groups of four; `None` if the memory
    /// layout does not allow it.
    pub fn vec4_row(&mut self, id: NodeId, lead: &[Expr]) -> Option<Vec4Row> {
        if !self.low.quads(id) {
            return None;
        }
        let mut index = lead.to_vec();
        index.push(u(0));
        let (base, index) = resolve_views(self.low, id, index);
        let place = self.low.place(base)?;
        let flat = self.b.simplify(self.low.flat(place, base, &index));
        let first = divide_exact(&flat, 4)?;
        let name = self.label(base);
        let first = self.b.let_(&format!("{name}_row"), first);
        Some(self.vec4_row_at(place, base, first))
    }

    /// Like [`Ctx::vec4_row`], for a node known to allow it. If it does not, [`Ctx::built`] returns an error.
    pub fn whole_vec4_row(&mut self, id: NodeId, lead: &[Expr]) -> Vec4Row {
        self.vec4_row(id, lead).unwrap_or_else(|| {
            self.fail(CompileError::unlowered(self.low.graph.node(id), WHOLE));
            Vec4Row { buf: Buf(0), first: u(0), halves: false }
        })
    }

    /// Like [`Ctx::vec4_row`], for a node in plain memory whose row starts at group `first`.
    pub fn vec4_row_at(&mut self, place: Place, id: NodeId, first: Expr) -> Vec4Row {
        let halves = self.low.memory(place, id) == Memory::F16x2;
        let elem = if halves { Type::vec(Scalar::U32, 2) } else { k::VEC4F };
        let name = format!("{}4", self.label(id));
        Vec4Row { buf: self.read(place, elem, &name), first, halves }
    }

    /// The four elements of a row from `column` (a multiple of 4) on, where groups of four are contiguous but whole
    /// rows are not, as in an image seen through a filter. `None` if they are not contiguous.
    pub fn quad_at(&mut self, id: NodeId, lead: &[Expr], column: &Expr) -> Option<Expr> {
        let base = contiguous_last(self.low, id, false).filter(|base| self.low.quads_of(id, *base))?;
        let place = self.low.place(base)?;
        let mut index = lead.to_vec();
        // Written so that simplification can see that the sum below is a multiple of 4.
        let quad = self.b.let_("quad", column / 4);
        index.push(quad * 4);
        let (_, index) = resolve_views(self.low, id, index);
        let flat = self.b.simplify(self.low.flat(place, base, &index));
        let first = divide_exact(&flat, 4)?;
        let first = self.b.let_("place", first);
        Some(self.vec4_row_at(place, base, first).at(self, 0))
    }
}

impl Lowering<'_> {
    /// Whether [`Ctx::vec4_row`] works for this node.
    pub fn quads(&self, id: NodeId) -> bool {
        contiguous_last(self, id, true).is_some_and(|base| self.quads_of(id, base))
    }

    /// Whether rows of `id`, and of the memory `base` below it, consist of whole groups of four floats.
    fn quads_of(&self, id: NodeId, base: NodeId) -> bool {
        let Some(place) = self.place(base) else { return false };
        let multiple_of_4 =
            |id: NodeId| self.graph.node(id).shape.last().and_then(|d| d.as_const()).is_some_and(|d| d % 4 == 0);
        multiple_of_4(id)
            && multiple_of_4(base)
            && matches!(self.memory(place, base), Memory::Dense(Scalar::F32) | Memory::F16x2)
    }
}

/// A row of memory, read in aligned groups of four elements.
pub struct Vec4Row {
    buf: Buf,
    first: Expr,
    halves: bool,
}

impl Vec4Row {
    /// Group `q` of the row, as `vec4<f32>`.
    pub fn at(&self, ctx: &mut Ctx<'_>, q: impl Into<Expr>) -> Expr {
        let loaded = self.buf.at(&self.first + q.into());
        if !self.halves {
            return loaded;
        }
        let words = ctx.b.let_("words", loaded);
        let low = ctx.b.let_("low", words.lane(u(0)).halves_f16());
        let high = ctx.b.let_("high", words.lane(u(1)).halves_f16());
        Expr::vec([low.lane(u(0)), low.lane(u(1)), high.lane(u(0)), high.lane(u(1))])
    }
}
