//! Printed modules compute what the interpreter computes: random kernels, and hand-written ones for rare cases.

use gristmill_graph::scalar::KERNEL_ERROR;
use gristmill_graph::{Binary, Unary};
use gristmill_kernel::interp::numeric::unary_f32;
use gristmill_kernel::{Bind, Bit, Builder, Expr, F32, I32, Scalar, Type, U32, VEC4F, VEC4U, f, u};
use gristmill_tests::module::{Symbols, check};
use gristmill_tests::random_kernel::random_kernel;
use half::f16;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const EXACT: [Option<f32>; 2] = [Some(0.0), Some(0.0)];

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(4), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn random_kernels(choices in prop::collection::vec(any::<u32>(), 0..500)) {
        let random = random_kernel(&choices, false);
        check(&random.kernel, &random.symbols, &random.buffers, EXACT);
    }

    /// Vector functions use fused multiply-add where an engine supports it, so only one module rounds like the
    /// interpreter.
    #[test]
    fn random_kernels_with_functions(choices in prop::collection::vec(any::<u32>(), 0..300)) {
        let random = random_kernel(&choices, true);
        check(&random.kernel, &random.symbols, &random.buffers, [Some(0.0), None]);
    }
}

/// Stores `value(input)` for every word of an input; returns the results.
fn map(input: (&[u32], Type), output: Type, tolerances: [Option<f32>; 2], value: impl Fn(&Expr) -> Expr) -> Vec<u32> {
    let mut b = Builder::new("map");
    let (x, y) = (b.buffer("x", input.1, false), b.buffer("y", output, true));
    let n = input.0.len() as u32 / u32::from(input.1.lanes);
    let at = b.grid_axis("at", n);
    b.store(y, &at, value(&x.at(&at)));
    let kernel = b.finish(&[]).expect("a kernel");
    let buffers = [input.0.to_vec(), vec![0; (n * u32::from(output.lanes)) as usize]];
    check(&kernel, &Symbols::new(), &buffers, tolerances).remove(1)
}

fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
    Expr::Binary(op, Box::new(a), Box::new(b))
}

/// Integers at edge cases.
const EDGES: [u32; 16] = [
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    33,
    1000,
    0x7fff_fffe,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_fff9,
    0xffff_fffe,
    0xffff_ffff,
];

fn pairs() -> Vec<u32> {
    EDGES.iter().flat_map(|a| EDGES.iter().flat_map(move |b| [*a, *b])).collect()
}

#[test]
fn arithmetic_of_integers() {
    use Binary::{Add, Div, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Rem, Sub};
    let two = Type::vec(Scalar::U32, 2);
    for op in [Add, Sub, Mul, Div, Rem, Max, Min, Lt, Le, Gt, Ge, Eq, Ne] {
        for scalar in [Scalar::U32, Scalar::I32] {
            let number = |e: Expr| if op.is_comparison() { e.cast(Scalar::U32) } else { e.bitcast(Scalar::U32) };
            map((&pairs(), two), U32, EXACT, |x| {
                number(binary(op, x.lane(0).bitcast(scalar), x.lane(1).bitcast(scalar)))
            });
            // The same lane by lane, and for known values.
            if !op.is_comparison() {
                let swapped = |x: &Expr| Expr::vec([x.lane(1), x.lane(0)]).bitcast(scalar);
                map((&pairs(), two), two, EXACT, |x| number(binary(op, x.bitcast(scalar), swapped(x))));
            }
            for edge in EDGES {
                let literal = if scalar == Scalar::U32 { u(edge) } else { Expr::I32(edge as i32) };
                map((&EDGES, U32), U32, EXACT, |x| number(binary(op, x.bitcast(scalar), literal.clone())));
            }
        }
    }
    assert_eq!(map((&[5, 0], two), U32, EXACT, |x| x.lane(0) / x.lane(1)), [5], "by zero");
    let signed = |x: &Expr, n| x.lane(n).bitcast(Scalar::I32);
    let least = i32::MIN as u32;
    let quotient = map((&[least, u32::MAX], two), I32, EXACT, |x| binary(Div, signed(x, 0), signed(x, 1)));
    assert_eq!(quotient, [least], "the smallest by -1");
}

