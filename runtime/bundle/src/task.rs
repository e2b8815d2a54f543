//! Tasks: how images, audio and texts become the inputs of an entry, and what its outputs mean.
//!
//! All of it is data, so that a runtime need not know the model.

use serde::{Deserialize, Serialize};

use crate::size::Size;

mod images;
mod timestamps;

pub use images::{Cut, Filter, Images, MAX_SIDE, Resized, Step};
pub use timestamps::{Fallback, Timestamps};

/// The symbols in [`InputSource::Sizes`] and in the counts of [`TaskOutput::ImagePrompt`]: height and width of the
/// given image, and the number of rows and columns of its tiles or patches.
pub const IMAGE_SYMBOLS: [&str; 4] = ["height", "width", "rows", "columns"];

/// The outputs of decoding entries of models with timestamps: the best candidates (i32 `[B, n]`), their logits (f32
/// `[B, n]`), and the log-sum-exp of all logits (f32 `[B, 1]`).
pub const TIMED_OUTPUTS: [&str; 3] = ["timed_tokens", "timed_logits", "timed_total"];

/// What `clean_up_tokenization` of transformers replaces, in its order: spaces before punctuation and English contractions.
pub const CLEAN_UP: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// The task of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// How its inputs are made. Inputs that are not listed have defaults.
    pub inputs: Vec<TaskInput>,
    /// What its outputs mean.
    pub output: TaskOutput,
}

/// An input, and how it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInput {
    /// Index in [`crate::Manifest::inputs`].
    pub input: u32,
    /// How it is made.
    pub source: InputSource,
}

/// How an input is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSource {
    /// Images: f32, in the shape of their [`Cut`].
    Image(Images),
    /// Frames of videos, uncut ([`Cut::Whole`]): f32 `[videos, frames, 3, height, width]`. Frames are sampled at equal
    /// distances; the second axis is their number.
    Frames(Images),
    /// A row of integers per image, over [`IMAGE_SYMBOLS`]: i32 `[images, numbers]`.
    Sizes(Vec<Size>),
    /// Mono audio: f32 `[audio files, samples]`. If the number of samples is fixed, audio is truncated or padded with
    /// silence.
    Audio(AudioInput),
    /// The output of another entry for each audio file; they are concatenated along the first axis.
    EncodedAudio(EncodedAudio),
    /// Token ids: i32 `[texts, tokens]`.
    Text,
    /// 1 for each token, 0 for padding: i32 `[texts, tokens]`.
    Mask,
}

/// How an audio file becomes samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioInput {
    /// The sample rate in Hz.
    pub rate: u32,
    /// Whether the samples are normalized to a mean of 0 and a variance of 1.
    pub normalize: bool,
    /// The padding of an audio file that is too short.
    #[serde(default, skip_serializing_if = "Fill::is_silence")]
    pub fill: Fill,
}

/// The padding of audio that is shorter than the input of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Silence.
    #[default]
    Silence,
    /// The audio repeated as often as it fits entirely, then silence.
    Repeat,
    /// The audio repeated until the input is full.
    Cycle,
}

impl Fill {
    /// Whether it is silence.
    pub fn is_silence(&self) -> bool {
        *self == Fill::Silence
    }
}

/// An entry that encodes audio files for an input of another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedAudio {
    /// How audio files become samples.
    pub audio: AudioInput,
    /// Index in [`crate::Manifest::entries`].
    pub entry: u32,
    /// Its only input, which takes one audio file: f32 `[1, samples]`; index in [`crate::Manifest::inputs`].
    pub input: u32,
    /// The output that becomes the input of the other entry, f32 `[1, ..]`: an index in its outputs.
    pub output: u32,
}

/// The meaning of the outputs of an entry. Numbers are indices in [`crate::Entry::outputs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskOutput {
    /// Classification.
    Classify {
        /// A score per class, before softmax: f32 `[B, classes]`.
        scores: u32,
        /// Names of the classes; empty if they have none.
        labels: Vec<String>,
        /// Whether each class is judged on its own (sigmoid) instead of one of all (softmax).
        independent: bool,
    },
    /// Object detection.
    Detect {
        /// A score per box and class, before softmax: f32 `[B, boxes, classes + 1]`. The last class means "no object".
        scores: u32,
        /// Centre x and y, width and height, as fractions of the image: f32 `[B, boxes, 4]`.
        boxes: u32,
        /// Names of the classes; empty if they have none.
        labels: Vec<String>,
    },
    /// Similarity of texts and images, videos or audio files.
    Compare {
        /// A score per item and text, before softmax: f32 `[items, texts]`.
        scores: u32,
    },
    /// CTC decoding (Graves et al. 2006): the text of an audio file from a token per frame. Repeated tokens collapse
    /// into one, then blanks are removed.
    Ctc {
        /// The token of each frame: i32 `[B, frames]`.
        tokens: u32,
        /// The blank token.
        blank: u32,
        /// The text of each token; tokens beyond the list have none.
        letters: Vec<String>,
        /// Whether spaces before punctuation and English contractions are removed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        clean_up: bool,
    },
    /// Images in a prompt: this entry encodes them; its output replaces the embeddings of image tokens.
    ImagePrompt {
        /// The image token. A prompt has one for each image, which is then repeated `count` times.
        token: u32,
        /// The number of tokens of an image, over [`IMAGE_SYMBOLS`].
        count: Size,
        /// The placeholder text of an image in a prompt, if it is not that token alone.
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
        /// Timestamps, if the model has them: then `prefill` and `decode` have the outputs [`TIMED_OUTPUTS`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamps: Option<Timestamps>,
    },
}
