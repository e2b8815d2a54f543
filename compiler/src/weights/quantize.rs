//! Round-to-nearest with a scale search, one row at a time.
//!
//! What a stored row means is said in `gristmill_graph::quant`: a symmetric block is `rs * sc * grid(c)` with a
//! 7-bit signed `sc` and a grid that one bit shifts by half a step; an asymmetric block is `rs * s * c + rm * m`.
//! The row factors `rs` and `rm` are rounded to f16 first, and everything else is chosen against the rounded values.
//!
//! For each block a few trial scales are rounded with; the codes of a trial fix its best real scale by least squares
//! and with it the error, so that trials can be far apart. The best trial then meets the integers around its scale.
//! All inner loops run over blocks of 16 to 128 values without branches, in an order that does not depend on the
//! machine. Everything is inlined into one function, which [`simd::widest`] compiles for wide vectors too.

use gristmill_graph::QuantSpec;
use gristmill_graph::quant::{CHUNK, symmetric_header};
use half::f16;

use super::simd;

/// Largest magnitude of `sc` that is used (-64 would have no mirror image).
const SCALES: f32 = 63.0;

/// Values that are summed side by side; every block size is a multiple.
const LANES: usize = 16;

/// The grid of a symmetric format: code `c` stands for `first + 2 * c`, plus 1 in a shifted block; in units of half a
/// step. Formats with non-linear tables will be further constructors that carry their table.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The largest code.
    top: f32,
    /// Trial scales, as fractions of the one that just reaches the largest value of the block.
    trials: &'static [f32],
}

impl Grid {
    /// The linear grid of 2, 3 or 4 bit codes. Few codes gain from cutting off the largest values.
    pub fn linear(bits: u8) -> Self {
        let trials: &[f32] = match bits {
            2 => &[0.5, 0.65, 0.8, 0.95],
            3 => &[0.72, 0.85, 0.97],
            _ => &[0.87, 0.98],
        };
        Self { top: ((1u32 << bits) - 1) as f32, trials }
    }

    /// The value of code 0.
    #[inline(always)]
    fn first(&self, shifted: bool) -> f32 {
        f32::from(u8::from(shifted)) - self.top
    }

    /// The largest value.
    #[inline(always)]
    fn reach(&self, shifted: bool) -> f32 {
        self.top + f32::from(u8::from(shifted))
    }
}

/// The row factors of a quantized row and what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowScale {
    /// Factor of the block scales.
    pub rs: f16,
    /// Factor of the block minima (0 in symmetric formats).
    pub rm: f16,
    /// Sum of the squared differences between the row and what is stored.
    pub error: f64,
}

/// 1.5 * 2^23: a sum with it has the other, rounded to an integer, in its low bits.
const SHIFT: f32 = 12_582_912.0;

/// Quantizes one row of finite values.
///
/// `codes` and `headers` are a row of a [`gristmill_graph::quant::Tile`]: one byte per padded column (two's complement
/// for symmetric 8 bit), and one or two per block. Both are overwritten; padding is 0. `None` if the row holds values
/// too large for the f16 row factors.
pub fn quantize_row(spec: QuantSpec, row: &[f32], codes: &mut [u8], headers: &mut [u8]) -> Option<RowScale> {
    codes.fill(0);
    headers.fill(0);
    simd::widest(
        #[inline(always)]
        || match spec.asymmetric {
            true => asymmetric(spec, row, codes, headers),
            false => symmetric(spec, row, codes, headers),
        },
    )
}

