//! Simplification of index arithmetic while a kernel is written.
//!
//! Only u32 and bool arithmetic is rewritten, and only by exact identities: `x * 1`, literals, and quotients of sums
//! such as `(i * 8 + j) / 8` if `j < 8` is known. Float expressions stay as written, except operations on two literals,
//! so that all targets compute the same.

use std::collections::BTreeMap;

use gristmill_graph::{Binary, Unary};

use crate::kernel::{Bit, Expr, Scalar, Var};

/// Known facts about registers and symbols: largest values, and definitions by `Let`.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    upper: BTreeMap<Var, u32>,
    definitions: BTreeMap<Var, Expr>,
    symbols: BTreeMap<String, u32>,
}

/// A u32 sum: `terms[i].0 * terms[i].1 + .. + constant`.
#[derive(Default)]
struct Sum {
    terms: Vec<(u64, Expr)>,
    constant: u64,
}

impl Sum {
    fn into_expr(self, facts: &Facts) -> Option<Expr> {
        let mut sum = None;
        for (factor, term) in self.terms {
            let term = facts.binary(Binary::Mul, term, Expr::U32(u32::try_from(factor).ok()?));
            sum = Some(match sum {
                None => term,
                Some(sum) => facts.binary(Binary::Add, sum, term),
            });
        }
        let constant = Expr::U32(u32::try_from(self.constant).ok()?);
        Some(match sum {
            None => constant,
            Some(sum) => facts.binary(Binary::Add, sum, constant),
        })
    }
}

impl Facts {
    /// No facts.
    pub const NONE: &'static Facts =
        &Facts { upper: BTreeMap::new(), definitions: BTreeMap::new(), symbols: BTreeMap::new() };

    /// Asserts that a u32 register is at most `max`; returns the earlier bound.
    pub fn bound(&mut self, var: Var, max: u32) -> Option<u32> {
        self.upper.insert(var, max)
    }

    /// Restores the bound from before [`Facts::bound`].
    pub fn restore(&mut self, var: Var, before: Option<u32>) {
        match before {
            Some(max) => self.upper.insert(var, max),
            None => self.upper.remove(&var),
        };
    }

    /// Asserts that a symbol is at most `max`.
    pub fn bound_symbol(&mut self, name: &str, max: u32) {
        self.symbols.insert(name.to_string(), max);
    }

    /// Records the definition of a constant u32 register.
    pub fn define(&mut self, var: Var, value: &Expr) {
        let max = self.upper(value);
        if max < u32::MAX {
            self.upper.insert(var, max);
        }
        if matches!(value, Expr::Binary(Binary::Add | Binary::Mul, ..)) {
            self.definitions.insert(var, value.clone());
        }
    }

    /// An upper bound of a u32 expression (`u32::MAX` if nothing is known).
    pub fn upper(&self, e: &Expr) -> u32 {
        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        match e {
            Expr::U32(n) | Expr::Named(_, n) => *n,
            Expr::Var(v) => self.upper.get(v).copied().unwrap_or(u32::MAX),
            Expr::Symbol(s) => self.symbols.get(s).copied().unwrap_or(u32::MAX),
            Expr::Binary(Binary::Add, a, b) => clamp(u64::from(self.upper(a)) + u64::from(self.upper(b))),
            Expr::Binary(Binary::Mul, a, b) => clamp(u64::from(self.upper(a)) * u64::from(self.upper(b))),
            Expr::Binary(Binary::Div, a, b) => self.upper(a) / b.as_u32().unwrap_or(1).max(1),
            Expr::Binary(Binary::Rem, a, b) => self.upper(a).min(self.upper(b).saturating_sub(1)),
            Expr::Binary(Binary::Min, a, b) => self.upper(a).min(self.upper(b)),
            Expr::Binary(Binary::Max, a, b) => self.upper(a).max(self.upper(b)),
            Expr::Bit(Bit::And, a, b) => self.upper(a).min(self.upper(b)),
            Expr::Bit(Bit::Or | Bit::Xor, a, b) => {
                let max = self.upper(a) | self.upper(b);
                (u64::from(max) + 1).next_power_of_two().saturating_sub(1).min(u64::from(u32::MAX)) as u32
            }
            Expr::Bit(Bit::Shr, a, b) => b.as_u32().map_or(self.upper(a), |n| self.upper(a) >> n.min(31)),
            Expr::Select(_, a, b) => self.upper(a).max(self.upper(b)),
            _ => u32::MAX,
        }
    }

