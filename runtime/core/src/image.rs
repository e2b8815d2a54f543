//! Images, and how they become tensors. Results are equal to those of Pillow 13 and of the image processors of
//! transformers to the last bit.

mod change;
mod cut;
mod fit;
mod pixels;
mod resample;

use gristmill_bundle::{Cut, Images, Size};

pub use pixels::{Image, MAX_PIXELS, check_size};

use crate::backend::Tensor;
use crate::error::Error;

/// A preprocessed image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The tensor: one row of a batch, or several rows of patches.
    pub tensor: Tensor,
    /// Height and width of the given image, rows and columns of its tiles or patches: the values of
    /// [`gristmill_bundle::IMAGE_SYMBOLS`].
    known: [u32; 4],
}

impl Prepared {
    /// The value of a size over [`gristmill_bundle::IMAGE_SYMBOLS`].
    ///
    /// # Errors
    /// If the size uses another symbol, overflows, is negative, or divides by zero.
    pub fn eval(&self, size: &Size) -> Result<u32, Error> {
        let value = size.resolve(&gristmill_bundle::IMAGE_SYMBOLS).and_then(|e| e.eval(&self.known));
        let value = value.map_err(|e| Error::Unsupported(e.to_string()))?;
        u32::try_from(value).map_err(|_| Error::Unsupported(format!("the size `{size}` is {value}")))
    }
}

impl Image {
    /// Preprocesses the image: f32 `[1, 3, height, width]`, `[1, tiles, 3, side, side]` or `[patches, numbers]`.
    ///
    /// # Errors
    /// If the image is too small, or becomes too large.
    pub fn prepare(&self, how: &Images) -> Result<Prepared, Error> {
        let mut image = std::borrow::Cow::Borrowed(self);
        for step in &how.steps {
            image = std::borrow::Cow::Owned(image.changed(step)?);
        }
        let (tensor, [rows, columns]) = match how.cut {
            Cut::Whole => (image.tensor(how), [1, 1]),
            Cut::Tiles { side, filter } => image.tiles(self, side as usize, filter, how)?,
            Cut::Patches { side, merge, frames } => image.patches([side, merge, frames].map(|n| n as usize), how)?,
        };
        // Both are below 2^26.
        Ok(Prepared { tensor, known: [self.height as u32, self.width as u32, rows, columns] })
    }
}

#[cfg(test)]
mod tests;