#[inline(always)]
fn symmetric(spec: QuantSpec, row: &[f32], codes: &mut [u8], headers: &mut [u8]) -> Option<RowScale> {
    let (low, high) = extremes(row);
    let largest = larger(-low, high);
    let grid = Grid::linear(spec.bits);
    let reach = if spec.bits == 8 { 127.0 } else { grid.reach(false) };
    let rs = f16_above(largest / (reach * SCALES))?;
    let mut scale = RowScale { rs, ..RowScale::default() };
    if largest == 0.0 {
        return Some(scale);
    }
    let group = usize::from(spec.group);
    let (unit, per_unit) = (rs.to_f32(), 1.0 / rs.to_f32());
    let mut block = [0f32; CHUNK];
    for ((values, codes), header) in row.chunks(group).zip(codes.chunks_mut(group)).zip(headers) {
        let block = &mut block[..group];
        normalise(values, per_unit, block);
        let codes = &mut codes[..values.len()];
        if spec.bits == 8 {
            let sc = search_bytes(block);
            *header = symmetric_header(sc as i8, false);
            write_codes(block, inverse(sc), 0.0, -127.0, 127.0, codes);
            scale.error += lost(values, codes, |c| unit * sc * f32::from(c as i8));
        } else {
            let (sc, shifted) = search_grid(&grid, block);
            *header = symmetric_header(sc as i8, shifted);
            let first = grid.first(shifted);
            write_codes(block, 0.5 * inverse(sc), -0.5 * first, 0.0, grid.top, codes);
            scale.error += lost(values, codes, |c| unit * sc * (first + 2.0 * f32::from(c)));
        }
    }
    Some(scale)
}

/// The best scale and shift of a block in units of the row factor.
#[inline(always)]
fn search_grid(grid: &Grid, block: &[f32]) -> (f32, bool) {
    let (low, high) = extremes(block);
    let largest = larger(-low, high);
    if largest == 0.0 {
        return (0.0, true);
    }
    // A shifted grid reaches half a step further on one side: that of the largest value. The other hardly ever pays.
    let side = if high >= -low { 1.0 } else { -1.0 };
    let mut best = (f32::NEG_INFINITY, 0.0, false);
    for shifted in [false, true] {
        let first = grid.first(shifted);
        for trial in grid.trials {
            let inverse = side * grid.reach(shifted) / (largest * trial);
            let fit = project(block, 0.5 * inverse, first, grid.top);
            // The error is the sum of squares minus this.
            let gain = fit.product * fit.product / larger(fit.square, f32::MIN_POSITIVE);
            if gain > best.0 {
                best = (gain, fit.product / larger(fit.square, f32::MIN_POSITIVE), shifted);
            }
        }
    }
    let (_, ideal, shifted) = best;
    let (sign, whole) = (if ideal < 0.0 { -1.0 } else { 1.0 }, ideal.abs().floor());
    let first = grid.first(shifted);
    let mut chosen = (f32::INFINITY, 0.0);
    for magnitude in [whole, whole + 1.0] {
        let sc = sign * magnitude.clamp(0.0, SCALES);
        let error = grid_error(block, sc, first, grid.top);
        if error < chosen.0 {
            chosen = (error, sc);
        }
    }
    (chosen.1, shifted)
}

/// The best scale of a block of signed bytes: the one that just reaches everything, or the next smaller.
#[inline(always)]
fn search_bytes(block: &[f32]) -> f32 {
    let (low, high) = extremes(block);
    let ideal = larger(-low, high) / 127.0;
    let mut chosen = (f32::INFINITY, 0.0);
    for magnitude in [ideal.ceil(), ideal.floor()] {
        let sc = magnitude.clamp(0.0, SCALES);
        let (inverse, mut error) = (inverse(sc), [0f32; LANES]);
        for v in block.as_chunks::<LANES>().0 {
            for (e, v) in error.iter_mut().zip(v) {
                let d = v - sc * nearest(clamp(v * inverse, -127.0, 127.0));
                *e += d * d;
            }
        }
        let error = sum(&error);
        if error < chosen.0 {
            chosen = (error, sc);
        }
    }
    chosen.1
}

