//! What an entry is for: how pictures and texts become its inputs, and what its outputs mean.
//!
//! Everything here is data that a runtime follows without knowing the model.

use serde::{Deserialize, Serialize};

use crate::manifest::{Elem, Entry, EntryRole, Manifest};

/// Largest side of a picture that is given to a model.
pub const MAX_SIDE: u32 = 1 << 14;
/// Most steps of preparing a picture, most inputs of a task.
const MAX_STEPS: usize = 16;
/// Most names of classes, and the longest of them in bytes.
const MAX_LABELS: usize = 1 << 16;
const MAX_LABEL: usize = 1000;
/// Most samples per second.
const MAX_RATE: u32 = 1 << 20;

/// The use of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What its inputs are made from. Inputs that are not here have defaults.
    pub takes: Vec<Feed>,
    /// What its outputs mean.
    pub gives: Answer,
}

/// An input that is made from something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Index in [`Manifest::inputs`].
    pub input: u32,
    /// What it is made from.
    pub source: FeedSource,
}

/// What an input is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedSource {
    /// A picture: f32 `[pictures, 3, height, width]`.
    Picture(Pictures),
    /// A recording of one channel: f32 `[recordings, samples]`. Where the number of samples is fixed, it is cut or filled
    /// up with silence.
    Sound(Sounds),
    /// Token ids: i32 `[texts, tokens]`.
    Text,
    /// 1 for each token, 0 for padding: i32 `[texts, tokens]`.
    Mask,
}

/// How a picture becomes numbers: the steps in order, on bytes; then for each channel
/// `(byte * factor - mean) / std`, the product rounded to f32 and the rest in f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// Changes of size.
    pub steps: Vec<Step>,
    /// What bytes are multiplied by.
    pub factor: f64,
    /// Subtracted, for red, green and blue.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

/// How a recording becomes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sounds {
    /// Samples per second.
    pub rate: u32,
    /// Whether the samples are brought to a mean of 0 and a variance of 1.
    pub normalize: bool,
}

/// A change of a picture's size.
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
    /// Cuts out the middle; what is beyond the picture is black.
    Crop {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
}

/// The size of a resampled picture.
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
}

/// How pictures are resampled; all but the first one widen when a picture shrinks, which is antialiasing.
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

/// What the outputs of an entry mean. Numbers are indices in [`Entry::outputs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Which of some classes it is.
    Classify {
        /// A score per class, before softmax: f32 `[B, classes]`.
        scores: u32,
        /// Names of the classes; empty if they have none.
        labels: Vec<String>,
        /// Each class by itself (sigmoid) instead of one of all (softmax).
        independent: bool,
    },
    /// What is where.
    Detect {
        /// A score per box and class, before softmax; the last class is nothing: f32 `[B, boxes, classes + 1]`.
        scores: u32,
        /// Centre x and y, width and height, as parts of the picture: f32 `[B, boxes, 4]`.
        boxes: u32,
        /// Names of the classes; empty if they have none.
        labels: Vec<String>,
    },
    /// How well texts fit to something.
    Compare {
        /// A score per thing and text, before softmax: f32 `[things, texts]`.
        scores: u32,
    },
    /// What is said, letter by letter: of tokens in a row that are equal one counts, and `blank` is none.
    Spell {
        /// The token of each moment: i32 `[B, moments]`.
        tokens: u32,
        /// The token that is no letter.
        blank: u32,
        /// What each token stands for; tokens beyond the list stand for nothing.
        letters: Vec<String>,
    },
    /// What the entry that encodes reads; the text that is generated then is the answer.
    Write {
        /// The output: f32.
        features: u32,
        /// The input that it becomes: index in [`Manifest::inputs`].
        into: u32,
    },
}

impl Manifest {
    /// Why a task cannot be; nothing if it can. The entry itself must be valid.
    pub(crate) fn task_fault(&self, entry: &Entry, task: &Task) -> Option<String> {
        if task.takes.is_empty() || task.takes.len() > MAX_STEPS {
            return Some(format!("a task takes 1 to {MAX_STEPS} inputs, found {}", task.takes.len()));
        }
        for (i, feed) in task.takes.iter().enumerate() {
            let again = task.takes[..i].iter().any(|f| f.input == feed.input);
            if again || !entry.inputs.contains(&feed.input) {
                return Some(format!("input {} is not one of the entry, or occurs twice", feed.input));
            }
            let fault = self.feed_fault(feed);
            if fault.is_some() {
                return fault;
            }
        }
        let unfed = |i: &&u32| task.takes.iter().all(|f| f.input != **i) && self.inputs[**i as usize].default.is_none();
        if let Some(i) = entry.inputs.iter().find(unfed) {
            return Some(format!(
                "input `{}` has no default, and nothing to be made from",
                self.inputs[*i as usize].name
            ));
        }
        if let Answer::Write { features, into } = &task.gives {
            return self.write_fault(entry, *features, *into);
        }
        answer_fault(entry, &task.gives)
    }