    /// A lower bound of a u32 expression (0 if nothing is known).
    fn lower(&self, e: &Expr) -> u32 {
        match e {
            Expr::U32(n) | Expr::Named(_, n) => *n,
            Expr::Binary(Binary::Max, a, b) => self.lower(a).max(self.lower(b)),
            _ => 0,
        }
    }

    /// Simplifies an expression with these facts.
    pub fn simplify(&self, e: Expr) -> Expr {
        match e.map_parts(&mut |part| self.simplify(part)) {
            Expr::Var(v) if self.upper.get(&v) == Some(&0) => Expr::U32(0),
            Expr::Binary(op, a, b) => self.binary(op, *a, *b),
            Expr::Bit(op, a, b) => self.bit(op, *a, *b),
            Expr::Unary(op, a) => self.unary(op, *a),
            Expr::Select(c, a, b) => self.select(*c, *a, *b),
            Expr::Cast(to, a) => self.cast(to, *a),
            Expr::Lane(a, n) => self.lane(*a, *n),
            other => other,
        }
    }

    /// `a op b`, simplified; the operands must be simplified already.
    pub fn binary(&self, op: Binary, a: Expr, b: Expr) -> Expr {
        if let Some(literal) = fold(op, &a, &b) {
            return literal;
        }
        match (op, a, b) {
            (Binary::Add | Binary::Mul | Binary::Min | Binary::Max, Expr::U32(n), b) => {
                self.binary(op, b, Expr::U32(n))
            }
            (Binary::Add | Binary::Sub, a, Expr::U32(0)) => a,
            (Binary::Mul | Binary::Div, a, Expr::U32(1)) => a,
            (Binary::Mul, _, Expr::U32(0)) | (Binary::Rem, _, Expr::U32(1)) => Expr::U32(0),
            (Binary::Mul | Binary::Div, a, Expr::F32(1.0)) => a,
            (Binary::Mul, Expr::F32(1.0), b) => b,
            (Binary::Mul, Expr::Binary(Binary::Mul, x, m), Expr::U32(n)) => {
                match m.as_u32().map(|m| m.checked_mul(n)) {
                    Some(Some(mn)) => self.binary(Binary::Mul, *x, Expr::U32(mn)),
                    _ => Expr::Binary(op, Box::new(Expr::Binary(Binary::Mul, x, m)), Box::new(Expr::U32(n))),
                }
            }
            (Binary::Add, Expr::Binary(Binary::Add, x, m), Expr::U32(n)) => {
                match m.as_u32().map(|m| m.checked_add(n)) {
                    Some(Some(mn)) => self.binary(Binary::Add, *x, Expr::U32(mn)),
                    _ => Expr::Binary(op, Box::new(Expr::Binary(Binary::Add, x, m)), Box::new(Expr::U32(n))),
                }
            }
            // (x + m) - n, exact modulo 2^32.
            (Binary::Sub, Expr::Binary(Binary::Add, x, m), Expr::U32(n)) if m.as_u32().is_some_and(|m| m >= n) => {
                self.binary(Binary::Add, *x, Expr::U32(m.as_u32().unwrap_or(n) - n))
            }
            (Binary::Div, a, Expr::U32(n)) if n > 0 => self.divide(a, n),
            (Binary::Rem, a, Expr::U32(n)) if n > 0 => self.remainder(a, n),
            (Binary::Min, a, b) if self.upper(&a) <= self.lower(&b) => a,
            (Binary::Min, a, b) if self.upper(&b) <= self.lower(&a) => b,
            (Binary::Max, a, Expr::U32(0)) => a,
            (Binary::Lt, a, b) if self.upper(&a) < self.lower(&b) => Expr::Bool(true),
            (Binary::Lt, a, b) if self.upper(&b) <= self.lower(&a) => Expr::Bool(false),
            (Binary::Ge, a, b) if self.upper(&a) < self.lower(&b) => Expr::Bool(false),
            (Binary::Ge, a, b) if self.upper(&b) <= self.lower(&a) => Expr::Bool(true),
            (Binary::Gt, a, b) if self.upper(&b) < self.lower(&a) => Expr::Bool(true),
            (Binary::Gt, a, b) if self.upper(&a) <= self.lower(&b) => Expr::Bool(false),
            (Binary::Le, a, b) if self.upper(&b) < self.lower(&a) => Expr::Bool(false),
            (Binary::Le, a, b) if self.upper(&a) <= self.lower(&b) => Expr::Bool(true),
            (Binary::And, Expr::Bool(true), x) | (Binary::And, x, Expr::Bool(true)) => x,
            (Binary::Or, Expr::Bool(false), x) | (Binary::Or, x, Expr::Bool(false)) => x,
            (Binary::And, Expr::Bool(false), _) | (Binary::And, _, Expr::Bool(false)) => Expr::Bool(false),
            (Binary::Or, Expr::Bool(true), _) | (Binary::Or, _, Expr::Bool(true)) => Expr::Bool(true),
            (op, a, b) => Expr::Binary(op, Box::new(a), Box::new(b)),
        }
    }