#[inline(always)]
fn asymmetric(spec: QuantSpec, row: &[f32], codes: &mut [u8], headers: &mut [u8]) -> Option<RowScale> {
    let group = usize::from(spec.group);
    let top = ((1u32 << spec.bits) - 1) as f32;
    let (mut range, mut lowest) = (0f32, 0f32);
    for values in row.chunks(group) {
        let (low, high) = extremes(values);
        (range, lowest) = (larger(range, high - low), larger(lowest, low.abs()));
    }
    let (rs, rm) = (f16_above(range / (top * 255.0))?, f16_above(lowest / 127.0)?);
    let mut scale = RowScale { rs, rm, error: 0.0 };
    // With a constant row `rs` is 0; then blocks are normalised by the unit of the minima alone.
    let unit = if range > 0.0 { rs.to_f32() } else { 1.0 };
    let (per_unit, min_unit) = (1.0 / unit, rm.to_f32() / unit);
    let mut block = [0f32; CHUNK];
    for ((values, codes), header) in row.chunks(group).zip(codes.chunks_mut(group)).zip(headers.as_chunks_mut::<2>().0)
    {
        let block = &mut block[..group];
        normalise(values, per_unit, block);
        let (s, m) = search_affine(block, min_unit, top, spec.bits);
        *header = [s as u8, m as i8 as u8];
        let codes = &mut codes[..values.len()];
        write_codes(block, inverse(s), -(min_unit * m) * inverse(s), 0.0, top, codes);
        let (s, m) = (rs.to_f32() * s, rm.to_f32() * m);
        scale.error += lost(values, codes, |c| s * f32::from(c) + m);
    }
    Some(scale)
}

/// The best scale (0..=255) and minimum (-128..=127, in units of `min_unit`) of a block.
#[inline(always)]
fn search_affine(block: &[f32], min_unit: f32, top: f32, bits: u8) -> (f32, f32) {
    let trials: &[f32] = match bits {
        2 => &[0.6, 0.75, 0.9, 1.0],
        3 => &[0.8, 0.9, 1.0],
        4 => &[0.9, 1.0],
        _ => &[1.0],
    };
    let (low, high) = extremes(block);
    let (middle, half) = (0.5 * (high + low), 0.5 * (high - low));
    let per_min = inverse(min_unit);
    let whole_min = |offset: f32| nearest(clamp(offset * per_min, -128.0, 127.0));
    let count = block.len() as f32;
    let total: f32 = block.iter().sum();
    let mut best = (f32::NEG_INFINITY, 0.0, middle);
    for trial in trials {
        let (step, start) = (2.0 * half * trial / top, middle - half * trial);
        let fit = project_affine(block, inverse(step), start, top);
        let (product, square) = (fit.product - total * fit.codes / count, fit.square - fit.codes * fit.codes / count);
        if square > 0.0 && product * product / square > best.0 {
            let step = product / square;
            best = (product * product / square, step, (total - step * fit.codes) / count);
        }
    }
    let (_, step, start) = best;
    // Least squares may leave the ends out by a little; with many codes it is better to reach all of them.
    let lowest = (low * per_min).floor().clamp(-128.0, 127.0);
    let reaching = ((high - lowest * min_unit) / top).ceil();
    let mut chosen = (f32::INFINITY, 0.0, 0.0);
    for (s, m) in [(step.floor(), whole_min(start)), (step.ceil(), whole_min(start)), (reaching, lowest)] {
        let s = clamp(s, 0.0, 255.0);
        let error = affine_error(block, s, min_unit * m, top);
        if error < chosen.0 {
            chosen = (error, s, m);
        }
    }
    (chosen.1, chosen.2)
}

/// Sums over a block that fix the best scale for the codes of a trial.
#[derive(Clone, Copy, Default)]
struct Fit {
    /// Of value times grid value.
    product: f32,
    /// Of squared grid values.
    square: f32,
    /// Of codes.
    codes: f32,
}

/// Rounds to the grid `first + 2c` with a trial scale, given half its inverse.
#[inline(always)]
fn project(block: &[f32], half_inverse: f32, first: f32, top: f32) -> Fit {
    let (mut product, mut square) = ([0f32; LANES], [0f32; LANES]);
    let offset = -0.5 * first;
    for v in block.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let code = nearest(clamp(v[i] * half_inverse + offset, 0.0, top));
            let level = code + code + first;
            product[i] += v[i] * level;
            square[i] += level * level;
        }
    }
    Fit { product: sum(&product), square: sum(&square), codes: 0.0 }
}

/// Rounds to the grid `c` with a trial scale and minimum.
#[inline(always)]
fn project_affine(block: &[f32], inverse: f32, start: f32, top: f32) -> Fit {
    let (mut product, mut square, mut codes) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
    for v in block.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let code = nearest(clamp((v[i] - start) * inverse, 0.0, top));
            product[i] += v[i] * code;
            square[i] += code * code;
            codes[i] += code;
        }
    }
    Fit { product: sum(&product), square: sum(&square), codes: sum(&codes) }
}

