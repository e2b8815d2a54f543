//! Builds expressions: operators and methods of [`Expr`].
//!
//! All of them take `impl Into<Expr>`, so that literals, registers and references to expressions can be mixed:
//! `&row * 32 + lane`. Index arithmetic is simplified at once (see [`crate::simplify`]).

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use gristmill_graph::{Binary, Unary};

use crate::kernel::{Bit, Buf, Expr, Kernel, Scalar, Sh, Stmt, Tab, Var};
use crate::simplify::Facts;

/// The u32 literal `n`.
pub fn u(n: u32) -> Expr {
    Expr::U32(n)
}

/// The f32 literal `x`.
pub fn f(x: f32) -> Expr {
    Expr::F32(x)
}

/// The i32 literal `n`.
pub fn i(n: i32) -> Expr {
    Expr::I32(n)
}

impl From<u32> for Expr {
    fn from(n: u32) -> Self {
        Expr::U32(n)
    }
}

impl From<f32> for Expr {
    fn from(x: f32) -> Self {
        Expr::F32(x)
    }
}

impl From<bool> for Expr {
    fn from(x: bool) -> Self {
        Expr::Bool(x)
    }
}

impl From<Var> for Expr {
    fn from(var: Var) -> Self {
        Expr::Var(var)
    }
}

impl From<&Expr> for Expr {
    fn from(e: &Expr) -> Self {
        e.clone()
    }
}

impl Var {
    /// The value of the register.
    pub fn get(self) -> Expr {
        Expr::Var(self)
    }
}

impl Buf {
    /// The element at `index`.
    pub fn at(self, index: impl Into<Expr>) -> Expr {
        Expr::Load(self, Box::new(index.into()))
    }
}

impl Sh {
    /// The element at `index`.
    pub fn at(self, index: impl Into<Expr>) -> Expr {
        Expr::LoadShared(self, Box::new(index.into()))
    }
}

impl Tab {
    /// The element at `index`.
    pub fn at(self, index: impl Into<Expr>) -> Expr {
        Expr::Table(self, Box::new(index.into()))
    }
}

impl Kernel {
    /// Calls `f` on every expression of the body and of the extents of the grid, but not on their parts.
    pub fn for_each_expr<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        self.grid.iter().for_each(|axis| f(&axis.extent));
        for_each_expr(&self.body, f);
    }
}

fn for_each_expr<'a>(block: &'a [Stmt], f: &mut dyn FnMut(&'a Expr)) {
    for stmt in block {
        match stmt {
            Stmt::Comment(_) | Stmt::Barrier | Stmt::GroupReduce(..) => {}
            Stmt::Let(_, e) | Stmt::Mut(_, e) | Stmt::Assign(_, e) => f(e),
            Stmt::Store(_, i, e) | Stmt::StoreShared(_, i, e) => {
                f(i);
                f(e);
            }
            Stmt::Loop { begin, end, step, body, .. } => {
                [begin, end, step].into_iter().for_each(&mut *f);
                for_each_expr(body, f);
            }
            Stmt::If(condition, then, otherwise) => {
                f(condition);
                for_each_expr(then, f);
                for_each_expr(otherwise, f);
            }
        }
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:ident) => {
        impl<R: Into<Expr>> $trait<R> for Expr {
            type Output = Expr;
            fn $method(self, other: R) -> Expr {
                Facts::NONE.binary(Binary::$op, self, other.into())
            }
        }
        impl<R: Into<Expr>> $trait<R> for &Expr {
            type Output = Expr;
            fn $method(self, other: R) -> Expr {
                Facts::NONE.binary(Binary::$op, self.clone(), other.into())
            }
        }
        impl<R: Into<Expr>> $trait<R> for Var {
            type Output = Expr;
            fn $method(self, other: R) -> Expr {
                Facts::NONE.binary(Binary::$op, Expr::Var(self), other.into())
            }
        }
    };
}

operator!(Add, add, Add);
operator!(Sub, sub, Sub);
operator!(Mul, mul, Mul);
operator!(Div, div, Div);
operator!(Rem, rem, Rem);

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self.unary(Unary::Neg)
    }
}

macro_rules! binary_method {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(&self, other: impl Into<Expr>) -> Expr {
            Facts::NONE.binary(Binary::$op, self.clone(), other.into())
        })*
    };
}

macro_rules! bit_method {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(&self, other: impl Into<Expr>) -> Expr {
            Facts::NONE.bit(Bit::$op, self.clone(), other.into())
        })*
    };
}

