//! Steps that change the size of an image.

use gristmill_bundle::task::MAX_SIDE;
use gristmill_bundle::{Filter, ImageStep};

use super::pixels::{Image, check_size, fault};
use super::{fit, resample};
use crate::error::Error;

impl Image {
    /// The image after a step.
    pub(super) fn changed(&self, step: &ImageStep) -> Result<Image, Error> {
        match step {
            ImageStep::Crop { height, width } => self.cropped(*width as usize, *height as usize),
            ImageStep::Resize { to, filter } => self.resized(fit::resized(*to, self.height, self.width)?, *filter),
            ImageStep::Fit { sizes, filter } => {
                let [height, width] = fit::best(sizes, self.height, self.width);
                let inner = fit::within([height, width], self.height, self.width);
                self.resized(inner, *filter)?.padded(width as usize, height as usize)
            }
        }
    }

    /// The image with another size.
    pub(super) fn resized(&self, [height, width]: [u64; 2], filter: Filter) -> Result<Image, Error> {
        check_size(width, height)?;
        if width.max(height) > u64::from(MAX_SIDE) {
            let expected = format!("proportions for which no side exceeds {MAX_SIDE} pixels");
            return Err(fault(&expected, &format!("{} x {}", self.width, self.height)));
        }
        Ok(resample::resize(self, width as usize, height as usize, filter))
    }

    /// The centre, with black around it if the image is smaller. Halves are rounded down for what is cut off, and up
    /// for what is added before the image, as in the reference.
    pub(super) fn cropped(&self, width: usize, height: usize) -> Result<Image, Error> {
        let offset = |found: usize, wanted: usize| (found as isize - wanted as isize).div_euclid(2);
        self.placed(width, height, offset(self.width, width), offset(self.height, height))
    }

    /// Black on both sides; an odd pixel goes after the image.
    fn padded(&self, width: usize, height: usize) -> Result<Image, Error> {
        let offset = |found: usize, wanted: usize| -((wanted.saturating_sub(found) / 2) as isize);
        self.placed(width, height, offset(self.width, width), offset(self.height, height))
    }

    /// The part from a pixel on, black outside the image.
    fn placed(&self, width: usize, height: usize, left: isize, top: isize) -> Result<Image, Error> {
        check_size(width as u64, height as u64)?;
        let mut rgb = vec![0; 3 * width * height];
        for y in 0..height {
            let from = y as isize + top;
            if from < 0 || from >= self.height as isize {
                continue;
            }
            // Columns of the result that come from the image.
            let begin = (-left).clamp(0, width as isize) as usize;
            let end = (self.width as isize - left).clamp(begin as isize, width as isize) as usize;
            let source = 3 * (from as usize * self.width + (begin as isize + left) as usize);
            let count = 3 * (end - begin);
            rgb[3 * (y * width + begin)..][..count].copy_from_slice(&self.rgb[source..source + count]);
        }
        Ok(Image { width, height, rgb })
    }
}
