//! Index arithmetic: dimensions as expressions, and the mapping of indices through reshapes and broadcasts.

use gristmill_graph::{Dim, Factor, Graph, NodeId, numel};
use gristmill_kernel::{Expr, u};

/// A dimension as a u32 expression over symbols.
pub fn dim_expr(dim: &Dim) -> Expr {
    let factor = |factor: &Factor| match factor {
        Factor::Symbol(name) => Expr::Symbol(name.clone()),
        Factor::CeilDiv(dim, by) => (dim_expr(dim) + u((by - 1) as u32)) / u(*by as u32),
    };
    let term = |factors: &[Factor], coef: i64| {
        let magnitude = u(coef.unsigned_abs() as u32);
        factors.iter().fold(magnitude, |product, f| product * factor(f))
    };
    let positive = dim.terms().filter(|(_, c)| *c > 0).map(|(s, c)| term(s, c)).reduce(|a, b| a + b);
    let sum = positive.unwrap_or(u(0));
    dim.terms().filter(|(_, c)| *c < 0).fold(sum, |sum, (s, c)| sum - term(s, c))
}

/// The row-major position of `index` in an array of shape `shape`.
pub fn flatten(index: &[Expr], shape: &[Dim]) -> Expr {
    flatten_in(index, &shape.iter().map(dim_expr).collect::<Vec<_>>())
}

/// The row-major position of `index` in an array with these extents.
pub fn flatten_in(index: &[Expr], extents: &[Expr]) -> Expr {
    index.iter().zip(extents).fold(u(0), |flat, (i, n)| if *n == u(1) { flat } else { flat * n + i.clone() })
}

/// The index in an array of shape `shape` at a row-major position.
pub fn unflatten(flat: Expr, shape: &[Dim]) -> Vec<Expr> {
    let mut index = vec![u(0); shape.len()];
    let mut rest = flat;
    // The first dimension other than 1 is not reduced modulo its size: the quotient is already in range.
    let first = shape.iter().position(|d| !d.is_one()).unwrap_or(0);
    for axis in (0..shape.len()).rev() {
        if shape[axis].is_one() {
            continue;
        }
        if axis == first {
            index[axis] = rest;
            break;
        }
        index[axis] = rest.clone() % dim_expr(&shape[axis]);
        rest = rest / dim_expr(&shape[axis]);
    }
    index
}

/// The index into a tensor of shape `from` for the element `index` of its reshape to `to`.
///
/// Axes are matched in groups of equal size (`[B, T, 64]` to `[B, T, 8, 8]` pairs `B` with `B`, `T` with `T`, and `64`
/// with `8 * 8`), so that only groups that change cost a division.
pub fn through_reshape(index: &[Expr], to: &[Dim], from: &[Dim]) -> Vec<Expr> {
    let mut out = Vec::with_capacity(from.len());
    let (mut i, mut j) = (0, 0);
    while i < to.len() || j < from.len() {
        let (i0, j0) = (i, j);
        let mut size_to = Dim::constant(1);
        let mut size_from = Dim::constant(1);
        if i < to.len() {
            size_to = to[i].clone();
            i += 1;
        }
        if j < from.len() {
            size_from = from[j].clone();
            j += 1;
        }
        while size_to != size_from {
            let (next_to, next_from) = (i < to.len(), j < from.len());
            if next_to && (!next_from || divides(&size_to, &size_from)) {
                size_to = &size_to * &to[i];
                i += 1;
            } else if next_from {
                size_from = &size_from * &from[j];
                j += 1;
            } else {
                break;
            }
        }
        let (group_to, group_from) = (&to[i0..i], &from[j0..j]);
        match (group_to, group_from) {
            (_, []) => {}
            ([_], [_]) => out.push(index[i0].clone()),
            _ => out.extend(unflatten(flatten(&index[i0..i], group_to), group_from)),
        }
    }
    out
}

/// Whether `a` is a proper factor of `b`, so that `a` needs more axes to reach it.
fn divides(a: &Dim, b: &Dim) -> bool {
    b.exact_div(a).is_some()
}

/// The index into an operand of shape `from` that is broadcast to the shape that `index` belongs to, aligned at the
/// last axis.
pub fn through_broadcast(index: &[Expr], from: &[Dim]) -> Vec<Expr> {
    let skip = index.len() - from.len();
    from.iter().zip(&index[skip..]).map(|(d, i)| if d.is_one() { u(0) } else { i.clone() }).collect()
}

/// The offset of an operand along the axis of a concatenation.
pub fn start_in_concat(graph: &Graph, concat: NodeId, axis: u32, operand: NodeId) -> Dim {
    let before = graph.node(concat).inputs.iter().take_while(|input| **input != operand);
    before.fold(Dim::constant(0), |sum, input| &sum + &graph.node(*input).shape[axis as usize])
}

/// `expr / divisor`, if the coefficient of every term is a multiple of the divisor. Used for vector loads.
pub fn divide_exact(expr: &Expr, divisor: u32) -> Option<Expr> {
    use gristmill_graph::Binary;
    match expr {
        Expr::U32(n) => (n % divisor == 0).then(|| u(n / divisor)),
        Expr::Binary(op @ (Binary::Add | Binary::Sub), a, b) => {
            let (a, b) = (divide_exact(a, divisor)?, divide_exact(b, divisor)?);
            Some(if *op == Binary::Add { a + b } else { a - b })
        }
        Expr::Binary(Binary::Mul, a, b) => match (divide_exact(a, divisor), divide_exact(b, divisor)) {
            (_, Some(b)) => Some((**a).clone() * b),
            (Some(a), None) => Some(a * (**b).clone()),
            (None, None) => None,
        },
        Expr::Binary(Binary::Rem, a, b) => Some(divide_exact(a, divisor)? % divide_exact(b, divisor)?),
        _ => None,
    }
}

/// The number of elements, as an expression.
pub fn numel_expr(shape: &[Dim]) -> Expr {
    dim_expr(&numel(shape))
}
