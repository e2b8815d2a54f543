//! Turns the scalar expressions of fused operations into kernel expressions.

use gristmill_graph::{Binary, DType, NodeId, Scalar};
use gristmill_kernel::Expr;

use super::index::through_broadcast;
use super::inline::{convert, literal};
use super::kernel::{At, Ctx};
use super::vec4::WHOLE;
use crate::error::CompileError;

/// The value of `scalar` for the result element `at`, given the accumulators and the extra operands. Shared
/// subexpressions (`x` in `x * sigmoid(x)`) are computed once.
pub fn apply(ctx: &mut Ctx<'_>, scalar: &Scalar, accs: &[Expr], args: &[NodeId], at: &At) -> Expr {
    let mut once: Vec<(Scalar, Expr)> = Vec::new();
    let mut counts: Vec<(Scalar, u32)> = Vec::new();
    scalar.visit(&mut |part| match counts.iter_mut().find(|(s, _)| s == part) {
        Some((_, n)) => *n += 1,
        None => counts.push((part.clone(), 1)),
    });
    walk(ctx, scalar, accs, args, at, &mut once, &counts).0
}

type Memo = Vec<(Scalar, Expr)>;

fn walk(
    ctx: &mut Ctx<'_>,
    scalar: &Scalar,
    accs: &[Expr],
    args: &[NodeId],
    at: &At,
    once: &mut Memo,
    counts: &[(Scalar, u32)],
) -> (Expr, DType) {
    let dtype = dtype_of(ctx, scalar, args);
    if let Some((_, e)) = once.iter().find(|(s, _)| s == scalar) {
        return (e.clone(), dtype);
    }
    let mut part = |ctx: &mut Ctx<'_>, s: &Scalar| walk(ctx, s, accs, args, at, once, counts);
    let e = match scalar {
        Scalar::Acc(i) => accs[usize::from(*i)].clone(),
        Scalar::Arg(i) => {
            let id = args[usize::from(*i)];
            let shape = &ctx.low.graph.node(id).shape;
            let same_rank = shape.len() == at.index.len();
            let index = through_broadcast(&at.index, shape);
            // The row-major position can be reused only if nothing is broadcast.
            let flat = at.flat.clone().filter(|_| same_rank && index == at.index);
            ctx.value(id, &At { index, flat })
        }
        Scalar::Lit(l) => literal(*l),
        Scalar::Unary(op, a) => part(ctx, a).0.unary(*op),
        Scalar::Binary(op, a, b) => {
            let (a, b) = (part(ctx, a).0, part(ctx, b).0);
            Expr::Binary(*op, Box::new(a), Box::new(b))
        }
        Scalar::Select(c, a, b) => {
            let c = part(ctx, c).0;
            let (a, b) = (part(ctx, a).0, part(ctx, b).0);
            c.select(a, b)
        }
        Scalar::Cast(t, a) => {
            let (x, from) = part(ctx, a);
            convert(x, from, *t)
        }
    };
    let repeated = counts.iter().any(|(s, n)| *n > 1 && s == scalar);
    let e = if repeated { ctx.b.let_("part", e) } else { e };
    once.push((scalar.clone(), e.clone()));
    (e, dtype)
}

fn dtype_of(ctx: &Ctx<'_>, scalar: &Scalar, args: &[NodeId]) -> DType {
    match scalar {
        Scalar::Acc(_) => DType::F32,
        Scalar::Arg(i) => ctx.low.graph.node(args[usize::from(*i)]).dtype,
        Scalar::Lit(l) => l.dtype(),
        Scalar::Unary(_, a) => dtype_of(ctx, a, args),
        Scalar::Binary(op, ..) if op.is_comparison() => DType::Bool,
        Scalar::Binary(Binary::And | Binary::Or, ..) => DType::Bool,
        Scalar::Binary(_, a, _) => dtype_of(ctx, a, args),
        Scalar::Select(_, a, _) => dtype_of(ctx, a, args),
        Scalar::Cast(t, _) => *t,
    }
}

/// Whether four adjacent results can be computed at once: the expression is arithmetic only, and each operand is either
/// stored as vectors or constant along the row.
pub fn vectorizes(ctx: &Ctx<'_>, scalar: &Scalar, args: &[NodeId]) -> bool {
    let each = |parts: &[&Scalar]| parts.iter().all(|p| vectorizes(ctx, p, args));
    match scalar {
        Scalar::Acc(_) => true,
        Scalar::Arg(i) => {
            let id = args[usize::from(*i)];
            let node = ctx.low.graph.node(id);
            node.dtype == DType::F32 && (node.shape.last().is_none_or(|d| d.is_one()) || ctx.low.quads(id))
        }
        Scalar::Lit(l) => l.dtype() == DType::F32,
        Scalar::Unary(_, a) => each(&[a]),
        Scalar::Binary(op, a, b) => {
            !op.is_comparison() && !matches!(op, Binary::And | Binary::Or | Binary::Rem) && each(&[a, b])
        }
        Scalar::Select(..) | Scalar::Cast(..) => false,
    }
}

/// Like [`apply`], for the four results from `at` on, whose last index is a multiple of four. `accs` are vectors of
/// accumulators of the node `id`. The expression must satisfy [`vectorizes`]; otherwise [`Ctx::built`] returns an
/// error.
pub fn apply_four(ctx: &mut Ctx<'_>, id: NodeId, scalar: &Scalar, accs: &[Expr], args: &[NodeId], at: &At) -> Expr {
    let value = four(ctx, id, scalar, accs, args, at);
    ctx.settle(value, Expr::F32(0.0).splat(4))
}

fn four(
    ctx: &mut Ctx<'_>,
    of: NodeId,
    scalar: &Scalar,
    accs: &[Expr],
    args: &[NodeId],
    at: &At,
) -> Result<Expr, CompileError> {
    Ok(match scalar {
        Scalar::Acc(i) => accs[usize::from(*i)].clone(),
        Scalar::Arg(i) => {
            let id = args[usize::from(*i)];
            let shape = &ctx.low.graph.node(id).shape;
            let mut index = through_broadcast(&at.index, shape);
            if shape.last().is_none_or(|d| d.is_one()) {
                return Ok(ctx.value(id, &At::index(index)).splat(4));
            }
            let row = index.pop().and_then(|column| Some((column, ctx.vec4_row(id, &index)?)));
            match row {
                Some((column, row)) => row.at(ctx, column / 4),
                None => {
                    return Err(CompileError::unlowered(ctx.low.graph.node(id), WHOLE));
                }
            }
        }
        Scalar::Lit(l) => literal(*l).splat(4),
        Scalar::Unary(op, a) => {
            let a = four(ctx, of, a, accs, args, at)?;
            ctx.b.let_("part", a.unary(*op))
        }
        Scalar::Binary(op, a, b) => {
            let (a, b) = (four(ctx, of, a, accs, args, at)?, four(ctx, of, b, accs, args, at)?);
            ctx.b.let_("part", Expr::Binary(*op, Box::new(a), Box::new(b)))
        }
        Scalar::Select(..) | Scalar::Cast(..) => {
            return Err(CompileError::unlowered(ctx.low.graph.node(of), "epilogue of four elements"));
        }
    })
}
