use gristmill_graph::format::{Grid, Header};
use gristmill_graph::quant::decode;
use half::f16;
use proptest::prelude::*;

use super::super::encode::encode_matrix;
use super::*;

/// Normally distributed numbers, determined by the seed (Box-Muller).
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

/// The mean squared error relative to the mean square, computed from the decoded bytes. Checks the error that the
/// encoder reports.
fn relative_error(values: &[f32], rows: u64, columns: u64, spec: QuantSpec) -> f64 {
    let (bytes, loss) = encode_matrix(values, rows, columns, spec).unwrap();
    let decoded = decode(&bytes, rows, columns, spec).unwrap();
    let square = |x: f64| x * x;
    let error: f64 = values.iter().zip(&decoded).map(|(v, d)| square(f64::from(*v) - f64::from(*d))).sum();
    let energy: f64 = values.iter().map(|v| square(f64::from(*v))).sum();
    // The encoder does not count squares below the smallest f32.
    assert!((error - loss.error).abs() <= 1e-3 * error + 1e-9 * energy + 1e-30, "{error} is not {}", loss.error);
    assert!((energy - loss.energy).abs() <= 1e-4 * energy + 1e-30);
    error / energy
}

fn spec(name: &str) -> QuantSpec {
    name.parse().unwrap()
}

#[test]
fn errors_of_gaussian_rows() {
    let values = gaussian(128 * 1024, 7);
    // Symmetric blocks of 32: a tenth above the simulated optimum of the format. Others: as measured.
    for (name, bound) in [
        ("q2.g32", 0.097 * 1.1),
        ("q3.g32", 0.0253 * 1.1),
        ("q4.g32", 0.0062 * 1.1),
        ("q8.g32", 2.7e-5),
        ("q6.g32", 0.00045),
        // The optimum of the format is 0.0051.
        ("t4.g32", 0.0051 * 1.05),
        // For a normal distribution, the remaining error is 0.190 and 0.363 (1 - 2 / pi) of the mean square; blocks
        // have their own scales.
        ("ternary.g128", 0.19),
        ("binary.g128", 0.3634),
        ("q2.g16", 0.080),
        ("q2.g64", 0.111),
        ("q2.g128", 0.118),
        ("q4.g16", 0.0048),
        ("q4.g128", 0.0095),
        ("q2.g32.asym", 0.096),
        ("q3.g32.asym", 0.0234),
        ("q4.g32.asym", 0.0056),
        ("q8.g32.asym", 2.3e-5),
        ("q3.g128.asym", 0.0346),
    ] {
        let error = relative_error(&values, 128, 1024, spec(name));
        assert!(error < bound, "{name}: {error}, not below {bound}");
    }
}

#[test]
fn skewed_rows_gain_from_minima() {
    let values: Vec<f32> = gaussian(64 * 512, 3).iter().map(|v| v.abs() + 0.5).collect();
    let (plain, minima) = (spec("q4"), spec("q4.asym"));
    assert!(relative_error(&values, 64, 512, minima) < 0.2 * relative_error(&values, 64, 512, plain));
}

#[test]
fn what_the_grid_holds_is_kept_exactly() {
    for spec in QuantSpec::all() {
        let (format, group) = (spec.format(), usize::from(spec.group()));
        // Values of an unshifted grid, including both of its ends in each block, times the largest scale and a row
        // factor.
        let last = format.levels() as usize - 1;
        let code = |i: usize| if i.is_multiple_of(group) { last } else { i * 7 % (last + 1) };
        let (largest, unit) = (format.value(last as u8, false), 3.0 / 128.0);
        let row: Vec<f32> = match (format.header, format.grid) {
            (Header::ScaleAndShift, Grid::Linear { .. } | Grid::Table { .. }) => {
                assert_eq!(largest, -format.value(0, false), "{spec}: else the search may choose another scale");
                (0..256).map(|i| format.value(code(i) as u8, false) as f32 * 63.0 * unit).collect()
            }
            (Header::BlockScale, _) => {
                // Scales that f16 represents exactly, a different one per block.
                let scale = |i: usize| 0.01f32.mul_add((i / group) as f32, 0.05);
                (0..256).map(|i| f16::from_f32(scale(i)).to_f32() * format.value(code(i) as u8, false) as f32).collect()
            }
            // In these formats, rows keep room for larger scales, or have a minimum.
            (Header::ScaleAndShift, Grid::Signed) | (Header::ScaleAndMinimum, _) => continue,
        };
        let (bytes, loss) = encode_matrix(&row, 1, 256, spec).unwrap();
        assert_eq!(decode(&bytes, 1, 256, spec).unwrap(), row, "{spec}");
        assert_eq!(loss.error, 0.0, "{spec}");
    }
}

