//! Symbolic dimensions: polynomials with integer coefficients over named symbols.
//!
//! Dimensions such as `P + T` (past plus new tokens) or `4*B*T` have a normal form, so that equal shapes are equal
//! values. A quotient that may leave a remainder, such as the number of windows in an image, is a factor like a symbol:
//! `ceil_div(H, 4)`, also in normal form.

mod order;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Sub};

use serde::{Deserialize, Serialize};

/// Values of symbols, by name.
pub type Bindings = BTreeMap<String, i64>;

/// A factor of a term, besides its coefficient.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// The symbol with this name.
    Symbol(String),
    /// A dimension divided by a number, rounded up. The number is at least 2, and the coefficients of the dimension
    /// are positive and smaller, so that the dimension is never negative.
    CeilDiv(Box<Dim>, i64),
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Factor::Symbol(name) => f.write_str(name),
            Factor::CeilDiv(dim, by) => write!(f, "ceil_div({dim}, {by})"),
        }
    }
}

/// An integer polynomial over symbols and quotients, in normal form (no zero coefficients).
///
/// The key of a term is the sorted list of its factors; the empty list is the constant term.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Dim {
    terms: BTreeMap<Vec<Factor>, i64>,
}

impl Dim {
    /// The constant dimension `value`.
    pub fn constant(value: i64) -> Self {
        let mut terms = BTreeMap::new();
        if value != 0 {
            terms.insert(Vec::new(), value);
        }
        Self { terms }
    }

    /// The dimension of the symbol `name`.
    pub fn symbol(name: &str) -> Self {
        Self::factor(Factor::Symbol(name.to_string()))
    }

    fn factor(factor: Factor) -> Self {
        Self::term(vec![factor], 1)
    }

    /// The product of a coefficient and factors.
    pub fn term(mut factors: Vec<Factor>, coefficient: i64) -> Self {
        factors.sort();
        Self { terms: BTreeMap::from([(factors, coefficient)]).into_iter().filter(|(_, c)| *c != 0).collect() }
    }

