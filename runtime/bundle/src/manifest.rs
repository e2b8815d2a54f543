//! What `manifest.json` and `programs/<profile>.json` hold, version 2.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::embedding::Embedding;
use crate::size::Size;
use crate::task::Task;

/// The version this crate reads and writes.
pub const FORMAT: u32 = 2;

/// `manifest.json`: everything a loader needs before it fetches weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// `gristmill 0.1.0`.
    pub generator: String,
    /// What was compiled.
    pub model: ModelInfo,
    /// Integers that are known when an entry runs.
    pub symbols: Vec<Symbol>,
    /// Model inputs by Hugging Face name, in declaration order.
    pub inputs: Vec<Input>,
    /// Buffers that live between runs.
    pub states: Vec<State>,
    /// Ways to call the model.
    pub entries: Vec<Entry>,
    /// Weights: where each lies in the weight stream.
    pub tensors: Vec<StoredWeight>,
    /// The weight stream, cut into files: the concatenation of all shards. A tensor may cross from one shard into the
    /// next, but not from one component into the next.
    pub shards: Vec<Shard>,
    /// The parts of the model, in the order of the stream: each has the next tensors and the next shards.
    pub components: Vec<Component>,
    /// All other files of the bundle by relative path: `programs/native.json`, `shaders/..`, `graph.json`,
    /// `tokenizer.json`, ...
    pub files: BTreeMap<String, FileInfo>,
    /// Names of the target profiles in `programs/`.
    pub profiles: Vec<String>,
}

/// What was compiled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Name of the model directory.
    pub name: String,
    /// Architecture file (stem).
    pub architecture: String,
    /// The precision policy, as given.
    pub precision: String,
    /// Number of weights (elements of all tensors).
    pub parameters: u64,
    /// Most tokens a session can hold.
    pub max_context: u32,
    /// Most tokens per prefill call.
    pub prefill_chunk: u32,
    /// Token ids that end generation.
    pub eos_token_ids: Vec<u32>,
    /// Token ids with which the decoder of a model with an encoder begins; empty for other models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decoder_start_tokens: Vec<u32>,
    /// What callers may decide on in these tokens, in the order of the places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// How texts become embeddings, for models with an entry that embeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
}

/// A start token that callers choose by a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What is chosen, such as `language`.
    pub name: String,
    /// Index in [`ModelInfo::decoder_start_tokens`].
    pub place: u32,
    /// Tokens by the words for them.
    pub values: BTreeMap<String, u32>,
    /// The word that counts if the caller says nothing; without it the model chooses: of these tokens the one that it
    /// finds likeliest behind those in front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// An integer known when an entry runs. The position in the list is the position in the uniform buffer that every
/// kernel binds at `@group(0) @binding(0)` (u32 each, the whole padded to a multiple of 16 bytes).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symbol {
    /// `B` batch, `T` new tokens, `P` past tokens, `C` capacity of states; or the architecture's own.
    pub name: String,
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
}

/// Element type in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Elem {
    /// 32-bit float.
    F32,
    /// 16-bit float, two in a word.
    F16,
    /// 32-bit integer.
    I32,
}

/// A model input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Hugging Face name.
    pub name: String,
    /// Element type.
    pub elem: Elem,
    /// Shape over symbols.
    pub shape: Vec<Size>,
    /// Value when absent; without one the input is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<InputDefault>,
    /// How it continues when a decoded token is fed back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance: Option<Advance>,
    /// Values are row numbers of a table with so many rows, such as token ids; others are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u32>,
}

/// Value of an absent input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputDefault {
    /// Every element.
    Value(i32),
    /// `P + t` along the last axis.
    Positions,
}

/// Continuation of an input while decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advance {
    /// Becomes the chosen token.
    Token,
    /// Last element plus one.
    Increment,
    /// Grows by an element of this value on the last axis.
    Append(i32),
}

/// A buffer that lives between runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `layers.3.key`.
    pub name: String,
    /// Element type.
    pub elem: Elem,
    /// Shape over lasting symbols: `C`, the capacity, stands for an axis that grows, and `min(C, rows)` for one that is
    /// a [`Ring`].
    pub shape: Vec<Size>,
    /// What calls do with it.
    pub kind: StateKind,
}

/// What calls do with a state, and how it goes back to fewer tokens than it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StateKind {
    /// It grows along an axis with every token. It goes back to any length: a call with a smaller `P` writes over what
    /// lies behind. One that is a ring goes back as far as it still holds what the next call reads.
    Appended {
        /// The axis.
        axis: u32,
        /// Where only the newest tokens are held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ring: Option<Ring>,
    },
    /// It has one size, and every call that reads it puts something else into it. It goes back to nothing, which is `P` =
    /// 0, and to no other length but by a copy that was made there.
    Overwritten,
    /// The entry that encodes fills it. It does not depend on the tokens that are past.
    Kept,
}

/// Rows that are used again and again: position `p` of a text lies in row `p` modulo their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// How many of the newest tokens a token sees, itself included.
    pub window: u32,
    /// Rows, of which a session has no more than its capacity; at least the window.
    pub rows: u32,
}

impl Ring {
    /// Most tokens that a call may write behind `past` others: more would take the place of what it reads.
    pub fn most_new(self, past: u32) -> u32 {
        self.rows - past.min(self.window - 1)
    }
}

/// What a state holds of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many tokens are past.
    pub length: u32,
    /// The most that were past since the text began: a state goes back and forgets what is behind, but what the tokens
    /// there took the place of is lost.
    pub most: u32,
}

impl Held {
    /// After a call that puts `new` tokens behind `past` others.
    pub fn after(self, past: u32, new: u32) -> Self {
        let length = past.saturating_add(new);
        Held { length, most: if past == 0 { length } else { self.most.max(length) } }
    }
}

