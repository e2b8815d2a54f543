//! Operations whose result elements depend on the operands' elements of the same index.

use super::erf;
use super::movement::broadcast;
use super::tensor::{Data, Tensor, scalar};
use crate::dtype::DType;
use crate::scalar::{Binary, Scalar, Unary};

/// A one-argument function of every element.
pub(super) fn unary(op: Unary, x: &Tensor) -> Result<Tensor, String> {
    let data = match (&x.data, op) {
        (Data::F32(v), _) => {
            let f = unary_f32(op).ok_or_else(|| format!("{op:?} is not a function of f32"))?;
            Data::F32(v.iter().map(|a| f(*a)).collect())
        }
        (Data::I32(v), Unary::Neg) => Data::I32(v.iter().map(|a| a.wrapping_neg()).collect()),
        (Data::I32(v), Unary::Abs) => Data::I32(v.iter().map(|a| a.wrapping_abs()).collect()),
        (Data::Bool(v), Unary::Not) => Data::Bool(v.iter().map(|a| !a).collect()),
        _ => return Err(format!("{op:?} is not a function of {}", x.dtype())),
    };
    Ok(Tensor { shape: x.shape.clone(), data })
}

fn unary_f32(op: Unary) -> Option<fn(f32) -> f32> {
    Some(match op {
        Unary::Neg => |a| -a,
        Unary::Abs => f32::abs,
        Unary::Exp => f32::exp,
        Unary::Log => f32::ln,
        Unary::Sqrt => f32::sqrt,
        Unary::Rsqrt => |a| 1.0 / a.sqrt(),
        Unary::Recip => |a| 1.0 / a,
        Unary::Tanh => f32::tanh,
        Unary::Erf => erf,
        Unary::Sin => f32::sin,
        Unary::Cos => f32::cos,
        Unary::Floor => f32::floor,
        Unary::Not => return None,
    })
}

/// The common shape of operands, which inference has found to exist.
fn common(operands: &[&Tensor]) -> Vec<usize> {
    let rank = operands.iter().map(|t| t.shape.len()).max().unwrap_or(0);
    let mut shape = vec![1; rank];
    for t in operands {
        for (to, from) in shape[rank - t.shape.len()..].iter_mut().zip(&t.shape) {
            if *from != 1 {
                *to = *from;
            }
        }
    }
    shape
}

/// A two-argument function of every pair of elements, after broadcasting.
pub(super) fn binary(op: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let shape = common(&[a, b]);
    let (a, b) = (broadcast(a, &shape), broadcast(b, &shape));
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => binary_f32(op, a, b),
        (Data::I32(a), Data::I32(b)) => binary_i32(op, a, b),
        (Data::Bool(a), Data::Bool(b)) => binary_bool(op, a, b),
        _ => None,
    };
    let data = data.ok_or_else(|| format!("{op:?} is not a function of {} and {}", a.dtype(), b.dtype()))?;
    Ok(Tensor { shape, data })
}

fn zip<T: Copy, R>(a: &[T], b: &[T], f: impl Fn(T, T) -> R) -> Vec<R> {
    a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()
}

fn compare<T: Copy + PartialOrd>(op: Binary, a: &[T], b: &[T]) -> Option<Data> {
    Some(Data::Bool(match op {
        Binary::Lt => zip(a, b, |a, b| a < b),
        Binary::Le => zip(a, b, |a, b| a <= b),
        Binary::Gt => zip(a, b, |a, b| a > b),
        Binary::Ge => zip(a, b, |a, b| a >= b),
        Binary::Eq => zip(a, b, |a, b| a == b),
        Binary::Ne => zip(a, b, |a, b| a != b),
        _ => return None,
    }))
}

fn binary_f32(op: Binary, a: &[f32], b: &[f32]) -> Option<Data> {
    Some(Data::F32(match op {
        Binary::Add => zip(a, b, |a, b| a + b),
        Binary::Sub => zip(a, b, |a, b| a - b),
        Binary::Mul => zip(a, b, |a, b| a * b),
        Binary::Div => zip(a, b, |a, b| a / b),
        Binary::Rem => zip(a, b, |a, b| a % b),
        Binary::Pow => zip(a, b, f32::powf),
        Binary::Max => zip(a, b, f32::max),
        Binary::Min => zip(a, b, f32::min),
        Binary::And | Binary::Or => return None,
        _ => return compare(op, a, b),
    }))
}

