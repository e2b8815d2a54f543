//! What an entry is for, and how items that people have become its inputs.

use serde::{Deserialize, Serialize};

/// The use of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What its inputs are made from.
    pub inputs: Vec<TaskInput>,
    /// What its outputs mean.
    pub output: TaskOutput,
}

/// An input that is made from something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskInput {
    /// Name of the input.
    pub input: String,
    /// What it is made from.
    pub source: Source,
}

/// What an input is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// An image, prepared as `preprocessor_config.json` says.
    Image {
        /// Settings that hold where the file does not have them.
        settings: serde_json::Map<String, serde_json::Value>,
        /// How its size changes, if not as the settings say.
        fit: Option<Fit>,
        /// How it is cut.
        cut: Cut,
    },
    /// The images of a video, as many as the input has, at even distances.
    Frames {
        /// Settings that hold where `preprocessor_config.json` does not have them.
        settings: serde_json::Map<String, serde_json::Value>,
    },
    /// A row of whole numbers per image: sums and products of [`IMAGE_SYMBOLS`], as text.
    Sizes(Vec<String>),
    /// An audio file, as samples of one channel.
    Audio {
        /// Settings that hold where `preprocessor_config.json` does not have them.
        settings: serde_json::Map<String, serde_json::Value>,
        /// The entry that makes the input of samples; without one they are the input.
        through: Option<String>,
    },
    /// The token ids of a text.
    Text,
    /// 1 for each token of a text, 0 for padding.
    Mask,
}

/// What is known of an image: its size as it was given, and into how many pieces it was cut.
pub const IMAGE_SYMBOLS: [&str; 4] = ["height", "width", "rows", "columns"];

/// A size that depends on the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fit {
    /// The size, of some, that shows most of the image, which keeps its proportions and gets black around it.
    Best {
        /// Height and width of each.
        sizes: Vec<[u32; 2]>,
    },
    /// Sides that are multiples of a length, near those of the image.
    Multiple {
        /// The length.
        of: u32,
        /// Fewest pixels.
        least: u32,
        /// Most pixels.
        most: u32,
    },
}

/// How an image becomes a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// As it is.
    #[default]
    Whole,
    /// Squares row by row, and in front of them the whole image at their size.
    Tiles {
        /// Length of their sides.
        side: u32,
    },
    /// Rows of the numbers of squares; those that become one token stand behind one another.
    Patches {
        /// Length of their sides.
        side: u32,
        /// How many beside one another, and below, become one token.
        merge: u32,
        /// How often each image is there, as if it were a video.
        frames: u32,
    },
}

/// What the outputs of an entry mean. Fields that are called like outputs hold their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaskOutput {
    /// Classification.
    Classify {
        /// A score per class, before softmax: `[.., classes]`.
        scores: String,
        /// Names of the classes in the order of the scores; empty if they have none.
        labels: Vec<String>,
        /// Each class by itself (sigmoid) instead of one of all (softmax).
        independent: bool,
    },
    /// Object detection.
    Detect {
        /// A score per box and class, before softmax; the last class is nothing: `[.., boxes, classes + 1]`.
        scores: String,
        /// Centre x and y, width and height, as parts of the image: `[.., boxes, 4]`.
        boxes: String,
        /// Names of the classes in the order of the scores; empty if they have none.
        labels: Vec<String>,
    },
    /// Similarity of texts and images, videos or audio files.
    Compare {
        /// A score per item and text, before softmax: `[items, texts]`.
        scores: String,
    },
    /// CTC (Graves et al. 2006): the text of an audio file, with a token for each frame.
    Ctc {
        /// The token of each frame: `[.., frames]`. Equal ones in a row are one.
        tokens: String,
        /// The token that is no letter.
        blank: u32,
    },
    /// Images in a prompt. This entry encodes what replaces some of its tokens.
    ImagePrompt {
        /// The token that stands for a part of an image.
        token: u32,
        /// How many of them an image takes: sums, products and quotients of [`IMAGE_SYMBOLS`], as text.
        count: String,
        /// The text that stands for an image in a prompt, if not that token alone.
        placeholder: Option<String>,
    },
    /// The input of the encoder; the decoder then generates the text.
    Seq2Seq {
        /// The output.
        features: String,
        /// Name of the input that it becomes.
        into: String,
        /// Samples from one time token to the next, in a model that has such tokens.
        step: Option<u32>,
    },
}

impl TaskOutput {
    /// The outputs that it is read from.
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
