//! Scalar functions, a row for each, and small expressions over them.
//!
//! A row has everything about a function: its name, its meaning for each element type, its cost, what rewriting may
//! assume, how kernels compute it, and its text in the manual. A new function of one element is a row here; if it is
//! [composed](Form::Composed) of others, no other file changes.
//!
//! A [`Scalar`] is what a fused operation applies to each element of its result: the epilogue of a
//! linear layer, or the score function of attention (scale, mask, bias, cap).

use serde::{Deserialize, Serialize};

use crate::dtype::DType;
use crate::erf::erf;
use crate::literal::Literal;

/// A function of floats, in both precisions.
#[derive(Clone, Copy, Debug)]
pub struct OfFloats {
    /// In single precision: what the evaluator computes.
    pub single: fn(f32) -> f32,
    /// In double precision: what formulas compute with numbers, and the kernel interpreter before it rounds.
    pub double: fn(f64) -> f64,
    /// Whether `single` consists of arithmetic and roots, which round in the same way on all targets. Only such
    /// functions are folded over constants, and the kernel interpreter computes them in single precision, too.
    pub exact: bool,
}

/// How kernels compute a function.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// By an instruction or built-in function of the same meaning.
    Native(Native),
    /// By arithmetic whose error is bounded; see `gristmill_kernel::legalize`.
    Approximated(Approximation),
    /// As an expression over other functions of its argument.
    Composed(fn(Scalar) -> Scalar),
}

/// Functions that kernel languages have. Printers know these and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// `e^x`, where the target has it.
    Exp,
    /// Natural logarithm, where the target has it.
    Log,
    /// Square root.
    Sqrt,
    /// Largest integer not above.
    Floor,
    /// Logical negation, or that of all bits.
    Not,
}

/// Functions that legalization replaces by polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approximation {
    /// Hyperbolic tangent.
    Tanh,
    /// Error function.
    Erf,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
}

/// All facts about a function of one argument. The result has the type of the argument.
#[derive(Clone, Copy, Debug)]
pub struct UnaryRow {
    /// Its name in formulas, rules, traces and errors.
    pub name: &'static str,
    /// Its result in words, for `models/OPS.md`.
    pub doc: &'static str,
    /// Whether formulas call it by name; other functions are operators.
    pub called: bool,
    /// Its meaning for f32, if it accepts that type.
    pub f32: Option<OfFloats>,
    /// Its meaning for i32, if it accepts that type. Integers wrap.
    pub i32: Option<fn(i32) -> i32>,
    /// Its meaning for bool, if it accepts that type.
    pub bool: Option<fn(bool) -> bool>,
    /// Approximate number of instructions per element.
    pub flops: f64,
    /// Whether it is so slow that kernels should share its result instead of each computing it.
    pub costly: bool,
    /// How kernels compute it.
    pub form: Form,
    /// The range of arguments for which kernels are within [`KERNEL_ERROR`].
    pub domain: [f32; 2],
}

/// The largest error of a function in a kernel: absolute, or relative for results above 1.
pub const KERNEL_ERROR: f64 = 4e-7;

/// All floats.
const ANY: [f32; 2] = [f32::MIN, f32::MAX];

