//! The content of `manifest.json` and `programs/<profile>.json`, version 2.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::embedding::Embedding;
use crate::size::Size;
use crate::task::Task;

/// The format version that this crate reads and writes.
pub const FORMAT: u32 = 2;

/// `manifest.json`: everything that a loader needs before it fetches weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that wrote the bundle: `gristmill 0.1.0`.
    pub generator: String,
    /// The model.
    pub model: ModelInfo,
    /// Sizes that are known when an entry runs.
    pub symbols: Vec<Symbol>,
    /// Model inputs by Hugging Face name, in declaration order.
    pub inputs: Vec<Input>,
    /// Buffers that outlive a call, such as the KV cache.
    pub states: Vec<State>,
    /// Ways to call the model.
    pub entries: Vec<Entry>,
    /// Weights: the position of each in the weight stream.
    pub tensors: Vec<StoredWeight>,
    /// The files of the weight stream, which is the concatenation of all shards. A tensor may extend over several
    /// shards, but not over several components.
    pub shards: Vec<Shard>,
    /// The parts of the model, in the order of the weight stream: each has the next tensors and the next shards.
    pub components: Vec<Component>,
    /// All other files of the bundle by relative path: `programs/native.json`, `shaders/..`, `graph.json`,
    /// `tokenizer.json`, ...
    pub files: BTreeMap<String, FileInfo>,
    /// Names of the target profiles in `programs/`.
    pub profiles: Vec<String>,
}

/// Facts about the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// The name of the model directory.
    pub name: String,
    /// The architecture: the name of its file without `.ron`.
    pub architecture: String,
    /// The name of the precision policy.
    pub precision: String,
    /// The number of parameters (elements of all tensors).
    pub parameters: u64,
    /// The largest number of tokens of a session.
    pub max_context: u32,
    /// The largest number of tokens per prefill call.
    pub prefill_chunk: u32,
    /// Token ids that end generation.
    pub eos_token_ids: Vec<u32>,
    /// Token ids with which the decoder of an encoder-decoder model starts; empty for other models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decoder_start_tokens: Vec<u32>,
    /// The start tokens that callers may choose, in the order of their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Settings of the entry with the role `Embed`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
}

/// A start token that callers choose by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The name of the option, such as `language`.
    pub name: String,
    /// Index in [`ModelInfo::decoder_start_tokens`].
    pub place: u32,
    /// The token for each value.
    pub values: BTreeMap<String, u32>,
    /// The value if the caller gives none. Without a default, the model chooses: the most probable of these tokens
    /// after those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// A size that is known when an entry runs. Its index in the list is its index in the uniform buffer that every kernel
/// binds at `@group(0) @binding(0)` (one u32 each, padded to a multiple of 16 bytes).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symbol {
    /// `B`: batch, `T`: new tokens, `P`: past tokens, `C`: capacity of states; or a symbol of the architecture.
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
    /// 16-bit float, two in a 32-bit word.
    F16,
    /// 32-bit integer.
    I32,
}

/// A model input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The name of the argument of `forward` in transformers.
    pub name: String,
    /// Element type.
    pub elem: Elem,
    /// Shape over symbols.
    pub shape: Vec<Size>,
    /// The value if the input is absent. Without a default, the input is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<InputDefault>,
    /// How it changes from one decoding step to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance: Option<Advance>,
    /// The number of rows of the table that its values index, such as token ids. Values out of range are rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u32>,
}

/// The value of an absent input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputDefault {
    /// This value for every element.
    Value(i32),
    /// Positions: `P + t` along the last axis.
    Positions,
}

/// How an input changes from one decoding step to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advance {
    /// It becomes the chosen token.
    Token,
    /// It becomes its last element plus one.
    Increment,
    /// It grows by one element with this value on the last axis.
    Append(i32),
}

/// A buffer that outlives a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `layers.3.key`.
    pub name: String,
    /// Element type.
    pub elem: Elem,
    /// Shape over symbols that are constant in a session. The axis that grows has the size `C`, the capacity, or
    /// `min(C, rows)` if it is a [`Ring`].
    pub shape: Vec<Size>,
    /// How calls use it.
    pub kind: StateKind,
}

/// How calls use a state, and whether it can go back to fewer tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StateKind {
    /// It grows along an axis with every token. It can go back to any length: a call with a smaller `P` overwrites what
    /// follows. A ring can go back as long as it holds the tokens that the next call reads.
    Appended {
        /// The axis.
        axis: u32,
        /// The ring, if it holds the newest tokens only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ring: Option<Ring>,
    },
    /// It has a fixed size, and every call that reads it replaces its content. It can go back to the start (`P` = 0),
    /// and to another length only if a copy was made there.
    Overwritten,
    /// The entry with the role `Encode` fills it. It does not depend on past tokens.
    Kept,
}

