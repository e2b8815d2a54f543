//! How images become tensors.

use serde::{Deserialize, Serialize};

/// The largest side of an image after preprocessing, in pixels.
pub const MAX_SIDE: u32 = 1 << 14;
/// The largest number of preprocessing steps, and of sizes to choose from.
const MAX_STEPS: usize = 16;
const MAX_SIZES: usize = 64;
/// The largest side of a tile or patch, and the largest count of them.
const MAX_PART: u32 = 1 << 12;

/// How an image becomes a tensor: all steps in order, on bytes; then, for each channel,
/// `(byte * factor - mean) / std`. The product is rounded to f32; the rest is computed in f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Steps that change the size.
    pub steps: Vec<Step>,
    /// How the result becomes a tensor.
    #[serde(default, skip_serializing_if = "Cut::is_whole")]
    pub cut: Cut,
    /// The factor of bytes, such as 1 / 255.
    pub factor: f64,
    /// The mean of red, green and blue.
    pub mean: [f32; 3],
    /// The standard deviation of red, green and blue.
    pub std: [f32; 3],
}

/// A step that changes the size of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Resamples.
    Resize {
        /// The new size.
        to: Resized,
        /// The resampling filter.
        filter: Filter,
    },
    /// Resamples to the listed size with the highest effective resolution. Keeps the aspect ratio and pads with black.
    Fit {
        /// Height and width of each size. Of equally good ones, the smallest is used.
        sizes: Vec<[u32; 2]>,
        /// The resampling filter.
        filter: Filter,
    },
    /// Crops the centre; anything outside the image is black.
    Crop {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
}

/// The size of a resampled image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resized {
    /// This size.
    Exact {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// The shorter side gets this length, and the aspect ratio is kept. If the longer side would exceed `longest`, both
    /// sides shrink accordingly.
    Shortest {
        /// The length of the shorter side.
        shortest: u32,
        /// The largest length of the longer side.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        longest: Option<u32>,
    },
    /// The largest size within these bounds that keeps the aspect ratio, rounded down.
    Within {
        /// The largest height.
        height: u32,
        /// The largest width.
        width: u32,
    },
    /// Each side becomes the nearest multiple of `of`. If the image then has more than `most` or fewer than `least`
    /// pixels, both sides are scaled to be within these bounds.
    Multiple {
        /// The divisor of both sides.
        of: u32,
        /// The smallest number of pixels.
        least: u32,
        /// The largest number of pixels.
        most: u32,
    },
}

/// How a resized image becomes a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// Without cutting: `[images, 3, height, width]`.
    #[default]
    Whole,
    /// The entire given image, resampled to the size of a tile, followed by square tiles row by row:
    /// `[images, 1 + tiles, 3, side, side]`. Zeros follow if another image has more tiles.
    Tiles {
        /// The side of a square in pixels.
        side: u32,
        /// The resampling filter of the entire image.
        filter: Filter,
    },
    /// Square patches of all images, concatenated: `[patches, 3 * frames * side * side]`. Blocks of `merge` by `merge`
    /// patches follow one another row by row, and so do the patches of a block. Each channel of a patch is repeated
    /// `frames` times.
    Patches {
        /// The side of a square in pixels.
        side: u32,
        /// The side of a block in patches.
        merge: u32,
        /// How often each channel is repeated.
        frames: u32,
    },
}

impl Cut {
    /// Whether images are not cut.
    pub fn is_whole(&self) -> bool {
        *self == Cut::Whole
    }

    /// The number of axes of the tensor.
    pub(crate) fn axes(self) -> usize {
        match self {
            Cut::Whole => 4,
            Cut::Tiles { .. } => 5,
            Cut::Patches { .. } => 2,
        }
    }
}

/// Resampling filters, as in Pillow. All but `Nearest` widen when an image shrinks (antialiasing).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// Lanczos: a windowed sinc, with a radius of three pixels.
    Lanczos,
    /// Linear.
    Bilinear,
    /// Cubic convolution with a = -0.5 and a radius of two pixels.
    Bicubic,
    /// The mean of the pixels covered.
    Box,
    /// A Hamming window with a radius of one pixel.
    Hamming,
}

impl Images {
    pub(crate) fn fault(&self) -> Option<String> {
        if self.steps.len() > MAX_STEPS {
            return Some(format!("{} steps for an image; at most {MAX_STEPS} are supported", self.steps.len()));
        }
        for step in &self.steps {
            let sides = match step {
                Step::Crop { height, width } => vec![*height, *width],
                Step::Resize { to: Resized::Exact { height, width } | Resized::Within { height, width }, .. } => {
                    vec![*height, *width]
                }
                Step::Resize { to: Resized::Shortest { shortest, longest }, .. } => {
                    let mut sides = vec![*shortest];
                    sides.extend(longest);
                    sides
                }
                Step::Resize { to: Resized::Multiple { of, least, most }, .. } => {
                    // Sides of a narrow image grow beyond these; that is found out when it comes.
                    if u64::from(*most) < u64::from(*of).pow(2) || least > most {
                        return Some(format!("images of {least} to {most} pixels, with sides in steps of {of}"));
                    }
                    vec![*of]
                }
                Step::Fit { sizes, .. } => {
                    if !(1..=MAX_SIZES).contains(&sizes.len()) {
                        return Some(format!("a choice of {} sizes; 1 to {MAX_SIZES} are supported", sizes.len()));
                    }
                    sizes.concat()
                }
            };
            if let Some(side) = sides.iter().find(|s| !(1..=MAX_SIDE).contains(*s)) {
                return Some(format!("an image of {side} pixels; 1 to {MAX_SIDE} are supported"));
            }
        }
        let parts = match self.cut {
            Cut::Whole => vec![],
            Cut::Tiles { side, .. } => vec![side],
            Cut::Patches { side, merge, frames } => vec![side, merge, frames],
        };
        if let Some(part) = parts.iter().find(|p| !(1..=MAX_PART).contains(*p)) {
            return Some(format!("pieces of {part} pixels; 1 to {MAX_PART} are supported"));
        }
        let numbers = self.mean.iter().chain(&self.std).all(|v| v.is_finite()) && self.factor.is_finite();
        if !numbers || self.std.contains(&0.0) {
            return Some("factor, mean and std of an image must be finite, and std must not be 0".to_string());
        }
        None
    }
}
