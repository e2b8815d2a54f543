//! Exponential functions from arithmetic, for targets that have none. They work lane by lane without a choice between
//! formulas, so that vectors need no more instructions than scalars.
//!
//! The polynomials interpolate at Chebyshev nodes, with coefficients rounded to f32; the bounds are tested. Reduction of
//! the exponential: Cody and Waite 1980.

use gristmill_graph::Unary;

use super::body::{Body, polynomial};
use crate::expr::{f, i, u};
use crate::kernel::{Expr, F32, Helper, I32, Scalar, Type};

/// `(exp(r) - 1 - r) / r^2` on `[-ln 2 / 2, ln 2 / 2]`.
const EXP: [f32; 5] = [0.5, 0.166_665_76, 0.041_666_552, 0.008_363_233, 0.001_392_625];
/// `ln 2` in two parts; multiples of the first by integers up to 2^15 are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// `(log(1 + t) - t + t^2 / 2) / t^3` on `[sqrt(1/2) - 1, sqrt(2) - 1]`.
const LOG: [f32; 9] = [
    0.333_333_3,
    -0.249_999_97,
    0.200_007_16,
    -0.166_678_03,
    0.142_490_58,
    -0.124_256_87,
    0.116_854_2,
    -0.114_797_34,
    0.069_716_11,
];
/// `-log(1 - erf(t)) / t` on `[0, 3.8]`.
const ERF: [f32; 10] = [
    1.128_379_3,
    0.636_612_53,
    0.102_833_554,
    -0.019_321_814,
    8.070_38e-5,
    1.493_854_8e-3,
    -5.770_933e-4,
    1.167_079_6e-4,
    -1.292_418_6e-5,
    6.166_193_3e-7,
];

/// Literals of a width.
struct Wide(u8);

impl Wide {
    fn ty(&self, scalar: Scalar) -> Type {
        Type::vec(scalar, self.0)
    }

    fn of(&self, e: Expr) -> Expr {
        if self.0 == 1 { e } else { e.splat(self.0) }
    }

    /// Horner's scheme, lowest coefficient first.
    fn polynomial(&self, x: &Expr, coefficients: &[f32]) -> Expr {
        let (last, rest) = coefficients.split_last().unwrap_or((&0.0, &[]));
        rest.iter().rev().fold(self.of(f(*last)), |sum, c| sum.fma(x, self.of(f(*c))))
    }

    fn name(&self, name: &str) -> String {
        if self.0 == 1 { name.to_string() } else { format!("{name}_{}", self.0) }
    }

    /// The magnitude of `y` (not negative) with the sign of `x`.
    fn signed(&self, y: &Expr, x: &Expr) -> Expr {
        let sign = x.bitcast(Scalar::U32).band(self.of(u(1 << 31)));
        y.bitcast(Scalar::U32).bor(sign).bitcast(Scalar::F32)
    }
}

/// Powers of two come from the exponent bits. Relative error below 1.2e-7; 0 below -87.7, infinite above 88.3.
pub(super) fn exp(lanes: u8) -> Helper {
    let w = Wide(lanes);
    let mut b = Body::new(&[("x", w.ty(Scalar::F32))]);
    let float = w.ty(Scalar::F32);
    let x = b.param(0).max(w.of(f(-88.0))).min(w.of(f(89.0)));
    let x = b.let_("clamped", float, x);
    let turns = x.fma(w.of(f(std::f32::consts::LOG2_E)), w.of(f(0.5))).unary(Unary::Floor);
    let turns = b.let_("turns", float, turns);
    let r = LN_2.iter().fold(x, |rest, part| (-turns.clone()).fma(w.of(f(*part)), rest));
    let r = b.let_("r", float, r);
    let p = w.polynomial(&r, &EXP).fma(&r * &r, r) + w.of(f(1.0));
    let p = b.let_("p", float, p);
    let power = (turns.to_i32() + w.of(i(127))).bitcast(Scalar::U32).shl(23).bitcast(Scalar::F32);
    let doc = ["The exponential; relative error below 1.2e-7, 0 below -87.7."];
    b.finish(&w.name("exponential"), &doc, p * power)
}

/// Absolute error below 5e-8 times the larger of 1 and the result; for positive, normal arguments.
pub(super) fn log() -> Helper {
    let mut b = Body::new(&[("x", F32)]);
    let x = b.param(0);
    // The exponent is that of `x / sqrt(1/2)`, so that the rest lies around 1.
    let bits = x.bitcast(Scalar::I32) - i(0x3f35_04f3);
    let exponent = b.let_("exponent", I32, bits.shr(23));
    let rest = x.bitcast(Scalar::I32) - exponent.bitcast(Scalar::U32).shl(23).bitcast(Scalar::I32);
    let t = b.let_("t", F32, rest.bitcast(Scalar::F32) - 1.0);
    let s = b.let_("s", F32, &t * &t);
    let tail = &t * &s * polynomial(&t, &LOG) - &s * 0.5;
    let n = b.let_("n", F32, exponent.to_f32());
    let sum = &n * LN_2[0] + (t + (tail + &n * LN_2[1]));
    // Zero has the largest negative logarithm that is finite; below zero there is none.
    let defined = b.let_("sum", F32, sum);
    let result = x.gt(0.0).select(defined, x.equals(0.0).select(f32::MIN, x.unary(Unary::Sqrt)));
    b.finish("logarithm", &["Natural logarithm; absolute error below 1e-7 per unit of the result."], result)
}

/// `exp(y log(x))`.
pub(super) fn pow(log: u32, exp: u32) -> Helper {
    let b = Body::new(&[("x", F32), ("y", F32)]);
    let logarithm = Expr::Call(log, vec![b.param(0)]);
    let result = Expr::Call(exp, vec![b.param(1) * logarithm]);
    let doc = ["Positive x to the power y; relative error below 2e-7 (1 + |y log x|)."];
    b.finish("power_of_positive", &doc, result)
}

/// One formula from 0 to where the result is 1. Absolute error below 2e-7.
pub(super) fn erf(lanes: u8, exp: u32) -> Helper {
    let w = Wide(lanes);
    let float = w.ty(Scalar::F32);
    let mut b = Body::new(&[("x", float)]);
    let x = b.param(0);
    let t = b.let_("t", float, x.unary(Unary::Abs).min(w.of(f(3.8))));
    let power = Expr::Call(exp, vec![-(w.polynomial(&t, &ERF) * &t)]);
    let size = b.let_("size", float, w.of(f(1.0)) - power);
    let result = w.signed(&size, &x);
    b.finish(&w.name("error_function"), &["Error function; absolute error below 2e-7."], result)
}

/// Absolute error below 2e-7.
pub(super) fn tanh(lanes: u8, exp: u32) -> Helper {
    let w = Wide(lanes);
    let float = w.ty(Scalar::F32);
    let mut b = Body::new(&[("x", float)]);
    let x = b.param(0);
    // Beyond 10 the result is 1 in f32.
    let t = x.unary(Unary::Abs).min(w.of(f(10.0)));
    let e = b.let_("e", float, Expr::Call(exp, vec![&t + &t]));
    let size = b.let_("size", float, w.of(f(1.0)) - w.of(f(2.0)) / (e + w.of(f(1.0))));
    let result = w.signed(&size, &x);
    b.finish(&w.name("tangent"), &["Hyperbolic tangent; absolute error below 2e-7."], result)
}
