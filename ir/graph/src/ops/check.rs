//! Checks and messages that type rules share.

use super::row::{Declarations, Operand};
use crate::dim::{Dim, Shape, show_shape};
use crate::dtype::DType;

/// The declarations of the model, on which the types of some operations depend.
pub(super) fn declared<'a>(name: &str, declarations: Option<Declarations<'a>>) -> Result<Declarations<'a>, String> {
    declarations.ok_or_else(|| format!("the type of `{name}` is declared by the model, not inferred from operands"))
}

/// The declaration with an index.
pub(super) fn at<'a, T>(what: &str, declared: &'a [T], index: u32) -> Result<&'a T, String> {
    let len = declared.len();
    declared.get(index as usize).ok_or_else(|| format!("{what} {index} does not exist; the model declares {len}"))
}

/// Rejects types other than the expected ones.
pub(super) fn want(op: &str, what: &str, found: DType, expected: &[DType]) -> Result<DType, String> {
    if expected.contains(&found) {
        return Ok(found);
    }
    let expected: Vec<String> = expected.iter().map(DType::to_string).collect();
    Err(format!("{op}: expected {what} of type {}, found {found}", expected.join(" or ")))
}

/// Rejects a dimension that is known to be negative.
pub(super) fn not_negative<'a>(op: &str, what: &str, dim: &'a Dim) -> Result<&'a Dim, String> {
    match dim.as_const() {
        Some(value) if value < 0 => Err(format!("{op}: {what} is negative ({value})")),
        _ => Ok(dim),
    }
}

/// The last dimension.
pub(super) fn last<'a>(op: &str, shape: &'a [Dim]) -> Result<&'a Dim, String> {
    shape.last().ok_or_else(|| format!("{op}: expected an operand with at least one axis, found a scalar"))
}

/// A dimension by axis.
pub(super) fn axis_mut<'a>(op: &str, shape: &'a mut [Dim], axis: u32) -> Result<&'a mut Dim, String> {
    let text = show_shape(shape);
    shape.get_mut(axis as usize).ok_or_else(|| format!("{op}: axis {axis} does not exist in shape {text}"))
}

/// A dimension during evaluation: after binding and inference, it is a constant and not negative.
pub(super) fn size(dim: &Dim) -> Result<usize, String> {
    dim.as_const().and_then(|v| usize::try_from(v).ok()).ok_or_else(|| format!("{dim} is not known"))
}

/// The shape of an element-wise operation on shapes `a` and `b`.
///
/// # Errors
/// If aligned dimensions differ and none is the constant 1; `op` names the operation in the message.
pub fn broadcast(op: &str, a: &[Dim], b: &[Dim]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let mut shape = Vec::with_capacity(rank);
    for i in 0..rank {
        let at = |s: &'_ [Dim]| (i + s.len()).checked_sub(rank).map(|j| s[j].clone());
        shape.push(match (at(a), at(b)) {
            (Some(x), Some(y)) if x == y || y.is_one() => x,
            (Some(x), Some(y)) if x.is_one() => y,
            (Some(x), None) | (None, Some(x)) => x,
            _ => return Err(format!("{op}: shapes {} and {} do not broadcast", show_shape(a), show_shape(b))),
        });
    }
    Ok(shape)
}

/// Whether `from` can be repeated to `to`: every dimension is equal, the constant 1, or missing.
///
/// # Errors
/// If it cannot; `op` names the operation in the message.
pub fn expands(op: &str, from: &[Dim], to: &[Dim]) -> Result<(), String> {
    let offset = to.len().checked_sub(from.len());
    let fits = offset.is_some_and(|o| from.iter().zip(&to[o..]).all(|(a, b)| a == b || a.is_one()));
    if fits && to.iter().all(|d| d.as_const().is_none_or(|v| v >= 0)) {
        return Ok(());
    }
    Err(format!("{op}: shape {} cannot be broadcast to {}", show_shape(from), show_shape(to)))
}

/// Types of the extra operands of a fused operation; each must expand to `to`.
pub(super) fn args_of(op: &str, args: &[Operand<'_>], to: &[Dim]) -> Result<Vec<DType>, String> {
    args.iter().map(|(shape, t)| expands(op, shape, to).map(|()| *t)).collect()
}
