//! Rounds to nearest with a search for the best scale, 16 rows side by side.
//!
//! [`gristmill_graph::quant`] defines the formats. A symmetric block is `rs * sc * grid(c)`, with a 7-bit signed `sc`
//! and a grid that one bit shifts by half a step. An asymmetric block is `rs * s * c + rm * m`. The row factors `rs`
//! and `rm` are rounded to f16 first; everything else is chosen for the rounded factors.
//!
//! In most formats, the values of a block lie on a `Line`. `table` handles formats with a lookup table, `few` those
//! with two or three values. Each block is rounded to a few trial lines. The codes of a trial determine its best
//! real-valued scale by least squares, and with it the error, so trials can be far apart. The best trial is then
//! compared at the integers around its scale.
//!
//! A vector lane is a row: nothing is ever summed across lanes, and decisions per block are made for 16 rows at once,
//! without branches. Everything is inlined into one function, which `simd::widest` also compiles for wide vectors; the
//! results are the same.

use gristmill_graph::QuantSpec;
use gristmill_graph::format::{self, Encoder};
use gristmill_graph::quant::symmetric_header;

use super::simd;

mod few;

mod lanes;

mod rows;

mod table;

pub use lanes::ROWS;
use lanes::{clamp, floor, inverse, larger, nearest, whole};
pub use rows::RowScale;
use rows::{Curve, Extent, Lanes, Rows, SCALES, fraction};

/// The grid of a symmetric format: code `c` stands for `2 * c - top`, plus 1 in a shifted block, in units of half a
/// step.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// The largest code.
    top: f32,
    /// Trial scales, in percent of the scale that just reaches the largest value of the block. Formats with few codes
    /// gain from clipping the largest values.
    trials: &'static [u8],
}

/// Quantizes up to 16 rows of `columns` finite values each.
///
/// `codes` and `headers` are 16 rows of a [`gristmill_graph::quant::Tile`]: one byte per padded column (two's
/// complement if codes are signed), and one or two per block. Both are overwritten; padding is 0. `Err` is the index of
/// a row with values too large for the f16 row factors.
///
/// # Panics
/// If the lengths of `codes` and `headers` do not match the number of columns.
pub fn quantize_rows(
    spec: QuantSpec,
    values: &[f32],
    columns: usize,
    codes: &mut [u8],
    headers: &mut [u8],
) -> Result<[RowScale; ROWS], usize> {
    codes.fill(0);
    headers.fill(0);
    simd::widest(
        #[inline(always)]
        || {
            let format = spec.format();
            let top = (format.levels() - 1) as f32;
            let mut rows = Rows::new(spec, values, columns, codes);
            match format.encoder {
                Encoder::LeastSquares { trials } => match format.grid {
                    format::Grid::Table { values, shift } => {
                        table::quantize(&mut rows, &table::Table::new(values, shift, trials), headers)
                    }
                    _ => symmetric(&mut rows, &Grid { top, trials }, headers),
                },
                Encoder::FirstScales => bytes(&mut rows, headers),
                Encoder::LeastSquaresWithMinimum { trials } => asymmetric(&mut rows, top, trials, headers),
                Encoder::Signs => few::quantize(&mut rows, false, headers),
                Encoder::SignsAndZero => few::quantize(&mut rows, true, headers),
            }?;
            Ok(rows.scales)
        },
    )
}

#[inline(always)]
fn symmetric(rows: &mut Rows<'_>, grid: &Grid, headers: &mut [u8]) -> Result<(), usize> {
    rows.scale(|low, high| (larger(-low, high) / (grid.top * SCALES), 0.0))?;
    let per_row = headers.len() / ROWS;
    for b in 0..rows.blocks() {
        rows.load(b);
        let (sc, shift) = search_grid(grid, rows.block());
        rows.store(b, &grid_line(grid, &sc, &shift));
        for r in 0..ROWS {
            headers[r * per_row + b] = symmetric_header(sc[r] as i8, shift[r] > 0.0);
        }
    }
    Ok(())
}

#[inline(always)]
fn bytes(rows: &mut Rows<'_>, headers: &mut [u8]) -> Result<(), usize> {
    // Leaves room for scales above the one that just reaches the largest value of the row.
    rows.scale(|low, high| (1.06 * larger(-low, high) / (127.0 * SCALES), 0.0))?;
    let per_row = headers.len() / ROWS;
    for b in 0..rows.blocks() {
        rows.load(b);
        let sc = search_bytes(rows.block());
        rows.store(b, &Line::new(&sc, &[0.0; ROWS], -127.0, 127.0));
        for r in 0..ROWS {
            headers[r * per_row + b] = symmetric_header(sc[r] as i8, false);
        }
    }
    Ok(())
}

