//! Formats whose codes index a table of values.

use gristmill_graph::quant::symmetric_header;

use super::lanes::{ROWS, clamp, inverse, larger, whole};
use super::rows::{Curve, Extent, Lanes, Rows, SCALES, fraction};

/// A table in the form that the search needs. The value of a code is a sum of steps over the thresholds below it, so
/// there is no lookup.
pub(super) struct Table {
    first: f32,
    /// The midpoints between adjacent entries.
    thresholds: [f32; 15],
    /// The differences between adjacent entries.
    steps: [f32; 15],
    largest: f32,
    shift: f32,
    trials: &'static [u8],
}

impl Table {
    #[inline(always)]
    pub(super) fn new(values: &[i8; 16], shift: u8, trials: &'static [u8]) -> Self {
        let (mut thresholds, mut steps) = ([0.0; 15], [0.0; 15]);
        for (k, pair) in values.windows(2).enumerate() {
            let (a, b) = (f32::from(pair[0]), f32::from(pair[1]));
            (thresholds[k], steps[k]) = (0.5 * (a + b), b - a);
        }
        let largest = f32::from(values[15]).max(-f32::from(values[0]));
        Self { first: values[0].into(), thresholds, steps, largest, shift: shift.into(), trials }
    }

    #[inline(always)]
    fn curve<'t>(&'t self, scale: &Lanes, shifted: &Lanes) -> Scaled<'t> {
        let (mut inverses, mut offset) = ([0.0; ROWS], [0.0; ROWS]);
        for i in 0..ROWS {
            (inverses[i], offset[i]) = (inverse(scale[i]), self.shift * shifted[i]);
        }
        Scaled { table: self, scale: *scale, inverse: inverses, offset }
    }
}

/// A table multiplied by a scale and shifted by an offset, in each row.
struct Scaled<'t> {
    table: &'t Table,
    scale: Lanes,
    inverse: Lanes,
    offset: Lanes,
}

impl Scaled<'_> {
    /// The code nearest to a value of row `i`, and its grid value; the smallest if the scale is 0.
    #[inline(always)]
    fn grid(&self, value: f32, i: usize) -> (f32, f32) {
        let x = value * self.inverse[i] - self.offset[i];
        let (mut code, mut grid) = (0.0, self.table.first);
        for k in 0..15 {
            let above = x > self.table.thresholds[k];
            code += if above { 1.0 } else { 0.0 };
            grid += if above { self.table.steps[k] } else { 0.0 };
        }
        (code, grid + self.offset[i])
    }

    /// The sums of value times grid value, and of squared grid values.
    #[inline(always)]
    fn fit(&self, block: &[Lanes]) -> (Lanes, Lanes) {
        let (mut product, mut square) = ([0.0; ROWS], [0.0; ROWS]);
        for v in block {
            for i in 0..ROWS {
                let (_, grid) = self.grid(v[i], i);
                product[i] += v[i] * grid;
                square[i] += grid * grid;
            }
        }
        (product, square)
    }

    #[inline(always)]
    fn error(&self, block: &[Lanes]) -> Lanes {
        let mut error = [0.0; ROWS];
        for v in block {
            for i in 0..ROWS {
                let d = v[i] - self.nearest(v[i], i).1;
                error[i] += d * d;
            }
        }
        error
    }
}

impl Curve for Scaled<'_> {
    #[inline(always)]
    fn nearest(&self, value: f32, i: usize) -> (f32, f32) {
        let (code, grid) = self.grid(value, i);
        (code, self.scale[i] * grid)
    }
}

/// Quantizes rows block by block.
#[inline(always)]
pub(super) fn quantize(rows: &mut Rows<'_>, table: &Table, headers: &mut [u8]) -> Result<(), usize> {
    rows.scale(|low, high| (larger(-low, high) / (table.largest * SCALES), 0.0))?;
    let per_row = headers.len() / ROWS;
    for b in 0..rows.blocks() {
        rows.load(b);
        let (scale, shifted) = search(table, rows.block());
        rows.store(b, &table.curve(&scale, &shifted));
        for r in 0..ROWS {
            headers[r * per_row + b] = symmetric_header(scale[r] as i8, shifted[r] > 0.0);
        }
    }
    Ok(())
}

/// The best scale and shift (0 or 1) of each block, in units of the row factor.
#[inline(always)]
fn search(table: &Table, block: &[Lanes]) -> (Lanes, Lanes) {
    let Extent { low, high, energy, .. } = Extent::of(block);
    let (mut best, mut ideal, mut shift) = ([-1.0; ROWS], [0.0; ROWS], [0.0; ROWS]);
    for shifted in [0.0, 1.0] {
        for trial in table.trials {
            let mut scale = [0.0; ROWS];
            for i in 0..ROWS {
                // A shifted grid reaches further on one side, here that of the largest value.
                let furthest = if high[i] >= -low[i] { high[i] } else { low[i] };
                scale[i] = furthest * (fraction(*trial) / (table.largest + table.shift * shifted));
            }
            let (product, square) = table.curve(&scale, &[shifted; ROWS]).fit(block);
            for i in 0..ROWS {
                let scale = product[i] * inverse(square[i]);
                // The error is the sum of squares of the block minus this gain.
                let gain = product[i] * scale;
                let better = gain > best[i];
                best[i] = if better { gain } else { best[i] };
                ideal[i] = if better { scale } else { ideal[i] };
                shift[i] = if better { shifted } else { shift[i] };
            }
        }
    }
    let (mut error, mut chosen) = (energy, [0.0; ROWS]);
    for up in [0.0, 1.0] {
        let mut scale = [0.0; ROWS];
        for i in 0..ROWS {
            let magnitude = clamp(whole(ideal[i].abs()) + up, 0.0, SCALES);
            scale[i] = if ideal[i] < 0.0 { -magnitude } else { magnitude };
        }
        let trial = table.curve(&scale, &shift).error(block);
        for i in 0..ROWS {
            let better = trial[i] < error[i];
            error[i] = if better { trial[i] } else { error[i] };
            chosen[i] = if better { scale[i] } else { chosen[i] };
        }
    }
    (chosen, shift)
}
