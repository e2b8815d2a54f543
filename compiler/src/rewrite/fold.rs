//! Folds constant expressions.

use gristmill_graph::scalar::Meaning;
use gristmill_graph::{Binary, DType, Literal, Op, Unary};

/// The value of all elements of the result, if it is one constant for these operand values.
///
/// Does not fold where the result might differ from the evaluator's: overflow, `Erf`, NaN.
pub(super) fn uniform(op: &Op, operands: &[Option<Literal>]) -> Option<Literal> {
    let operand = |i: usize| operands.get(i).copied().flatten();
    if let Op::Const(value) = op {
        return Some(*value);
    }
    if let Op::Size(dim) = op {
        return i32::try_from(dim.as_const()?).ok().map(Literal::I32);
    }
    if let Op::Unary(u) = op {
        return unary(*u, operand(0)?);
    }
    if let Op::Binary(b) = op {
        return binary(*b, operand(0)?, operand(1)?);
    }
    if let Op::Cast(to) = op {
        return cast(*to, operand(0)?);
    }
    if *op == Op::Select {
        return match operand(0)? {
            Literal::Bool(chosen) => operand(if chosen { 1 } else { 2 }),
            Literal::F32(_) | Literal::I32(_) => None,
        };
    }
    if op.is_view() { operand(0) } else { None }
}

fn number(value: f32) -> Option<Literal> {
    (!value.is_nan()).then(|| Literal::f32(value))
}

fn unary(op: Unary, x: Literal) -> Option<Literal> {
    let row = op.row();
    match x {
        Literal::F32(x) => number((row.f32.filter(|f| f.exact)?.single)(x.get())),
        Literal::Bool(x) => row.bool.map(|f| Literal::Bool(f(x))),
        // Only these two accept integers, and one of them can overflow.
        Literal::I32(x) if op == Unary::Neg => x.checked_neg().map(Literal::I32),
        Literal::I32(x) if op == Unary::Abs => x.checked_abs().map(Literal::I32),
        Literal::I32(_) => None,
    }
}

fn binary(op: Binary, a: Literal, b: Literal) -> Option<Literal> {
    match (a, b, op.row().meaning) {
        (Literal::F32(a), Literal::F32(b), Meaning::Arithmetic { single, exact: true, .. }) if op != Binary::Rem => {
            number(single(a.get(), b.get()))
        }
        (Literal::I32(a), Literal::I32(b), Meaning::Arithmetic { .. }) => match op {
            Binary::Add => a.checked_add(b).map(Literal::I32),
            Binary::Sub => a.checked_sub(b).map(Literal::I32),
            Binary::Mul => a.checked_mul(b).map(Literal::I32),
            Binary::Div => a.checked_div(b).map(Literal::I32),
            _ => None,
        },
        (Literal::Bool(a), Literal::Bool(b), Meaning::Logic(f)) => Some(Literal::Bool(f(a, b))),
        _ => None,
    }
}

fn cast(to: DType, x: Literal) -> Option<Literal> {
    match (to, x) {
        (DType::F32, Literal::F32(_)) | (DType::I32, Literal::I32(_)) | (DType::Bool, Literal::Bool(_)) => Some(x),
        (DType::F32, Literal::I32(v)) => Some(Literal::f32(v as f32)),
        (DType::F32, Literal::Bool(v)) => Some(Literal::f32(f32::from(u8::from(v)))),
        (DType::I32, Literal::Bool(v)) => Some(Literal::I32(i32::from(v))),
        _ => None,
    }
}

/// A literal as f64, for comparison with numbers in rules.
pub(super) fn as_f64(value: Literal) -> Option<f64> {
    match value {
        Literal::F32(x) => Some(f64::from(x.get())),
        Literal::I32(x) => Some(f64::from(x)),
        Literal::Bool(_) => None,
    }
}
