//! Prints expressions, with as few parentheses as WGSL allows.

use gristmill_graph::scalar::{Form, Native};
use gristmill_graph::{Binary, Unary};
use gristmill_kernel::types::type_of;
use gristmill_kernel::{Bit, Expr, GroupOp, Kernel, Scalar, Type, VarDecl};

/// The precedence of an expression. A part with a lower precedence than its context needs parentheses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// `&`, `|`, `^`: WGSL gives them no precedence relative to other operators. Only chains of the same operator need
    /// no parentheses.
    Bits,
    Logical,
    Relational,
    /// Operands of shifts are unary or in parentheses.
    Shift,
    Sum,
    Product,
    Unary,
    Primary,
}

/// The names that expressions refer to.
pub(crate) struct Scope<'a> {
    pub(crate) kernel: &'a Kernel,
    /// Registers of the kernel or of one of its helpers.
    pub(crate) decls: &'a [VarDecl],
    /// Names by register.
    pub(crate) vars: &'a [String],
    /// Names by buffer.
    pub(crate) buffers: &'a [String],
    /// Names by shared array.
    pub(crate) shared: &'a [String],
    /// Names by constant array.
    pub(crate) tables: &'a [String],
    /// Named literals: their names in the kernel, their values, and their names in the shader.
    pub(crate) constants: &'a [(&'static str, u32, String)],
    /// Names by helper.
    pub(crate) helpers: &'a [String],
    /// Name of the local invocation index.
    pub(crate) thread: &'a str,
}

/// A literal that parses to the same bits.
pub(crate) fn float(x: f32) -> Result<String, String> {
    if !x.is_finite() {
        return Err(format!("{x} has no literal"));
    }
    if x.abs() >= 1e38 {
        // Near the end of the range, the shortest decimal of an f32 exceeds it; that of an f64 is exact.
        return Ok(format!("{:e}f", f64::from(x)));
    }
    Ok(format!("{x:?}"))
}

type Written = Result<(String, Level), String>;