/// Declares the functions of one argument, each with its row.
macro_rules! unary_functions {
    ($($(#[doc = $doc:literal])+ $variant:ident { $($row:tt)* })*) => {
        /// Functions of one argument; [`Unary::row`] describes each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Unary { $($(#[doc = $doc])+ $variant),* }

        impl Unary {
            /// All of them.
            pub const ALL: &'static [Unary] = &[$(Unary::$variant),*];

            /// Its row.
            pub fn row(self) -> &'static UnaryRow {
                match self {
                    $(Unary::$variant => {
                        const ROW: UnaryRow = UnaryRow { doc: concat!($($doc),+), $($row)* };
                        &ROW
                    })*
                }
            }
        }
    };
}

unary_functions! {
    /// `-x`.
    Neg {
        name: "neg",
        called: false,
        f32: exact(|x| -x, |x| -x),
        i32: Some(i32::wrapping_neg),
        bool: None,
        flops: 1.0,
        costly: false,
        form: Form::Native(Native::Neg),
        domain: ANY,
    }
    /// The absolute value.
    Abs {
        name: "abs",
        called: true,
        f32: exact(f32::abs, f64::abs),
        i32: Some(i32::wrapping_abs),
        bool: None,
        flops: 1.0,
        costly: false,
        form: Form::Native(Native::Abs),
        domain: ANY,
    }
    /// `e^x`.
    Exp {
        name: "exp",
        called: true,
        f32: rounded(f32::exp, f64::exp),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: true,
        form: Form::Native(Native::Exp),
        domain: [-87.0, 87.0],
    }
    /// The natural logarithm.
    Log {
        name: "log",
        called: true,
        f32: rounded(f32::ln, f64::ln),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: true,
        form: Form::Native(Native::Log),
        domain: [1e-37, 1e30],
    }
    /// The square root.
    Sqrt {
        name: "sqrt",
        called: true,
        f32: exact(f32::sqrt, f64::sqrt),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: true,
        form: Form::Native(Native::Sqrt),
        domain: [0.0, f32::MAX],
    }
    /// `1 / sqrt(x)`.
    Rsqrt {
        name: "rsqrt",
        called: true,
        f32: exact(|x| 1.0 / x.sqrt(), |x| 1.0 / x.sqrt()),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: true,
        form: Form::Composed(|x| Scalar::number(1.0).binary(Binary::Div, x.unary(Unary::Sqrt))),
        domain: [1e-37, f32::MAX],
    }
    /// `1 / x`.
    Recip {
        name: "recip",
        called: true,
        f32: exact(|x| 1.0 / x, |x| 1.0 / x),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: false,
        form: Form::Composed(|x| Scalar::number(1.0).binary(Binary::Div, x)),
        domain: ANY,
    }
    /// The hyperbolic tangent.
    Tanh {
        name: "tanh",
        called: true,
        f32: rounded(f32::tanh, f64::tanh),
        i32: None,
        bool: None,
        flops: 8.0,
        costly: true,
        form: Form::Approximated(Approximation::Tanh),
        domain: [-200.0, 200.0],
    }
    /// The error function.
    Erf {
        name: "erf",
        called: true,
        f32: rounded(|x| erf(f64::from(x)) as f32, erf),
        i32: None,
        bool: None,
        flops: 16.0,
        costly: true,
        form: Form::Approximated(Approximation::Erf),
        domain: [-20.0, 20.0],
    }
    /// The sine.
    Sin {
        name: "sin",
        called: true,
        f32: rounded(f32::sin, f64::sin),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: true,
        form: Form::Approximated(Approximation::Sin),
        domain: [-1e5, 1e5],
    }
    /// The cosine.
    Cos {
        name: "cos",
        called: true,
        f32: rounded(f32::cos, f64::cos),
        i32: None,
        bool: None,
        flops: 4.0,
        costly: true,
        form: Form::Approximated(Approximation::Cos),
        domain: [-1e5, 1e5],
    }
    /// The largest integer not above `x`.
    Floor {
        name: "floor",
        called: true,
        f32: exact(f32::floor, f64::floor),
        i32: None,
        bool: None,
        flops: 1.0,
        costly: false,
        form: Form::Native(Native::Floor),
        domain: ANY,
    }
    /// Logical negation.
    Not {
        name: "not",
        called: false,
        f32: None,
        i32: None,
        bool: Some(|x| !x),
        flops: 1.0,
        costly: false,
        form: Form::Native(Native::Not),
        domain: ANY,
    }
    /// `log(1 + x)`, accurate near 0.
    Log1p {
        name: "log1p",
        called: true,
        f32: rounded(f32::ln_1p, f64::ln_1p),
        i32: None,
        bool: None,
        flops: 8.0,
        costly: true,
        form: Form::Composed(log1p),
        domain: [-0.9999, 1e30],
    }
}

/// Near 0 the series of `2 artanh(x / (2 + x))`, whose fifth term is negligible there; `log(1 + x)` elsewhere.
fn log1p(x: Scalar) -> Scalar {
    let s = x.clone().binary(Binary::Div, x.clone().binary(Binary::Add, Scalar::number(2.0)));
    let square = s.clone().binary(Binary::Mul, s.clone());
    let term = |sum: Scalar, c: f32| sum.binary(Binary::Mul, square.clone()).binary(Binary::Add, Scalar::number(c));
    let series = [2.0 / 5.0, 2.0 / 3.0, 2.0].into_iter().fold(Scalar::number(2.0 / 7.0), term);
    let near = x.clone().unary(Unary::Abs).binary(Binary::Lt, Scalar::number(0.25));
    let far = x.binary(Binary::Add, Scalar::number(1.0)).unary(Unary::Log);
    Scalar::Select(Box::new(near), Box::new(s.binary(Binary::Mul, series)), Box::new(far))
}

const fn exact(single: fn(f32) -> f32, double: fn(f64) -> f64) -> Option<OfFloats> {
    Some(OfFloats { single, double, exact: true })
}

const fn rounded(single: fn(f32) -> f32, double: fn(f64) -> f64) -> Option<OfFloats> {
    Some(OfFloats { single, double, exact: false })
}

impl Unary {
    /// The function with this name.
    pub fn named(name: &str) -> Option<Unary> {
        Unary::ALL.iter().copied().find(|f| f.row().name == name)
    }

    /// The types that it accepts; the result has the same type.
    pub fn takes(self) -> Vec<DType> {
        let row = self.row();
        let known =
            [(DType::F32, row.f32.is_some()), (DType::I32, row.i32.is_some()), (DType::Bool, row.bool.is_some())];
        known.into_iter().filter_map(|(t, takes)| takes.then_some(t)).collect()
    }
}

/// The meaning of a function of two arguments.
#[derive(Clone, Copy, Debug)]
pub enum Meaning {
    /// A number from two numbers of one type.
    Arithmetic {
        /// Of f32.
        single: fn(f32, f32) -> f32,
        /// Of f64: numbers in formulas, and the kernel interpreter if the function is not exact.
        double: fn(f64, f64) -> f64,
        /// Of i32, if it accepts that type. Integers wrap; `x / 0` is `x` and `x % 0` is 0, as in WGSL.
        i32: Option<fn(i32, i32) -> i32>,
        /// Whether it is arithmetic that rounds in the same way on all targets.
        exact: bool,
    },
    /// A truth value from two values of one type.
    Comparison {
        /// Of f32.
        f32: fn(&f32, &f32) -> bool,
        /// Of i32.
        i32: fn(&i32, &i32) -> bool,
        /// Of bool, if it accepts that type.
        bool: Option<fn(&bool, &bool) -> bool>,
    },
    /// A truth value from two truth values.
    Logic(fn(bool, bool) -> bool),
}

/// All facts about a function of two arguments of one type.
#[derive(Clone, Copy, Debug)]
pub struct BinaryRow {
    /// Its name in rules, traces and errors.
    pub name: &'static str,
    /// Its result in words, for `models/OPS.md`.
    pub doc: &'static str,
    /// What it computes.
    pub meaning: Meaning,
    /// Whether it is commutative.
    pub commutes: bool,
    /// Approximate number of instructions per element.
    pub flops: f64,
    /// Whether it is so slow that kernels should share its result instead of each computing it.
    pub costly: bool,
}

/// Declares the functions of two arguments, each with its row.
macro_rules! binary_functions {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $meaning:expr, $commutes:expr, $flops:literal;)*) => {
        /// Functions of two arguments of one type; [`Binary::row`] describes each. Comparisons return bool.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Binary { $($(#[doc = $doc])+ $variant),* }

        impl Binary {
            /// All of them.
            pub const ALL: &'static [Binary] = &[$(Binary::$variant),*];

            /// Its row.
            pub fn row(self) -> &'static BinaryRow {
                match self {
                    $(Binary::$variant => {
                        const ROW: BinaryRow = BinaryRow {
                            name: $name,
                            doc: concat!($($doc),+),
                            meaning: $meaning,
                            commutes: $commutes,
                            flops: $flops,
                            // A power is the only one that is not an instruction or two.
                            costly: matches!($meaning, Meaning::Arithmetic { exact: false, .. }),
                        };
                        &ROW
                    })*
                }
            }
        }
    };
}