    /// A bit operation, simplified; the operands must be simplified already.
    pub fn bit(&self, op: Bit, a: Expr, b: Expr) -> Expr {
        match (op, a, b) {
            (Bit::And, Expr::U32(a), Expr::U32(b)) => Expr::U32(a & b),
            (Bit::Or, Expr::U32(a), Expr::U32(b)) => Expr::U32(a | b),
            (Bit::Xor, Expr::U32(a), Expr::U32(b)) => Expr::U32(a ^ b),
            (Bit::Shl, Expr::U32(a), Expr::U32(n)) if n < 32 => Expr::U32(a << n),
            (Bit::Shr, Expr::U32(a), Expr::U32(n)) if n < 32 => Expr::U32(a >> n),
            (Bit::Shl | Bit::Shr | Bit::Or | Bit::Xor, a, Expr::U32(0)) => a,
            (op, a, b) => Expr::Bit(op, Box::new(a), Box::new(b)),
        }
    }

    /// A function of one argument, simplified; the argument must be simplified already.
    pub fn unary(&self, op: Unary, a: Expr) -> Expr {
        match (op, a) {
            (Unary::Not, Expr::Bool(x)) => Expr::Bool(!x),
            (Unary::Neg, Expr::F32(x)) => Expr::F32(-x),
            (Unary::Neg, Expr::I32(x)) => Expr::I32(x.wrapping_neg()),
            (op, a) => Expr::Unary(op, Box::new(a)),
        }
    }

    /// A select, simplified; the operands must be simplified already.
    pub fn select(&self, condition: Expr, then: Expr, otherwise: Expr) -> Expr {
        match condition {
            Expr::Bool(true) => then,
            Expr::Bool(false) => otherwise,
            c if then == otherwise && !matches!(c, Expr::Subgroup(..)) => then,
            c => Expr::Select(Box::new(c), Box::new(then), Box::new(otherwise)),
        }
    }

    /// A conversion, simplified; the operand must be simplified already.
    pub fn cast(&self, to: Scalar, a: Expr) -> Expr {
        match (to, a) {
            (Scalar::F32, Expr::U32(n)) => Expr::F32(n as f32),
            (Scalar::F32, Expr::I32(n)) => Expr::F32(n as f32),
            (Scalar::F32, Expr::F32(x)) => Expr::F32(x),
            (Scalar::I32, Expr::U32(n)) => Expr::I32(n as i32),
            (Scalar::U32, Expr::I32(n)) => Expr::U32(n as u32),
            (Scalar::U32, Expr::U32(n)) => Expr::U32(n),
            (Scalar::I32, Expr::I32(n)) => Expr::I32(n),
            (to, a) => Expr::Cast(to, Box::new(a)),
        }
    }

    /// A lane, simplified; the operands must be simplified already.
    pub fn lane(&self, a: Expr, n: Expr) -> Expr {
        match (a, n) {
            // Two parts may be vectors of two themselves.
            (Expr::Vec(parts), Expr::U32(n)) if parts.len() == 4 && n < 4 => parts[n as usize].clone(),
            (Expr::Splat(_, x), _) => *x,
            (a, n) => Expr::Lane(Box::new(a), Box::new(n)),
        }
    }

