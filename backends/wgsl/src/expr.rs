//! Expressions, with as few parentheses as WGSL allows.

use gristmill_graph::{Binary, Unary};
use gristmill_kernel::{Bit, Expr, GroupOp, Kernel, Scalar, Type};

/// How tightly an expression holds together; a part that is looser than its place needs parentheses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Logical,
    Relational,
    /// WGSL does not rank bit operations among the others: their operands are unary or bracketed.
    Bits,
    Sum,
    Product,
    Unary,
    Primary,
}

/// The names that expressions refer to.
pub(crate) struct Scope<'a> {
    /// The kernel whose variables (or whose helper's variables) are meant.
    pub(crate) kernel: &'a Kernel,
    /// By variable.
    pub(crate) vars: &'a [String],
    /// By buffer.
    pub(crate) buffers: &'a [String],
    /// By shared array.
    pub(crate) shared: &'a [String],
    /// By helper.
    pub(crate) helpers: &'a [String],
}

/// A literal that gives back the same bits.
fn float(x: f32) -> Result<String, String> {
    if !x.is_finite() {
        return Err(format!("{x} has no literal"));
    }
    let magnitude = x.abs();
    if magnitude >= 1e38 {
        // Near the end of the range decimal digits round to a number that is too large, so hexadecimal.
        let bits = magnitude.to_bits();
        let (exponent, mantissa) = ((bits >> 23) as i32 - 127, (bits & 0x7f_ffff) << 1);
        let sign = if x < 0.0 { "-" } else { "" };
        return Ok(format!("{sign}0x1.{mantissa:06x}p+{exponent}f"));
    }
    Ok(format!("{x:?}"))
}