/// A ring buffer: position `p` of a text is stored in row `p % rows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// The number of newest tokens that a token attends to, itself included.
    pub window: u32,
    /// The number of rows; at least the window. A session has no more of them than its capacity.
    pub rows: u32,
}

impl Ring {
    /// The largest number of tokens that a call may write after `past` others: more would overwrite what it reads.
    pub fn most_new(self, past: u32) -> u32 {
        self.rows - past.min(self.window - 1)
    }
}

/// The tokens of a text that a state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The number of past tokens.
    pub length: u32,
    /// The largest number of past tokens since the text began. After a state has gone back, what later tokens have
    /// overwritten is lost.
    pub most: u32,
}

impl Held {
    /// The content after a call that appends `new` tokens to `past` others.
    pub fn after(self, past: u32, new: u32) -> Self {
        let length = past.saturating_add(new);
        Held { length, most: if past == 0 { length } else { self.most.max(length) } }
    }
}

impl StateKind {
    /// The largest length, at most `wanted`, from which a call can continue.
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

/// When an entry is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryRole {
    /// By programs, with tensors.
    Tensors,
    /// Once per input: it fills the states that `Prefill` and `Decode` read but do not write, such as an encoder cache.
    Encode,
    /// For each chunk of the prompt.
    Prefill,
    /// For each generated token: one per row.
    Decode,
    /// For sentence embeddings.
    Embed,
    /// As `Tensors`, with intermediate values as further outputs.
    Taps,
}

/// A set of outputs that can be computed in one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `forward`, `prefill`, `decode`, `embed`, `forward.taps`.
    pub name: String,
    /// When it is called.
    pub role: EntryRole,
    /// Symbols that have a fixed value in this entry.
    pub bind: BTreeMap<String, u32>,
    /// Indices of the inputs it reads.
    pub inputs: Vec<u32>,
    /// Its results.
    pub outputs: Vec<Output>,
    /// Indices of the states that it reads or writes, in order.
    pub states: Vec<u32>,
    /// Indices of the components whose weights it needs, in order.
    pub components: Vec<u32>,
    /// The task, if its inputs and outputs have a meaning beyond tensors.
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
    /// The path in the architecture: `layers.3.q_proj`.
    pub name: String,
    /// Logical shape.
    pub shape: Vec<u64>,
    /// `f32`, `f16`, or a quantized format such as `q4.g32` (see docs/bundle.md for the planes).
    pub precision: String,
    /// The first byte in the weight stream; a multiple of 256.
    pub offset: u64,
    /// The number of bytes; a multiple of 16.
    pub bytes: u64,
}

/// A part of the model whose weights can be loaded separately: a vision encoder, a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The name: `vision_tower`, or `model` for a model without parts.
    pub name: String,
    /// The number of [`Manifest::tensors`] that belong to it, in the order of first use.
    pub tensors: u32,
    /// The number of [`Manifest::shards`] with these tensors, and no others.
    pub shards: u32,
}

/// A weight file: `weights/<sha256>.bin`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Lower-case hexadecimal SHA-256 of the content; also the file name.
    pub sha256: String,
    /// The size in bytes.
    pub bytes: u64,
}

/// The hash and the size of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileInfo {
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// The size in bytes.
    pub bytes: u64,
}

/// `programs/<profile>.json`: kernels and programs for one target profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// Kernels in the order of first use.
    pub kernels: Vec<Kernel>,
    /// One program per entry, by entry name.
    pub programs: BTreeMap<String, Program>,
    /// WebAssembly kernels of fallbacks, in one module, in the order of its function table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Kernel>,
}

/// A kernel with its variants. All variants bind the same buffers and have the same grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The name, which is also the label of the pipeline.
    pub name: String,
    /// For each bound buffer, in binding order, whether the kernel writes it.
    pub writes: Vec<bool>,
    /// Variants, best first; the last one requires no feature.
    pub variants: Vec<Variant>,
}

/// One shader of a kernel.
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
    /// The sizes of scratch buffers in bytes.
    pub slots: Vec<Size>,
    /// The steps, in order of execution.
    pub steps: Vec<Step>,
}

/// Computes one or several values by running all its dispatches, or all dispatches of its fallback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The paths of the graph nodes that it computes, for traces.
    pub nodes: String,
    /// At least one, in order.
    pub dispatches: Vec<Dispatch>,
    /// The same on WebAssembly, for adapters with lower limits than the step needs: kernels of [`Programs::fallbacks`].
    /// They bind and write the same buffers, except those that only pass values from one dispatch to the next.
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
    /// The number of workgroups. The runtime dispatches `x * y` of them with `x <= 65535`; kernels compute
    /// `workgroup_id.x + workgroup_id.y * num_workgroups.x` and return if that is outside their grid. For kernels in
    /// WebAssembly, it is the number of iterations.
    pub grid: Size,
    /// Buffers in binding order, bound from `@binding(1)` on.
    pub bind: Vec<Binding>,
}

/// A buffer of a step.
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