impl Scope<'_> {
    /// The text of an expression.
    pub(crate) fn text(&self, e: &Expr) -> Result<String, String> {
        Ok(self.write(e)?.0)
    }

    /// The text of an expression as an operand of at least this precedence.
    fn part(&self, e: &Expr, level: Level) -> Result<String, String> {
        let (text, own) = self.write(e)?;
        Ok(if own < level { format!("({text})") } else { text })
    }

    /// The text of an expression as an operand of a product.
    pub(crate) fn factor(&self, e: &Expr) -> Result<String, String> {
        self.part(e, Level::Unary)
    }

    /// The text of an expression as an operand of a comparison. `a < b >> c` would parse as a template `a<b>`, so
    /// shifts get parentheses.
    pub(crate) fn operand(&self, e: &Expr) -> Result<String, String> {
        self.part(e, Level::Sum)
    }

    fn ty(&self, e: &Expr) -> Result<Type, String> {
        type_of(e, self.kernel, self.decls)
    }

    fn name<'n>(&self, names: &'n [String], index: u32, what: &str) -> Result<&'n str, String> {
        names.get(index as usize).map(String::as_str).ok_or_else(|| format!("no {what} {index}"))
    }

    fn constant(&self, name: &str, value: u32) -> Result<&str, String> {
        let mut all = self.constants.iter();
        let found = all.find(|(n, v, _)| *n == name && *v == value);
        found.map(|(_, _, own)| own.as_str()).ok_or_else(|| format!("no constant {name} of {value}"))
    }

    /// `a < b, c > d` in an argument list parses as a template `a<b, c>`, so comparisons get parentheses.
    fn call<'e>(&self, function: &str, args: impl IntoIterator<Item = &'e Expr>) -> Written {
        let args: Vec<(String, Level)> = args.into_iter().map(|a| self.write(a)).collect::<Result<_, _>>()?;
        let texts: Vec<String> = args
            .iter()
            .enumerate()
            .map(|(i, (text, level))| {
                let closes = args[i + 1..].iter().any(|(later, _)| later.contains('>'));
                let opens = *level == Level::Relational && text.contains(" < ");
                if opens && closes { format!("({text})") } else { text.clone() }
            })
            .collect();
        Ok((format!("{function}({})", texts.join(", ")), Level::Primary))
    }

    fn write(&self, e: &Expr) -> Written {
        let primary = |text: String| Ok((text, Level::Primary));
        match e {
            Expr::F32(x) => Ok((float(*x)?, if x.is_sign_negative() { Level::Unary } else { Level::Primary })),
            Expr::U32(n) => primary(format!("{n}u")),
            Expr::Named(name, n) => primary(self.constant(name, *n)?.to_string()),
            Expr::I32(n) => Ok((n.to_string(), if *n < 0 { Level::Unary } else { Level::Primary })),
            Expr::Bool(b) => primary(b.to_string()),
            Expr::Var(v) => primary(self.name(self.vars, v.0, "register")?.to_string()),
            Expr::Symbol(name) => primary(format!("symbols.{name}")),
            Expr::Unary(op, x) => self.unary(*op, x),
            Expr::Binary(op, a, b) => self.binary(*op, a, b),
            Expr::Bit(op, a, b) => self.bit(*op, a, b),
            Expr::Select(c, a, b) => self.call("select", [&**b, &**a, &**c]),
            Expr::Cast(to, x) => self.call(&Type::vec(*to, self.ty(x)?.lanes).to_string(), [&**x]),
            Expr::Bitcast(to, x) => self.call(&format!("bitcast<{}>", Type::vec(*to, self.ty(x)?.lanes)), [&**x]),
            Expr::Load(buf, i) => primary(format!("{}[{}]", self.name(self.buffers, buf.0, "buffer")?, self.text(i)?)),
            Expr::LoadShared(sh, i) => {
                primary(format!("{}[{}]", self.name(self.shared, sh.0, "shared array")?, self.text(i)?))
            }
            Expr::Table(table, i) => {
                primary(format!("{}[{}]", self.name(self.tables, table.0, "table")?, self.text(i)?))
            }
            Expr::Vec(parts) => self.call(&self.ty(e)?.to_string(), parts),
            Expr::Splat(_, x) => self.call(&self.ty(e)?.to_string(), [&**x]),
            Expr::Lane(x, lane) => {
                let vector = self.part(x, Level::Primary)?;
                primary(match lane.as_u32() {
                    Some(n @ 0..4) => format!("{vector}.{}", LANES[n as usize]),
                    _ => format!("{vector}[{}]", self.text(lane)?),
                })
            }
            Expr::Dot(a, b) => self.call("dot", [&**a, &**b]),
            Expr::Fma(a, b, c) => self.call("fma", [&**a, &**b, &**c]),
            Expr::BytesU8(x) => self.call("unpack4xU8", [&**x]),
            Expr::BytesI8(x) => self.call("unpack4xI8", [&**x]),
            Expr::UnpackF16x2(x) => self.call("unpack2x16float", [&**x]),
            Expr::PackF16(x) => self.call("pack2x16float", [&**x]),
            Expr::Lookup(..) => Err("a lookup of bytes was not legalised".to_string()),
            Expr::Shuffle(a, b, lanes) => self.shuffle(&self.ty(e)?.to_string(), (a, b), lanes),
            Expr::DotBytes(a, b, c) => self.dot_bytes(a, b, c),
            Expr::PairSums(a, b) => {
                let (even, odd) = ([0, 2, 4, 6], [1, 3, 5, 7]);
                let (even, odd) = (self.shuffle("vec4<i32>", (a, b), &even)?, self.shuffle("vec4<i32>", (a, b), &odd)?);
                Ok((format!("{} + {}", even.0, odd.0), Level::Sum))
            }
            Expr::Subgroup(GroupOp::Add, x) => self.call("subgroupAdd", [&**x]),
            Expr::Subgroup(GroupOp::Max, x) => self.call("subgroupMax", [&**x]),
            Expr::Subgroup(GroupOp::Min, x) => self.call("subgroupMin", [&**x]),
            Expr::SubgroupLane => primary("lane_id".into()),
            Expr::SubgroupSize => primary("lane_count".into()),
            // The built-in function treats all bytes as signed.
            Expr::DotSignedness => primary("1u".into()),
            Expr::LocalIndex => primary(self.thread.to_string()),
            Expr::Call(helper, args) => self.call(self.name(self.helpers, *helper, "helper")?, args),
        }
    }

    /// Selects lanes of two vectors, one by one.
    fn shuffle(&self, ty: &str, (a, b): (&Expr, &Expr), lanes: &[u8; 4]) -> Written {
        let (a, b) = (self.part(a, Level::Primary)?, self.part(b, Level::Primary)?);
        let lane = |n: &u8| format!("{}.{}", if *n < 4 { &a } else { &b }, LANES[usize::from(*n) % 4]);
        Ok((format!("{ty}({})", lanes.iter().map(lane).collect::<Vec<_>>().join(", ")), Level::Primary))
    }

    /// The built-in function takes one word per operand.
    fn dot_bytes(&self, a: &Expr, b: &Expr, c: &Expr) -> Written {
        let sum = self.part(c, Level::Sum)?;
        if self.ty(a)?.lanes == 1 {
            return Ok((format!("{sum} + {}", self.call("dot4I8Packed", [a, b])?.0), Level::Sum));
        }
        let (a, b) = (self.part(a, Level::Primary)?, self.part(b, Level::Primary)?);
        let lanes: Vec<String> = LANES.iter().map(|l| format!("dot4I8Packed({a}.{l}, {b}.{l})")).collect();
        Ok((format!("{sum} + vec4<i32>({})", lanes.join(", ")), Level::Sum))
    }

    fn unary(&self, op: Unary, x: &Expr) -> Written {
        let Form::Native(native) = op.row().form else { return Err(format!("{op:?} was not legalised")) };
        let function = match native {
            Native::Neg => {
                // Two signs in a row would parse as a decrement.
                let inner = self.part(x, Level::Unary)?;
                let inner = if inner.starts_with('-') { format!("({inner})") } else { inner };
                return Ok((format!("-{inner}"), Level::Unary));
            }
            Native::Not => {
                let sign = if self.ty(x)?.scalar == Scalar::Bool { "!" } else { "~" };
                return Ok((format!("{sign}{}", self.part(x, Level::Unary)?), Level::Unary));
            }
            Native::Abs => "abs",
            Native::Exp => "exp",
            Native::Log => "log",
            Native::Sqrt => "sqrt",
            Native::Floor => "floor",
        };
        self.call(function, [x])
    }

    fn bit(&self, op: Bit, a: &Expr, b: &Expr) -> Written {
        let (sign, level) = match op {
            Bit::And => ("&", Level::Bits),
            Bit::Or => ("|", Level::Bits),
            Bit::Xor => ("^", Level::Bits),
            Bit::Shl => ("<<", Level::Shift),
            Bit::Shr => (">>", Level::Shift),
        };
        let chains = level == Level::Bits && matches!(a, Expr::Bit(inner, ..) if *inner == op);
        let left = if chains { self.text(a)? } else { self.part(a, Level::Unary)? };
        let lanes = self.ty(a)?.lanes;
        let right = match (level, b) {
            (Level::Shift, _) if lanes > 1 => format!("vec{lanes}<u32>({})", self.text(b)?),
            // Masks of several bytes are more readable in hexadecimal.
            (Level::Bits, Expr::U32(mask)) if *mask > 255 => format!("{mask:#010x}u"),
            _ => self.part(b, Level::Unary)?,
        };
        Ok((format!("{left} {sign} {right}"), level))
    }

    fn binary(&self, op: Binary, a: &Expr, b: &Expr) -> Written {
        let (sign, level) = match op {
            Binary::Max => return self.call("max", [a, b]),
            Binary::Min => return self.call("min", [a, b]),
            Binary::Pow => return self.call("pow", [a, b]),
            Binary::Add => ("+", Level::Sum),
            Binary::Sub => ("-", Level::Sum),
            Binary::Mul => ("*", Level::Product),
            Binary::Div => ("/", Level::Product),
            Binary::Rem => ("%", Level::Product),
            Binary::Lt => ("<", Level::Relational),
            Binary::Le => ("<=", Level::Relational),
            Binary::Gt => (">", Level::Relational),
            Binary::Ge => (">=", Level::Relational),
            Binary::Eq => ("==", Level::Relational),
            Binary::Ne => ("!=", Level::Relational),
            Binary::And => ("&&", Level::Logical),
            Binary::Or => ("||", Level::Logical),
        };
        if let (Binary::Add, Expr::F32(x)) = (op, b)
            && *x < 0.0
        {
            return self.binary(Binary::Sub, a, &Expr::F32(-x));
        }
        let (left, right) = match level {
            Level::Logical => (self.logical(op, a)?, self.part(b, Level::Relational)?),
            Level::Relational => (self.operand(a)?, self.operand(b)?),
            _ => {
                let (a, b) = scalar_operands(a, b);
                let tighter = if level == Level::Sum { Level::Product } else { Level::Unary };
                (self.part(a, level)?, self.part(b, tighter)?)
            }
        };
        Ok((format!("{left} {sign} {right}"), level))
    }

    /// `a && b && c` is left-associative, but `&&` and `||` may not be mixed without parentheses.
    fn logical(&self, op: Binary, e: &Expr) -> Result<String, String> {
        match e {
            Expr::Binary(inner, ..) if *inner == op => self.text(e),
            e => self.part(e, Level::Relational),
        }
    }
}

/// Names of lanes.
pub(crate) const LANES: [&str; 4] = ["x", "y", "z", "w"];

/// In WGSL, arithmetic of a vector and a scalar needs no splat.
fn scalar_operands<'e>(a: &'e Expr, b: &'e Expr) -> (&'e Expr, &'e Expr) {
    match (a, b) {
        (Expr::Splat(..), Expr::Splat(..)) => (a, b),
        (Expr::Splat(_, a), b) => (a, b),
        (a, Expr::Splat(_, b)) => (a, b),
        _ => (a, b),
    }
}