#[test]
fn shifts() {
    for op in [Bit::Shl, Bit::Shr] {
        for scalar in [Scalar::U32, Scalar::I32] {
            for by in 0..32 {
                let shift =
                    |x: Expr, by: Expr| Expr::Bit(op, Box::new(x.bitcast(scalar)), Box::new(by)).bitcast(Scalar::U32);
                map((&EDGES, U32), U32, EXACT, |x| shift(x.clone(), u(by)));
                map((&EDGES, VEC4U), VEC4U, EXACT, |x| shift(x.clone(), u(by)));
                let amounts: Vec<u32> = EDGES.iter().flat_map(|e| [*e, by]).collect();
                map((&amounts, Type::vec(Scalar::U32, 2)), U32, EXACT, |x| shift(x.lane(0), x.lane(1)));
            }
        }
    }
}

#[test]
fn all_halves() {
    let words: Vec<u32> = (0..1u32 << 15).map(|n| (2 * n) | ((2 * n + 1) << 16)).collect();
    let two = Type::vec(Scalar::F32, 2);
    let wide = map((&words, U32), two, EXACT, |x| x.halves_f16());
    for (half, wide) in (0..=u16::MAX).zip(&wide) {
        let (want, got) = (f16::from_bits(half).to_f32(), f32::from_bits(*wide));
        assert!(want.to_bits() == *wide || want.is_nan() && got.is_nan(), "{half:#06x}: {got}, not {want}");
    }
    // Finite values are unchanged.
    let finite: Vec<u32> =
        wide.chunks_exact(2).filter(|p| p.iter().all(|w| f32::from_bits(*w).is_finite())).flatten().copied().collect();
    let back = map((&finite, two), U32, EXACT, |x| x.pack_f16());
    for (pair, word) in finite.chunks_exact(2).zip(back) {
        let half = |w: u32| u32::from(f16::from_f32(f32::from_bits(w)).to_bits());
        assert_eq!(word, half(pair[0]) | (half(pair[1]) << 16));
    }
}

#[test]
fn rounding_to_halves() {
    // Every boundary between two f16 values, the midpoints and their neighbours, of both signs; values that are too
    // large; NaN.
    let mut values: Vec<u32> = Vec::new();
    for half in (0..0x7c00u16).step_by(7).chain(0..64).chain(0x3f0..0x410).chain(0x7bc0..0x7c00) {
        let (low, high) = (f16::from_bits(half).to_f32(), f16::from_bits(half + 1).to_f32());
        let high = if high.is_finite() { high } else { 65536.0 };
        let middle = ((low + high) / 2.0).to_bits();
        for bits in [middle - 1, middle, middle + 1] {
            values.extend([bits, bits | (1 << 31)]);
        }
    }
    for x in [0.0, -0.0, 65504.0, 65519.9, 65520.0, 65536.0, 1e9, f32::MAX, f32::INFINITY, f32::MIN_POSITIVE, 1e-45] {
        values.extend([x.to_bits(), (-x).to_bits()]);
    }
    let packed = map((&values, Type::vec(Scalar::F32, 2)), U32, EXACT, |x| x.pack_f16());
    assert_eq!(packed.len() * 2, values.len());
    let nan = map((&[f32::NAN.to_bits(), 0], Type::vec(Scalar::F32, 2)), Type::vec(Scalar::F32, 2), EXACT, |x| {
        x.pack_f16().halves_f16()
    });
    assert!(f32::from_bits(nan[0]).is_nan());
}

