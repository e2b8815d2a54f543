//! Cuts images into tensors: entire images, tiles or patches.

use gristmill_bundle::{Filter, Images};

use super::pixels::{Image, fault};
use crate::backend::Tensor;
use crate::error::Error;

/// The tensor, and the number of rows and columns of tiles or patches.
type Pieces = Result<(Tensor, [u32; 2]), Error>;

impl Image {
    /// The entire image, channel by channel: f32 `[1, 3, height, width]`.
    pub(super) fn tensor(&self, how: &Images) -> Tensor {
        let (pixels, mut values) = (self.width * self.height, Vec::new());
        values.reserve_exact(3 * pixels);
        for (channel, (mean, std)) in how.mean.iter().zip(&how.std).enumerate() {
            // A table with the result for each value of a byte.
            let table: Vec<f32> = (0..256).map(|byte| ((f64::from(byte) * how.factor) as f32 - mean) / std).collect();
            values.extend(self.rgb.iter().skip(channel).step_by(3).map(|byte| table[usize::from(*byte)]));
        }
        Tensor::f32([1, 3, self.height, self.width], values)
    }

    /// The given image at the size of a tile, followed by square tiles row by row: f32 `[1, 1 + tiles, 3, side, side]`.
    pub(super) fn tiles(&self, given: &Image, side: usize, filter: Filter, how: &Images) -> Pieces {
        let (rows, columns) = self.pieces(side)?;
        let glance = given.resized([side as u64; 2], filter)?.tensor(how);
        let mut values = glance.as_f32().unwrap_or_default().to_vec();
        let all = self.tensor(how);
        let all = all.as_f32().unwrap_or_default();
        values.reserve_exact(all.len());
        for piece in 0..rows * columns {
            let (top, left) = (piece / columns * side, piece % columns * side);
            for line in (0..3 * side).map(|line| (line / side) * self.height + top + line % side) {
                values.extend_from_slice(&all[line * self.width + left..][..side]);
            }
        }
        Ok((Tensor::f32([1, 1 + rows * columns, 3, side, side], values), [rows as u32, columns as u32]))
    }

    /// Square patches; those of a block of `merge` by `merge` follow one another: f32 `[patches, 3 * frames * side *
    /// side]`.
    pub(super) fn patches(&self, [side, merge, frames]: [usize; 3], how: &Images) -> Pieces {
        let (down, across) = self.pieces(side * merge)?;
        let all = self.tensor(how);
        let all = all.as_f32().unwrap_or_default();
        let count = down * across * merge * merge;
        let mut values = Vec::new();
        values.reserve_exact(count * 3 * frames * side * side);
        for piece in 0..count {
            let (block, inside) = (piece / (merge * merge), piece % (merge * merge));
            let top = (block / across * merge + inside / merge) * side;
            let left = (block % across * merge + inside % merge) * side;
            for line in 0..3 * frames * side {
                let from = line / (frames * side) * self.height + top + line % side;
                values.extend_from_slice(&all[from * self.width + left..][..side]);
            }
        }
        let (rows, columns) = (down * merge, across * merge);
        Ok((Tensor::f32([count, 3 * frames * side * side], values), [rows as u32, columns as u32]))
    }

    /// The number of rows and columns of squares.
    fn pieces(&self, side: usize) -> Result<(usize, usize), Error> {
        if !self.height.is_multiple_of(side) || !self.width.is_multiple_of(side) {
            let found = format!("{} x {} after its steps", self.width, self.height);
            return Err(fault(&format!("sides that are multiples of {side}"), &found));
        }
        Ok((self.height / side, self.width / side))
    }
}
