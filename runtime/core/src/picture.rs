//! Pictures and how they become tensors: the same bytes that Pillow 13 makes, and the same numbers that Hugging Face's
//! processors make of them, to the last bit.

mod resample;

use gristmill_bundle::task::MAX_SIDE;
use gristmill_bundle::{PictureStep, Pictures, Resized};

use crate::backend::Tensor;
use crate::error::Error;

/// Most pixels of a picture, before or after a change of its size. A picture of this many takes 192 MiB.
pub const MAX_PIXELS: u64 = 1 << 26;

/// A picture of bytes: red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// Fails if a picture of this size is empty or too large; for those who decode one, before they allocate it.
pub fn check_size(width: u64, height: u64) -> Result<(), Error> {
    let pixels = width.saturating_mul(height);
    if pixels == 0 {
        return Err(fault("at least one pixel", &format!("{width} x {height}")));
    }
    if pixels > MAX_PIXELS {
        let found = format!("{width} x {height}; make it smaller first");
        return Err(fault(&format!("at most {MAX_PIXELS} pixels"), &found));
    }
    Ok(())
}

fn fault(expected: &str, found: &str) -> Error {
    Error::Input { name: "picture".to_string(), expected: expected.to_string(), found: found.to_string() }
}

impl Picture {
    /// A picture of 3 bytes per pixel, row by row.
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, Error> {
        check_size(width as u64, height as u64)?;
        if rgb.len() != 3 * width * height {
            return Err(fault(&format!("{} bytes for {width} x {height}", 3 * width * height), &rgb.len().to_string()));
        }
        Ok(Picture { width, height, rgb })
    }

    /// A picture of 4 bytes per pixel, the last of which is how opaque it is. That is dropped: the colours behind
    /// transparent pixels show, as they do in Pillow.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Result<Self, Error> {
        check_size(width as u64, height as u64)?;
        if rgba.len() != 4 * width * height {
            return Err(fault(
                &format!("{} bytes for {width} x {height}", 4 * width * height),
                &rgba.len().to_string(),
            ));
        }
        let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        Ok(Picture { width, height, rgb })
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of all pixels, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The tensor f32 `[1, 3, height, width]` that a model wants of it.
    pub fn tensor(&self, how: &Pictures) -> Result<Tensor, Error> {
        let mut picture = std::borrow::Cow::Borrowed(self);
        for step in &how.steps {
            picture = std::borrow::Cow::Owned(picture.changed(step)?);
        }
        let (pixels, mut values) = (picture.width * picture.height, Vec::new());
        values.reserve_exact(3 * pixels);
        for (channel, (mean, std)) in how.mean.iter().zip(&how.std).enumerate() {
            // A byte has few values: this is what each of them becomes.
            let table: Vec<f32> = (0..256).map(|byte| ((f64::from(byte) * how.factor) as f32 - mean) / std).collect();
            values.extend(picture.rgb.iter().skip(channel).step_by(3).map(|byte| table[usize::from(*byte)]));
        }
        Ok(Tensor::f32([1, 3, picture.height, picture.width], values))
    }

    fn changed(&self, step: &PictureStep) -> Result<Picture, Error> {
        match step {
            PictureStep::Crop { height, width } => self.cropped(*width as usize, *height as usize),
            PictureStep::Resize { to, filter } => {
                let (height, width) = resized(*to, self.height as u64, self.width as u64);
                check_size(width, height)?;
                if width.max(height) > u64::from(MAX_SIDE) {
                    let expected = format!("proportions that give no side of more than {MAX_SIDE} pixels");
                    return Err(fault(&expected, &format!("{} x {}", self.width, self.height)));
                }
                Ok(resample::resize(self, width as usize, height as usize, *filter))
            }
        }
    }

    /// The middle, with black around it where the picture is smaller.
    fn cropped(&self, width: usize, height: usize) -> Result<Picture, Error> {
        check_size(width as u64, height as u64)?;
        let (left, top) = (offset(self.width, width), offset(self.height, height));
        let mut rgb = vec![0; 3 * width * height];
        for y in 0..height {
            let from = y as isize + top;
            if from < 0 || from >= self.height as isize {
                continue;
            }
            // Columns of the result that the picture has.
            let begin = (-left).clamp(0, width as isize) as usize;
            let end = (self.width as isize - left).clamp(begin as isize, width as isize) as usize;
            let source = 3 * (from as usize * self.width + (begin as isize + left) as usize);
            let count = 3 * (end - begin);
            rgb[3 * (y * width + begin)..][..count].copy_from_slice(&self.rgb[source..source + count]);
        }
        Ok(Picture { width, height, rgb })
    }
}

/// Where the middle `wanted` of `found` pixels begins. Halves are rounded down for what is cut off and, where there is
/// too little, up for what is added in front, as the reference has it.
fn offset(found: usize, wanted: usize) -> isize {
    let spare = found as isize - wanted as isize;
    spare.div_euclid(2)
}

/// Height and width after a change of size.
fn resized(to: Resized, height: u64, width: u64) -> (u64, u64) {
    let (size, longest) = match to {
        Resized::Exact { height, width } => return (u64::from(height), u64::from(width)),
        Resized::Shortest { shortest, longest } => (u64::from(shortest), longest.map(f64::from)),
    };
    let (short, long) = (height.min(width), height.max(width));
    let too_long = longest.filter(|most| long as f64 / short as f64 * size as f64 > *most);
    // The reference computes the limited size with a fraction, and rounds the two sides each in its own way.
    let exact = too_long.map(|most| most * short as f64 / long as f64);
    let size = exact.map_or(size, |e| (e.round_ties_even() as u64).max(1));
    let long = match exact {
        _ if short == size => long,
        Some(exact) => (exact * long as f64 / short as f64) as u64,
        // Exact sizes are below 2^53, so this is the quotient of floats with its fraction cut off.
        None => size * long / short,
    };
    if height <= width { (size, long) } else { (long, size) }
}

#[cfg(test)]
mod tests;
