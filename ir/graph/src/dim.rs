//! Symbolic dimensions: polynomials with integer coefficients over named symbols.
//!
//! A dimension such as `P + T` (past plus new tokens) or `4*B*T` is kept in a normal form, so that
//! equality of shapes is plain equality of values. Division exists only where it is exact.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Sub};

use serde::{Deserialize, Serialize};

/// Values of symbols, by name.
pub type Bindings = BTreeMap<String, i64>;

/// An integer polynomial over symbols, in normal form (no zero coefficients).
///
/// The key of a term is the sorted list of symbols multiplied together; the empty list is the constant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Dim {
    terms: BTreeMap<Vec<String>, i64>,
}

impl Dim {
    /// The dimension that is always `value`.
    pub fn constant(value: i64) -> Self {
        let mut terms = BTreeMap::new();
        if value != 0 {
            terms.insert(Vec::new(), value);
        }
        Self { terms }
    }

    /// The dimension that is the value of the symbol `name`.
    pub fn symbol(name: &str) -> Self {
        Self { terms: BTreeMap::from([(vec![name.to_string()], 1)]) }
    }

    /// The value, if no symbol occurs.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new() as &Vec<String>).copied(),
            _ => None,
        }
    }

    /// Whether this is the constant 1 (a broadcast dimension).
    pub fn is_one(&self) -> bool {
        self.as_const() == Some(1)
    }

    /// The terms: (symbols multiplied, coefficient), in a fixed order.
    pub fn terms(&self) -> impl Iterator<Item = (&[String], i64)> {
        self.terms.iter().map(|(k, v)| (k.as_slice(), *v))
    }

    /// The names of all symbols that occur, sorted.
    pub fn symbols(&self) -> Vec<String> {
        let mut all: Vec<String> = self.terms.keys().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// `self / other` if the division leaves no remainder for every value of the symbols.
    ///
    /// The divisor must be a single term (`8`, `T`, `4*B`), which is all that reshapes need.
    pub fn exact_div(&self, other: &Dim) -> Option<Dim> {
        let mut divisor = other.terms.iter();
        let (dsyms, dcoef) = divisor.next()?;
        if divisor.next().is_some() {
            return (self == other).then(|| Dim::constant(1));
        }
        let mut terms = BTreeMap::new();
        for (syms, coef) in &self.terms {
            // The smallest i64 divided by -1 overflows, so both steps are checked.
            if coef.checked_rem(*dcoef)? != 0 {
                return None;
            }
            let mut rest = syms.clone();
            for s in dsyms {
                let at = rest.iter().position(|r| r == s)?;
                rest.remove(at);
            }
            terms.insert(rest, coef / dcoef);
        }
        Some(Dim { terms })
    }

    /// The value under `bindings`; `None` if a symbol is not bound or the value leaves `i64`.
    pub fn eval(&self, bindings: &Bindings) -> Option<i64> {
        let mut sum = 0i64;
        for (syms, coef) in &self.terms {
            let mut product = *coef;
            for s in syms {
                product = product.checked_mul(*bindings.get(s)?)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }

    /// Replaces the symbols found in `bindings` by their values.
    pub fn bind(&self, bindings: &Bindings) -> Dim {
        let mut out = Dim::default();
        for (syms, coef) in &self.terms {
            let mut term = Dim::constant(*coef);
            for s in syms {
                term = match bindings.get(s) {
                    Some(v) => &term * &Dim::constant(*v),
                    None => &term * &Dim::symbol(s),
                };
            }
            out = &out + &term;
        }
        out
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        Dim::constant(value)
    }
}

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        Dim::constant(value as i64)
    }
}

fn combine(a: &Dim, b: &Dim, sign: i64) -> Dim {
    let mut terms = a.terms.clone();
    for (k, v) in &b.terms {
        let sum = terms.get(k).copied().unwrap_or(0).saturating_add(v.saturating_mul(sign));
        if sum == 0 {
            terms.remove(k);
        } else {
            terms.insert(k.clone(), sum);
        }
    }
    Dim { terms }
}

impl Add for &Dim {
    type Output = Dim;
    fn add(self, other: &Dim) -> Dim {
        combine(self, other, 1)
    }
}

