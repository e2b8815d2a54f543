//! Arithmetic that compiles to a few vector instructions, without branches and calls.

use half::f16;

/// Rows that are quantized together.
pub const ROWS: usize = 16;

/// 1.5 * 2^23: adding it to a number leaves the number, rounded to an integer, in the low bits of the sum.
pub(super) const SHIFT: f32 = 12_582_912.0;

/// `1 / x`, or 0 if `x` is 0, so that a flat line gives code 0.
#[inline(always)]
pub(super) fn inverse(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// The smallest and the largest value.
#[inline(always)]
pub(super) fn extremes(values: &[f32]) -> (f32, f32) {
    let start = values.first().copied().unwrap_or(0.0);
    let (mut low, mut high) = ([start; ROWS], [start; ROWS]);
    let (chunks, last) = values.as_chunks::<ROWS>();
    for v in chunks {
        for i in 0..ROWS {
            low[i] = smaller(low[i], v[i]);
            high[i] = larger(high[i], v[i]);
        }
    }
    for (i, v) in last.iter().enumerate() {
        low[i] = smaller(low[i], *v);
        high[i] = larger(high[i], *v);
    }
    (low.into_iter().fold(start, smaller), high.into_iter().fold(start, larger))
}

/// The larger of two numbers. `f32::max` also handles NaN, which costs three more vector instructions.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
pub(super) fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Clamps to `low ..= high`. NaN, which `0 * infinity` may give for denormal scales, becomes `low`.
#[inline(always)]
pub(super) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// The nearest integer, ties to even, for magnitudes below 2^22: the addition drops the fraction. `round_ties_even`
/// would be a function call per value on x86-64 without SSE 4.1, Rust's default target.
#[inline(always)]
pub(super) fn nearest(x: f32) -> f32 {
    (x + SHIFT) - SHIFT
}

/// The largest integer that is not greater than `x`, for magnitudes below 2^22.
#[inline(always)]
pub(super) fn floor(x: f32) -> f32 {
    let n = nearest(x);
    if n > x { n - 1.0 } else { n }
}

/// The integer part of a non-negative number; clamped, so that it is exact.
#[inline(always)]
pub(super) fn whole(x: f32) -> f32 {
    floor(clamp(x, 0.0, 1e6))
}

/// The smallest f16 that is not less than `x` (`x >= 0`); `None` if it exceeds the largest f16. Rounding up keeps the
/// largest value of a row within reach, even where f16 is denormal and coarse.
#[inline(always)]
pub(super) fn f16_above(x: f32) -> Option<f16> {
    let nearest = f16::from_f32(x);
    let up = if nearest.to_f32() < x { f16::from_bits(nearest.to_bits() + 1) } else { nearest };
    up.is_finite().then_some(up)
}
