//! Tasks: how images, audio and texts become the inputs of an entry, and what its outputs mean.

use serde::{Deserialize, Serialize};

/// The task of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// How its inputs are made.
    pub inputs: Vec<TaskInput>,
    /// The meaning of its outputs.
    pub output: TaskOutput,
}

/// An input, and how it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskInput {
    /// The name of the input.
    pub input: String,
    /// How it is made.
    pub source: Source,
}

/// How an input is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// Images, preprocessed according to `preprocessor_config.json`.
    Image {
        /// Settings that the file does not have.
        settings: serde_json::Map<String, serde_json::Value>,
        /// How the image is resized, if not according to the settings.
        fit: Option<Fit>,
        /// How the image is cut.
        cut: Cut,
    },
    /// Frames of a video, as many as the input has, at equal distances.
    Frames {
        /// Settings that `preprocessor_config.json` does not have.
        settings: serde_json::Map<String, serde_json::Value>,
    },
    /// A row of integers per image: sums and products of [`IMAGE_SYMBOLS`], as text.
    Sizes(Vec<String>),
    /// Mono audio, as samples.
    Audio {
        /// Settings that `preprocessor_config.json` does not have.
        settings: serde_json::Map<String, serde_json::Value>,
        /// The entry that computes the input from samples; without one, the samples are the input.
        through: Option<String>,
    },
    /// The token ids of a text.
    Text,
    /// 1 for each token of a text, 0 for padding.
    Mask,
}

/// The symbols of an image: height and width of the given image, rows and columns of its tiles or patches.
pub const IMAGE_SYMBOLS: [&str; 4] = ["height", "width", "rows", "columns"];

/// A size that depends on the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fit {
    /// The listed size with the highest effective resolution. The image keeps its aspect ratio, padded with black.
    Best {
        /// Height and width of each size.
        sizes: Vec<[u32; 2]>,
    },
    /// The nearest multiples of a length for both sides.
    Multiple {
        /// The length.
        of: u32,
        /// The smallest number of pixels.
        least: u32,
        /// The largest number of pixels.
        most: u32,
    },
}

/// How an image becomes a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// Without cutting.
    #[default]
    Whole,
    /// The entire image at the size of a tile, followed by square tiles row by row.
    Tiles {
        /// The side of a square in pixels.
        side: u32,
    },
    /// Square patches, one per row of the tensor. The patches of one token follow one another.
    Patches {
        /// The side of a square in pixels.
        side: u32,
        /// The side of the block of patches that becomes one token.
        merge: u32,
        /// How often each image is repeated, as the frames of a video.
        frames: u32,
    },
}

/// The meaning of the outputs of an entry. Fields for outputs hold their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaskOutput {
    /// Classification.
    Classify {
        /// A score per class, before softmax: `[.., classes]`.
        scores: String,
        /// Names of the classes in the order of the scores; empty if they have none.
        labels: Vec<String>,
        /// Whether each class is judged on its own (sigmoid) instead of one of all (softmax).
        independent: bool,
    },
    /// Object detection.
    Detect {
        /// A score per box and class, before softmax: `[.., boxes, classes + 1]`. The last class means "no object".
        scores: String,
        /// Centre x and y, width and height, as fractions of the image: `[.., boxes, 4]`.
        boxes: String,
        /// Names of the classes in the order of the scores; empty if they have none.
        labels: Vec<String>,
    },
    /// Similarity of texts and images, videos or audio files.
    Compare {
        /// A score per item and text, before softmax: `[items, texts]`.
        scores: String,
    },
    /// CTC decoding (Graves et al. 2006): the text of an audio file from a token per frame.
    Ctc {
        /// The token of each frame: `[.., frames]`. Repeated tokens collapse into one.
        tokens: String,
        /// The blank token.
        blank: u32,
    },
    /// Images in a prompt: this entry encodes them; its output replaces the embeddings of image tokens.
    ImagePrompt {
        /// The image token.
        token: u32,
        /// The number of tokens of an image: sums, products and quotients of [`IMAGE_SYMBOLS`], as text.
        count: String,
        /// The placeholder text of an image in a prompt, if it is not that token alone.
        placeholder: Option<String>,
    },
    /// The input of the encoder; the decoder then generates the text.
    Seq2Seq {
        /// The output.
        features: String,
        /// The name of the input that it becomes.
        into: String,
        /// The number of samples from one timestamp to the next, if the model has timestamps.
        step: Option<u32>,
    },
}

impl TaskOutput {
    /// The outputs that it uses.
    pub fn outputs(&self) -> Vec<&str> {
        match self {
            TaskOutput::Classify { scores, .. } | TaskOutput::Compare { scores } => vec![scores],
            TaskOutput::Detect { scores, boxes, .. } => vec![scores, boxes],
            TaskOutput::Ctc { tokens, .. } => vec![tokens],
            TaskOutput::Seq2Seq { features, .. } => vec![features],
            TaskOutput::ImagePrompt { .. } => Vec::new(),
        }
    }
}