#[test]
fn bytes() {
    let words = [0, u32::MAX, 0x8080_8080, 0x7f7f_7f7f, 0x80ff_7f01, 0x0102_0304, 0xfe7f_8081, 0x7f80_0100];
    let signed = map((&words, U32), Type::vec(Scalar::I32, 4), EXACT, |x| x.bytes_i8());
    assert_eq!(&signed[8..12], [-128i32 as u32; 4]);
    map((&words, U32), VEC4U, EXACT, |x| x.bytes_u8());
    // Extreme sums: four products of -128 and 127, added to the largest numbers.
    let pairs: Vec<u32> = words.iter().flat_map(|a| words.iter().flat_map(move |b| [*a, b & 0x7f7f_7f7f])).collect();
    for sum in [0, 1, i32::MIN, i32::MAX] {
        map((&pairs, Type::vec(Scalar::U32, 2)), I32, EXACT, |x| x.lane(0).dot_bytes(x.lane(1), Expr::I32(sum)));
        let four = [0, 2].map(|n| [n, n + 1]);
        map((&pairs, VEC4U), Type::vec(Scalar::I32, 2), EXACT, |x| {
            let [a, b] = four.map(|lanes| Expr::vec(lanes.map(|n| x.lane(n))));
            let b = Expr::Bit(Bit::And, Box::new(b), Box::new(u(0x7f7f_7f7f).splat(2)));
            a.dot_bytes(b, Expr::I32(sum).splat(2))
        });
        map((&pairs, VEC4U), Type::vec(Scalar::I32, 4), EXACT, |x| {
            let b = Expr::Bit(Bit::And, Box::new(x.clone()), Box::new(u(0x7f7f_7f7f).splat(4)));
            x.dot_bytes(b, Expr::I32(sum).splat(4))
        });
    }
    let largest = map((&[0x8080_8080, 0x7f7f_7f7f], Type::vec(Scalar::U32, 2)), I32, EXACT, |x| {
        x.lane(0).dot_bytes(x.lane(1), Expr::I32(0))
    });
    assert_eq!(largest, [-65024i32 as u32]);
    let indices: Vec<u32> = words.iter().map(|w| w & 0x0f0f_0f0f).collect();
    let table = [0x8001_7fff, 0x0403_0201, 0x1234_5678, 0x9abc_def0];
    map((&indices, U32), U32, EXACT, |x| x.lookup(table));
    map((&indices, VEC4U), VEC4U, EXACT, |x| x.lookup(table));
    let extremes = [i16::MIN, i16::MAX, 0, -1, 1].map(|n| i32::from(n) as u32);
    let fours: Vec<u32> = (0..40).map(|n| extremes[(n * n + n / 5) % 5]).collect();
    let all = Type::vec(Scalar::I32, 4);
    map((&fours, all), all, EXACT, |x| x.pair_sums(x.shuffle(x, [3, 0, 1, 2])));
}

#[test]
fn shuffles_and_lanes() {
    let words: Vec<u32> = (100..132).collect();
    let mut state = 5usize;
    for _ in 0..40 {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let lanes = [3, 7, 11, 16].map(|shift| (state >> shift & 7) as u8);
        map((&words, VEC4U), VEC4U, EXACT, |x| x.shuffle(x.unary(Unary::Not), lanes));
    }
    for n in [2u32, 4] {
        for scalar in [Scalar::U32, Scalar::F32] {
            let of = Type::vec(scalar, n as u8);
            map((&words, of), Type::scalar(scalar), EXACT, |x| {
                let first = x.bitcast(Scalar::U32).lane(0);
                x.lane(Expr::Bit(Bit::And, Box::new(first / n), Box::new(u(n - 1))))
            });
        }
    }
}

#[test]
fn conversions_of_floats() {
    let values = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        0.999,
        1.5,
        -1.5,
        127.5,
        2e9,
        2_147_483_500.0,
        2_147_483_648.0,
        -2_147_483_648.0,
        3e9,
        4_294_967_000.0,
        4_294_967_296.0,
        -3e9,
        1e30,
        -1e30,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-45,
        8_388_607.5,
        16_777_217.0,
    ];
    let bits = values.map(f32::to_bits);
    for to in [Scalar::I32, Scalar::U32] {
        map((&bits, F32), Type::scalar(to), EXACT, |x| x.cast(to));
        map((&bits, VEC4F), Type::vec(to, 4), EXACT, |x| x.cast(to));
        map((&EDGES, Type::scalar(to)), F32, EXACT, |x| x.cast(Scalar::F32));
        map((&EDGES, Type::vec(to, 4)), VEC4F, EXACT, |x| x.cast(Scalar::F32));
    }
    map((&bits, F32), U32, EXACT, |x| x.cast(Scalar::Bool).cast(Scalar::U32));
    map((&bits, F32), F32, EXACT, |x| x.unary(Unary::Floor));
    map((&bits, VEC4F), VEC4F, EXACT, |x| x.unary(Unary::Abs).unary(Unary::Sqrt));
}

/// Values of both signs, from tiny to `largest`, denser near zero.
fn samples(largest: f32) -> Vec<f32> {
    let steps = (0..3000).map(|n| largest * (n as f32 / 3000.0).powi(3));
    steps.flat_map(|x| [x, -x]).chain([1e-30, -1e-30, 1e-45, 1.0, largest, -largest]).collect()
}