    fn collect(&self, e: &Expr, factor: u64, expand: bool, out: &mut Sum) -> Option<()> {
        match e {
            Expr::U32(n) => out.constant = out.constant.checked_add(factor.checked_mul(u64::from(*n))?)?,
            Expr::Binary(Binary::Add, a, b) => {
                self.collect(a, factor, expand, out)?;
                self.collect(b, factor, expand, out)?;
            }
            Expr::Binary(Binary::Mul, a, b) if b.as_u32().is_some() => {
                let n = u64::from(b.as_u32()?);
                self.collect(a, factor.checked_mul(n)?, expand, out)?;
            }
            Expr::Var(v) if expand && self.definitions.contains_key(v) => {
                self.collect(&self.definitions[v], factor, expand, out)?;
            }
            other => out.terms.push((factor, other.clone())),
        }
        Some(())
    }

    /// Splits a sum into (multiple of `n`, divided by `n`; rest).
    fn split(&self, e: &Expr, n: u64, expand: bool) -> Option<(Sum, Sum)> {
        let mut all = Sum::default();
        self.collect(e, 1, expand, &mut all)?;
        let (mut whole, mut rest) = (Sum::default(), Sum::default());
        for (factor, term) in all.terms {
            if factor % n == 0 {
                whole.terms.push((factor / n, term));
            } else {
                rest.terms.push((factor, term));
            }
        }
        whole.constant = all.constant / n;
        rest.constant = all.constant % n;
        Some((whole, rest))
    }

    fn upper_of(&self, sum: &Sum) -> u64 {
        sum.terms.iter().fold(sum.constant, |n, (factor, term)| {
            n.saturating_add(factor.saturating_mul(u64::from(self.upper(term))))
        })
    }

    /// `e / n`, by `(n * m + r) / n == m + r / n`, and by dividing both by a common factor `g` of `n` and of the
    /// large terms when the small terms stay below `g`.
    fn divide(&self, e: Expr, n: u32) -> Expr {
        if self.upper(&e) < n {
            return Expr::U32(0);
        }
        if let Expr::Binary(Binary::Div, x, m) = &e
            && let Some(mn) = m.as_u32().and_then(|m| m.checked_mul(n)).filter(|mn| *mn > 0)
        {
            return self.divide((**x).clone(), mn);
        }
        for expand in [false, true] {
            let Some((whole, rest)) = self.split(&e, u64::from(n), expand) else { continue };
            let rest_upper = self.upper_of(&rest);
            if rest_upper < u64::from(n) {
                if let Some(q) = whole.into_expr(self) {
                    return q;
                }
                continue;
            }
            if let Some(q) = self.divide_common(&whole, &rest, n) {
                return q;
            }
            if whole.terms.is_empty() && whole.constant == 0 {
                continue;
            }
            if let (Some(q), Some(r)) = (whole.into_expr(self), rest.into_expr(self)) {
                return self.binary(Binary::Add, q, quotient(Binary::Div, r, n));
            }
        }
        quotient(Binary::Div, e, n)
    }

    /// `e % n`: multiples of `n` vanish.
    fn remainder(&self, e: Expr, n: u32) -> Expr {
        if self.upper(&e) < n {
            return e;
        }
        for expand in [false, true] {
            let Some((whole, rest)) = self.split(&e, u64::from(n), expand) else { continue };
            let bounded = self.upper_of(&rest) < u64::from(n);
            if !bounded && whole.terms.is_empty() && whole.constant == 0 {
                continue;
            }
            if let Some(r) = rest.into_expr(self) {
                return if bounded { r } else { quotient(Binary::Rem, r, n) };
            }
        }
        quotient(Binary::Rem, e, n)
    }

