//! What an entry is for, and how things that people have become its inputs.

use serde::{Deserialize, Serialize};

/// The use of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What its inputs are made from.
    pub takes: Vec<Feed>,
    /// What its outputs mean.
    pub gives: Answer,
}

/// An input that is made from something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// Name of the input.
    pub input: String,
    /// What it is made from.
    pub source: Source,
}

/// What an input is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A picture, prepared as `preprocessor_config.json` says.
    Picture {
        /// Settings that hold where the file does not have them.
        settings: serde_json::Map<String, serde_json::Value>,
    },
    /// A recording, as samples of one channel.
    Sound {
        /// Settings that hold where `preprocessor_config.json` does not have them.
        settings: serde_json::Map<String, serde_json::Value>,
    },
    /// The token ids of a text.
    Text,
    /// 1 for each token of a text, 0 for padding.
    Mask,
}

/// What the outputs of an entry mean. Fields that are called like outputs hold their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Which of some classes it is.
    Classify {
        /// A score per class, before softmax: `[.., classes]`.
        scores: String,
        /// Names of the classes in the order of the scores; empty if they have none.
        labels: Vec<String>,
        /// Each class by itself (sigmoid) instead of one of all (softmax).
        independent: bool,
    },
    /// What is where.
    Detect {
        /// A score per box and class, before softmax; the last class is nothing: `[.., boxes, classes + 1]`.
        scores: String,
        /// Centre x and y, width and height, as parts of the picture: `[.., boxes, 4]`.
        boxes: String,
        /// Names of the classes in the order of the scores; empty if they have none.
        labels: Vec<String>,
    },
    /// How well texts fit to something.
    Compare {
        /// A score per thing and text, before softmax: `[things, texts]`.
        scores: String,
    },
    /// What is said, letter by letter.
    Spell {
        /// The token of each moment: `[.., moments]`. Equal ones in a row are one.
        tokens: String,
        /// The token that is no letter.
        blank: u32,
    },
    /// What the entry that encodes reads; the text that is generated then is the answer.
    Write {
        /// The output.
        features: String,
        /// Name of the input that it becomes.
        into: String,
    },
}

impl Answer {
    /// The outputs that it is read from.
    pub fn outputs(&self) -> Vec<&str> {
        match self {
            Answer::Classify { scores, .. } | Answer::Compare { scores } => vec![scores],
            Answer::Detect { scores, boxes, .. } => vec![scores, boxes],
            Answer::Spell { tokens, .. } => vec![tokens],
            Answer::Write { features, .. } => vec![features],
        }
    }
}
