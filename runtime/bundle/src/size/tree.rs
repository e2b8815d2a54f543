//! Sizes as trees.

use std::fmt;

/// An integer expression over symbols: `4*B*T*(P + T)`, `ceil_div(B*T, 64)`, `max(T, 16)`.
///
/// A tree as it was written: `a + b` and `b + a` are different values of this type. Writers simplify before they build
/// one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    /// A number.
    Int(u64),
    /// The value of the symbol with this name.
    Symbol(Box<str>),
    /// An operation on two sizes.
    Of(SizeOp, Box<[Size; 2]>),
}

/// An operation on two sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SizeOp {
    /// Sum.
    Add,
    /// Difference. A leading minus is a difference from 0.
    Sub,
    /// Product.
    Mul,
    /// Quotient, rounded up. The divisor must be positive, the dividend not negative.
    CeilDiv,
    /// Quotient, rounded down, under the same conditions.
    FloorDiv,
    /// The larger one.
    Max,
    /// The smaller one.
    Min,
}

impl SizeOp {
    /// The operations that are written as functions, by name.
    pub(super) const FUNCTIONS: [(&'static str, SizeOp); 4] =
        [("ceil_div", SizeOp::CeilDiv), ("floor_div", SizeOp::FloorDiv), ("max", SizeOp::Max), ("min", SizeOp::Min)];

    /// Whether several operands may be listed: `max(a, b, c)` is `max(max(a, b), c)`.
    pub(super) fn is_list(self) -> bool {
        matches!(self, SizeOp::Max | SizeOp::Min)
    }
}

impl Size {
    /// The value of the symbol `name`, an identifier.
    pub fn symbol(name: &str) -> Self {
        Size::Symbol(name.into())
    }

    /// `op` of two sizes.
    pub fn of(op: SizeOp, a: Size, b: Size) -> Self {
        Size::Of(op, Box::new([a, b]))
    }

    /// The value, if the size is a plain number.
    pub fn as_int(&self) -> Option<u64> {
        match self {
            Size::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The name, if the size is nothing but a symbol.
    pub fn as_symbol(&self) -> Option<&str> {
        match self {
            Size::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// An error about it.
    #[cold]
    pub(super) fn error(&self, what: &str) -> SizeError {
        SizeError::new(&self.to_string(), what)
    }

    /// `level`: 0 if a sum is allowed without parentheses, 1 if a product is, 2 if only a value is.
    fn show(&self, f: &mut fmt::Formatter<'_>, level: u32) -> fmt::Result {
        let (op, [a, b]) = match self {
            Size::Int(value) => return write!(f, "{value}"),
            Size::Symbol(name) => return f.write_str(name),
            Size::Of(op, operands) => (*op, operands.as_ref()),
        };
        let (own, sign) = match op {
            SizeOp::Add => (0, " + "),
            SizeOp::Sub => (0, " - "),
            SizeOp::Mul => (1, "*"),
            _ => return self.show_function(f, op),
        };
        let inside = own < level;
        if inside {
            f.write_str("(")?;
        }
        match (op, a) {
            (SizeOp::Sub, Size::Int(0)) => f.write_str("-")?,
            _ => {
                a.show(f, own)?;
                f.write_str(sign)?;
            }
        }
        b.show(f, own + 1)?;
        if inside { f.write_str(")") } else { Ok(()) }
    }

    fn show_function(&self, f: &mut fmt::Formatter<'_>, op: SizeOp) -> fmt::Result {
        let name = SizeOp::FUNCTIONS.iter().find(|(_, function)| *function == op).map_or("", |(name, _)| name);
        // The operands of a list lean to the left.
        let mut last = Vec::new();
        let mut at = self;
        loop {
            match at {
                Size::Of(inner, operands) if *inner == op && (last.is_empty() || op.is_list()) => {
                    let [a, b] = operands.as_ref();
                    last.push(b);
                    at = a;
                }
                _ => break,
            }
        }
        write!(f, "{name}({at}")?;
        last.iter().rev().try_for_each(|operand| write!(f, ", {operand}"))?;
        f.write_str(")")
    }
}

impl From<u64> for Size {
    fn from(value: u64) -> Self {
        Size::Int(value)
    }
}

impl fmt::Display for Size {
    /// The text in bundles.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, 0)
    }
}

/// An error about a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("size `{text}`: {what}")]
pub struct SizeError {
    /// The size, shortened if it is long.
    pub text: String,
    /// The fault.
    pub what: String,
}

impl SizeError {
    pub(super) fn new(text: &str, what: &str) -> Self {
        // Hostile files contain long ones.
        let text = match text.char_indices().nth(80) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text.to_string(),
        };
        SizeError { text, what: what.to_string() }
    }
}