#[test]
fn rows_at_the_ends_of_the_number_range() {
    for spec in QuantSpec::all().filter(|s| s.group() == s.format().groups[0]) {
        let bound = match spec.format().levels() {
            2 => 0.4,
            3 => 0.22,
            4 => 0.14,
            8 => 0.04,
            16 => 0.01,
            _ => 0.001,
        };
        let gauss = gaussian(3 * 80, 11);
        for size in [1e-3f32, 1.0, 1e4] {
            let values: Vec<f32> = gauss.iter().map(|v| v * size).collect();
            assert!(relative_error(&values, 3, 80, spec) < bound, "{spec} at {size}");
        }
        // Below the smallest f16 factor nothing is preserved, but nothing breaks either.
        for size in [1e-6f32, 1e-12, 1e-30, 1e-42] {
            let values: Vec<f32> = gauss.iter().map(|v| v * size).collect();
            assert!(relative_error(&values, 3, 80, spec) <= 1.0, "{spec} at {size}");
        }
        assert_eq!(encode_matrix(&[0.0; 80], 1, 80, spec).unwrap().1.error, 0.0);
        let error = encode_matrix(&[1.0, 3e38, -3e38], 3, 1, spec).unwrap_err();
        assert_eq!(error, "row 1 is too large for the format");
    }
}

#[test]
fn one_outlier_does_not_break_its_row() {
    let mut values = gaussian(1024, 5);
    values[100] = 60.0;
    let (bytes, _) = encode_matrix(&values, 1, 1024, spec("q4")).unwrap();
    let decoded = decode(&bytes, 1, 1024, spec("q4")).unwrap();
    let error: f32 = values[128..].iter().zip(&decoded[128..]).map(|(v, d)| (v - d) * (v - d)).sum();
    assert!(error / 896.0 < 0.011, "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn never_worse_than_nothing(
        spec in prop::sample::select(QuantSpec::all().collect::<Vec<_>>()), rows in 1usize..4, columns in prop_oneof![1usize..200, Just(128usize)],
        seed in prop::collection::vec((-1.0f32..1.0, -12i32..4), 600),
    ) {
        let values: Vec<f32> = seed.iter().map(|(m, e)| m * 10f32.powi(*e)).take(rows * columns).collect();
        prop_assume!(values.len() == rows * columns);
        let (bytes, _) = encode_matrix(&values, rows as u64, columns as u64, spec).unwrap();
        let decoded = decode(&bytes, rows as u64, columns as u64, spec).unwrap();
        for (row, back) in values.chunks(columns).zip(decoded.chunks(columns)) {
            let error: f64 = row.iter().zip(back).map(|(v, d)| f64::from(v - d).powi(2)).sum();
            let energy: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
            // Repeating the values of an incomplete block counts some of them twice.
            let bound = if columns.is_multiple_of(usize::from(spec.group())) { 1.0001 } else { 2.0 };
            prop_assert!(error <= energy * bound + 1e-12, "{} of {}", error, energy);
        }
    }
}
#[test]
fn minima_out_of_range_do_not_spoil_a_block() {
    // The best line starts below -128 units; what matters is that the many zeros stay near zero.
    let mut values = vec![0.0f32; 96];
    (values[21], values[94]) = (657.0742, -871.8796);
    assert!(relative_error(&values, 1, 96, spec("q2.g128.asym")) < 0.2);
}