binary_functions! {
    /// `a + b`.
    Add "add" number(|a, b| a + b, |a, b| a + b, i32::wrapping_add), true, 1.0;
    /// `a - b`.
    Sub "sub" number(|a, b| a - b, |a, b| a - b, i32::wrapping_sub), false, 1.0;
    /// `a * b`.
    Mul "mul" number(|a, b| a * b, |a, b| a * b, i32::wrapping_mul), true, 1.0;
    /// `a / b`; for i32, rounded towards zero.
    Div "div"
        number(|a, b| a / b, |a, b| a / b, |a, b| if b == 0 { a } else { a.wrapping_div(b) }), false, 4.0;
    /// The remainder, with the sign of the dividend.
    Rem "rem"
        number(|a, b| a % b, |a, b| a % b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }), false, 4.0;
    /// `a^b`.
    Pow "pow"
        Meaning::Arithmetic { single: f32::powf, double: f64::powf, i32: None, exact: false }, false, 16.0;
    /// The larger one.
    Max "max" number(f32::max, f64::max, larger), true, 1.0;
    /// The smaller one.
    Min "min" number(f32::min, f64::min, smaller), true, 1.0;
    /// `a < b`.
    Lt "lt" Meaning::Comparison { f32: f32::lt, i32: i32::lt, bool: None }, false, 1.0;
    /// `a <= b`.
    Le "le" Meaning::Comparison { f32: f32::le, i32: i32::le, bool: None }, false, 1.0;
    /// `a > b`.
    Gt "gt" Meaning::Comparison { f32: f32::gt, i32: i32::gt, bool: None }, false, 1.0;
    /// `a >= b`.
    Ge "ge" Meaning::Comparison { f32: f32::ge, i32: i32::ge, bool: None }, false, 1.0;
    /// `a == b`.
    Eq "eq" Meaning::Comparison { f32: f32::eq, i32: i32::eq, bool: Some(bool::eq) }, false, 1.0;
    /// `a != b`.
    Ne "ne" Meaning::Comparison { f32: f32::ne, i32: i32::ne, bool: Some(bool::ne) }, false, 1.0;
    /// `a and b`.
    And "and" Meaning::Logic(|a, b| a && b), true, 1.0;
    /// `a or b`.
    Or "or" Meaning::Logic(|a, b| a || b), true, 1.0;
}

