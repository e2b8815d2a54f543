//! Types of expressions.

use gristmill_graph::{Binary, Unary};

use crate::kernel::{BOOL, Expr, F32, GroupOp, I32, Kernel, Scalar, Type, U32, Var, VarDecl};

impl Expr {
    /// The type of this expression, given the registers, buffers and shared arrays of `kernel`.
    ///
    /// # Errors
    /// If a part is ill-typed; the message says which one, and why.
    pub fn ty(&self, kernel: &Kernel) -> Result<Type, String> {
        type_of(self, kernel, &kernel.vars)
    }
}

impl Scalar {
    /// Whether it is floating point.
    pub fn is_float(self) -> bool {
        self == Scalar::F32
    }

    /// Whether it is a signed or unsigned integer.
    pub fn is_int(self) -> bool {
        matches!(self, Scalar::I32 | Scalar::U32)
    }
}

impl Type {
    /// The size of one element in memory in bytes; `None` for bool, which cannot be stored.
    pub fn bytes(self) -> Option<u32> {
        let scalar = match self.scalar {
            Scalar::F32 | Scalar::I32 | Scalar::U32 => 4,
            Scalar::Bool => return None,
        };
        Some(scalar * u32::from(self.lanes))
    }
}

impl std::fmt::Display for Type {
    /// As in WGSL: `f32`, `vec4<u32>`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scalar = match self.scalar {
            Scalar::F32 => "f32",
            Scalar::I32 => "i32",
            Scalar::U32 => "u32",
            Scalar::Bool => "bool",
        };
        if self.lanes == 1 { f.write_str(scalar) } else { write!(f, "vec{}<{scalar}>", self.lanes) }
    }
}

/// The type of `expr`, given the registers `vars` of the kernel or of one of its helpers.
///
/// # Errors
/// If a part is ill-typed; the message says which one, and why.
pub fn type_of(expr: &Expr, kernel: &Kernel, vars: &[VarDecl]) -> Result<Type, String> {
    let ty = |e: &Expr| type_of(e, kernel, vars);
    let expect = |e: &Expr, want: Type, what: &str| match ty(e)? {
        got if got == want => Ok(want),
        got => Err(format!("{what} must be {want}, not {got}")),
    };
    match expr {
        Expr::F32(_) => Ok(F32),
        Expr::U32(_) | Expr::Named(..) | Expr::Symbol(_) | Expr::DotSignedness => Ok(U32),
        Expr::SubgroupLane | Expr::SubgroupSize | Expr::LocalIndex => Ok(U32),
        Expr::I32(_) => Ok(I32),
        Expr::Bool(_) => Ok(BOOL),
        Expr::Var(v) => var_type(*v, vars),
        Expr::Unary(op, a) => unary(*op, ty(a)?),
        Expr::Binary(op, a, b) => binary(*op, ty(a)?, ty(b)?),
        Expr::Bit(op, a, b) => {
            let (a, b) = (ty(a)?, ty(b)?);
            let shift = matches!(op, crate::kernel::Bit::Shl | crate::kernel::Bit::Shr);
            let fits = a.scalar.is_int() && if shift { b == U32 } else { a == b };
            if fits { Ok(a) } else { Err(format!("bit operation {op:?} of {a} and {b}")) }
        }
        Expr::Select(c, a, b) => {
            expect(c, BOOL, "the condition of a select")?;
            let (a, b) = (ty(a)?, ty(b)?);
            if a == b { Ok(a) } else { Err(format!("select between {a} and {b}")) }
        }
        Expr::Cast(to, a) => Ok(Type::vec(*to, ty(a)?.lanes)),
        Expr::Bitcast(to, a) => {
            let a = ty(a)?;
            let word = |s: Scalar| matches!(s, Scalar::F32 | Scalar::I32 | Scalar::U32);
            if word(a.scalar) && word(*to) {
                Ok(Type::vec(*to, a.lanes))
            } else {
                Err(format!("bitcast of {a} to {}", Type::scalar(*to)))
            }
        }
        Expr::Load(buf, index) => {
            expect(index, U32, "an index")?;
            let buffer = kernel.buffers.get(buf.0 as usize).ok_or_else(|| format!("no buffer {}", buf.0))?;
            Ok(buffer.elem)
        }
        Expr::LoadShared(sh, index) => {
            expect(index, U32, "an index")?;
            let shared = kernel.shared.get(sh.0 as usize).ok_or_else(|| format!("no shared array {}", sh.0))?;
            Ok(shared.elem)
        }
        Expr::Table(table, index) => {
            expect(index, U32, "an index")?;
            kernel.tables.get(table.0 as usize).ok_or_else(|| format!("no table {}", table.0))?;
            Ok(F32)
        }
        Expr::Vec(parts) => {
            let types = parts.iter().map(ty).collect::<Result<Vec<_>, _>>()?;
            match types.as_slice() {
                [a, b] if a == b && a.lanes == 2 => Ok(Type::vec(a.scalar, 4)),
                [first, rest @ ..] if matches!(parts.len(), 2 | 4) && first.lanes == 1 => {
                    match rest.iter().find(|t| *t != first) {
                        None => Ok(Type::vec(first.scalar, parts.len() as u8)),
                        Some(other) => Err(format!("a vector of {first} and {other}")),
                    }
                }
                _ => Err(format!("a vector from {} parts; expected 2 or 4 scalars", parts.len())),
            }
        }
        Expr::Splat(n, a) => match ty(a)? {
            t if t.lanes == 1 && matches!(n, 2 | 4) => Ok(Type::vec(t.scalar, *n)),
            t => Err(format!("a vector of {n} lanes of {t}")),
        },
        Expr::Lane(a, n) => {
            expect(n, U32, "a lane number")?;
            match (ty(a)?, n.as_u32()) {
                (t, _) if t.lanes == 1 => Err(format!("a lane of {t}")),
                (t, Some(n)) if n >= u32::from(t.lanes) => Err(format!("lane {n} of {t}")),
                (t, _) => Ok(Type::scalar(t.scalar)),
            }
        }
        Expr::Dot(a, b) => match (ty(a)?, ty(b)?) {
            (a, b) if a == b && a.lanes > 1 && a.scalar.is_float() => Ok(Type::scalar(a.scalar)),
            (a, b) => Err(format!("dot product of {a} and {b}")),
        },
        Expr::Fma(a, b, c) => match (ty(a)?, ty(b)?, ty(c)?) {
            (a, b, c) if a == b && b == c && a.scalar.is_float() => Ok(a),
            (a, b, c) => Err(format!("fma of {a}, {b} and {c}")),
        },
        Expr::BytesU8(a) => expect(a, U32, "the argument of a byte unpack").map(|_| Type::vec(Scalar::U32, 4)),
        Expr::BytesI8(a) => expect(a, U32, "the argument of a byte unpack").map(|_| Type::vec(Scalar::I32, 4)),
        Expr::Lookup(a, _) => match ty(a)? {
            a if a.scalar == Scalar::U32 => Ok(a),
            a => Err(format!("bytes of a table for those of {a}")),
        },
        Expr::UnpackF16x2(a) => expect(a, U32, "the argument of a half unpack").map(|_| Type::vec(Scalar::F32, 2)),
        Expr::PackF16(a) => expect(a, Type::vec(Scalar::F32, 2), "the argument of a half pack").map(|_| U32),
        Expr::Shuffle(a, b, lanes) => match (ty(a)?, ty(b)?) {
            (a, b) if a == b && a.lanes == 4 && lanes.iter().all(|n| *n < 8) => Ok(a),
            (a, b) => Err(format!("lanes {lanes:?} of {a} and {b}")),
        },
        Expr::DotBytes(a, b, c) => match (ty(a)?, ty(b)?, ty(c)?) {
            (a, b, c) if a == b && a.scalar == Scalar::U32 && c == Type::vec(Scalar::I32, a.lanes) => Ok(c),
            (a, b, c) => Err(format!("dot product of the bytes of {a} and {b}, added to {c}")),
        },
        Expr::PairSums(a, b) => match (ty(a)?, ty(b)?) {
            (a, b) if a == b && a == Type::vec(Scalar::I32, 4) => Ok(a),
            (a, b) => Err(format!("sums of the pairs of {a} and {b}")),
        },
        Expr::Subgroup(op, a) => reducible(*op, ty(a)?),
        Expr::Call(index, args) => {
            let helper = kernel.helpers.get(*index as usize).ok_or_else(|| format!("no helper {index}"))?;
            let types = args.iter().map(ty).collect::<Result<Vec<_>, _>>()?;
            let params: Vec<Type> = helper.vars.iter().take(helper.params).map(|v| v.ty).collect();
            if types != params {
                return Err(format!("helper `{}` is called with other types than it declares", helper.name));
            }
            type_of(&helper.result, kernel, &helper.vars)
        }
    }
}

