//! What the scalar functions mean. Transcendental functions are computed in f64 and rounded once.

use gristmill_graph::{Binary, Unary};
use half::f16;

use crate::kernel::Scalar;

/// Rounds an f32 (as bits) to the nearest f16, still as f32.
pub(super) fn round_f16(word: u32) -> u32 {
    f16::from_f32(f32::from_bits(word)).to_f32().to_bits()
}

/// Applies a function of one argument to every word.
pub(super) fn unary(op: Unary, scalar: Scalar, words: &mut [u32]) {
    let each = |words: &mut [u32], f: &dyn Fn(u32) -> u32| words.iter_mut().for_each(|w| *w = f(*w));
    match (scalar, op) {
        (Scalar::F32, _) => each(words, &|w| unary_f32(op, f32::from_bits(w)).to_bits()),
        (Scalar::F16, _) => each(words, &|w| round_f16(unary_f32(op, f32::from_bits(w)).to_bits())),
        (Scalar::I32, Unary::Neg) => each(words, &|w| (w as i32).wrapping_neg() as u32),
        (Scalar::I32, _) => each(words, &|w| (w as i32).wrapping_abs() as u32),
        (Scalar::U32, _) => each(words, &|w| !w),
        (Scalar::Bool, _) => each(words, &|w| w ^ 1),
    }
}

/// A float function of one argument.
pub fn unary_f32(op: Unary, x: f32) -> f32 {
    let wide = f64::from(x);
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Exp => wide.exp() as f32,
        Unary::Log => wide.ln() as f32,
        Unary::Sqrt => x.sqrt(),
        Unary::Rsqrt => (1.0 / wide.sqrt()) as f32,
        Unary::Recip => 1.0 / x,
        Unary::Tanh => wide.tanh() as f32,
        Unary::Erf => erf(wide) as f32,
        Unary::Sin => wide.sin() as f32,
        Unary::Cos => wide.cos() as f32,
        Unary::Floor => x.floor(),
        // Not defined on floats; the verifier refuses it.
        Unary::Not => x,
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

/// The error function in f64: its Taylor series where that converges without cancellation, else the continued
/// fraction of the complement. Absolute error below 1e-14.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    let two_over_sqrt_pi = std::f64::consts::FRAC_2_SQRT_PI;
    let value = if a.is_nan() {
        a
    } else if a < 2.5 {
        // erf(x) = 2/sqrt(pi) * exp(-x^2) * sum 2^n x^(2n+1) / (2n+1)!!: all terms are positive.
        let (mut term, mut sum) = (a, a);
        for n in 1..100 {
            term *= 2.0 * a * a / f64::from(2 * n + 1);
            sum += term;
        }
        two_over_sqrt_pi * (-a * a).exp() * sum
    } else {
        let fraction = (1..60).rev().fold(a, |f, n| a + f64::from(n) / 2.0 / f);
        1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_function_against_tables() {
        // Abramowitz and Stegun, table 7.1.
        let table = [(0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650), (3.0, 0.9999779095)];
        for (x, y) in table {
            assert!((erf(x) - y).abs() < 1e-10, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
        assert!((erf(2.4999999999) - erf(2.5)).abs() < 1e-12);
        assert_eq!(erf(f64::INFINITY), 1.0);
    }
}