impl Expr {
    binary_method! {
        /// `self < other`.
        lt = Lt;
        /// `self <= other`.
        le = Le;
        /// `self > other`.
        gt = Gt;
        /// `self >= other`.
        ge = Ge;
        /// `self == other`, as an expression.
        equals = Eq;
        /// `self != other`, as an expression.
        differs = Ne;
        /// Logical and (bool).
        and = And;
        /// Logical or (bool).
        or = Or;
        /// The minimum.
        min = Min;
        /// The maximum.
        max = Max;
        /// `self` to the power `other` (f32).
        pow = Pow;
    }

    bit_method! {
        /// `self << other`.
        shl = Shl;
        /// `self >> other`, logical.
        shr = Shr;
        /// Bitwise and.
        band = And;
        /// Bitwise or.
        bor = Or;
        /// Bitwise exclusive or.
        bxor = Xor;
    }

    /// A function of one argument.
    pub fn unary(&self, op: Unary) -> Expr {
        Facts::NONE.unary(op, self.clone())
    }

    /// `if self { then } else { otherwise }`; both sides are evaluated.
    pub fn select(&self, then: impl Into<Expr>, otherwise: impl Into<Expr>) -> Expr {
        Facts::NONE.select(self.clone(), then.into(), otherwise.into())
    }

    /// Conversion by value to another element type.
    pub fn cast(&self, to: Scalar) -> Expr {
        Facts::NONE.cast(to, self.clone())
    }

    /// Conversion by value to f32.
    pub fn to_f32(&self) -> Expr {
        self.cast(Scalar::F32)
    }

    /// Conversion by value to u32.
    pub fn to_u32(&self) -> Expr {
        self.cast(Scalar::U32)
    }

    /// Conversion by value to i32.
    pub fn to_i32(&self) -> Expr {
        self.cast(Scalar::I32)
    }

    /// The same bits as another 32-bit type.
    pub fn bitcast(&self, to: Scalar) -> Expr {
        Expr::Bitcast(to, Box::new(self.clone()))
    }

    /// A vector of `n` (2 or 4) lanes equal to this scalar.
    pub fn splat(&self, n: u8) -> Expr {
        Expr::Splat(n, Box::new(self.clone()))
    }

    /// Lane `n` of a vector.
    pub fn lane(&self, n: impl Into<Expr>) -> Expr {
        Facts::NONE.lane(self.clone(), n.into())
    }

    /// Dot product of two float vectors.
    pub fn dot(&self, other: impl Into<Expr>) -> Expr {
        Expr::Dot(Box::new(self.clone()), Box::new(other.into()))
    }

    /// `self * b + c`, fused or not.
    pub fn fma(&self, b: impl Into<Expr>, c: impl Into<Expr>) -> Expr {
        Expr::Fma(Box::new(self.clone()), Box::new(b.into()), Box::new(c.into()))
    }

    /// A vector of 2 or 4 from scalars, or of 4 from two vectors of 2.
    pub fn vec(lanes: impl IntoIterator<Item = Expr>) -> Expr {
        Expr::Vec(lanes.into_iter().collect())
    }

    /// The value (u32) of a symbol.
    pub fn symbol(name: &str) -> Expr {
        Expr::Symbol(name.to_string())
    }

    /// The four bytes of a u32 as `vec4<u32>`, lowest first.
    pub fn bytes_u8(&self) -> Expr {
        Expr::BytesU8(Box::new(self.clone()))
    }

    /// The four bytes of a u32 as `vec4<i32>`, sign-extended, lowest first.
    pub fn bytes_i8(&self) -> Expr {
        Expr::BytesI8(Box::new(self.clone()))
    }

    /// The two halves of a u32 as f16 values, in a `vec2<f32>`, low half first.
    pub fn halves_f16(&self) -> Expr {
        Expr::UnpackF16x2(Box::new(self.clone()))
    }

    /// A `vec2<f32>` rounded to f16 and packed in a u32, first lane low.
    pub fn pack_f16(&self) -> Expr {
        Expr::PackF16(Box::new(self.clone()))
    }

    /// Four lanes of `self` (0 to 3) and `other` (4 to 7).
    pub fn shuffle(&self, other: impl Into<Expr>, lanes: [u8; 4]) -> Expr {
        Expr::Shuffle(Box::new(self.clone()), Box::new(other.into()), lanes)
    }

    /// `sum + self . other` over the bytes of each lane; those of `other` are 0 to 127.
    pub fn dot_bytes(&self, other: impl Into<Expr>, sum: impl Into<Expr>) -> Expr {
        Expr::DotBytes(Box::new(self.clone()), Box::new(other.into()), Box::new(sum.into()))
    }

    /// Looks up each byte of each lane, from 0 to 15, in a table of 16 bytes.
    pub fn lookup(&self, table: [u32; 4]) -> Expr {
        Expr::Lookup(Box::new(self.clone()), table)
    }

