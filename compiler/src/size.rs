//! From dimensions to sizes of buffers and grids in a bundle.
//!
//! A [`Dim`] is in normal form, which is good for comparisons. A [`Size`] is short to read: common factors of all terms
//! are in front, and a maximum only contains candidates for the largest value.

use gristmill_bundle::{Size, SizeOp};
use gristmill_graph::{Bindings, Dim, Factor};

/// The size that is always equal to `dim`, which must not be negative.
pub fn size(dim: &Dim) -> Size {
    let (coefficient, factors) = common([dim]);
    scaled(coefficient, &factors, sum(dim, coefficient, &factors))
}

/// Maximum length in bytes of an exact maximum. A longer one is replaced by a bound that only differs for small sizes.
const MAX_EXACT: usize = 160;

/// The maximum of some non-negative dimensions, for symbol values of at least `least` (see [`Dim::is_at_least`]); 0 if
/// there are none.
///
/// The result is exact unless too many dimensions can be the largest. Then it contains those that are largest at the
/// `nominal` values, and one bound for all the others. The size is never too small, and at nominal values it is too
/// large only if the bound is.
pub fn largest(dims: &[Dim], least: &Bindings, nominal: &Bindings) -> Size {
    let mut kept: Vec<Dim> = undominated(dims, least);
    let exact = max(&kept);
    if exact.to_string().len() <= MAX_EXACT {
        return exact;
    }
    kept.sort_by_key(|dim| std::cmp::Reverse(dim.eval(nominal)));
    // Common factors stay in front.
    let (coefficient, factors) = common(&kept);
    let shared = Dim::term(factors.into_iter().cloned().collect(), coefficient as i64);
    let Some(rest) = kept.iter().map(|dim| dim.exact_div(&shared)).collect::<Option<Vec<Dim>>>() else { return exact };
    for named in (1..rest.len() - 1).rev() {
        let Some(bound) = Dim::bound(&rest[named..]) else { continue };
        let bounded = max(&undominated(&[&kept[..named], &[&bound * &shared]].concat(), least));
        if named == 1 || bounded.to_string().len() <= MAX_EXACT {
            return bounded;
        }
    }
    exact
}

/// The dimensions that are not dominated by another one. Of equal ones, the first stays.
fn undominated(dims: &[Dim], least: &Bindings) -> Vec<Dim> {
    let mut kept: Vec<Dim> = Vec::new();
    for dim in dims {
        if !kept.iter().any(|k| k.is_at_least(dim, least)) {
            kept.retain(|k| !dim.is_at_least(k, least));
            kept.push(dim.clone());
        }
    }
    kept
}

fn max(dims: &[Dim]) -> Size {
    let (coefficient, factors) = common(dims);
    let rest = dims.iter().map(|dim| product(sum(dim, coefficient, &factors)));
    let max = rest.reduce(|a, b| Size::of(SizeOp::Max, a, b)).unwrap_or(Size::Int(0));
    scaled(coefficient, &factors, [max])
}

/// A dimension divided by a positive number, rounded up.
pub fn ceil_div(dim: &Dim, by: u32) -> Size {
    Size::of(SizeOp::CeilDiv, size(dim), Size::from(u64::from(by)))
}

/// The product of some sizes, without factors of 1. Nested products are flattened.
pub fn product(sizes: impl IntoIterator<Item = Size>) -> Size {
    let mut factors = Vec::new();
    let mut open: Vec<Size> = sizes.into_iter().collect();
    open.reverse();
    while let Some(size) = open.pop() {
        match size {
            Size::Int(1) => {}
            Size::Of(SizeOp::Mul, operands) => {
                let [a, b] = *operands;
                open.extend([b, a]);
            }
            other => factors.push(other),
        }
    }
    factors.into_iter().reduce(|a, b| Size::of(SizeOp::Mul, a, b)).unwrap_or(Size::Int(1))
}

fn scaled(number: u64, factors: &[&Factor], rest: impl IntoIterator<Item = Size>) -> Size {
    product([Size::Int(number)].into_iter().chain(factors.iter().map(|f| factor(f))).chain(rest))
}

/// The greatest common divisor of the coefficients, and the common factors of all terms of all dimensions.
fn common<'a>(dims: impl IntoIterator<Item = &'a Dim>) -> (u64, Vec<&'a Factor>) {
    let terms = dims.into_iter().flat_map(Dim::terms);
    shared(terms.map(|(factors, c)| (factors.iter().collect(), c)))
}

fn shared<'a>(mut terms: impl Iterator<Item = (Vec<&'a Factor>, i64)>) -> (u64, Vec<&'a Factor>) {
    let Some((factors, coefficient)) = terms.next() else { return (1, Vec::new()) };
    terms.fold((coefficient.unsigned_abs(), factors), |(number, known), (mut left, coefficient)| {
        let known = known.into_iter().filter(|f| take(&mut left, f)).collect();
        (gcd(number, coefficient.unsigned_abs()), known)
    })
}