#[inline(always)]
fn asymmetric(rows: &mut Rows<'_>, top: f32, trials: &[u8], headers: &mut [u8]) -> Result<(), usize> {
    rows.scale_blocks(|range, lowest| {
        let minimum = lowest / 127.0;
        // A minimum is rounded down by up to one unit, which enlarges the range of its block.
        ((range + 1.01 * minimum) / (top * 255.0), minimum)
    })?;
    let mut min_unit = [0.0; ROWS];
    for (unit, scale) in min_unit.iter_mut().zip(&rows.scales) {
        *unit = scale.rm.to_f32() * inverse(scale.rs.to_f32());
    }
    let per_row = headers.len() / ROWS;
    for b in 0..rows.blocks() {
        rows.load(b);
        let (s, m) = search_affine(rows.block(), &min_unit, top, trials);
        rows.store(b, &affine_line(&s, &m, &min_unit, top));
        for r in 0..ROWS {
            headers[r * per_row + 2 * b] = s[r] as u8;
            headers[r * per_row + 2 * b + 1] = m[r] as i8 as u8;
        }
    }
    Ok(())
}

/// The best scale and shift (0 or 1) of each block, in units of the row factor.
#[inline(always)]
fn search_grid(grid: &Grid, block: &[Lanes]) -> (Lanes, Lanes) {
    let Extent { low, high, total, energy } = Extent::of(block);
    let count = block.len() as f32;
    let (mut best, mut ideal, mut shift) = ([-1.0; ROWS], [0.0; ROWS], [0.0; ROWS]);
    for shifted in [0.0, 1.0] {
        let first = shifted - grid.top;
        for trial in grid.trials {
            let mut sc = [0.0; ROWS];
            for i in 0..ROWS {
                // A shifted grid reaches half a step further on one side, here that of the largest value. The other
                // side hardly ever helps.
                let furthest = if high[i] >= -low[i] { high[i] } else { low[i] };
                sc[i] = furthest * (fraction(*trial) / (grid.top + shifted));
            }
            let fit = grid_line(grid, &sc, &[shifted; ROWS]).fit(block);
            for i in 0..ROWS {
                // Sums over grid values `2c + first`, from sums over codes.
                let product = 2.0 * fit.product[i] + first * total[i];
                let square = 4.0 * (fit.square[i] + first * fit.codes[i]) + count * first * first;
                let scale = product / square;
                // The error is the sum of squares of the block minus this gain.
                let gain = product * scale;
                let better = gain > best[i];
                best[i] = if better { gain } else { best[i] };
                ideal[i] = if better { scale } else { ideal[i] };
                shift[i] = if better { shifted } else { shift[i] };
            }
        }
    }
    let (mut error, mut chosen) = (energy, [0.0; ROWS]);
    for up in [0.0, 1.0] {
        let mut sc = [0.0; ROWS];
        for i in 0..ROWS {
            let magnitude = clamp(whole(ideal[i].abs()) + up, 0.0, SCALES);
            sc[i] = if ideal[i] < 0.0 { -magnitude } else { magnitude };
        }
        let trial = grid_line(grid, &sc, &shift).error(block);
        for i in 0..ROWS {
            let better = trial[i] < error[i];
            error[i] = if better { trial[i] } else { error[i] };
            chosen[i] = if better { sc[i] } else { chosen[i] };
        }
    }
    (chosen, shift)
}

/// The best scale of blocks of signed bytes: the largest scale that clips a value, or one of the next five. With so
/// many codes, it is chance which one suits a block; the best of six leaves a tenth less error than the better of two.
#[inline(always)]
fn search_bytes(block: &[Lanes]) -> Lanes {
    let Extent { low, high, energy, .. } = Extent::of(block);
    let (mut error, mut chosen) = (energy, [0.0; ROWS]);
    for up in 0..6 {
        let mut sc = [0.0; ROWS];
        for i in 0..ROWS {
            sc[i] = clamp(whole(larger(-low[i], high[i]) / 127.0) + up as f32, 0.0, SCALES);
        }
        let trial = Line::new(&sc, &[0.0; ROWS], -127.0, 127.0).error(block);
        for i in 0..ROWS {
            let better = trial[i] < error[i];
            error[i] = if better { trial[i] } else { error[i] };
            chosen[i] = if better { sc[i] } else { chosen[i] };
        }
    }
    chosen
}