    /// The value, if no symbol occurs.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new() as &Vec<Factor>).copied(),
            _ => None,
        }
    }

    /// Whether this is the constant 1 (a broadcast dimension).
    pub fn is_one(&self) -> bool {
        self.as_const() == Some(1)
    }

    /// The terms as (factors, coefficient), in a fixed order.
    pub fn terms(&self) -> impl Iterator<Item = (&[Factor], i64)> {
        self.terms.iter().map(|(k, v)| (k.as_slice(), *v))
    }

    /// The names of all symbols that occur, sorted.
    pub fn symbols(&self) -> Vec<String> {
        let of = |factor: &Factor| match factor {
            Factor::Symbol(name) => vec![name.clone()],
            Factor::CeilDiv(dim, _) => dim.symbols(),
        };
        let mut all: Vec<String> = self.terms.keys().flatten().flat_map(of).collect();
        all.sort();
        all.dedup();
        all
    }

    /// `self / other` if the division leaves no remainder for any values of the symbols.
    ///
    /// The divisor must be a single term (`8`, `T`, `4*B`), which suffices for reshapes.
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

    /// `self / by`, rounded up; `None` if `by` is not positive.
    ///
    /// Multiples of `by` are divided exactly, and a quotient of a quotient becomes one quotient, so that equal sizes
    /// are equal values: an image of height `H` that is halved twice has `ceil_div(H, 4)` rows.
    pub fn ceil_div(&self, by: i64) -> Option<Dim> {
        if by < 1 {
            return None;
        }
        let (mut whole, mut rest) = (Dim::default(), Dim::default());
        for (factors, coef) in &self.terms {
            for (part, value) in [(&mut whole, coef.div_euclid(by)), (&mut rest, coef.rem_euclid(by))] {
                if value != 0 {
                    part.terms.insert(factors.clone(), value);
                }
            }
        }
        if let Some(value) = rest.as_const() {
            return Some(&whole + &Dim::constant(i64::from(value > 0)));
        }
        let quotient = match rest.of_quotient(by).or_else(|| rest.cancelled(by)) {
            Some((dim, by)) => dim.ceil_div(by)?,
            None => Dim::factor(Factor::CeilDiv(Box::new(rest), by)),
        };
        Some(&whole + &quotient)
    }

    /// `self / by`, rounded down; `None` if `by` is not positive.
    pub fn floor_div(&self, by: i64) -> Option<Dim> {
        (self - &Dim::constant(by.checked_sub(1)?)).ceil_div(by)
    }

    /// `(p + ceil_div(c, g), n)` for the dimension `g*p + c` divided by `g*n`, if there is such a `g` above 1.
    fn cancelled(&self, by: i64) -> Option<(Dim, i64)> {
        let gcd = |mut a: i64, mut b: i64| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let symbolic = || self.terms.iter().filter(|(factors, _)| !factors.is_empty());
        let common = symbolic().fold(by, |g, (_, coef)| gcd(g, *coef));
        let constant = self.terms.get(&Vec::new() as &Vec<Factor>).copied().unwrap_or(0);
        let terms = symbolic().map(|(factors, coef)| (factors.clone(), coef / common)).collect();
        let rounded = Dim::constant(constant / common + i64::from(constant % common != 0));
        (common > 1).then(|| (&Dim { terms } + &rounded, by / common))
    }

    /// `(a + p*m, m*n)` for the dimension `ceil_div(a, m) + p` divided by `n`.
    fn of_quotient(&self, by: i64) -> Option<(Dim, i64)> {
        let mut quotients = self.terms.iter().filter_map(|(factors, coef)| match (factors.as_slice(), coef) {
            ([Factor::CeilDiv(dim, inner)], 1) => Some((factors, dim, *inner)),
            _ => None,
        });
        let ((key, dim, inner), None) = (quotients.next()?, quotients.next()) else { return None };
        let mut others = self.clone();
        others.terms.remove(key);
        Some((dim.as_ref() + &(&others * &Dim::constant(inner)), inner.checked_mul(by)?))
    }

    /// The value under `bindings`; `None` if a symbol is not bound or the value overflows `i64`.
    pub fn eval(&self, bindings: &Bindings) -> Option<i64> {
        let mut sum = 0i64;
        for (syms, coef) in &self.terms {
            let mut product = *coef;
            for factor in syms {
                let value = match factor {
                    Factor::Symbol(name) => *bindings.get(name)?,
                    Factor::CeilDiv(dim, by) => {
                        let value = dim.eval(bindings)?;
                        value.checked_div_euclid(*by)? + i64::from(value.checked_rem_euclid(*by)? != 0)
                    }
                };
                product = product.checked_mul(value)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }

    /// The dimension with the symbols in `bindings` replaced by their values.
    pub fn bind(&self, bindings: &Bindings) -> Dim {
        let mut out = Dim::default();
        for (syms, coef) in &self.terms {
            let mut term = Dim::constant(*coef);
            for factor in syms {
                let value = match factor {
                    Factor::Symbol(name) => bindings.get(name).map(|v| Dim::constant(*v)),
                    Factor::CeilDiv(dim, by) => dim.bind(bindings).ceil_div(*by),
                };
                term = &term * &value.unwrap_or_else(|| Dim::factor(factor.clone()));
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
                let mut key: Vec<Factor> = ka.iter().chain(kb).cloned().collect();
                key.sort();
                let coef = va.saturating_mul(*vb);
                out = combine(&out, &Dim { terms: BTreeMap::from([(key, coef)]) }, 1);
            }
        }
        out
    }
}

impl fmt::Display for Dim {
    /// Symbols before the constant: `P + T`, `4*B*T - 1`. The text is a valid size expression.
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
            let product = syms.iter().map(Factor::to_string).collect::<Vec<_>>().join("*");
            if syms.is_empty() {
                write!(f, "{magnitude}")?;
            } else if magnitude == 1 {
                f.write_str(&product)?;
            } else {
                write!(f, "{magnitude}*{product}")?;
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

/// A shape as text: `[B, T, 64]`.
pub fn show_shape(shape: &[Dim]) -> String {
    format!("[{}]", shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
}

/// In files, a dimension is a list of terms: `[[4, ["B", "T"]], [-1, []]]`.
#[derive(Serialize, Deserialize)]
struct Term(i64, Vec<StoredFactor>);

/// In files, a factor is the name of a symbol, or a quotient.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredFactor {
    Symbol(String),
    Quotient { ceil_div: (Dim, i64) },
}

impl From<&Factor> for StoredFactor {
    fn from(factor: &Factor) -> Self {
        match factor {
            Factor::Symbol(name) => StoredFactor::Symbol(name.clone()),
            Factor::CeilDiv(dim, by) => StoredFactor::Quotient { ceil_div: (dim.as_ref().clone(), *by) },
        }
    }
}

impl Serialize for Dim {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let term =
            |(factors, coef): (&Vec<Factor>, &i64)| Term(*coef, factors.iter().map(StoredFactor::from).collect());
        match self.as_const() {
            Some(v) => s.serialize_i64(v),
            None => self.terms.iter().map(term).collect::<Vec<_>>().serialize(s),
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
        let terms = match Repr::deserialize(d)? {
            Repr::Const(v) => return Ok(Dim::constant(v)),
            Repr::Terms(terms) => terms,
        };
        let mut sum = Dim::default();
        for Term(coef, factors) in terms {
            let mut product = Dim::constant(coef);
            for factor in factors {
                let value = match factor {
                    StoredFactor::Symbol(name) => Some(Dim::symbol(&name)),
                    StoredFactor::Quotient { ceil_div: (dim, by) } => dim.ceil_div(by),
                };
                let value = value.ok_or_else(|| serde::de::Error::custom("expected a positive divisor"))?;
                product = &product * &value;
            }
            sum = &sum + &product;
        }
        Ok(sum)
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
    fn quotients_have_one_form() {
        let (h, one) = (Dim::symbol("H"), Dim::constant(1));
        let half = h.ceil_div(2).unwrap();
        // (H - 1) / 2 + 1, rounded down: windows of 3 with a stride of 2, padded by 1.
        assert_eq!(&(&h - &one).floor_div(2).unwrap() + &one, half);
        assert_eq!(half.ceil_div(2).unwrap().to_string(), "ceil_div(H, 4)");
        assert_eq!((&half + &one).floor_div(2).unwrap().to_string(), "ceil_div(H, 4)");
        let even = &(&h * &Dim::constant(2)) + &one;
        assert_eq!(even.ceil_div(6).unwrap().to_string(), "ceil_div(H + 1, 3)");
        let four = &h * &Dim::constant(4);
        assert_eq!((&four + &one).floor_div(2), Some(&h * &Dim::constant(2)));
        assert_eq!((h.ceil_div(0), Dim::constant(-7).floor_div(2)), (None, Some(Dim::constant(-4))));
        assert_eq!((&half * &half).exact_div(&half), Some(half.clone()));
        assert_eq!(half.symbols(), ["H"]);
    }

    #[test]
    fn quotients_have_the_value_that_they_say() {
        let (h, w) = (Dim::symbol("H"), Dim::symbol("W"));
        let dim = &(&(&h * &Dim::constant(3)) + &w) - &Dim::constant(5);
        for by in 1..6i64 {
            let (up, down) = (dim.ceil_div(by).unwrap(), dim.floor_div(by).unwrap());
            let twice = (&down + &w).ceil_div(3).unwrap();
            for (a, b) in (0..8i64).flat_map(|a| (0..8i64).map(move |b| (a, b))) {
                let value = 3 * a + b - 5;
                let both = Bindings::from([("H".to_string(), a), ("W".to_string(), b)]);
                let one = Bindings::from([("W".to_string(), b)]);
                let floor = value.div_euclid(by);
                assert_eq!(up.eval(&both), Some(-(-value).div_euclid(by)), "{up} at {a}, {b}");
                assert_eq!(down.eval(&both), Some(floor), "{down} at {a}, {b}");
                assert_eq!(twice.eval(&both), Some(-(-(floor + b)).div_euclid(3)), "{twice} at {a}, {b}");
                assert_eq!(down.bind(&one), dim.bind(&one).floor_div(by).unwrap());
                assert_eq!(twice.bind(&one), (&down.bind(&one) + &w.bind(&one)).ceil_div(3).unwrap());
                assert_eq!(twice.bind(&both).as_const(), twice.eval(&both));
            }
        }
    }

    #[test]
    fn json_round_trip() {
        let quotient = &Dim::symbol("B") * &Dim::symbol("H").ceil_div(4).unwrap();
        assert!(serde_json::from_str::<Dim>(r#"[[1, [{"ceil_div": [[[1, ["H"]]], 0]}]]]"#).is_err());
        for d in [Dim::constant(7), &Dim::symbol("P") + &Dim::symbol("T"), Dim::default(), quotient] {
            let text = serde_json::to_string(&d).unwrap();
            assert_eq!(serde_json::from_str::<Dim>(&text).unwrap(), d);
        }
    }
}