impl StateKind {
    /// The largest length up to `wanted` from which a call may go on.
    pub fn resumes(self, held: Held, wanted: u32) -> u32 {
        match self {
            StateKind::Overwritten if wanted < held.length => 0,
            StateKind::Appended { ring: Some(ring), .. } => {
                let (wanted, lost) = (wanted.min(held.length), held.most.saturating_sub(ring.rows));
                let reads = wanted.saturating_sub(ring.window - 1);
                if reads < lost { 0 } else { wanted }
            }
            StateKind::Appended { .. } | StateKind::Overwritten | StateKind::Kept => wanted.min(held.length),
        }
    }
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryRole {
    /// Called with tensors.
    Tensors,
    /// Computes what `Prefill` and `Decode` read from states that do not grow.
    Encode,
    /// Takes a stretch of the prompt.
    Prefill,
    /// Takes one token per row.
    Decode,
    /// Gives sentence embeddings.
    Embed,
    /// As `Tensors`, with the intermediate values as further outputs.
    Taps,
}

/// A way to call the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `forward`, `prefill`, `decode`, `embed`, `forward.taps`.
    pub name: String,
    /// What for.
    pub role: EntryRole,
    /// Symbols with a fixed value here.
    pub bind: BTreeMap<String, u32>,
    /// Indices of the inputs it reads.
    pub inputs: Vec<u32>,
    /// Its results.
    pub outputs: Vec<Output>,
    /// Indices of the states that it reads or writes, in order.
    pub states: Vec<u32>,
    /// Indices of the components whose weights it needs, in order.
    pub components: Vec<u32>,
    /// What people use it for, if more than tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
}

/// A result of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// `logits`, `next_token`, ...
    pub name: String,
    /// Element type (f32 or i32).
    pub elem: Elem,
    /// Shape over symbols.
    pub shape: Vec<Size>,
}

/// A weight in the weight stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredWeight {
    /// Path in the architecture: `layers.3.q_proj`.
    pub name: String,
    /// Logical shape.
    pub shape: Vec<u64>,
    /// `f32`, `f16`, or a quantized format such as `q4.g32` (see docs/bundle.md for the planes).
    pub precision: String,
    /// First byte in the weight stream; a multiple of 256.
    pub offset: u64,
    /// Number of bytes; a multiple of 16.
    pub bytes: u64,
}

/// A part of the model that can be fetched by itself: a vision tower, a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// `vision_tower`, or `model` for a model that is not divided.
    pub name: String,
    /// How many of [`Manifest::tensors`] are its own, in the order of first use.
    pub tensors: u32,
    /// How many of [`Manifest::shards`] hold these and nothing else.
    pub shards: u32,
}

/// A weight file: `weights/<sha256>.bin`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Lower-case hexadecimal SHA-256 of the content; also the file name.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// Integrity of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileInfo {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// `programs/<profile>.json`: what to dispatch, for one target profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// Kernels in first-use order.
    pub kernels: Vec<Kernel>,
    /// One program per entry, by entry name.
    pub programs: BTreeMap<String, Program>,
    /// WebAssembly kernels for steps that some adapters cannot run, all in one module, in the order of its table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Kernel>,
}

/// A kernel with its variants. All variants bind the same buffers and take the same grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Name, also the entry point's label.
    pub name: String,
    /// Which of the bound buffers (in binding order) are written.
    pub writes: Vec<bool>,
    /// Variants, best first; the last one needs nothing.
    pub variants: Vec<Variant>,
}

/// A printed form of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// WebGPU feature names that it needs (`subgroups`, `shader-f16`).
    pub requires: Vec<String>,
    /// Path of the shader in the bundle.
    pub file: String,
}

/// The dispatches of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Scratch buffers, in bytes; one buffer each.
    pub slots: Vec<Size>,
    /// In order.
    pub steps: Vec<Step>,
}

/// What computes one or several values: all of its dispatches, or all of its fallback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Paths of the graph nodes it computes, for traces.
    pub nodes: String,
    /// At least one, in order.
    pub dispatches: Vec<Dispatch>,
    /// The same by WebAssembly, for adapters with lower limits than the step needs: kernels of [`Programs::fallbacks`].
    /// They bind what the step binds, and write what it writes but for what its dispatches hand to one another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<Dispatch>,
}

impl Step {
    /// Whether one of its dispatches binds this buffer.
    pub fn binds(&self, binding: Binding) -> bool {
        self.dispatches.iter().any(|d| d.bind.contains(&binding))
    }

    /// All buffers that its dispatches bind.
    pub fn bound(&self) -> BTreeSet<Binding> {
        let mut all = BTreeSet::new();
        self.dispatches.iter().for_each(|d| all.extend(&d.bind));
        all
    }
}

/// A kernel over some buffers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// Index in [`Programs::kernels`], or [`Programs::fallbacks`].
    pub kernel: u32,
    /// Number of workgroups. The runtime folds it into `x * y` with `x <= 65535`; kernels compute
    /// `workgroup_id.x + workgroup_id.y * num_workgroups.x` and leave when that is beyond their grid. For kernels in
    /// WebAssembly it is the number of positions.
    pub grid: Size,
    /// Buffers in binding order, bound from `@binding(1)` on.
    pub bind: Vec<Binding>,
}

/// What a buffer of a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// A weight: index in [`Manifest::tensors`].
    Tensor(u32),
    /// A scratch buffer: index in [`Program::slots`].
    Slot(u32),
    /// A state: index in [`Manifest::states`].
    State(u32),
    /// An input: index in [`Manifest::inputs`].
    Input(u32),
    /// A result: index in [`Entry::outputs`].
    Output(u32),
}