const fn number(single: fn(f32, f32) -> f32, double: fn(f64, f64) -> f64, integers: fn(i32, i32) -> i32) -> Meaning {
    Meaning::Arithmetic { single, double, i32: Some(integers), exact: true }
}

fn larger(a: i32, b: i32) -> i32 {
    a.max(b)
}

fn smaller(a: i32, b: i32) -> i32 {
    a.min(b)
}

impl Binary {
    /// The function with this name.
    pub fn named(name: &str) -> Option<Binary> {
        Binary::ALL.iter().copied().find(|f| f.row().name == name)
    }

    /// Whether the result is bool for all argument types.
    pub fn is_comparison(self) -> bool {
        matches!(self.row().meaning, Meaning::Comparison { .. })
    }

    /// The types that it accepts; both arguments have the same one.
    pub fn takes(self) -> &'static [DType] {
        match self.row().meaning {
            Meaning::Arithmetic { i32: Some(_), .. } => &[DType::F32, DType::I32],
            Meaning::Arithmetic { i32: None, .. } => &[DType::F32],
            Meaning::Comparison { bool: Some(_), .. } => &[DType::F32, DType::I32, DType::Bool],
            Meaning::Comparison { bool: None, .. } => &[DType::F32, DType::I32],
            Meaning::Logic(_) => &[DType::Bool],
        }
    }
}