/// The declared type of a register.
pub(crate) fn var_type(var: Var, vars: &[VarDecl]) -> Result<Type, String> {
    vars.get(var.0 as usize).map(|v| v.ty).ok_or_else(|| format!("no register {}", var.0))
}

/// How many threads combine the results of `extent` threads before every thread combines what those have found: a
/// power of two near the square root.
pub(crate) fn reduce_width(extent: u32) -> u32 {
    1 << extent.max(1).ilog2().div_ceil(2)
}

/// Checks the type of a reduction over threads: any number type, lane by lane.
pub(crate) fn reducible(op: GroupOp, ty: Type) -> Result<Type, String> {
    match ty.scalar {
        Scalar::F32 | Scalar::I32 | Scalar::U32 => Ok(ty),
        Scalar::Bool => Err(format!("reduction {op:?} over threads of {ty}")),
    }
}

fn unary(op: Unary, a: Type) -> Result<Type, String> {
    let row = op.row();
    let fits = match a.scalar {
        Scalar::F32 => row.f32.is_some(),
        Scalar::I32 => row.i32.is_some(),
        // Of unsigned words, the negation of all bits.
        Scalar::Bool | Scalar::U32 => row.bool.is_some(),
    };
    if fits { Ok(a) } else { Err(format!("{op:?} of {a}")) }
}

fn binary(op: Binary, a: Type, b: Type) -> Result<Type, String> {
    let number = a.scalar != Scalar::Bool;
    let fits = match op {
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Rem | Binary::Max | Binary::Min => number,
        // Comparisons of vectors would need lane-wise selects, which the language leaves out.
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => number && a.lanes == 1,
        Binary::Eq | Binary::Ne => a.lanes == 1,
        Binary::Pow => a.scalar == Scalar::F32,
        Binary::And | Binary::Or => a == BOOL,
    };
    match fits && a == b {
        true if op.is_comparison() => Ok(BOOL),
        true => Ok(a),
        false => Err(format!("{op:?} of {a} and {b}")),
    }
}
