//! Approximates functions that targets lack, or compute too inaccurately, by functions that all of them have.
//!
//! The polynomials interpolate at Chebyshev nodes, with coefficients rounded to f32. The error bounds are absolute,
//! hold for f32 arithmetic with an `exp` that is off by at most `3 + 2 |x|` units in the last place (what WGSL
//! grants), and are tested with a correctly rounded one.

use gristmill_graph::{Binary, Unary};

use super::body::{Body, polynomial};
use super::exponentials;
use crate::expr::{f, u};
use crate::kernel::{Expr, F32, Helper, Scalar, Stmt, Type, U32};

/// A helper function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    Erf,
    Tanh,
    Sin,
    Cos,
    Pow,
    BytesU8,
    BytesI8,
    Lookup([u32; 4]),
    /// The exponential of so many lanes, where the target has none; and so on.
    Exponential(u8),
    Logarithm,
    /// With the helpers for logarithm and exponential.
    PowerOfPositive(u32, u32),
    /// With the helper for the exponential of as many lanes.
    ErfByExp(u8, u32),
    TanhByExp(u8, u32),
}

/// `erf(x) / x - 1` as a polynomial of `x^2` on `[0, 1]`.
const ERF_SMALL: [f32; 7] =
    [0.128_379_17, -0.376_126_26, 0.112_835_94, -0.026_854_211, 5.189_087e-3, -8.016_864_3e-4, 7.875_875e-5];
/// `-log(1 - erf(x))` on `[1, 4]`.
const ERF_LARGE: [f32; 9] = [
    -3.201_380_6e-4,
    1.130_233_4,
    0.631_826_04,
    0.110_080_086,
    -0.026_421_135,
    4.759_596e-3,
    -5.968_056_5e-4,
    4.605_804e-5,
    -1.637_151_4e-6,
];
/// `(tanh(x) / x - 1) / x^2` as a polynomial of `x^2` on `[0, 0.36]`.
const TANH: [f32; 5] = [-0.333_333_3, 0.133_329_15, -0.053_873_95, 0.021_110_96, -6.269_12e-3];
/// `(sin(x) / x - 1) / x^2` as a polynomial of `x^2` on `[0, (pi/4)^2]`.
const SIN: [f32; 4] = [-0.166_666_67, 8.333_332e-3, -1.984_004e-4, 2.724_378_2e-6];
/// `(cos(x) - 1 + x^2 / 2) / x^4` as a polynomial of `x^2` on `[0, (pi/4)^2]`.
const COS: [f32; 4] = [0.041_666_668, -1.388_888_8e-3, 2.480_056e-5, -2.729_582_6e-7];
/// `pi / 2` in parts; multiples of the first three by integers up to 2^16 are exact (Cody and Waite 1980).
const HALF_PI: [f32; 4] = [1.570_312_5, 4.825_592e-4, 1.266_598_7e-6, 9.920_935e-10];

impl Function {
    pub(super) fn define(self) -> Helper {
        match self {
            Function::Erf => erf(),
            Function::Tanh => tanh(),
            Function::Sin => sin_cos("sine", 0),
            Function::Cos => sin_cos("cosine", 1),
            Function::Pow => pow(),
            Function::BytesU8 => bytes_u8(),
            Function::BytesI8 => bytes_i8(),
            Function::Lookup(table) => lookup(table),
            Function::Exponential(lanes) => exponentials::exp(lanes),
            Function::Logarithm => exponentials::log(),
            Function::PowerOfPositive(log, exp) => exponentials::pow(log, exp),
            Function::ErfByExp(lanes, exp) => exponentials::erf(lanes, exp),
            Function::TanhByExp(lanes, exp) => exponentials::tanh(lanes, exp),
        }
    }
}

impl Helper {
    /// Puts calls of a helper in place of the native power.
    pub(super) fn replace_powers(&mut self, power: u32) {
        fn replace(e: Expr, power: u32) -> Expr {
            match e.map_parts(&mut |part| replace(part, power)) {
                Expr::Binary(Binary::Pow, a, b) => Expr::Call(power, vec![*a, *b]),
                other => other,
            }
        }
        for stmt in &mut self.body {
            if let Stmt::Let(_, e) = stmt {
                *e = replace(e.clone(), power);
            }
        }
        self.result = replace(self.result.clone(), power);
    }
}

/// A polynomial near zero, else `1 - exp` of one. Absolute error below 2e-7.
fn erf() -> Helper {
    let mut b = Body::new(&[("x", F32)]);
    let x = b.param(0);
    let a = b.let_("a", F32, x.unary(Unary::Abs));
    let s = b.let_("s", F32, &x * &x);
    let small = b.let_("small", F32, &x + &x * polynomial(&s, &ERF_SMALL));
    // Beyond 4 the result is 1 in f32.
    let t = b.let_("t", F32, a.min(4.0));
    let large = b.let_("large", F32, f(1.0) - (-polynomial(&t, &ERF_LARGE)).unary(Unary::Exp));
    let signed = x.lt(0.0).select(-large.clone(), large);
    b.finish("erf", &["Error function; absolute error below 2e-7."], a.lt(1.0).select(small, signed))
}

