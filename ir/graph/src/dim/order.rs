//! The order of dimensions: whether one is at least another for all values of symbols, and upper bounds of several.
//!
//! Every factor of a term, a symbol or a quotient, has a lower bound that is not negative. Write each factor of a
//! difference as its lower bound plus a rest: if all coefficients are then not negative, neither is the difference.
//! Quotients of one symbol depend on each other (`ceil_div(H, 4)` is at most `ceil_div(H, 2)`), so subtracted terms may
//! first be replaced by larger ones, and added terms by smaller ones.

use std::collections::BTreeMap;

use super::{Bindings, Dim, Factor};

/// The largest number of terms of an expression that is analysed.
const MAX_TERMS: usize = 1000;

/// A polynomial with any coefficients. Operations return `None` if numbers or terms get too large.
#[derive(Clone, Debug, PartialEq)]
struct Poly<V: Ord>(BTreeMap<Vec<V>, i128>);

impl<V: Ord + Clone> Poly<V> {
    fn constant(value: i128) -> Self {
        Poly(BTreeMap::from([(Vec::new(), value)]))
    }

    fn add(&mut self, other: &Poly<V>, times: i128) -> Option<()> {
        for (key, value) in &other.0 {
            let sum = self.0.entry(key.clone()).or_insert(0);
            *sum = sum.checked_add(value.checked_mul(times)?)?;
        }
        (self.0.len() <= MAX_TERMS).then_some(())
    }

    fn times(&self, other: &Poly<V>) -> Option<Self> {
        let mut out = Poly(BTreeMap::new());
        for (a, x) in &self.0 {
            for (b, y) in &other.0 {
                let mut key: Vec<V> = a.iter().chain(b).cloned().collect();
                key.sort();
                out.add(&Poly(BTreeMap::from([(key, x.checked_mul(*y)?)])), 1)?;
            }
        }
        Some(out)
    }

    /// Whether the value is never negative if each variable is at least its lower bound `least`, which is not negative.
    fn is_not_negative(&self, least: impl Fn(&V) -> Option<i128>) -> Option<bool> {
        let mut sum = Poly(BTreeMap::new());
        for (key, value) in &self.0 {
            let mut product = Poly::constant(*value);
            for variable in key {
                let from = Poly(BTreeMap::from([(vec![variable.clone()], 1), (Vec::new(), least(variable)?)]));
                product = product.times(&from)?;
            }
            sum.add(&product, 1)?;
        }
        Some(sum.0.values().all(|v| *v >= 0))
    }
}

/// A polynomial over symbols, divided by a positive number.
struct Fraction<'a> {
    above: Poly<&'a str>,
    below: i128,
}

impl<'a> Fraction<'a> {
    fn add(self, other: &Fraction<'a>, times: i128) -> Option<Self> {
        let mut above = self.above.times(&Poly::constant(other.below))?;
        above.add(&other.above, times.checked_mul(self.below)?)?;
        Some(Fraction { above, below: self.below.checked_mul(other.below)? })
    }

    fn times(&self, other: &Fraction<'a>) -> Option<Self> {
        Some(Fraction { above: self.above.times(&other.above)?, below: self.below.checked_mul(other.below)? })
    }

    /// A bound of a factor without rounding: an upper one if `upper`, else a lower one.
    fn bound(factor: &'a Factor, upper: bool) -> Option<Self> {
        match factor {
            Factor::Symbol(name) => {
                Some(Fraction { above: Poly(BTreeMap::from([(vec![name.as_str()], 1)])), below: 1 })
            }
            Factor::CeilDiv(dim, by) => {
                // The coefficients of `dim` are positive, so that bounds of its factors bound it in the same direction.
                let by = i128::from(*by);
                let mut sum = Fraction { above: Poly::constant(if upper { by - 1 } else { 0 }), below: 1 };
                for (factors, coefficient) in dim.terms() {
                    sum = sum.add(&product(factors, upper)?, i128::from(coefficient))?;
                }
                sum.below = sum.below.checked_mul(by)?;
                Some(sum)
            }
        }
    }
}