/// The best scale (0..=255) and minimum (-128..=127, in units of `min_unit`) of each block.
#[inline(always)]
fn search_affine(block: &[Lanes], min_unit: &Lanes, top: f32, trials: &[u8]) -> (Lanes, Lanes) {
    let Extent { low, high, total, energy } = Extent::of(block);
    let count = block.len() as f32;
    let (mut best, mut ideal, mut minimum) = ([-1.0; ROWS], [0.0; ROWS], [0.0; ROWS]);
    for trial in trials {
        let (mut step, mut start) = ([0.0; ROWS], [0.0; ROWS]);
        for i in 0..ROWS {
            step[i] = (high[i] - low[i]) * (fraction(*trial) / top);
            start[i] = 0.5 * (high[i] + low[i] - step[i] * top);
        }
        let fit = Line::new(&step, &start, 0.0, top).fit(block);
        for i in 0..ROWS {
            let product = fit.product[i] - total[i] * fit.codes[i] / count;
            let square = fit.square[i] - fit.codes[i] * fit.codes[i] / count;
            // A block of equal values uses a single code.
            let scale = if square > 0.0 { product / square } else { 0.0 };
            let offset = (total[i] - scale * fit.codes[i]) / count;
            let m = nearest(clamp(offset * inverse(min_unit[i]), -128.0, 127.0));
            // The best scale for the integer minimum, which may differ a lot from the best minimum if that is out of
            // range.
            let rest = fit.product[i] - m * min_unit[i] * fit.codes[i];
            let better = product * scale > best[i];
            best[i] = if better { product * scale } else { best[i] };
            ideal[i] = if better { rest / larger(fit.square[i], 1.0) } else { ideal[i] };
            minimum[i] = if better { m } else { minimum[i] };
        }
    }
    let (mut error, mut chosen) = (energy, ([0.0; ROWS], [0.0; ROWS]));
    for candidate in 0..3 {
        let (mut s, mut m) = ([0.0; ROWS], [0.0; ROWS]);
        for i in 0..ROWS {
            let lowest = floor(clamp(low[i] * inverse(min_unit[i]), -128.0, 127.0));
            // Least squares may clip the ends a little; with many codes it is better to reach all values.
            let reaching = whole(clamp((high[i] - lowest * min_unit[i]) / top, 0.0, 255.0)) + 1.0;
            let near = whole(clamp(ideal[i], 0.0, 255.0)) + candidate as f32;
            s[i] = clamp(if candidate == 2 { reaching } else { near }, 0.0, 255.0);
            m[i] = if candidate == 2 { lowest } else { minimum[i] };
        }
        let trial = affine_line(&s, &m, min_unit, top).error(block);
        for i in 0..ROWS {
            let better = trial[i] < error[i];
            error[i] = if better { trial[i] } else { error[i] };
            chosen.0[i] = if better { s[i] } else { chosen.0[i] };
            chosen.1[i] = if better { m[i] } else { chosen.1[i] };
        }
    }
    chosen
}

#[inline(always)]
fn grid_line(grid: &Grid, sc: &Lanes, shift: &Lanes) -> Line {
    let (mut step, mut start) = ([0.0; ROWS], [0.0; ROWS]);
    for i in 0..ROWS {
        step[i] = 2.0 * sc[i];
        start[i] = sc[i] * (shift[i] - grid.top);
    }
    Line::new(&step, &start, 0.0, grid.top)
}

#[inline(always)]
fn affine_line(s: &Lanes, m: &Lanes, min_unit: &Lanes, top: f32) -> Line {
    let mut start = [0.0; ROWS];
    for i in 0..ROWS {
        start[i] = m[i] * min_unit[i];
    }
    Line::new(s, &start, 0.0, top)
}

/// The values of the codes of a block in each row: `step * c + start`, for codes from `low` to `high`.
struct Line {
    step: Lanes,
    start: Lanes,
    inverse: Lanes,
    offset: Lanes,
    low: f32,
    high: f32,
}

impl Curve for Line {
    #[inline(always)]
    fn nearest(&self, value: f32, i: usize) -> (f32, f32) {
        let code = self.code(value, i);
        (code, self.step[i] * code + self.start[i])
    }
}

/// Sums over a block that determine the best line for given codes.
struct Fit {
    /// Sum of value times code.
    product: Lanes,
    /// Sum of squared codes.
    square: Lanes,
    /// Sum of codes.
    codes: Lanes,
}

impl Line {
    #[inline(always)]
    fn new(step: &Lanes, start: &Lanes, low: f32, high: f32) -> Self {
        let (mut inverses, mut offset) = ([0.0; ROWS], [0.0; ROWS]);
        for i in 0..ROWS {
            inverses[i] = inverse(step[i]);
            offset[i] = -start[i] * inverses[i];
        }
        Self { step: *step, start: *start, inverse: inverses, offset, low, high }
    }

    /// The code for a value of row `i`; 0 if the line is flat.
    #[inline(always)]
    fn code(&self, value: f32, i: usize) -> f32 {
        nearest(clamp(value * self.inverse[i] + self.offset[i], self.low, self.high))
    }

    #[inline(always)]
    fn fit(&self, block: &[Lanes]) -> Fit {
        let (mut product, mut square, mut codes) = ([0.0; ROWS], [0.0; ROWS], [0.0; ROWS]);
        for v in block {
            for i in 0..ROWS {
                let code = self.code(v[i], i);
                product[i] += v[i] * code;
                square[i] += code * code;
                codes[i] += code;
            }
        }
        Fit { product, square, codes }
    }

    /// The squared error of a block.
    #[inline(always)]
    fn error(&self, block: &[Lanes]) -> Lanes {
        let mut error = [0.0; ROWS];
        for v in block {
            for i in 0..ROWS {
                let d = v[i] - (self.step[i] * self.code(v[i], i) + self.start[i]);
                error[i] += d * d;
            }
        }
        error
    }
}

#[cfg(test)]
pub(crate) mod tests;