/// A polynomial near zero, else through `exp`. Absolute error below 2e-7, relative below 3e-7.
fn tanh() -> Helper {
    let mut b = Body::new(&[("x", F32)]);
    let x = b.param(0);
    let a = b.let_("a", F32, x.unary(Unary::Abs));
    let s = b.let_("s", F32, &x * &x);
    let small = b.let_("small", F32, &x + &x * (&s * polynomial(&s, &TANH)));
    // Beyond 10 the result is 1 in f32, and the exponential must not overflow.
    let e = b.let_("e", F32, (f(2.0) * a.min(10.0)).unary(Unary::Exp));
    let large = b.let_("large", F32, f(1.0) - f(2.0) / (e + 1.0));
    let signed = x.lt(0.0).select(-large.clone(), large);
    let doc = ["Hyperbolic tangent that does not overflow; absolute error below 2e-7."];
    b.finish("tanh_safe", &doc, a.lt(0.6).select(small, signed))
}

/// Reduction to a quarter turn in four exact steps, then polynomials. Absolute error below 2e-7 for `|x| <= 1e5`.
/// The cosine is the sine one quadrant on.
fn sin_cos(name: &str, quadrants: u32) -> Helper {
    let mut b = Body::new(&[("x", F32)]);
    let x = b.param(0);
    let turns = (&x * std::f32::consts::FRAC_2_PI + 0.5).unary(Unary::Floor);
    let turns = b.let_("turns", F32, turns);
    let r = HALF_PI.iter().fold(x, |rest, part| rest - &turns * *part);
    let r = b.let_("r", F32, r);
    let s = b.let_("s", F32, &r * &r);
    let sine = b.let_("sine_r", F32, &r + &r * (&s * polynomial(&s, &SIN)));
    let cosine = b.let_("cosine_r", F32, f(1.0) - &s * 0.5 + &s * &s * polynomial(&s, &COS));
    let quadrant = (turns.to_i32().bitcast(Scalar::U32) + quadrants).band(3);
    let quadrant = b.let_("quadrant", U32, quadrant);
    let value = b.let_("value", F32, quadrant.band(1).equals(1).select(cosine, sine));
    let result = quadrant.ge(2).select(-value.clone(), value);
    let doc = format!("The {name} of radians up to 1e5; absolute error below 2e-7.");
    b.finish(if quadrants == 0 { "sine" } else { "cosine" }, &[&doc], result)
}

/// The native power is defined for positive bases only.
fn pow() -> Helper {
    let mut b = Body::new(&[("x", F32), ("y", F32)]);
    let (x, y) = (b.param(0), b.param(1));
    let magnitude = Expr::Binary(Binary::Pow, Box::new(x.unary(Unary::Abs)), Box::new(y.clone()));
    let magnitude = b.let_("magnitude", F32, magnitude);
    let odd = b.let_("odd", crate::kernel::BOOL, (&y - (&y * 0.5).unary(Unary::Floor) * 2.0).equals(1.0));
    let signed = odd.select(-magnitude.clone(), &magnitude);
    // The square root of a negative number is what a fractional power of it is.
    let whole = y.unary(Unary::Floor).equals(&y);
    let negative = b.let_("negative", F32, whole.select(signed, x.unary(Unary::Sqrt)));
    let zero = y.gt(0.0).select(0.0, y.equals(0.0).select(1.0, f32::MAX));
    let zero = b.let_("zero", F32, zero);
    let result = x.equals(0.0).select(zero, x.lt(0.0).select(negative, magnitude));
    b.finish("power", &["x to the power y, also for bases that are zero or negative."], result)
}

fn bytes_u8() -> Helper {
    let b = Body::new(&[("word", U32)]);
    let word = b.param(0);
    let result = four_bytes(&word);
    b.finish("bytes_u8", &["The four bytes of a word, lowest first."], result)
}

fn bytes_i8() -> Helper {
    let mut b = Body::new(&[("word", U32)]);
    let word = b.param(0);
    // Moves -128..127 to 0..255, so that no byte is torn at its sign.
    let raised = b.let_("raised", U32, word.bxor(0x8080_8080));
    let bytes = b.let_("bytes", Type::vec(Scalar::U32, 4), four_bytes(&raised));
    let result = bytes.bitcast(Scalar::I32) - crate::expr::i(128).splat(4);
    b.finish("bytes_i8", &["The four signed bytes of a word, lowest first."], result)
}

fn lookup(table: [u32; 4]) -> Helper {
    let mut b = Body::new(&[("indices", U32)]);
    let four = Type::vec(Scalar::U32, 4);
    let table = b.let_("table", four, Expr::vec(table.map(u)));
    let index = b.let_("index", four, four_bytes(&b.param(0)));
    let bytes = (0..4u32).map(|i| {
        let index = index.lane(i);
        let word = table.lane(index.shr(2));
        word.shr(index.band(3).shl(3)).band(255).shl(8 * i)
    });
    let result = bytes.reduce(|a, c| a.bor(c)).unwrap_or(u(0));
    b.finish("table_bytes", &["Each byte of a word, 0 to 15, replaced by the one of a table."], result)
}

fn four_bytes(word: &Expr) -> Expr {
    let bytes: Vec<Expr> = [0, 8, 16, 24].into_iter().map(|shift| word.shr(shift)).collect();
    Expr::vec(bytes).band(u(255).splat(4))
}