    /// `(whole * n + g * m + r) / n == whole + m / (n / g)` when `g` divides `n` and `r < g`.
    fn divide_common(&self, whole: &Sum, rest: &Sum, n: u32) -> Option<Expr> {
        let n = u64::from(n);
        let mut factors: Vec<u64> = rest.terms.iter().map(|(factor, _)| gcd(*factor, n)).filter(|g| *g > 1).collect();
        factors.sort_unstable_by(|a, b| b.cmp(a));
        for g in factors {
            let (mut high, mut low) = (Sum::default(), Sum::default());
            for (factor, term) in &rest.terms {
                let side = if factor % g == 0 { &mut high } else { &mut low };
                side.terms.push((if factor % g == 0 { factor / g } else { *factor }, term.clone()));
            }
            high.constant = rest.constant / g;
            low.constant = rest.constant % g;
            if self.upper_of(&low) < g {
                let whole = Sum { terms: whole.terms.clone(), constant: whole.constant }.into_expr(self)?;
                let m = self.binary(Binary::Div, high.into_expr(self)?, Expr::U32((n / g) as u32));
                return Some(self.binary(Binary::Add, whole, m));
            }
        }
        None
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn quotient(op: Binary, e: Expr, n: u32) -> Expr {
    Expr::Binary(op, Box::new(e), Box::new(Expr::U32(n)))
}

/// Operations on two literals.
fn fold(op: Binary, a: &Expr, b: &Expr) -> Option<Expr> {
    match (a, b) {
        (Expr::U32(a), Expr::U32(b)) => fold_u32(op, *a, *b),
        (Expr::F32(a), Expr::F32(b)) => match op {
            Binary::Add => Some(Expr::F32(a + b)),
            Binary::Sub => Some(Expr::F32(a - b)),
            Binary::Mul => Some(Expr::F32(a * b)),
            _ => None,
        },
        _ => None,
    }
}

fn fold_u32(op: Binary, a: u32, b: u32) -> Option<Expr> {
    Some(match op {
        Binary::Add => Expr::U32(a.wrapping_add(b)),
        Binary::Sub => Expr::U32(a.wrapping_sub(b)),
        Binary::Mul => Expr::U32(a.wrapping_mul(b)),
        Binary::Div => Expr::U32(a.checked_div(b)?),
        Binary::Rem => Expr::U32(a.checked_rem(b)?),
        Binary::Max => Expr::U32(a.max(b)),
        Binary::Min => Expr::U32(a.min(b)),
        Binary::Lt => Expr::Bool(a < b),
        Binary::Le => Expr::Bool(a <= b),
        Binary::Gt => Expr::Bool(a > b),
        Binary::Ge => Expr::Bool(a >= b),
        Binary::Eq => Expr::Bool(a == b),
        Binary::Ne => Expr::Bool(a != b),
        Binary::Pow | Binary::And | Binary::Or => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::u;

    fn facts() -> (Facts, Expr, Expr) {
        let mut facts = Facts::default();
        facts.bound(Var(1), 7);
        (facts, Expr::Var(Var(0)), Expr::Var(Var(1)))
    }

    #[test]
    fn quotients_of_sums() {
        let (facts, i, j) = facts();
        let sum = &i * 8 + &j;
        assert_eq!(facts.simplify(&sum / 8), i);
        assert_eq!(facts.simplify(&sum % 8), j);
        assert_eq!(facts.simplify(&sum / 4), facts.simplify(&i * 2 + &j / 4));
        assert_eq!(facts.simplify(&sum / 16), &i / 2);
        assert_eq!(facts.simplify((&sum + 16) / 8), &i + 2);
        assert_eq!(facts.simplify((&i * 32 + &j * 4 + 3) % 32), &j * 4 + 3);
        assert_eq!(facts.simplify(&sum / 3), Expr::Binary(Binary::Div, Box::new(sum), Box::new(u(3))));
    }

    #[test]
    fn definitions_are_looked_through() {
        let (mut facts, i, j) = facts();
        facts.define(Var(2), &(&i * 8 + &j));
        assert_eq!(facts.simplify(Expr::Var(Var(2)) / 8), i);
        assert_eq!(facts.simplify(Expr::Var(Var(2)) % 8), j);
        assert_eq!(facts.simplify(Expr::Var(Var(2)) * 3), Expr::Var(Var(2)) * 3);
    }

    #[test]
    fn comparisons_with_known_bounds() {
        let (facts, i, j) = facts();
        assert_eq!(facts.simplify(j.lt(8)), Expr::Bool(true));
        assert_eq!(facts.simplify(j.min(9)), j);
        assert_eq!(facts.simplify(i.lt(8)), i.lt(8));
        assert_eq!(facts.simplify(j.lt(8).and(i.lt(4))), i.lt(4));
        assert_eq!(facts.simplify(j.ge(8).select(&i, &j)), j);
    }
}
