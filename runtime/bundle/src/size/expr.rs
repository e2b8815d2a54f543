//! Sizes prepared for evaluation.

use std::collections::BTreeMap;

use super::tree::{Size, SizeError, SizeOp};

impl Size {
    /// Prepares it for evaluation. Its symbols must occur in `symbols`, whose order is that of the values for
    /// [`Expr::eval`].
    ///
    /// # Errors
    /// If a symbol does not occur there.
    pub fn resolve<S: AsRef<str>>(&self, symbols: &[S]) -> Result<Expr, SizeError> {
        Expr::new(self, symbols)
    }

    /// The value with these values of symbols. For repeated evaluation, [`Size::resolve`] is faster.
    ///
    /// # Errors
    /// If a symbol has no value; also those of [`Expr::eval`].
    pub fn eval(&self, symbols: &BTreeMap<String, u32>) -> Result<u64, SizeError> {
        let names: Vec<&String> = symbols.keys().collect();
        let values: Vec<u32> = symbols.values().copied().collect();
        self.resolve(&names)?.eval(&values)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Int(u64),
    /// The index of a symbol.
    Symbol(u32),
    Of(SizeOp),
}

/// A [`Size`] in postfix order, with indices in place of symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    size: Size,
    ops: Vec<Op>,
}

impl Expr {
    pub(super) fn new<S: AsRef<str>>(size: &Size, symbols: &[S]) -> Result<Self, SizeError> {
        let mut ops = Vec::new();
        // The remaining work, the next item last. An operation comes back when its operands are done.
        let mut todo = vec![(size, false)];
        while let Some((at, ready)) = todo.pop() {
            match at {
                Size::Int(value) => ops.push(Op::Int(*value)),
                Size::Symbol(name) => {
                    let position = symbols.iter().position(|s| s.as_ref() == &**name);
                    let unknown = || size.error(&format!("`{name}` is not a declared symbol"));
                    ops.push(Op::Symbol(position.ok_or_else(unknown)? as u32));
                }
                Size::Of(op, _) if ready => ops.push(Op::Of(*op)),
                Size::Of(_, operands) => todo.extend([(at, true), (&operands[1], false), (&operands[0], false)]),
            }
        }
        Ok(Expr { size: size.clone(), ops })
    }

    /// The value with these values of symbols, in the order given to [`Size::resolve`].
    ///
    /// # Errors
    /// Overflow, division by zero, a negative result, too few values; the message names the expression.
    pub fn eval(&self, values: &[u32]) -> Result<u64, SizeError> {
        self.run(values).map_err(|what| self.size.error(what))
    }

    fn run(&self, values: &[u32]) -> Result<u64, &'static str> {
        let mut stack: Vec<i64> = Vec::with_capacity(8);
        for op in &self.ops {
            let value = match op {
                Op::Int(v) => i64::try_from(*v).ok(),
                Op::Symbol(i) => Some(i64::from(*values.get(*i as usize).ok_or("a symbol has no value")?)),
                Op::Of(op) => {
                    let (Some(b), Some(a)) = (stack.pop(), stack.pop()) else { return Err("is malformed") };
                    match op {
                        SizeOp::Add => a.checked_add(b),
                        SizeOp::Sub => a.checked_sub(b),
                        SizeOp::Mul => a.checked_mul(b),
                        SizeOp::Max => Some(a.max(b)),
                        SizeOp::Min => Some(a.min(b)),
                        _ if b <= 0 || a < 0 => return Err("divides by zero, or has a negative operand"),
                        SizeOp::FloorDiv => Some(a / b),
                        SizeOp::CeilDiv => a.checked_add(b - 1).map(|n| n / b),
                    }
                }
            };
            stack.push(value.ok_or("overflows")?);
        }
        match stack.as_slice() {
            [v] => u64::try_from(*v).map_err(|_| "is negative here"),
            _ => Err("is malformed"),
        }
    }

    /// Whether the symbol with this index occurs.
    pub fn uses(&self, symbol: usize) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Symbol(i) if *i as usize == symbol))
    }
}