/// Removes one occurrence of `factor`. Returns whether there was one.
fn take(from: &mut Vec<&Factor>, factor: &Factor) -> bool {
    let at = from.iter().position(|f| *f == factor);
    at.map(|at| from.remove(at)).is_some()
}

/// Products of factors with their coefficients, sorted.
type Terms<'a> = Vec<Term<'a>>;

/// A product of factors, and its coefficient.
type Term<'a> = (Vec<&'a Factor>, i64);

/// The factors of `dim`, after dividing by what its terms have in common with others.
fn sum(dim: &Dim, coefficient: u64, factors: &[&Factor]) -> Vec<Size> {
    let terms: Terms<'_> = dim.terms().map(|(factors, c)| (factors.iter().collect(), c)).collect();
    factored(&divided(&terms, coefficient, factors))
}

/// Divides terms by a number and by factors that all of them have.
fn divided<'a>(terms: &Terms<'a>, number: u64, factors: &[&'a Factor]) -> Terms<'a> {
    let each = terms.iter().map(|(own, c)| {
        let mut rest = own.clone();
        for factor in factors {
            take(&mut rest, factor);
        }
        (rest, c.signum() * (c.unsigned_abs() / number) as i64)
    });
    let mut all: Terms<'a> = each.collect();
    all.sort();
    all
}

/// Factors a sum of terms: the common factors, and several sums if it is a product with `a*x + b` for a factor `x`,
/// such as the number of pixels of a padded feature map.
fn factored(terms: &Terms<'_>) -> Vec<Size> {
    let (number, factors) = shared(terms.iter().cloned());
    let terms = divided(terms, number, &factors);
    let mut all = vec![scaled(number, &factors, [])];
    let mut variables = terms.iter().flat_map(|(factors, _)| factors).copied();
    match variables.find_map(|x| split(&terms, x)) {
        Some((rest, linear)) => all.extend(factored(&rest).into_iter().chain([written(&linear)])),
        None => all.push(written(&terms)),
    }
    all
}

/// `terms` as a product of two sums, the second of which is `a*x + b`.
fn split<'a>(terms: &Terms<'a>, x: &'a Factor) -> Option<(Terms<'a>, Terms<'a>)> {
    let (mut with, mut without) = (Terms::new(), Terms::new());
    for (factors, value) in terms {
        let mut rest = factors.clone();
        if take(&mut rest, x) { with.push((rest, *value)) } else { without.push((rest, *value)) }
    }
    with.sort();
    let (a, b) = (with.first()?.1, without.first()?.1);
    let by = i64::try_from(gcd(a.unsigned_abs(), b.unsigned_abs())).ok()? * a.signum();
    let (a, b) = (a / by, b / by);
    let same = |((f, v), (g, w)): (&Term<'_>, &Term<'_>)| {
        f == g && !f.contains(&x) && i128::from(*v) * i128::from(b) == i128::from(*w) * i128::from(a)
    };
    if with.len() < 2 || with.len() != without.len() || !with.iter().zip(&without).all(same) {
        return None;
    }
    let rest = with.into_iter().map(|(factors, value)| (factors, value / a)).collect();
    Some((rest, vec![(Vec::new(), b), (vec![x], a)]))
}

/// In the usual notation: numbers after symbols, subtracted terms at the end.
fn written(terms: &Terms<'_>) -> Size {
    let sorted = |positive: bool| {
        let (symbolic, number): (Vec<_>, Vec<_>) =
            terms.iter().filter(|(_, c)| (*c > 0) == positive).partition(|(factors, _)| !factors.is_empty());
        let all = symbolic.into_iter().chain(number);
        all.map(|(factors, c)| scaled(c.unsigned_abs(), factors, [])).collect::<Vec<_>>()
    };
    let added = sorted(true).into_iter().reduce(|a, b| Size::of(SizeOp::Add, a, b));
    sorted(false).into_iter().fold(added.unwrap_or(Size::Int(0)), |sum, t| Size::of(SizeOp::Sub, sum, t))
}