fn binary_i32(op: Binary, a: &[i32], b: &[i32]) -> Option<Data> {
    Some(Data::I32(match op {
        Binary::Add => zip(a, b, i32::wrapping_add),
        Binary::Sub => zip(a, b, i32::wrapping_sub),
        Binary::Mul => zip(a, b, i32::wrapping_mul),
        Binary::Div => zip(a, b, |a, b| if b == 0 { a } else { a.wrapping_div(b) }),
        Binary::Rem => zip(a, b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        Binary::Max => zip(a, b, i32::max),
        Binary::Min => zip(a, b, i32::min),
        Binary::Pow | Binary::And | Binary::Or => return None,
        _ => return compare(op, a, b),
    }))
}

fn binary_bool(op: Binary, a: &[bool], b: &[bool]) -> Option<Data> {
    Some(Data::Bool(match op {
        Binary::And => zip(a, b, |a, b| a && b),
        Binary::Or => zip(a, b, |a, b| a || b),
        Binary::Eq => zip(a, b, |a, b| a == b),
        Binary::Ne => zip(a, b, |a, b| a != b),
        _ => return None,
    }))
}

/// `then` where the condition holds, `otherwise` elsewhere.
pub(super) fn select(condition: &Tensor, then: &Tensor, otherwise: &Tensor) -> Result<Tensor, String> {
    fn pick<T: Copy>(condition: &[bool], then: &[T], otherwise: &[T]) -> Vec<T> {
        condition.iter().zip(then.iter().zip(otherwise)).map(|(c, (a, b))| if *c { *a } else { *b }).collect()
    }
    let shape = common(&[condition, then, otherwise]);
    let [c, a, b] = [condition, then, otherwise].map(|t| broadcast(t, &shape));
    let Data::Bool(c) = &c.data else {
        return Err(format!("expected a condition of type bool, found {}", condition.dtype()));
    };
    let data = match (&a.data, &b.data) {
        (Data::F32(a), Data::F32(b)) => Data::F32(pick(c, a, b)),
        (Data::I32(a), Data::I32(b)) => Data::I32(pick(c, a, b)),
        (Data::Bool(a), Data::Bool(b)) => Data::Bool(pick(c, a, b)),
        _ => return Err(format!("expected alternatives of one type, found {} and {}", a.dtype(), b.dtype())),
    };
    Ok(Tensor { shape, data })
}

/// Conversion of every element. f32 to i32 truncates and saturates; everything but zero is true.
pub(super) fn cast(to: DType, x: &Tensor) -> Tensor {
    let data = match (&x.data, to) {
        (Data::F32(v), DType::I32) => Data::I32(v.iter().map(|a| *a as i32).collect()),
        (Data::F32(v), DType::Bool) => Data::Bool(v.iter().map(|a| *a != 0.0).collect()),
        (Data::I32(v), DType::F32) => Data::F32(v.iter().map(|a| *a as f32).collect()),
        (Data::I32(v), DType::Bool) => Data::Bool(v.iter().map(|a| *a != 0).collect()),
        (Data::Bool(v), DType::F32) => Data::F32(v.iter().map(|a| f32::from(u8::from(*a))).collect()),
        (Data::Bool(v), DType::I32) => Data::I32(v.iter().map(|a| i32::from(*a)).collect()),
        (same, _) => same.clone(),
    };
    Tensor { shape: x.shape.clone(), data }
}

/// A scalar expression applied to all elements: accumulators and arguments are whole tensors that broadcast.
pub(super) fn expression(expr: &Scalar, accumulators: &[Tensor], args: &[&Tensor]) -> Result<Tensor, String> {
    let of = |e: &Scalar| expression(e, accumulators, args);
    match expr {
        Scalar::Acc(i) => accumulators.get(usize::from(*i)).cloned().ok_or(format!("no accumulator {i}")),
        Scalar::Arg(i) => args.get(usize::from(*i)).map(|t| (*t).clone()).ok_or(format!("no argument {i}")),
        Scalar::Lit(value) => Ok(scalar(*value)),
        Scalar::Unary(op, a) => unary(*op, &of(a)?),
        Scalar::Binary(op, a, b) => binary(*op, &of(a)?, &of(b)?),
        Scalar::Select(c, a, b) => select(&of(c)?, &of(a)?, &of(b)?),
        Scalar::Cast(to, a) => Ok(cast(*to, &of(a)?)),
    }
}