/// An expression over accumulators and argument elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scalar {
    /// The `i`-th accumulator of the fused operation (f32).
    Acc(u8),
    /// The element of the `i`-th extra operand, at the index of the result element.
    Arg(u8),
    /// A constant.
    Lit(Literal),
    /// One-argument function.
    Unary(Unary, Box<Scalar>),
    /// Two-argument function.
    Binary(Binary, Box<Scalar>, Box<Scalar>),
    /// `if condition { then } else { otherwise }`.
    Select(Box<Scalar>, Box<Scalar>, Box<Scalar>),
    /// Conversion to another element type.
    Cast(DType, Box<Scalar>),
}

impl Scalar {
    /// The identity epilogue: the first accumulator.
    pub fn identity() -> Self {
        Scalar::Acc(0)
    }

    /// A constant.
    pub fn number(value: f32) -> Self {
        Scalar::Lit(Literal::f32(value))
    }

    /// A function of this.
    pub fn unary(self, op: Unary) -> Self {
        Scalar::Unary(op, Box::new(self))
    }

    /// A function of this and another one.
    pub fn binary(self, op: Binary, other: Scalar) -> Self {
        Scalar::Binary(op, Box::new(self), Box::new(other))
    }

    /// Approximate number of instructions per element.
    pub fn flops(&self) -> f64 {
        let mut sum = 0.0;
        self.visit(&mut |s| {
            sum += match s {
                Scalar::Acc(_) | Scalar::Arg(_) | Scalar::Lit(_) => 0.0,
                Scalar::Unary(op, _) => op.row().flops,
                Scalar::Binary(op, ..) => op.row().flops,
                Scalar::Select(..) | Scalar::Cast(..) => 1.0,
            }
        });
        sum
    }

    /// Number of nodes.
    pub fn size(&self) -> usize {
        let mut n = 0;
        self.visit(&mut |_| n += 1);
        n
    }

    /// Calls `f` on this expression and all its parts, outermost first.
    pub fn visit(&self, f: &mut impl FnMut(&Scalar)) {
        f(self);
        match self {
            Scalar::Acc(_) | Scalar::Arg(_) | Scalar::Lit(_) => {}
            Scalar::Unary(_, a) | Scalar::Cast(_, a) => a.visit(f),
            Scalar::Binary(_, a, b) => {
                a.visit(f);
                b.visit(f);
            }
            Scalar::Select(a, b, c) => {
                a.visit(f);
                b.visit(f);
                c.visit(f);
            }
        }
    }

    /// Rebuilds the expression with every leaf (`Acc`, `Arg`, `Lit`) replaced by `f(leaf)`.
    pub fn map_leaves(&self, f: &mut impl FnMut(&Scalar) -> Scalar) -> Scalar {
        match self {
            Scalar::Acc(_) | Scalar::Arg(_) | Scalar::Lit(_) => f(self),
            Scalar::Unary(op, a) => Scalar::Unary(*op, Box::new(a.map_leaves(f))),
            Scalar::Cast(t, a) => Scalar::Cast(*t, Box::new(a.map_leaves(f))),
            Scalar::Binary(op, a, b) => Scalar::Binary(*op, Box::new(a.map_leaves(f)), Box::new(b.map_leaves(f))),
            Scalar::Select(a, b, c) => {
                Scalar::Select(Box::new(a.map_leaves(f)), Box::new(b.map_leaves(f)), Box::new(c.map_leaves(f)))
            }
        }
    }
}