    /// Why an output cannot become an input of the entry that encodes.
    fn write_fault(&self, entry: &Entry, features: u32, into: u32) -> Option<String> {
        let encodes = |e: &&Entry| e.role == EntryRole::Encode && e.inputs.contains(&into);
        let fits = self.entries.iter().find(encodes).is_some_and(|_| {
            let input = &self.inputs[into as usize];
            entry.outputs.get(features as usize).is_some_and(|o| o.elem == Elem::F32 && input.elem == Elem::F32)
        });
        (!fits).then(|| format!("output {features} cannot become input {into} of an entry that encodes"))
    }

    fn feed_fault(&self, feed: &Feed) -> Option<String> {
        let input = &self.inputs[feed.input as usize];
        let (elem, rank) = match &feed.source {
            FeedSource::Picture(pictures) => {
                let fault = pictures.fault();
                if fault.is_some() {
                    return fault;
                }
                (Elem::F32, 4)
            }
            FeedSource::Sound(sounds) if !(1..=MAX_RATE).contains(&sounds.rate) => {
                return Some(format!("{} samples per second; 1 to {MAX_RATE} are accepted", sounds.rate));
            }
            FeedSource::Sound(_) => (Elem::F32, 2),
            FeedSource::Text | FeedSource::Mask => (Elem::I32, 2),
        };
        let fits = input.elem == elem && input.shape.len() == rank;
        (!fits).then(|| format!("input `{}` cannot be made from that: it needs {elem:?} with {rank} axes", input.name))
    }
}

impl Pictures {
    fn fault(&self) -> Option<String> {
        if self.steps.len() > MAX_STEPS {
            return Some(format!("{} steps for a picture, at most {MAX_STEPS} are accepted", self.steps.len()));
        }
        for step in &self.steps {
            let sides = match step {
                Step::Crop { height, width } => vec![*height, *width],
                Step::Resize { to: Resized::Exact { height, width }, .. } => vec![*height, *width],
                Step::Resize { to: Resized::Shortest { shortest, longest }, .. } => {
                    let mut sides = vec![*shortest];
                    sides.extend(longest);
                    sides
                }
            };
            if let Some(side) = sides.iter().find(|s| !(1..=MAX_SIDE).contains(*s)) {
                return Some(format!("a picture of {side} pixels; 1 to {MAX_SIDE} are accepted"));
            }
        }
        let numbers = self.mean.iter().chain(&self.std).all(|v| v.is_finite()) && self.factor.is_finite();
        if !numbers || self.std.contains(&0.0) {
            return Some("factor, mean and std of a picture must be finite, and std not 0".to_string());
        }
        None
    }
}

fn spell_fault(entry: &Entry, tokens: u32, letters: &[String]) -> Option<String> {
    let fits = entry.outputs.get(tokens as usize).is_some_and(|o| o.elem == Elem::I32 && o.shape.len() == 2);
    if !fits {
        return Some(format!("output {tokens} does not exist, or is not i32 with 2 axes"));
    }
    label_fault(letters)
}

fn label_fault(labels: &[String]) -> Option<String> {
    let most = labels.len() > MAX_LABELS || labels.iter().any(|l| l.len() > MAX_LABEL);
    most.then(|| format!("at most {MAX_LABELS} names of classes of {MAX_LABEL} bytes are accepted"))
}

/// Why these outputs cannot mean that.
fn answer_fault(entry: &Entry, answer: &Answer) -> Option<String> {
    let (outputs, labels, extra) = match answer {
        Answer::Spell { tokens, letters, .. } => {
            return spell_fault(entry, *tokens, letters);
        }
        // Judged with the inputs.
        Answer::Write { .. } => return None,
        Answer::Classify { scores, labels, .. } => (vec![(*scores, 2)], labels.as_slice(), 0),
        Answer::Detect { scores, boxes, labels } => (vec![(*scores, 3), (*boxes, 3)], labels.as_slice(), 1),
        Answer::Compare { scores } => (vec![(*scores, 2)], [].as_slice(), 0),
    };
    for (index, rank) in &outputs {
        let Some(output) = entry.outputs.get(*index as usize) else {
            return Some(format!("output {index} does not exist"));
        };
        if output.elem != Elem::F32 || output.shape.len() != *rank {
            return Some(format!("output `{}` must be f32 with {rank} axes", output.name));
        }
    }
    let fault = label_fault(labels);
    if fault.is_some() {
        return fault;
    }
    // A size that is no number is found out when the model runs.
    let classes: Option<usize> = entry.outputs[outputs[0].0 as usize].shape.last().and_then(|s| s.0.parse().ok());
    match classes {
        Some(n) if !labels.is_empty() && labels.len() + extra != n => {
            Some(format!("{} names for {} classes", labels.len(), n.saturating_sub(extra)))
        }
        _ => None,
    }
}