fn product(factors: &[Factor], upper: bool) -> Option<Fraction<'_>> {
    let one = Fraction { above: Poly::constant(1), below: 1 };
    factors.iter().try_fold(one, |product, factor| product.times(&Fraction::bound(factor, upper)?))
}

/// The lower bound of a factor; `None` if it is unknown or negative.
fn least_of(factor: &Factor, least: &Bindings) -> Option<i128> {
    let symbol = |name: &str| least.get(name).map_or(Some(0), |v| (*v >= 0).then_some(i128::from(*v)));
    match factor {
        Factor::Symbol(name) => symbol(name),
        Factor::CeilDiv(dim, by) => {
            let mut sum = 0i128;
            for (factors, coefficient) in dim.terms() {
                let product = factors
                    .iter()
                    .try_fold(i128::from(coefficient), |product, f| product.checked_mul(least_of(f, least)?));
                sum = sum.checked_add(product?)?;
            }
            Some((sum + i128::from(*by) - 1).div_euclid(i128::from(*by)))
        }
    }
}

/// Whether factor `a` is at least `b` for all values of symbols.
fn is_larger(a: &Factor, b: &Factor, least: &Bindings) -> Option<bool> {
    let parts = |factor: &Factor| match factor {
        Factor::Symbol(name) => (Dim::symbol(name), 1),
        Factor::CeilDiv(dim, by) => (dim.as_ref().clone(), *by),
    };
    // A quotient is not smaller rounded up if it is not smaller before.
    let ((a, m), (b, n)) = (parts(a), parts(b));
    let mut difference = Poly(BTreeMap::new());
    difference.add(&poly(&a), i128::from(n))?;
    difference.add(&poly(&b), -i128::from(m))?;
    difference.is_not_negative(|f| least_of(f, least))
}

fn poly(dim: &Dim) -> Poly<Factor> {
    Poly(dim.terms().map(|(factors, c)| (factors.to_vec(), i128::from(c))).collect())
}

impl Dim {
    /// Whether this is at least `other` for all values of symbols that are at least their number in `least`, or 0 if
    /// they have none. `true` is always correct; `false` may also mean that it could not be proved.
    pub fn is_at_least(&self, other: &Dim, least: &Bindings) -> bool {
        let decide = || -> Option<bool> {
            let mut difference = poly(self);
            difference.add(&poly(other), -1)?;
            difference.0.retain(|_, c| *c != 0);
            if difference.0.keys().flatten().any(|f| least_of(f, least).is_none()) {
                return None;
            }
            Some(
                difference.is_not_negative(|f| least_of(f, least)) == Some(true)
                    || with_larger_factors(&difference, least) == Some(true)
                    || without_rounding(&difference, least) == Some(true),
            )
        };
        decide().unwrap_or(false)
    }
}

impl Dim {
    /// A polynomial over symbols, without quotients, that is at least each of these dimensions for all non-negative
    /// values of symbols. Each product of symbols gets the largest of its coefficients, with quotients replaced by
    /// their upper bounds. `None` if numbers get too large.
    pub fn bound(dims: &[Dim]) -> Option<Dim> {
        let mut bound: BTreeMap<Vec<&str>, Vec<i64>> = BTreeMap::new();
        for dim in dims {
            let mut whole = Fraction { above: Poly::constant(0), below: 1 };
            for (factors, c) in dim.terms() {
                whole = whole.add(&product(factors, c > 0)?, i128::from(c))?;
            }
            for (symbols, above) in whole.above.0 {
                let rounded = above.div_euclid(whole.below) + i128::from(above.rem_euclid(whole.below) != 0);
                bound.entry(symbols).or_default().push(i64::try_from(rounded).ok()?);
            }
        }
        let term = |(symbols, coefficients): (Vec<&str>, Vec<i64>)| {
            // Those that do not have the product have it 0 times.
            let absent = (coefficients.len() < dims.len()).then_some(0);
            let most = coefficients.into_iter().chain(absent).max().unwrap_or(0);
            symbols.iter().fold(Dim::constant(most), |product, name| &product * &Dim::symbol(name))
        };
        Some(bound.into_iter().map(term).fold(Dim::default(), |sum, t| &sum + &t))
    }
}

