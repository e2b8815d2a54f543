//! Four rows of a quantized weight and the sums of their products with bytes, as shared by the kernels for one and for
//! many rows of activations.

use gristmill_kernel::quant::{RowQuad, Words};
use gristmill_kernel::{Buf, ByteFormat, Expr, Var, f, i};

use crate::codegen::kernel::Ctx;
use crate::kernels::linear::Linear;

/// Four rows of a weight.
pub struct Group {
    /// Their format.
    pub format: ByteFormat,
    /// The rows.
    pub rows: RowQuad,
    factors: (Expr, Option<Expr>),
    /// For 8-bit codes that are multiplied whole: the mask to XOR them with, and the number to add to them.
    whole: Option<(Expr, Expr)>,
}

impl Group {
    /// Opens rows `first .. first + 4`. `kind` says how whole bytes are multiplied, if they are.
    pub fn open(ctx: &mut Ctx<'_>, format: ByteFormat, buf: Buf, first: &Expr, kind: Option<&Expr>) -> Group {
        let rows = format.open(&mut ctx.b, buf, first);
        let (factors, offsets) = format.row_factors(&mut ctx.b, &rows);
        let factors = ctx.b.let_("row_factors", factors);
        let offsets = offsets.map(|o| ctx.b.let_("row_offsets", o));
        let whole = kind
            .and_then(|kind| format.whole_bytes(kind))
            .map(|(mask, bias)| (ctx.b.let_("moved", mask.splat(4)), ctx.b.let_("bias", bias.splat(4))));
        Group { format, rows, factors: (factors, offsets), whole }
    }

    /// A zero sum of products for each plane of codes.
    pub fn zeros(&self) -> Vec<Expr> {
        vec![i(0).splat(4); self.planes().len()]
    }

    fn planes(&self) -> &'static [i32] {
        if self.whole.is_some() { &[1] } else { self.format.planes() }
    }

    /// Group of four `quad` of each word of codes, by plane; see [`ByteFormat::quad`].
    pub fn quad(&self, words: &Words, quad: u32) -> Vec<Expr> {
        match &self.whole {
            Some((mask, _)) => vec![self.format.whole(words).bxor(mask)],
            None => self.format.quad(words, quad),
        }
    }

    /// Combines the sums of all planes (`vec4<i32>`).
    pub fn joined(&self, sums: Vec<Expr>) -> Expr {
        let planes = sums.into_iter().zip(self.planes());
        let total = planes.map(|(sum, weight)| weighted(sum, *weight)).reduce(|a, c| a + c);
        total.unwrap_or_else(|| i(0).splat(4))
    }

    /// The constant that is added to every code of a block with this factor, multiplied by the factor; `None` if it is
    /// zero.
    pub fn moved(&self, factor: &Expr) -> Option<Expr> {
        self.whole.as_ref().map(|(_, bias)| factor * bias)
    }
}

/// An integer multiplied by a signed power of two.
fn weighted(sum: Expr, weight: i32) -> Expr {
    let shifted = match weight.unsigned_abs().trailing_zeros() {
        0 => sum,
        n => sum.shl(n),
    };
    if weight < 0 { i(0).splat(4) - shifted } else { shifted }
}

/// Emits code that multiplies bytes. `work` is told how whole bytes are multiplied. For 8-bit codes it is emitted
/// twice: some engines multiply them whole, for others they are split into planes.
pub fn by_engine(ctx: &mut Ctx<'_>, linear: &Linear<'_>, work: impl Fn(&mut Ctx<'_>, Option<&Expr>)) {
    if !linear.weights.iter().any(|w| w.format.as_bytes().is_some_and(|f| f.planes().len() > 1)) {
        return work(ctx, None);
    }
    let kind = ctx.b.let_("dot_signedness", Expr::DotSignedness);
    ctx.if_(kind.differs(0), |ctx| work(ctx, Some(&kind)));
    ctx.if_(kind.equals(0), |ctx| work(ctx, None));
}

/// The sums of a row of activations with a group.
pub struct Sums {
    scaled: Var,
    /// The sum for row offsets, in formats that have them.
    offset: Option<Var>,
}

impl Sums {
    /// Starts at zero.
    pub fn start(ctx: &mut Ctx<'_>, group: &Group) -> Sums {
        let scaled = ctx.b.var("sum", f(0.0).splat(4));
        let offset = group.factors.1.is_some().then(|| ctx.b.var("sum_of_offsets", f(0.0).splat(4)));
        Sums { scaled, offset }
    }

    /// Adds `a * b`, to be multiplied by the row factors.
    pub fn add(&self, ctx: &mut Ctx<'_>, a: &Expr, b: Expr) {
        ctx.b.assign(self.scaled, a.fma(b, self.scaled.get()));
    }

    /// Adds the offset of a block multiplied by a sum of activations.
    pub fn add_offset(&self, ctx: &mut Ctx<'_>, offset: &Expr, sum: Expr) {
        let to = self.offset.unwrap_or(self.scaled);
        ctx.b.assign(to, offset.fma(sum, to.get()));
    }

    /// The total, with row factors applied.
    pub fn total(&self, ctx: &mut Ctx<'_>, group: &Group) -> Var {
        let total = self.scaled.get() * &group.factors.0;
        let total = match (&self.offset, &group.factors.1) {
            (Some(sum), Some(offsets)) => sum.get().fma(offsets, total),
            _ => total,
        };
        ctx.b.var("total", total)
    }
}
