//! Scalar functions, and small expressions over them.
//!
//! A [`Scalar`] is what a fused operation applies to each element of its result: the epilogue of a
//! linear layer, or the score function of attention (scale, mask, bias, cap).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dtype::DType;

/// An f32 constant compared and hashed by its bits, so that operations can be keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bits(u32);

impl Bits {
    /// Wraps a value.
    pub fn new(value: f32) -> Self {
        Bits(value.to_bits())
    }
    /// The value.
    pub fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

/// A literal of any element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Literal {
    /// 32-bit float.
    F32(Bits),
    /// 32-bit integer.
    I32(i32),
    /// Truth value.
    Bool(bool),
}

impl Literal {
    /// A float literal.
    pub fn f32(value: f32) -> Self {
        Literal::F32(Bits::new(value))
    }
    /// Its element type.
    pub fn dtype(self) -> DType {
        match self {
            Literal::F32(_) => DType::F32,
            Literal::I32(_) => DType::I32,
            Literal::Bool(_) => DType::Bool,
        }
    }
}

/// Functions of one argument. All but `Not`, and `Neg`/`Abs` which also take i32, are f32 to f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unary {
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// `e^x`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `1 / x`.
    Recip,
    /// Hyperbolic tangent.
    Tanh,
    /// Error function.
    Erf,
    /// Sine of radians.
    Sin,
    /// Cosine of radians.
    Cos,
    /// Largest integer not above.
    Floor,
    /// Logical negation (bool).
    Not,
}

/// Functions of two arguments of one type. Comparisons give bool; `And`/`Or` take bool; `Pow` is f32 only;
/// `Div` of i32 rounds towards zero; `Rem` has the sign of the dividend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`.
    Div,
    /// Remainder.
    Rem,
    /// `a^b`.
    Pow,
    /// Larger of both.
    Max,
    /// Smaller of both.
    Min,
    /// `a < b`.
    Lt,
    /// `a <= b`.
    Le,
    /// `a > b`.
    Gt,
    /// `a >= b`.
    Ge,
    /// `a == b`.
    Eq,
    /// `a != b`.
    Ne,
    /// Both.
    And,
    /// Either.
    Or,
}

impl Binary {
    /// Whether the result is bool whatever the arguments are.
    pub fn is_comparison(self) -> bool {
        matches!(self, Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne)
    }
}

/// An expression over accumulators and argument elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scalar {
    /// The `i`-th accumulator of the fused operation (f32).
    Acc(u8),
    /// The element of the `i`-th extra operand that belongs to this result element.
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

    /// How many extra operands it reads (the highest `Arg` plus one).
    pub fn arg_count(&self) -> usize {
        let mut n = 0;
        self.visit(&mut |s| {
            if let Scalar::Arg(i) = s {
                n = n.max(usize::from(*i) + 1);
            }
        });
        n
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