    /// Sums of neighbouring lanes, which must be in the range of i16.
    pub fn pair_sums(&self, other: impl Into<Expr>) -> Expr {
        Expr::PairSums(Box::new(self.clone()), Box::new(other.into()))
    }

    /// The value of a u32 literal.
    pub fn as_u32(&self) -> Option<u32> {
        match self {
            Expr::U32(n) => Some(*n),
            _ => None,
        }
    }

    /// Calls `f` on the direct parts of this expression.
    pub fn for_each_part<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            Expr::F32(_) | Expr::U32(_) | Expr::I32(_) | Expr::Bool(_) | Expr::Var(_) | Expr::Symbol(_) => {}
            Expr::Named(..) | Expr::SubgroupLane | Expr::SubgroupSize | Expr::LocalIndex | Expr::DotSignedness => {}
            Expr::Unary(_, a)
            | Expr::Cast(_, a)
            | Expr::Bitcast(_, a)
            | Expr::Load(_, a)
            | Expr::LoadShared(_, a)
            | Expr::Table(_, a)
            | Expr::Splat(_, a)
            | Expr::BytesU8(a)
            | Expr::BytesI8(a)
            | Expr::Lookup(a, _)
            | Expr::UnpackF16x2(a)
            | Expr::PackF16(a)
            | Expr::Subgroup(_, a) => f(a),
            Expr::Binary(_, a, b)
            | Expr::Bit(_, a, b)
            | Expr::Lane(a, b)
            | Expr::Dot(a, b)
            | Expr::Shuffle(a, b, _)
            | Expr::PairSums(a, b) => {
                f(a);
                f(b);
            }
            Expr::Select(a, b, c) | Expr::Fma(a, b, c) | Expr::DotBytes(a, b, c) => {
                f(a);
                f(b);
                f(c);
            }
            Expr::Vec(parts) | Expr::Call(_, parts) => parts.iter().for_each(f),
        }
    }

    /// The same expression with each direct part replaced by `f(part)`.
    pub fn map_parts(self, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
        let mut one = |a: Box<Expr>| Box::new(f(*a));
        match self {
            Expr::F32(_) | Expr::U32(_) | Expr::I32(_) | Expr::Bool(_) | Expr::Var(_) | Expr::Symbol(_) => self,
            Expr::Named(..) | Expr::SubgroupLane | Expr::SubgroupSize | Expr::LocalIndex | Expr::DotSignedness => self,
            Expr::Unary(op, a) => Expr::Unary(op, one(a)),
            Expr::Cast(to, a) => Expr::Cast(to, one(a)),
            Expr::Bitcast(to, a) => Expr::Bitcast(to, one(a)),
            Expr::Load(buf, a) => Expr::Load(buf, one(a)),
            Expr::LoadShared(sh, a) => Expr::LoadShared(sh, one(a)),
            Expr::Table(table, a) => Expr::Table(table, one(a)),
            Expr::Splat(n, a) => Expr::Splat(n, one(a)),
            Expr::BytesU8(a) => Expr::BytesU8(one(a)),
            Expr::BytesI8(a) => Expr::BytesI8(one(a)),
            Expr::Lookup(a, table) => Expr::Lookup(one(a), table),
            Expr::UnpackF16x2(a) => Expr::UnpackF16x2(one(a)),
            Expr::PackF16(a) => Expr::PackF16(one(a)),
            Expr::Subgroup(op, a) => Expr::Subgroup(op, one(a)),
            Expr::Binary(op, a, b) => Expr::Binary(op, one(a), one(b)),
            Expr::Bit(op, a, b) => Expr::Bit(op, one(a), one(b)),
            Expr::Lane(a, b) => Expr::Lane(one(a), one(b)),
            Expr::Dot(a, b) => Expr::Dot(one(a), one(b)),
            Expr::Select(a, b, c) => Expr::Select(one(a), one(b), one(c)),
            Expr::Fma(a, b, c) => Expr::Fma(one(a), one(b), one(c)),
            Expr::Shuffle(a, b, lanes) => Expr::Shuffle(one(a), one(b), lanes),
            Expr::PairSums(a, b) => Expr::PairSums(one(a), one(b)),
            Expr::DotBytes(a, b, c) => Expr::DotBytes(one(a), one(b), one(c)),
            Expr::Vec(parts) => Expr::Vec(parts.into_iter().map(f).collect()),
            Expr::Call(helper, parts) => Expr::Call(helper, parts.into_iter().map(f).collect()),
        }
    }

    /// Whether `f` holds for this expression or any part of it.
    pub fn any(&self, f: &mut dyn FnMut(&Expr) -> bool) -> bool {
        if f(self) {
            return true;
        }
        let mut found = false;
        self.for_each_part(&mut |part| found = found || part.any(f));
        found
    }
}
