//! How images become numbers.

use serde::{Deserialize, Serialize};

/// Largest side of an image that is given to a model.
pub const MAX_SIDE: u32 = 1 << 14;
/// Most steps of preparing an image, and most sizes to choose among.
const MAX_STEPS: usize = 16;
const MAX_SIZES: usize = 64;
/// Largest side of a piece, and most of what is counted in pieces.
const MAX_PART: u32 = 1 << 12;

/// How an image becomes numbers: the steps in order, on bytes; then for each channel
/// `(byte * factor - mean) / std`, the product rounded to f32 and the rest in f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Changes of size.
    pub steps: Vec<Step>,
    /// How the result becomes a tensor.
    #[serde(default, skip_serializing_if = "Cut::is_whole")]
    pub cut: Cut,
    /// What bytes are multiplied by.
    pub factor: f64,
    /// Subtracted, for red, green and blue.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

/// A change of an image's size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Resamples.
    Resize {
        /// The new size.
        to: Resized,
        /// How.
        filter: Filter,
    },
    /// Resamples to the size, of some, that shows most of the image. It keeps its proportions, with black on both sides.
    Fit {
        /// Height and width of each; of those that show as much, the smallest counts.
        sizes: Vec<[u32; 2]>,
        /// How.
        filter: Filter,
    },
    /// Cuts out the middle; what is beyond the image is black.
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
    /// This one.
    Exact {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// The shorter side gets this length, and the other one what keeps the proportions; if that is more than `longest`,
    /// both shrink until it is not.
    Shortest {
        /// Length of the shorter side.
        shortest: u32,
        /// Most that the longer side may have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        longest: Option<u32>,
    },
    /// As large as fits into this with the same proportions, fractions cut off.
    Within {
        /// Most rows.
        height: u32,
        /// Most columns.
        width: u32,
    },
    /// Sides are multiples of `of` nearest to those of the image. If those have more than `most` or fewer than `least`
    /// pixels, both sides shrink or grow until they do not.
    Multiple {
        /// What sides are multiples of.
        of: u32,
        /// Fewest pixels.
        least: u32,
        /// Most pixels.
        most: u32,
    },
}

/// How an image of the right size becomes a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// As it is: `[images, 3, height, width]`.
    #[default]
    Whole,
    /// Squares row by row; in front of them the image as it was given, at the size of one: `[images, 1 + squares, 3,
    /// side, side]`. Where another image has more of them, zeros follow.
    Tiles {
        /// Rows and columns of a square.
        side: u32,
        /// How the image becomes that small.
        filter: Filter,
    },
    /// Squares, all of an image behind those of another: `[squares, 3 * frames * side * side]`. Blocks of `merge` by `merge`
    /// squares lie behind one another, row by row, as the squares of a block do. A channel of a square stands `frames`
    /// times behind itself.
    Patches {
        /// Rows and columns of a square.
        side: u32,
        /// Squares along a side of a block.
        merge: u32,
        /// How often each channel is there.
        frames: u32,
    },
}

impl Cut {
    /// Whether images stay whole.
    pub fn is_whole(&self) -> bool {
        *self == Cut::Whole
    }

    /// Axes of the tensor.
    pub(crate) fn axes(self) -> usize {
        match self {
            Cut::Whole => 4,
            Cut::Tiles { .. } => 5,
            Cut::Patches { .. } => 2,
        }
    }
}

/// How images are resampled; all but the first one widen when an image shrinks, which is antialiasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A window of a sinc, three pixels to each side.
    Lanczos,
    /// Linear.
    Bilinear,
    /// Cubic, two pixels to each side, a = -0.5.
    Bicubic,
    /// The mean.
    Box,
    /// A Hamming window of one pixel to each side.
    Hamming,
}

impl Images {
    pub(crate) fn fault(&self) -> Option<String> {
        if self.steps.len() > MAX_STEPS {
            return Some(format!("{} steps for an image, at most {MAX_STEPS} are accepted", self.steps.len()));
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
                        return Some(format!("a choice of {} sizes; 1 to {MAX_SIZES} are accepted", sizes.len()));
                    }
                    sizes.concat()
                }
            };
            if let Some(side) = sides.iter().find(|s| !(1..=MAX_SIDE).contains(*s)) {
                return Some(format!("an image of {side} pixels; 1 to {MAX_SIDE} are accepted"));
            }
        }
        let parts = match self.cut {
            Cut::Whole => vec![],
            Cut::Tiles { side, .. } => vec![side],
            Cut::Patches { side, merge, frames } => vec![side, merge, frames],
        };
        if let Some(part) = parts.iter().find(|p| !(1..=MAX_PART).contains(*p)) {
            return Some(format!("pieces of {part} pixels; 1 to {MAX_PART} are accepted"));
        }
        let numbers = self.mean.iter().chain(&self.std).all(|v| v.is_finite()) && self.factor.is_finite();
        if !numbers || self.std.contains(&0.0) {
            return Some("factor, mean and std of an image must be finite, and std not 0".to_string());
        }
        None
    }
}