impl Sub for &Dim {
    type Output = Dim;
    fn sub(self, other: &Dim) -> Dim {
        combine(self, other, -1)
    }
}

impl Mul for &Dim {
    type Output = Dim;
    fn mul(self, other: &Dim) -> Dim {
        let mut out = Dim::default();
        for (ka, va) in &self.terms {
            for (kb, vb) in &other.terms {
                let mut key: Vec<String> = ka.iter().chain(kb).cloned().collect();
                key.sort();
                let coef = va.saturating_mul(*vb);
                out = combine(&out, &Dim { terms: BTreeMap::from([(key, coef)]) }, 1);
            }
        }
        out
    }
}

impl fmt::Display for Dim {
    /// Symbols first, then the constant: `P + T`, `4*B*T - 1`. The text is a valid size expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return write!(f, "0");
        }
        let symbolic = self.terms.iter().filter(|(k, _)| !k.is_empty());
        let constant = self.terms.iter().filter(|(k, _)| k.is_empty());
        for (i, (syms, coef)) in symbolic.chain(constant).enumerate() {
            match (i, *coef < 0) {
                (0, false) => {}
                (0, true) => write!(f, "-")?,
                (_, false) => write!(f, " + ")?,
                (_, true) => write!(f, " - ")?,
            }
            let magnitude = coef.unsigned_abs();
            if syms.is_empty() {
                write!(f, "{magnitude}")?;
            } else if magnitude == 1 {
                write!(f, "{}", syms.join("*"))?;
            } else {
                write!(f, "{magnitude}*{}", syms.join("*"))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A shape: one dimension per axis, outermost first. Rank 0 is a scalar.
pub type Shape = Vec<Dim>;

/// The product of all dimensions (1 for a scalar).
pub fn numel(shape: &[Dim]) -> Dim {
    shape.iter().fold(Dim::constant(1), |a, d| &a * d)
}

/// `[B, T, 64]`.
pub fn show_shape(shape: &[Dim]) -> String {
    format!("[{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
}

/// On disk a dimension is a list of terms: `[[4, "B", "T"], [-1]]`.
#[derive(Serialize, Deserialize)]
struct Term(i64, Vec<String>);

impl Serialize for Dim {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.as_const() {
            Some(v) => s.serialize_i64(v),
            None => self.terms.iter().map(|(k, v)| Term(*v, k.clone())).collect::<Vec<_>>().serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Dim {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Repr {
            Const(i64),
            Terms(Vec<Term>),
        }
        Ok(match Repr::deserialize(d)? {
            Repr::Const(v) => Dim::constant(v),
            Repr::Terms(terms) => terms.into_iter().fold(Dim::default(), |sum, Term(coef, syms)| {
                let product = syms.iter().fold(Dim::constant(coef), |a, s| &a * &Dim::symbol(s));
                &sum + &product
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_normalised() {
        let (t, p) = (Dim::symbol("T"), Dim::symbol("P"));
        assert_eq!(&(&t + &p) - &p, t);
        assert_eq!((&(&t + &p) * &Dim::constant(4)).to_string(), "4*P + 4*T");
        assert_eq!((&t - &Dim::constant(1)).to_string(), "T - 1");
        assert_eq!(&t * &p, &p * &t);
    }

    #[test]
    fn division_must_be_exact() {
        let bt = &Dim::symbol("B") * &Dim::symbol("T");
        let four = &bt * &Dim::constant(12);
        assert_eq!(four.exact_div(&Dim::constant(4)), Some(&bt * &Dim::constant(3)));
        assert_eq!(four.exact_div(&bt), Some(Dim::constant(12)));
        assert_eq!(four.exact_div(&Dim::constant(5)), None);
        assert_eq!(Dim::constant(8).exact_div(&Dim::symbol("T")), None);
    }

    #[test]
    fn json_round_trip() {
        for d in [Dim::constant(7), &Dim::symbol("P") + &Dim::symbol("T"), Dim::default()] {
            let text = serde_json::to_string(&d).unwrap();
            assert_eq!(serde_json::from_str::<Dim>(&text).unwrap(), d);
        }
    }
}