/// The squared error of a block with a symmetric header.
#[inline(always)]
fn grid_error(block: &[f32], sc: f32, first: f32, top: f32) -> f32 {
    let (half_inverse, offset, twice, start) = (0.5 * inverse(sc), -0.5 * first, 2.0 * sc, sc * first);
    let mut error = [0f32; LANES];
    for v in block.as_chunks::<LANES>().0 {
        for (e, v) in error.iter_mut().zip(v) {
            let d = v - (twice * nearest(clamp(v * half_inverse + offset, 0.0, top)) + start);
            *e += d * d;
        }
    }
    sum(&error)
}

/// The squared error of a block with an asymmetric header.
#[inline(always)]
fn affine_error(block: &[f32], s: f32, start: f32, top: f32) -> f32 {
    let (inverse, mut error) = (inverse(s), [0f32; LANES]);
    for v in block.as_chunks::<LANES>().0 {
        for (e, v) in error.iter_mut().zip(v) {
            let d = v - (s * nearest(clamp((v - start) * inverse, 0.0, top)) + start);
            *e += d * d;
        }
    }
    sum(&error)
}

/// The values of a block in units of the row factor. A block at the end of a row repeats its values, so that
/// padding does not pull on the choice of the scale.
#[inline(always)]
fn normalise(values: &[f32], per_unit: f32, block: &mut [f32]) {
    for (b, v) in block.iter_mut().zip(values) {
        *b = v * per_unit;
    }
    for i in values.len()..block.len() {
        block[i] = block[i - values.len()];
    }
}

#[inline(always)]
fn write_codes(block: &[f32], inverse: f32, offset: f32, low: f32, high: f32, codes: &mut [u8]) {
    for (c, v) in codes.iter_mut().zip(block) {
        // The low byte of the sum is the code, in two's complement if it is negative.
        *c = (clamp(v * inverse + offset, low, high) + SHIFT).to_bits() as u8;
    }
}

/// The squared error of values against their codes, by the meaning of a code.
#[inline(always)]
fn lost(values: &[f32], codes: &[u8], meaning: impl Fn(u8) -> f32) -> f64 {
    let square = |v: &f32, c: &u8| {
        let d = v - meaning(*c);
        d * d
    };
    let ((values, last), (codes, last_codes)) = (values.as_chunks::<LANES>(), codes.as_chunks::<LANES>());
    let mut error = [0f32; LANES];
    for (values, codes) in values.iter().zip(codes) {
        for i in 0..LANES {
            error[i] += square(&values[i], &codes[i]);
        }
    }
    for i in 0..last.len() {
        error[i] += square(&last[i], &last_codes[i]);
    }
    f64::from(sum(&error))
}

/// `1 / x`, and 0 for 0, so that a block without scale gets code 0.
#[inline(always)]
fn inverse(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// Smallest and largest value.
#[inline(always)]
fn extremes(values: &[f32]) -> (f32, f32) {
    let start = values.first().copied().unwrap_or(0.0);
    let (mut low, mut high) = ([start; LANES], [start; LANES]);
    let (chunks, last) = values.as_chunks::<LANES>();
    for v in chunks {
        for i in 0..LANES {
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

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The larger of two numbers. `f32::max` also handles NaN, which costs three more vector instructions.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// The nearest integer, ties to even, for magnitudes below 2^22: the addition drops the fraction. `round_ties_even`
/// would be a call per value on x86-64 processors before SSE 4.1, which is what Rust compiles for by default.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    (x + SHIFT) - SHIFT
}

/// In a fixed order that vectorises.
#[inline(always)]
fn sum(lanes: &[f32; LANES]) -> f32 {
    let mut lanes = *lanes;
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// The smallest f16 that is not below `x` (`x >= 0`); `None` beyond the largest f16. Rounding up keeps the largest
/// value of a row within reach, also where f16 is denormal and coarse.
#[inline(always)]
fn f16_above(x: f32) -> Option<f16> {
    let nearest = f16::from_f32(x);
    let up = if nearest.to_f32() < x { f16::from_bits(nearest.to_bits() + 1) } else { nearest };
    up.is_finite().then_some(up)
}

#[cfg(test)]
pub(crate) mod tests;
