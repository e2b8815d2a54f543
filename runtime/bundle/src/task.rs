//! What an entry is for: how images and texts become its inputs, and what its outputs mean.
//!
//! Everything here is data that a runtime follows without knowing the model.

use serde::{Deserialize, Serialize};

use crate::size::Size;

mod images;
mod timestamps;

pub use images::{Cut, Filter, Images, MAX_SIDE, Resized, Step};
pub use timestamps::{Fallback, Timestamps};

/// What is known of an image when sizes of [`InputSource::Sizes`] and counts of [`TaskOutput::ImagePrompt`] are computed: its height
/// and width as it was given, and into how many rows and columns of pieces it was cut.
pub const IMAGE_SYMBOLS: [&str; 4] = ["height", "width", "rows", "columns"];

/// The outputs of entries that decode where times are marked: the best candidates (i32 `[B, n]`), their logits (f32
/// `[B, n]`), and the logarithm of the sum of the exponentials of all logits (f32 `[B, 1]`).
pub const TIMED_OUTPUTS: [&str; 3] = ["timed_tokens", "timed_logits", "timed_total"];

/// The use of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What its inputs are made from. Inputs that are not here have defaults.
    pub inputs: Vec<TaskInput>,
    /// What its outputs mean.
    pub output: TaskOutput,
}

/// An input that is made from something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInput {
    /// Index in [`crate::Manifest::inputs`].
    pub input: u32,
    /// What it is made from.
    pub source: InputSource,
}

/// What an input is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// Images: f32, in the shape of their [`Cut`].
    Image(Images),
    /// The images of videos, each of which is one `Cut::Whole`: f32 `[videos, images, 3, height, width]`, as many as the
    /// second axis says, at even distances.
    Frames(Images),
    /// A row of whole numbers per image, over [`IMAGE_SYMBOLS`]: i32 `[images, numbers]`.
    Sizes(Vec<Size>),
    /// An audio file of one channel: f32 `[audio files, samples]`. Where the number of samples is fixed, it is cut or filled
    /// up with silence.
    Audio(AudioInput),
    /// The output of another entry for each audio file, concatenated along the first axis.
    EncodedAudio(EncodedAudio),
    /// Token ids: i32 `[texts, tokens]`.
    Text,
    /// 1 for each token, 0 for padding: i32 `[texts, tokens]`.
    Mask,
}

/// How an audio file becomes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioInput {
    /// Samples per second.
    pub rate: u32,
    /// Whether the samples are brought to a mean of 0 and a variance of 1.
    pub normalize: bool,
    /// What stands behind an audio file that is too short.
    #[serde(default, skip_serializing_if = "Fill::is_silence")]
    pub fill: Fill,
}

/// What stands behind an audio file that is shorter than what the model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Silence.
    #[default]
    Silence,
    /// The audio file again as often as it fits as a whole, then silence.
    Repeat,
    /// The audio file again and again.
    Cycle,
}

impl Fill {
    /// Whether that is silence.
    pub fn is_silence(&self) -> bool {
        *self == Fill::Silence
    }
}

/// How an entry encodes audio files for an input of another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedAudio {
    /// How audio files become samples.
    pub audio: AudioInput,
    /// Index in [`crate::Manifest::entries`].
    pub entry: u32,
    /// Its only input, which takes one audio file: f32 `[1, samples]`; index in [`crate::Manifest::inputs`].
    pub input: u32,
    /// What becomes the input of this entry: f32 `[1, ..]`; index in its outputs.
    pub output: u32,
}

/// What the outputs of an entry mean. Numbers are indices in [`crate::Entry::outputs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskOutput {
    /// Classification.
    Classify {
        /// A score per class, before softmax: f32 `[B, classes]`.
        scores: u32,
        /// Names of the classes; empty if they have none.
        labels: Vec<String>,
        /// Each class by itself (sigmoid) instead of one of all (softmax).
        independent: bool,
    },
    /// Object detection.
    Detect {
        /// A score per box and class, before softmax; the last class is nothing: f32 `[B, boxes, classes + 1]`.
        scores: u32,
        /// Centre x and y, width and height, as parts of the image: f32 `[B, boxes, 4]`.
        boxes: u32,
        /// Names of the classes; empty if they have none.
        labels: Vec<String>,
    },
    /// Similarity of texts and images, videos or audio files.
    Compare {
        /// A score per item and text, before softmax: f32 `[items, texts]`.
        scores: u32,
    },
    /// CTC (Graves et al. 2006): the text of an audio file, with a token for each frame. Repeated tokens count once, and
    /// `blank` stands for nothing.
    Ctc {
        /// The token of each frame: i32 `[B, frames]`.
        tokens: u32,
        /// The token that is no letter.
        blank: u32,
        /// What each token stands for; tokens beyond the list stand for nothing.
        letters: Vec<String>,
        /// Whether spaces in front of punctuation and of English contractions are taken away.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        clean_up: bool,
    },
    /// Images in a prompt: this entry encodes what replaces some of its tokens.
    ImagePrompt {
        /// The token that stands for a part of an image. A prompt holds it once per image.
        token: u32,
        /// How many of them an image takes, over [`IMAGE_SYMBOLS`].
        count: Size,
        /// The text that stands for an image in a prompt, if not that token alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placeholder: Option<String>,
    },
    /// The input of the encoder; the decoder then generates the text.
    #[serde(rename = "seq2seq")]
    Seq2Seq {
        /// The output: f32.
        features: u32,
        /// The input that it becomes: index in [`crate::Manifest::inputs`].
        into: u32,
        /// How it marks times, if it does: `prefill` and `decode` have the outputs [`TIMED_OUTPUTS`] then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamps: Option<Timestamps>,
    },
}
