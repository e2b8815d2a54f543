//! Rows being quantized: statistics of a block, and the conversion of values to codes.

use gristmill_graph::QuantSpec;
use gristmill_graph::quant::LARGEST_BLOCK;
use half::f16;

use super::lanes::{ROWS, SHIFT, extremes, f16_above, inverse, larger, smaller};

/// One number per row.
pub(super) type Lanes = [f32; ROWS];

/// Maximum magnitude of `sc` (-64 would have no positive counterpart).
pub(super) const SCALES: f32 = 63.0;

/// The row factors of a quantized row, and its error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowScale {
    /// Factor of the block scales.
    pub rs: f16,
    /// Factor of the block minima (0 in symmetric formats).
    pub rm: f16,
    /// Sum of the squared differences between the row and what is stored.
    pub error: f64,
}

#[inline(always)]
pub(super) fn fraction(percent: u8) -> f32 {
    f32::from(percent) / 100.0
}

/// The values of the codes of a block in each row.
pub(super) trait Curve {
    /// The code (an integer) whose value is nearest to `value` in row `i`, and that value.
    fn nearest(&self, value: f32, i: usize) -> (f32, f32);
}

/// The smallest and largest values of a block, their sum, and the sum of their squares, which is the error of storing
/// zeros: the baseline that every choice must beat.
pub(super) struct Extent {
    pub(super) low: Lanes,
    pub(super) high: Lanes,
    pub(super) total: Lanes,
    pub(super) energy: Lanes,
}

impl Extent {
    #[inline(always)]
    pub(super) fn of(block: &[Lanes]) -> Self {
        let (mut low, mut high, mut total, mut energy) = (block[0], block[0], [0.0; ROWS], [0.0; ROWS]);
        for v in block {
            for i in 0..ROWS {
                low[i] = smaller(low[i], v[i]);
                high[i] = larger(high[i], v[i]);
                total[i] += v[i];
                energy[i] += v[i] * v[i];
            }
        }
        Self { low, high, total, energy }
    }
}

/// The rows being quantized, block by block.
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
    pub(super) group: usize,
    pub(super) codes: &'a mut [u8],
    pub(super) scales: [RowScale; ROWS],
    /// `1 / rs` of each row; 0 for rows of zeros.
    per_unit: Lanes,
    /// The current block in units of `rs`, by column.
    block: [Lanes; LARGEST_BLOCK],
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(super) fn new(spec: QuantSpec, values: &'a [f32], columns: usize, codes: &'a mut [u8]) -> Self {
        let (scales, per_unit) = ([RowScale::default(); ROWS], [0.0; ROWS]);
        Self {
            values,
            columns,
            group: usize::from(spec.group()),
            codes,
            scales,
            per_unit,
            block: [[0.0; ROWS]; LARGEST_BLOCK],
        }
    }

    /// Chooses row factors from the smallest and largest value of each row.
    #[inline(always)]
    pub(super) fn scale(&mut self, factors: impl Fn(f32, f32) -> (f32, f32)) -> Result<(), usize> {
        for (r, row) in self.values.chunks_exact(self.columns).take(ROWS).enumerate() {
            let (low, high) = extremes(row);
            self.set(r, factors(low, high))?;
        }
        Ok(())
    }

    /// Chooses row factors from the largest range of a block and the largest magnitude of a minimum.
    #[inline(always)]
    pub(super) fn scale_blocks(&mut self, factors: impl Fn(f32, f32) -> (f32, f32)) -> Result<(), usize> {
        for (r, row) in self.values.chunks_exact(self.columns).take(ROWS).enumerate() {
            let (mut range, mut lowest) = (0.0, 0.0);
            for block in row.chunks(self.group) {
                let (low, high) = extremes(block);
                (range, lowest) = (larger(range, high - low), larger(lowest, low.abs()));
            }
            self.set(r, factors(range, lowest))?;
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn set(&mut self, r: usize, (scale, minimum): (f32, f32)) -> Result<(), usize> {
        let (rs, rm) = (f16_above(scale).ok_or(r)?, f16_above(minimum).ok_or(r)?);
        self.scales[r] = RowScale { rs, rm, error: 0.0 };
        self.per_unit[r] = inverse(rs.to_f32());
        Ok(())
    }

    /// Number of blocks of a row that have values.
    #[inline(always)]
    pub(super) fn blocks(&self) -> usize {
        self.columns.div_ceil(self.group)
    }

    #[inline(always)]
    pub(super) fn block(&self) -> &[Lanes] {
        &self.block[..self.group]
    }

    /// Number of columns of a block that are not padding.
    #[inline(always)]
    pub(super) fn width(&self, block: usize) -> usize {
        self.group.min(self.columns - block * self.group)
    }

    /// Loads a block. An incomplete last block repeats its values, so that padding does not affect the choice of the
    /// scale.
    #[inline(always)]
    pub(super) fn load(&mut self, block: usize) {
        let width = self.width(block);
        for (r, row) in self.values.chunks_exact(self.columns).take(ROWS).enumerate() {
            let row = &row[block * self.group..][..width];
            for (v, lanes) in row.iter().zip(&mut self.block) {
                lanes[r] = v * self.per_unit[r];
            }
        }
        for k in width..self.group {
            self.block[k] = self.block[k - width];
        }
    }

    /// Writes the codes of the current block.
    #[inline(always)]
    pub(super) fn store(&mut self, block: usize, curve: &impl Curve) {
        let (width, padded) = (self.width(block), self.codes.len() / ROWS);
        let (mut error, mut codes) = ([0.0; ROWS], [[0u8; ROWS]; LARGEST_BLOCK]);
        for (v, codes) in self.block[..width].iter().zip(&mut codes) {
            for i in 0..ROWS {
                let (code, value) = curve.nearest(v[i], i);
                let d = v[i] - value;
                error[i] += d * d;
                // The low byte of the sum is the code, in two's complement if it is negative.
                codes[i] = (code + SHIFT).to_bits() as u8;
            }
        }
        for (r, row) in self.codes.chunks_exact_mut(padded).enumerate() {
            let row = &mut row[block * self.group..][..width];
            for (c, codes) in row.iter_mut().zip(&codes) {
                *c = codes[r];
            }
        }
        for (scale, error) in self.scales.iter_mut().zip(&error) {
            let unit = f64::from(scale.rs.to_f32());
            scale.error += unit * unit * f64::from(*error);
        }
    }
}
