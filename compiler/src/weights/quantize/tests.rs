use gristmill_graph::quant::decode;
use proptest::prelude::*;

use super::super::encode::encode_matrix;
use super::*;

/// Normally distributed numbers that are a function of the seed (Box and Muller).
pub(crate) fn gaussian(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 + 0.5) / f64::from(1 << 24)
    };
    let one = |_| {
        let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
        (radius * angle.cos()) as f32
    };
    (0..count).map(one).collect()
}

/// The mean squared error relative to the mean square, from the decoded bytes; checks the encoder's own account.
fn relative_error(values: &[f32], rows: u64, columns: u64, spec: QuantSpec) -> f64 {
    let (bytes, loss) = encode_matrix(values, rows, columns, spec).unwrap();
    let decoded = decode(&bytes, rows, columns, spec).unwrap();
    let square = |x: f64| x * x;
    let error: f64 = values.iter().zip(&decoded).map(|(v, d)| square(f64::from(*v) - f64::from(*d))).sum();
    let energy: f64 = values.iter().map(|v| square(f64::from(*v))).sum();
    // Squares below the smallest f32 are not counted by the encoder.
    assert!((error - loss.error).abs() <= 1e-3 * error + 1e-9 * energy + 1e-30, "{error} is not {}", loss.error);
    assert!((energy - loss.energy).abs() <= 1e-4 * energy + 1e-30);
    error / energy
}

fn spec(bits: u8, group: u16, asymmetric: bool) -> QuantSpec {
    QuantSpec { bits, group, asymmetric }
}

#[test]
fn errors_of_gaussian_rows() {
    let values = gaussian(128 * 1024, 7);
    // Symmetric blocks of 32: a tenth above the simulated optimum of the format. Others: as measured when written.
    for (bits, group, asymmetric, bound) in [
        (2, 32, false, 0.097 * 1.1),
        (3, 32, false, 0.0253 * 1.1),
        (4, 32, false, 0.0062 * 1.1),
        (8, 32, false, 2.7e-5),
        (2, 16, false, 0.080),
        (2, 64, false, 0.111),
        (2, 128, false, 0.118),
        (4, 16, false, 0.0048),
        (4, 128, false, 0.0095),
        (2, 32, true, 0.096),
        (3, 32, true, 0.0234),
        (4, 32, true, 0.0056),
        (8, 32, true, 2.3e-5),
        (3, 128, true, 0.0346),
    ] {
        let error = relative_error(&values, 128, 1024, spec(bits, group, asymmetric));
        assert!(error < bound, "{bits} bits, blocks of {group}, asymmetric {asymmetric}: {error}, not below {bound}");
    }
}

#[test]
fn skewed_rows_gain_from_minima() {
    let values: Vec<f32> = gaussian(64 * 512, 3).iter().map(|v| v.abs() + 0.5).collect();
    let (plain, minima) = (spec(4, 32, false), spec(4, 32, true));
    assert!(relative_error(&values, 64, 512, minima) < 0.2 * relative_error(&values, 64, 512, plain));
}

#[test]
fn what_the_grid_holds_is_kept_exactly() {
    // Scale 3/128 times 63, largest code and the smallest one present.
    for bits in [2u8, 3, 4] {
        let top = f32::from((1u8 << bits) - 1);
        let row: Vec<f32> = (0..256).map(|i| (2.0 * (i as f32 % (top + 1.0)) - top) * 63.0 * 3.0 / 128.0).collect();
        let (bytes, loss) = encode_matrix(&row, 1, 256, spec(bits, 64, false)).unwrap();
        assert_eq!(decode(&bytes, 1, 256, spec(bits, 64, false)).unwrap(), row);
        assert_eq!(loss.error, 0.0);
    }
}

#[test]
fn rows_at_the_ends_of_the_number_range() {
    for bits in [2, 3, 4, 8] {
        for asymmetric in [false, true] {
            let spec = spec(bits, 16, asymmetric);
            let bound = [0.0, 0.0, 0.14, 0.04, 0.01, 0.0, 0.0, 0.0, 0.001][usize::from(bits)];
            let gauss = gaussian(3 * 80, 11);
            for size in [1e-3f32, 1.0, 1e4] {
                let values: Vec<f32> = gauss.iter().map(|v| v * size).collect();
                assert!(relative_error(&values, 3, 80, spec) < bound, "{spec:?} at {size}");
            }
            // Below the smallest f16 row factor nothing is left, but nothing breaks either.
            for size in [1e-6f32, 1e-12, 1e-30, 1e-42] {
                let values: Vec<f32> = gauss.iter().map(|v| v * size).collect();
                assert!(relative_error(&values, 3, 80, spec) <= 1.0, "{spec:?} at {size}");
            }
            assert_eq!(encode_matrix(&[0.0; 80], 1, 80, spec).unwrap().1.error, 0.0);
            let error = encode_matrix(&[1.0, 3e38, -3e38], 3, 1, spec).unwrap_err();
            assert_eq!(error, "row 1 is too large for the format");
        }
    }
}

#[test]
fn one_outlier_does_not_break_its_row() {
    let mut values = gaussian(1024, 5);
    values[100] = 60.0;
    let (bytes, _) = encode_matrix(&values, 1, 1024, spec(4, 32, false)).unwrap();
    let decoded = decode(&bytes, 1, 1024, spec(4, 32, false)).unwrap();
    let error: f32 = values[128..].iter().zip(&decoded[128..]).map(|(v, d)| (v - d) * (v - d)).sum();
    assert!(error / 896.0 < 0.011, "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn never_worse_than_nothing(
        bits in prop::sample::select(vec![2u8, 3, 4, 8]), group in prop::sample::select(vec![16u16, 32, 64, 128]),
        asymmetric: bool, rows in 1usize..4, columns in prop_oneof![1usize..200, Just(128usize)],
        seed in prop::collection::vec((-1.0f32..1.0, -12i32..4), 600),
    ) {
        let values: Vec<f32> = seed.iter().map(|(m, e)| m * 10f32.powi(*e)).take(rows * columns).collect();
        prop_assume!(values.len() == rows * columns);
        let spec = spec(bits, group, asymmetric);
        let (bytes, _) = encode_matrix(&values, rows as u64, columns as u64, spec).unwrap();
        let decoded = decode(&bytes, rows as u64, columns as u64, spec).unwrap();
        for (row, back) in values.chunks(columns).zip(decoded.chunks(columns)) {
            let error: f64 = row.iter().zip(back).map(|(v, d)| f64::from(v - d).powi(2)).sum();
            let energy: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
            // Repeating the values of a cut block counts some of them twice.
            let bound = if columns % usize::from(group) == 0 { 1.0001 } else { 2.0 };
            prop_assert!(error <= energy * bound + 1e-12, "{} of {}", error, energy);
        }
    }
}
#[test]
fn minima_out_of_range_do_not_spoil_a_block() {
    // The best line begins below -128 units; what matters is that the many zeros stay near zero.
    let mut values = vec![0.0f32; 96];
    (values[21], values[94]) = (657.0742, -871.8796);
    assert!(relative_error(&values, 1, 96, spec(2, 128, true)) < 0.2);
}