/// Decides for a difference in which each subtracted quotient is replaced by the smallest added factor that is never
/// smaller: `7*ceil_div(H, 4)` is at most `7*ceil_div(H, 2)`.
fn with_larger_factors(difference: &Poly<Factor>, least: &Bindings) -> Option<bool> {
    let added: Vec<&Factor> = difference.0.iter().filter(|(_, c)| **c > 0).flat_map(|(key, _)| key).collect();
    let mut sum = Poly(BTreeMap::new());
    for (key, c) in &difference.0 {
        let larger = |factor: &Factor| {
            let known = added.iter().filter(|f| is_larger(f, factor, least) == Some(true));
            let smallest = known.reduce(|best, f| if is_larger(best, f, least) == Some(true) { f } else { best });
            smallest.map_or_else(|| factor.clone(), |f| (*f).clone())
        };
        let mut key: Vec<Factor> = if *c < 0 { key.iter().map(larger).collect() } else { key.clone() };
        key.sort();
        sum.add(&Poly(BTreeMap::from([(key, *c)])), 1)?;
    }
    sum.is_not_negative(|f| least_of(f, least))
}

/// Decides for a difference in which quotients are replaced by their bounds without rounding.
fn without_rounding(difference: &Poly<Factor>, least: &Bindings) -> Option<bool> {
    let mut sum = Fraction { above: Poly::constant(0), below: 1 };
    for (key, c) in &difference.0 {
        sum = sum.add(&product(key, *c < 0)?, *c)?;
    }
    let symbol = |name: &&str| least.get(*name).map_or(Some(0), |v| (*v >= 0).then_some(i128::from(*v)));
    sum.above.is_not_negative(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbol(name: &str) -> Dim {
        Dim::symbol(name)
    }

    fn times(dims: &[&Dim], by: i64) -> Dim {
        dims.iter().fold(Dim::constant(by), |product, d| &product * d)
    }

    fn from(least: &[(&str, i64)]) -> Bindings {
        least.iter().map(|(name, v)| (name.to_string(), *v)).collect()
    }

    #[test]
    fn what_dominates() {
        let (b, t, p, h, w) = (symbol("B"), symbol("T"), symbol("P"), symbol("H"), symbol("W"));
        let least = from(&[("B", 1), ("T", 1), ("P", 0), ("H", 1), ("W", 1)]);
        let down = |d: &Dim, by| d.ceil_div(by).unwrap();
        let (h2, w2, h4, w4) = (down(&h, 2), down(&w, 2), down(&h, 4), down(&w, 4));
        for (large, small) in [
            (times(&[&b, &t], 12), times(&[&b, &t], 8)),
            (times(&[&b, &t], 12), times(&[&b], 12)),
            (times(&[&b, &t], 12), Dim::constant(12)),
            (&p + &t, t.clone()),
            (times(&[&b, &(&p + &t)], 4), times(&[&b, &t], 4)),
            (times(&[&b, &h2, &w2], 20), times(&[&b, &h4, &w4], 20)),
            (times(&[&h2, &w2], 20), times(&[&h4, &w4], 12)),
            (times(&[&h, &w], 5), times(&[&h2, &w2], 5)),
            (times(&[&h, &w], 5), times(&[&down(&(&h + &Dim::constant(1)), 3), &w4], 4)),
            (t.clone(), t.clone()),
            (Dim::constant(3), Dim::constant(3)),
        ] {
            assert!(large.is_at_least(&small, &least), "{large} >= {small}");
            assert!(large == small || !small.is_at_least(&large, &least), "not {small} >= {large}");
        }
        // With one pixel all maps have one.
        let (wide, narrow) = (times(&[&h2, &w2], 20), times(&[&h4, &w4], 28));
        assert!(!wide.is_at_least(&narrow, &least) && !narrow.is_at_least(&wide, &least));
        let least = from(&[("H", 32), ("W", 32)]);
        assert!(wide.is_at_least(&narrow, &least), "images of at least 32 by 32");
        // A symbol that may be 0.
        assert!(!times(&[&b, &t], 12).is_at_least(&Dim::constant(12), &from(&[("B", 1)])));
        let twice = times(&[&t], 2);
        assert!(!twice.is_at_least(&t, &from(&[("T", -1)])), "it may be negative");
        // Numbers beyond all bounds are not compared.
        let power = |by| times(&[&t; 6], by);
        assert!(power(3).is_at_least(&power(2), &from(&[("T", 1000)])));
        assert!(!power(3).is_at_least(&power(2), &from(&[("T", i64::MAX)])));
    }

    fn dims() -> impl Strategy<Value = Dim> {
        let factor = (prop::sample::select(vec!["H", "W", "T"]), prop::option::of((1i64..6, 0i64..4, 2i64..9)));
        let factor = factor.prop_map(|(name, quotient)| match quotient {
            None => Dim::symbol(name),
            Some((scale, plus, by)) => {
                let dim = &(&Dim::symbol(name) * &Dim::constant(scale)) + &Dim::constant(plus);
                dim.ceil_div(by).expect("a positive divisor")
            }
        });
        let term = (prop::collection::vec(factor, 0..3), -3i64..12);
        let term = term.prop_map(|(factors, c)| factors.iter().fold(Dim::constant(c), |product, f| &product * f));
        prop::collection::vec(term, 1..4).prop_map(|terms| terms.iter().fold(Dim::default(), |sum, t| &sum + t))
    }

    #[test]
    fn bounds_are_polynomials() {
        let (h, w) = (symbol("H"), symbol("W"));
        let map = |c, by: i64| times(&[&h.ceil_div(by).unwrap(), &w.ceil_div(by).unwrap()], c);
        let bound = |dims: &[Dim]| Dim::bound(dims).map(|d| d.to_string());
        assert_eq!(bound(&[map(16, 4), Dim::constant(9)]).as_deref(), Some("3*H + H*W + 3*W + 9"));
        assert_eq!(bound(&[map(16, 4), map(32, 8)]).as_deref(), Some("4*H + H*W + 4*W + 25"));
        assert_eq!(bound(&[&h.ceil_div(2).unwrap() - &Dim::constant(4), w]).as_deref(), Some("H + W"));
        let third = (&h + &Dim::constant(5)).ceil_div(7).unwrap();
        assert_eq!(bound(&[times(&[&third; 6], i64::MAX)]), None);
    }

    proptest! {
        #[test]
        fn a_bound_is_never_smaller(
            dims in prop::collection::vec(dims(), 1..5),
            values in prop::collection::vec((0i64..60, 0i64..60, 0i64..60), 20),
        ) {
            let bound = Dim::bound(&dims).expect("small numbers");
            for (h, w, t) in values.iter().chain([&(0, 0, 0)]) {
                let values = from(&[("H", *h), ("W", *w), ("T", *t)]);
                for dim in &dims {
                    prop_assert!(bound.eval(&values) >= dim.eval(&values), "{} >= {} at {:?}", bound, dim, values);
                }
            }
        }

        #[test]
        fn what_is_said_to_dominate_does(
            a in dims(),
            b in dims(),
            least in prop::collection::vec(0i64..40, 3),
            values in prop::collection::vec((0i64..60, 0i64..60, 0i64..60), 20),
        ) {
            let names = ["H", "W", "T"];
            let bounds: Bindings = names.iter().zip(&least).map(|(n, v)| (n.to_string(), *v)).collect();
            // Most pairs are not ordered; a sum with a square is.
            let (more_a, more_b) = (&a + &(&b * &b), &(&a * &a) + &b);
            for (x, y) in [(&a, &b), (&b, &a), (&more_a, &a), (&more_b, &b), (&more_a, &b)] {
                if !x.is_at_least(y, &bounds) {
                    continue;
                }
                for (h, w, t) in values.iter().chain([&(0, 0, 0)]) {
                    let values: Bindings =
                        names.iter().zip([h, w, t]).map(|(n, v)| (n.to_string(), bounds[*n] + v)).collect();
                    prop_assert!(x.eval(&values) >= y.eval(&values), "{} >= {} at {:?}", x, y, values);
                }
            }
        }
    }
}