#[test]
fn functions_keep_their_bounds() {
    for op in Unary::ALL.iter().copied().filter(|op| op.row().f32.is_some()) {
        let ([least, largest], bound) = (op.row().domain, KERNEL_ERROR);
        let mut values = samples(largest.min(1e30));
        values.retain(|x| least <= *x && *x <= largest);
        values.truncate(values.len() & !3);
        let bits: Vec<u32> = values.iter().map(|x| x.to_bits()).collect();
        // Both modules are within a few roundings of the interpreter, whose results are checked here.
        let tolerances = [Some(0.0), Some(1e-6)];
        let scalar = map((&bits, F32), F32, tolerances, |x| x.unary(op));
        let vector = map((&bits, VEC4F), VEC4F, tolerances, |x| x.unary(op));
        for results in [scalar, vector] {
            for (x, got) in values.iter().zip(results) {
                let (want, got) = (f64::from(unary_f32(op, *x)), f64::from(f32::from_bits(got)));
                let near = want == got || (want - got).abs() <= bound * want.abs().max(1.0);
                assert!(near, "{op:?} of {x}: {got}, not {want}");
            }
        }
    }
}

#[test]
fn powers() {
    let bases = samples(50.0).into_iter().filter(|x| *x > 1e-6);
    let pairs: Vec<u32> =
        bases.flat_map(|x| [0.3f32, -1.7, 2.0, 4.0, 0.0].map(|y| [x.to_bits(), y.to_bits()])).flatten().collect();
    let results = map((&pairs, Type::vec(Scalar::F32, 2)), F32, [Some(0.0), Some(1e-6)], |x| {
        binary(Binary::Pow, x.lane(0), x.lane(1))
    });
    for (pair, got) in pairs.chunks_exact(2).zip(results) {
        let (x, y, got) = (f32::from_bits(pair[0]), f32::from_bits(pair[1]), f64::from(f32::from_bits(got)));
        let want = f64::from(x).powf(f64::from(y));
        let bound = 2e-6 * (1.0 + (f64::from(y) * f64::from(x).ln()).abs());
        assert!((want - got).abs() <= bound * want.abs(), "{x}^{y}: {got}, not {want}");
    }
}

/// A loop-invariant value is used in two loops, and in branches one of which is not taken. Loops that do not run must
/// not read.
#[test]
fn what_loops_share() {
    let mut b = Builder::new("shared_by_loops");
    let (x, y) = (b.buffer("x", F32, false), b.buffer("y", F32, true));
    let (n, row) = (b.buffer("n", U32, false), b.grid_axis("row", 3));
    let fixed = b.let_("fixed", x.at(&row) * 3.0 + 1.0);
    let sum = b.var("sum", f(0.0));
    for_counts(&mut b, n.at(&row), |b, i| {
        b.add(sum, &fixed * x.at(&i));
        b.if_else(i.lt(2), |b| b.add(sum, x.at(&row) - 7.0), |b| b.add(sum, &fixed + x.at(0)));
        // Never runs, and what it would read is far out of bounds.
        b.for_("never", 5, n.at(&row).min(4), 1, Bind::Serial, |b, far| b.add(sum, x.at(u(1_000_000_000) + far)));
        b.store(y, &row, y.at(&row) + sum.get());
    });
    for_counts(&mut b, n.at(&row) + 1, |b, i| b.add(sum, &fixed - x.at(&i) * fixed.clone()));
    b.store(y, &row + 3, sum.get() + y.at(&row));
    let kernel = b.finish(&[]).expect("a kernel");
    let floats: Vec<u32> = (0..8).map(|n| (n as f32 * 1.25 - 3.0).to_bits()).collect();
    let buffers = [floats, vec![0; 6], vec![0, 4, 6]];
    check(&kernel, &Symbols::new(), &buffers, EXACT);
}

fn for_counts(b: &mut Builder, end: Expr, body: impl FnOnce(&mut Builder, Expr)) {
    b.for_("i", 0, end, 1, Bind::Serial, body);
}

/// Negative intermediate indices: addresses wrap around like indices.
#[test]
fn indices_below_zero_on_the_way() {
    let mut b = Builder::new("below_zero");
    let (x, y) = (b.buffer("x", U32, false), b.buffer("y", U32, true));
    let at = b.grid_axis("at", 8);
    let far = x.at(&at) - 5000 + 5000;
    b.store(y, far.clone() - 3 + 3, x.at(far) * 10);
    let kernel = b.finish(&[]).expect("a kernel");
    check(&kernel, &Symbols::new(), &[(0..8).rev().collect(), vec![0; 8]], EXACT);
}