fn factor(factor: &Factor) -> Size {
    match factor {
        Factor::Symbol(name) => Size::symbol(name),
        Factor::CeilDiv(dim, by) => Size::of(SizeOp::CeilDiv, size(dim), Size::Int(by.unsigned_abs())),
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(dims: &[&Dim], by: i64) -> Dim {
        dims.iter().fold(Dim::constant(by), |product, d| &product * d)
    }

    #[test]
    fn sizes_are_short_to_read() {
        let (b, t, p, h) = (Dim::symbol("B"), Dim::symbol("T"), Dim::symbol("P"), Dim::symbol("H"));
        let (half, quarter) = (h.ceil_div(2).unwrap(), h.ceil_div(4).unwrap());
        for (dim, text) in [
            (Dim::default(), "0"),
            (Dim::constant(7), "7"),
            (&p + &t, "P + T"),
            (&t - &Dim::constant(1), "T - 1"),
            (&t - &p, "T - P"),
            (times(&[&b, &t, &(&p + &t)], 4), "4*B*T*(P + T)"),
            (times(&[&b, &half, &half], 12), "12*B*ceil_div(H, 2)*ceil_div(H, 2)"),
            (&times(&[&b, &t], 6) + &times(&[&b], 4), "2*B*(3*T + 2)"),
            (
                times(&[&b, &(&half + &Dim::constant(2)), &(&t + &Dim::constant(2))], 6),
                "6*B*(ceil_div(H, 2) + 2)*(T + 2)",
            ),
            (times(&[&(&t - &Dim::constant(1)), &(&p + &times(&[&h], 2))], 6), "6*(2*H + P)*(T - 1)"),
        ] {
            assert_eq!(size(&dim).to_string(), text);
        }
        let least: Bindings = ["B", "H", "T"].map(|s| (s.to_string(), 1)).into();
        let channels = |n: i64, map: &Dim| times(&[&b, map, map], 4 * n);
        for (dims, text) in [
            (vec![], "0"),
            (vec![times(&[&b, &t], 4), times(&[&b, &t], 12), times(&[&b], 8)], "12*B*T"),
            (
                vec![channels(5, &half), channels(7, &quarter)],
                "4*B*max(5*ceil_div(H, 2)*ceil_div(H, 2), 7*ceil_div(H, 4)*ceil_div(H, 4))",
            ),
            (vec![channels(7, &half), channels(5, &quarter), channels(7, &h)], "28*B*H*H"),
            (vec![times(&[&b, &(&p + &t)], 4), times(&[&b, &t], 8)], "4*B*max(P + T, 2*T)"),
        ] {
            assert_eq!(largest(&dims, &least, &least).to_string(), text);
        }
        let grid = [size(&times(&[&b, &t], 6)), Size::Int(1), ceil_div(&t, 64)];
        assert_eq!(product(grid).to_string(), "6*B*T*ceil_div(T, 64)");
        assert_eq!(product([]), Size::Int(1));
    }

    const NAMES: [&str; 3] = ["B", "H", "T"];

    /// Sums of products with non-negative coefficients, as in shapes.
    fn dims() -> impl Strategy<Value = Vec<Dim>> {
        let factor = (prop::sample::select(&NAMES[..]), prop::option::of((0i64..3, 2i64..9)));
        let factor = factor.prop_map(|(name, quotient)| match quotient {
            None => Dim::symbol(name),
            Some((plus, by)) => (&Dim::symbol(name) + &Dim::constant(plus)).ceil_div(by).expect("a positive divisor"),
        });
        let term = (prop::collection::vec(factor, 0..4), 0i64..12);
        let term = term.prop_map(|(factors, c)| factors.iter().fold(Dim::constant(c), |product, f| &product * f));
        let dim = prop::collection::vec(term, 1..3).prop_map(|terms| terms.iter().fold(Dim::default(), |a, b| &a + b));
        prop::collection::vec(dim, 0..12)
    }

    proptest! {
        #[test]
        fn the_largest_is_what_it_was(
            dims in dims(),
            least in prop::array::uniform3(0u32..30),
            nominal in prop::array::uniform3(0u32..50),
            beyond in prop::collection::vec(prop::array::uniform3(0u32..50), 12),
        ) {
            let bound = |values: &[u32]| -> Bindings {
                NAMES.iter().zip(values).map(|(n, v)| (n.to_string(), i64::from(*v))).collect()
            };
            let simplified = |least: &[u32]| {
                let values: Vec<u32> = least.iter().zip(nominal).map(|(a, b)| a + b).collect();
                largest(&dims, &bound(least), &bound(&values))
            };
            let whole = simplified(&least);
            prop_assert!(whole.to_string().len() < 2 * MAX_EXACT, "{}", whole);
            let exact = max(&undominated(&dims, &bound(&least)));
            let value = |size: &Size, values: &[u32]| size.resolve(&NAMES).unwrap().eval(values);
            for beyond in beyond.into_iter().chain([[0; 3], nominal]) {
                let values: Vec<u32> = least.iter().zip(beyond).map(|(a, b)| a + b).collect();
                let each: Vec<i64> = dims.iter().map(|d| d.eval(&bound(&values)).unwrap()).collect();
                let expected = each.iter().copied().max().unwrap_or(0) as u64;
                prop_assert_eq!(value(&exact, &values), Ok(expected), "{} of {:?}", exact, dims);
                let found = value(&whole, &values);
                prop_assert!(found.clone().is_ok_and(|n| n >= expected), "{} of {:?}", whole, dims);
                if exact.to_string().len() <= MAX_EXACT {
                    prop_assert_eq!(found, Ok(expected), "{} of {:?}", whole, dims);
                }
                for (dim, n) in dims.iter().zip(each) {
                    prop_assert_eq!(value(&size(dim), &values), Ok(n as u64), "{} of {:?}", size(dim), dim);
                }
            }
        }
    }
}
