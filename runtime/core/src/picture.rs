//! Pictures and how they become tensors: the same bytes that Pillow 13 makes, and the same numbers that Hugging Face's
//! processors make of them, to the last bit.

mod cut;
mod fit;
mod resample;

use gristmill_bundle::task::MAX_SIDE;
use gristmill_bundle::{Cut, Filter, PictureStep, Pictures, Size};

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

/// A picture as a model wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Its numbers: one row of a batch, or several rows of patches.
    pub tensor: Tensor,
    /// Height and width as it was given, rows and columns of pieces: the values of
    /// [`gristmill_bundle::PICTURE_SYMBOLS`].
    known: [u32; 4],
}

impl Prepared {
    /// The value of a size over what is known of a picture.
    pub fn eval(&self, size: &Size) -> Result<u32, Error> {
        let value = size.resolve(&gristmill_bundle::PICTURE_SYMBOLS).and_then(|e| e.eval(&self.known));
        let value = value.map_err(|e| Error::Unsupported(e.to_string()))?;
        u32::try_from(value).map_err(|_| Error::Unsupported(format!("the size `{size}` is {value}")))
    }
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

    /// What a model wants of it: f32 `[1, 3, height, width]`, `[1, tiles, 3, side, side]` or `[patches, numbers]`.
    pub fn prepare(&self, how: &Pictures) -> Result<Prepared, Error> {
        let mut picture = std::borrow::Cow::Borrowed(self);
        for step in &how.steps {
            picture = std::borrow::Cow::Owned(picture.changed(step)?);
        }
        let (tensor, [rows, columns]) = match how.cut {
            Cut::Whole => (picture.tensor(how), [1, 1]),
            Cut::Tiles { side, filter } => picture.tiles(self, side as usize, filter, how)?,
            Cut::Patches { side, merge, frames } => picture.patches([side, merge, frames].map(|n| n as usize), how)?,
        };
        // Both are below 2^26.
        Ok(Prepared { tensor, known: [self.height as u32, self.width as u32, rows, columns] })
    }

    /// The numbers of all pixels, channel by channel: f32 `[1, 3, height, width]`.
    fn tensor(&self, how: &Pictures) -> Tensor {
        let (pixels, mut values) = (self.width * self.height, Vec::new());
        values.reserve_exact(3 * pixels);
        for (channel, (mean, std)) in how.mean.iter().zip(&how.std).enumerate() {
            // A byte has few values: this is what each of them becomes.
            let table: Vec<f32> = (0..256).map(|byte| ((f64::from(byte) * how.factor) as f32 - mean) / std).collect();
            values.extend(self.rgb.iter().skip(channel).step_by(3).map(|byte| table[usize::from(*byte)]));
        }
        Tensor::f32([1, 3, self.height, self.width], values)
    }

    fn changed(&self, step: &PictureStep) -> Result<Picture, Error> {
        match step {
            PictureStep::Crop { height, width } => self.cropped(*width as usize, *height as usize),
            PictureStep::Resize { to, filter } => self.resized(fit::resized(*to, self.height, self.width)?, *filter),
            PictureStep::Fit { sizes, filter } => {
                let [height, width] = fit::best(sizes, self.height, self.width);
                let inner = fit::within([height, width], self.height, self.width);
                self.resized(inner, *filter)?.padded(width as usize, height as usize)
            }
        }
    }

    fn resized(&self, [height, width]: [u64; 2], filter: Filter) -> Result<Picture, Error> {
        check_size(width, height)?;
        if width.max(height) > u64::from(MAX_SIDE) {
            let expected = format!("proportions that give no side of more than {MAX_SIDE} pixels");
            return Err(fault(&expected, &format!("{} x {}", self.width, self.height)));
        }
        Ok(resample::resize(self, width as usize, height as usize, filter))
    }

    /// The middle, with black around it where the picture is smaller. Halves are rounded down for what is cut off and, where
    /// there is too little, up for what is added in front, as the reference has it.
    fn cropped(&self, width: usize, height: usize) -> Result<Picture, Error> {
        let offset = |found: usize, wanted: usize| (found as isize - wanted as isize).div_euclid(2);
        self.placed(width, height, offset(self.width, width), offset(self.height, height))
    }

    /// Black on both sides, half a pixel less in front.
    fn padded(&self, width: usize, height: usize) -> Result<Picture, Error> {
        let offset = |found: usize, wanted: usize| -((wanted.saturating_sub(found) / 2) as isize);
        self.placed(width, height, offset(self.width, width), offset(self.height, height))
    }

    /// The part that begins at a pixel, black where there is no picture.
    fn placed(&self, width: usize, height: usize, left: isize, top: isize) -> Result<Picture, Error> {
        check_size(width as u64, height as u64)?;
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

#[cfg(test)]
mod tests;