impl Scope<'_> {
    /// The text of an expression.
    pub(crate) fn text(&self, e: &Expr) -> Result<String, String> {
        Ok(self.write(e)?.0)
    }

    fn at_least(&self, e: &Expr, level: Level) -> Result<String, String> {
        let (text, own) = self.write(e)?;
        Ok(if own < level { format!("({text})") } else { text })
    }

    fn ty(&self, e: &Expr) -> Result<Type, String> {
        e.ty(self.kernel)
    }

    fn call(&self, function: &str, args: &[&Expr]) -> Result<(String, Level), String> {
        let args: Vec<String> = args.iter().map(|a| self.text(a)).collect::<Result<_, _>>()?;
        Ok((format!("{function}({})", args.join(", ")), Level::Primary))
    }

    fn write(&self, e: &Expr) -> Result<(String, Level), String> {
        let primary = |text: String| Ok((text, Level::Primary));
        match e {
            Expr::F32(x) => {
                let level = if *x < 0.0 { Level::Unary } else { Level::Primary };
                Ok((float(*x)?, level))
            }
            Expr::U32(n) => primary(format!("{n}u")),
            Expr::I32(n) if *n == i32::MIN => primary("(-2147483647i - 1i)".into()),
            Expr::I32(n) => Ok((format!("{n}i"), if *n < 0 { Level::Unary } else { Level::Primary })),
            Expr::Bool(b) => primary(b.to_string()),
            Expr::Var(v) => primary(self.vars[v.0 as usize].clone()),
            Expr::Symbol(name) => primary(format!("symbols.{name}")),
            Expr::Unary(op, x) => self.unary(*op, x),
            Expr::Binary(op, a, b) => self.binary(*op, a, b),
            Expr::Bit(op, a, b) => {
                let sign = match op {
                    Bit::And => "&",
                    Bit::Or => "|",
                    Bit::Xor => "^",
                    Bit::Shl => "<<",
                    Bit::Shr => ">>",
                };
                let (left, mut right) = (self.at_least(a, Level::Unary)?, self.at_least(b, Level::Unary)?);
                let lanes = self.ty(a)?.lanes;
                if lanes > 1 && self.ty(b)?.lanes == 1 {
                    right = format!("vec{lanes}<u32>({right})");
                }
                Ok((format!("{left} {sign} {right}"), Level::Bits))
            }
            Expr::Select(c, a, b) => self.call("select", &[b, a, c]),
            Expr::Cast(to, x) => {
                let ty = Type { scalar: *to, lanes: self.ty(x)?.lanes };
                self.call(&ty.to_string(), &[x])
            }
            Expr::Bitcast(to, x) => {
                let ty = Type { scalar: *to, lanes: self.ty(x)?.lanes };
                self.call(&format!("bitcast<{ty}>"), &[x])
            }
            Expr::Load(buf, index) => primary(format!("{}[{}]", self.buffers[buf.0 as usize], self.text(index)?)),
            Expr::LoadShared(sh, index) => primary(format!("{}[{}]", self.shared[sh.0 as usize], self.text(index)?)),
            Expr::Vec(parts) => {
                let ty = self.ty(e)?;
                self.call(&ty.to_string(), &parts.iter().collect::<Vec<_>>())
            }
            Expr::Splat(_, x) => {
                let ty = self.ty(e)?;
                self.call(&ty.to_string(), &[x])
            }
            Expr::Lane(x, lane) => {
                let vector = self.at_least(x, Level::Primary)?;
                primary(match lane.as_u32() {
                    Some(n @ 0..4) => format!("{vector}.{}", ["x", "y", "z", "w"][n as usize]),
                    _ => format!("{vector}[{}]", self.text(lane)?),
                })
            }
            Expr::Dot(a, b) => self.call("dot", &[a, b]),
            Expr::Fma(a, b, c) => self.call("fma", &[a, b, c]),
            Expr::BytesU8(x) => self.call("unpack4xU8", &[x]),
            Expr::BytesI8(x) => self.call("unpack4xI8", &[x]),
            Expr::HalvesF16(x) => self.call("unpack2x16float", &[x]),
            Expr::PackF16(x) => self.call("pack2x16float", &[x]),
            Expr::Subgroup(op, x) => self.call(
                match op {
                    GroupOp::Add => "subgroupAdd",
                    GroupOp::Max => "subgroupMax",
                    GroupOp::Min => "subgroupMin",
                },
                &[x],
            ),
            Expr::SubgroupLane => primary("lane_id".into()),
            Expr::SubgroupSize => primary("lane_count".into()),
            Expr::LocalIndex => primary("thread_index".into()),
            Expr::Call(helper, parts) => self.call(&self.helpers[*helper as usize], &parts.iter().collect::<Vec<_>>()),
        }
    }

    fn unary(&self, op: Unary, x: &Expr) -> Result<(String, Level), String> {
        let function = match op {
            Unary::Neg => {
                // Two signs in a row would read as a decrement.
                let inner = self.at_least(x, Level::Unary)?;
                let inner = if inner.starts_with('-') { format!("({inner})") } else { inner };
                return Ok((format!("-{inner}"), Level::Unary));
            }
            Unary::Not => {
                let sign = if self.ty(x)?.scalar == Scalar::Bool { "!" } else { "~" };
                return Ok((format!("{sign}{}", self.at_least(x, Level::Unary)?), Level::Unary));
            }
            Unary::Recip => {
                let ty = self.ty(x)?;
                let one = if ty.lanes == 1 { "1.0".to_string() } else { format!("{ty}(1.0)") };
                return Ok((format!("{one} / {}", self.at_least(x, Level::Unary)?), Level::Product));
            }
            Unary::Erf => return Err("erf was not legalised".into()),
            Unary::Abs => "abs",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Sqrt => "sqrt",
            Unary::Rsqrt => "inverseSqrt",
            Unary::Tanh => "tanh",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Floor => "floor",
        };
        self.call(function, &[x])
    }

    fn binary(&self, op: Binary, a: &Expr, b: &Expr) -> Result<(String, Level), String> {
        let (sign, level) = match op {
            Binary::Max => return self.call("max", &[a, b]),
            Binary::Min => return self.call("min", &[a, b]),
            Binary::Pow => return self.call("pow", &[a, b]),
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
        let (left, right) = match level {
            // `a && b && c` chains, but `&&` and `||` may not mix without brackets.
            Level::Logical => (self.logical_part(op, a)?, self.logical_part(op, b)?),
            Level::Relational => (self.arithmetic_part(a, Level::Sum)?, self.arithmetic_part(b, Level::Sum)?),
            _ => (self.arithmetic_part(a, level)?, self.arithmetic_part(b, next(level))?),
        };
        Ok((format!("{left} {sign} {right}"), level))
    }

    fn logical_part(&self, op: Binary, e: &Expr) -> Result<String, String> {
        let (text, level) = self.write(e)?;
        let same = matches!(e, Expr::Binary(inner, ..) if *inner == op);
        Ok(if level >= Level::Relational && level != Level::Bits || same { text } else { format!("({text})") })
    }

    fn arithmetic_part(&self, e: &Expr, level: Level) -> Result<String, String> {
        let (text, own) = self.write(e)?;
        Ok(if own < level || own == Level::Bits { format!("({text})") } else { text })
    }
}

/// What the right operand of a left-associative operator must be at least.
fn next(level: Level) -> Level {
    if level == Level::Sum { Level::Product } else { Level::Unary }
}
