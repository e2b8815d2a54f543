//! Values of constant expressions.

use gristmill_graph::{Binary, DType, Literal, Op, Unary};

/// The value of all elements of the result, if it is one constant for these operand values.
///
/// Nothing is folded whose result might differ from what the evaluator computes: no overflow, no `Erf`, no NaN.
pub(super) fn uniform(op: &Op, operands: &[Option<Literal>]) -> Option<Literal> {
    let operand = |i: usize| operands.get(i).copied().flatten();
    match op {
        Op::Const(value) => Some(*value),
        Op::Size(dim) => i32::try_from(dim.as_const()?).ok().map(Literal::I32),
        op if op.is_view() => operand(0),
        Op::Unary(u) => unary(*u, operand(0)?),
        Op::Binary(b) => binary(*b, operand(0)?, operand(1)?),
        Op::Cast(to) => cast(*to, operand(0)?),
        Op::Select => match operand(0)? {
            Literal::Bool(true) => operand(1),
            Literal::Bool(false) => operand(2),
            _ => None,
        },
        _ => None,
    }
}

fn number(value: f32) -> Option<Literal> {
    (!value.is_nan()).then(|| Literal::f32(value))
}

fn unary(op: Unary, x: Literal) -> Option<Literal> {
    match (op, x) {
        (Unary::Neg, Literal::F32(x)) => number(-x.get()),
        (Unary::Abs, Literal::F32(x)) => number(x.get().abs()),
        (Unary::Sqrt, Literal::F32(x)) => number(x.get().sqrt()),
        (Unary::Rsqrt, Literal::F32(x)) => number(1.0 / x.get().sqrt()),
        (Unary::Recip, Literal::F32(x)) => number(1.0 / x.get()),
        (Unary::Floor, Literal::F32(x)) => number(x.get().floor()),
        (Unary::Neg, Literal::I32(x)) => x.checked_neg().map(Literal::I32),
        (Unary::Abs, Literal::I32(x)) => x.checked_abs().map(Literal::I32),
        (Unary::Not, Literal::Bool(x)) => Some(Literal::Bool(!x)),
        _ => None,
    }
}

fn binary(op: Binary, a: Literal, b: Literal) -> Option<Literal> {
    match (a, b) {
        (Literal::F32(a), Literal::F32(b)) => {
            let (a, b) = (a.get(), b.get());
            match op {
                Binary::Add => number(a + b),
                Binary::Sub => number(a - b),
                Binary::Mul => number(a * b),
                Binary::Div => number(a / b),
                Binary::Max => number(a.max(b)),
                Binary::Min => number(a.min(b)),
                _ => None,
            }
        }
        (Literal::I32(a), Literal::I32(b)) => match op {
            Binary::Add => a.checked_add(b).map(Literal::I32),
            Binary::Sub => a.checked_sub(b).map(Literal::I32),
            Binary::Mul => a.checked_mul(b).map(Literal::I32),
            Binary::Div => a.checked_div(b).map(Literal::I32),
            _ => None,
        },
        (Literal::Bool(a), Literal::Bool(b)) => match op {
            Binary::And => Some(Literal::Bool(a && b)),
            Binary::Or => Some(Literal::Bool(a || b)),
            _ => None,
        },
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

/// A literal as a number, for comparison with numbers in rules.
pub(super) fn as_f64(value: Literal) -> Option<f64> {
    match value {
        Literal::F32(x) => Some(f64::from(x.get())),
        Literal::I32(x) => Some(f64::from(x)),
        Literal::Bool(_) => None,
    }
}
