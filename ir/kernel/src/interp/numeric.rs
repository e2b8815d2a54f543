//! Evaluates scalar functions. Transcendental functions are computed in f64 and rounded once.

use gristmill_graph::{Binary, Unary};

use crate::kernel::Scalar;

/// Applies a function of one argument to every word; the verifier has seen that it takes them.
pub(super) fn unary(op: Unary, scalar: Scalar, words: &mut [u32]) {
    let each = |words: &mut [u32], f: &dyn Fn(u32) -> u32| words.iter_mut().for_each(|w| *w = f(*w));
    match scalar {
        Scalar::F32 => each(words, &|w| unary_f32(op, f32::from_bits(w)).to_bits()),
        Scalar::I32 => {
            if let Some(f) = op.row().i32 {
                each(words, &|w| f(w as i32) as u32);
            }
        }
        Scalar::U32 => each(words, &|w| !w),
        Scalar::Bool => each(words, &|w| w ^ 1),
    }
}

/// A float function of one argument; NaN if it takes no floats.
pub fn unary_f32(op: Unary, x: f32) -> f32 {
    match op.row().f32 {
        Some(f) if f.exact => (f.single)(x),
        Some(f) => (f.double)(f64::from(x)) as f32,
        None => f32::NAN,
    }
}

/// A float function of two arguments: the bits of the result, or 0 / 1 for comparisons.
pub fn binary_f32(op: Binary, a: f32, b: f32) -> u32 {
    let value = match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Rem => a % b,
        Binary::Pow => f64::from(a).powf(f64::from(b)) as f32,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Lt => return u32::from(a < b),
        Binary::Le => return u32::from(a <= b),
        Binary::Gt => return u32::from(a > b),
        Binary::Ge => return u32::from(a >= b),
        Binary::Eq => return u32::from(a == b),
        Binary::Ne => return u32::from(a != b),
        Binary::And | Binary::Or => return 0,
    };
    value.to_bits()
}

/// A function of two signed integers.
pub fn binary_i32(op: Binary, a: i32, b: i32) -> u32 {
    let value = match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div if b == 0 => a,
        Binary::Div => a.wrapping_div(b),
        Binary::Rem if b == 0 => 0,
        Binary::Rem => a.wrapping_rem(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Lt => return u32::from(a < b),
        Binary::Le => return u32::from(a <= b),
        Binary::Gt => return u32::from(a > b),
        Binary::Ge => return u32::from(a >= b),
        Binary::Eq => return u32::from(a == b),
        Binary::Ne => return u32::from(a != b),
        Binary::Pow | Binary::And | Binary::Or => 0,
    };
    value as u32
}

/// A function of two unsigned integers; `None` where it is not defined.
pub fn binary_u32(op: Binary, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div => a.checked_div(b).unwrap_or(a),
        Binary::Rem => a.checked_rem(b).unwrap_or(0),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Lt => u32::from(a < b),
        Binary::Le => u32::from(a <= b),
        Binary::Gt => u32::from(a > b),
        Binary::Ge => u32::from(a >= b),
        Binary::Eq => u32::from(a == b),
        Binary::Ne => u32::from(a != b),
        Binary::Pow | Binary::And | Binary::Or => return None,
    })
}
