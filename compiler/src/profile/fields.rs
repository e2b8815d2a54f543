//! What a profile says: the form of its file.

use gristmill_graph::{Bindings, Model};
use serde::{Deserialize, Serialize};

use crate::rewrite::CostModel;

/// The symbol for the capacity of states.
pub const CAPACITY: &str = "C";

/// A target, from `profiles/<name>.ron` or a file of a user. Numbers tuned for a device stand there with device and date.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `chrome`, `edge`, `firefox`, `safari`, `native`, `wasm`, or another one, by which a bundle stores its programs.
    pub name: String,
    /// What its kernels are printed as.
    #[serde(default)]
    pub language: Language,
    /// Whether pages run it, so that a bundle for it has one.
    pub browser: bool,
    /// Where the numbers come from: device, driver and date of measurement, or the reason for a default.
    pub origin: String,
    /// Feature sets for which a variant of each kernel is printed, best first. The variant that needs nothing
    /// always follows.
    pub variants: Vec<Features>,
    /// Whether the shading language has functions that unpack the bytes of a word
    /// (`packed_4x8_integer_dot_product`).
    pub packed_bytes: bool,
    /// Whether activations become bytes where quantized weights meet them.
    #[serde(default)]
    pub byte_activations: bool,
    /// Limits that every device of the target has.
    pub limits: Limits,
    /// How kernels are cut.
    pub schedule: Schedule,
    /// What rewriting pays for launches, bytes and arithmetic.
    pub cost: CostModel,
}

impl Profile {
    /// The values of the model's symbols, and of the capacity of states, at which kernels are chosen and buffers are
    /// matched: those of the cost model, within the ranges of the symbols.
    pub fn nominal(&self, model: &Model) -> Bindings {
        let typical = |name: &str| self.cost.nominal_of(name);
        let symbols = model.symbols.iter().map(|s| (s.name.clone(), typical(&s.name).clamp(s.min, s.max)));
        symbols.chain([(CAPACITY.to_string(), typical(CAPACITY))]).collect()
    }
}

/// What kernels are printed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// Shaders, a file per kernel and variant.
    #[default]
    Wgsl,
    /// Modules with all kernels, for CPUs.
    Wasm,
}

/// Optional device features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Features {
    /// `subgroups`.
    pub subgroups: bool,
}

/// Limits that a kernel must stay within.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Threads per workgroup.
    pub workgroup_size: u32,
    /// Bytes of workgroup memory.
    pub shared_bytes: u32,
    /// Storage buffers per kernel.
    pub storage_buffers: u32,
    /// Bytes of one storage buffer binding (`maxStorageBufferBindingSize`): larger weights are cut.
    pub binding_bytes: u64,
}

/// How each family of kernels is cut. Widths are powers of two.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Element-wise kernels.
    pub map: MapSchedule,
    /// Reductions, norms, softmax: one row per workgroup.
    pub reduce: ReduceSchedule,
    /// Products with few rows of activations.
    pub matvec: MatvecSchedule,
    /// Products with many rows of activations.
    pub matmul: MatmulSchedule,
    /// Attention.
    pub attention: AttentionSchedule,
    /// Selection of the best candidates.
    pub top_k: TopKSchedule,
}

/// Element-wise kernels: one element per thread.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapSchedule {
    /// Threads per workgroup.
    pub threads: u32,
}

/// Row-wise kernels.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceSchedule {
    /// Threads that share a row.
    pub threads: u32,
}

/// Matrix times vector.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatvecSchedule {
    /// Quantized weights: groups of threads that share the columns of a 32-row tile.
    pub k_splits: u32,
    /// Float weights: rows per workgroup. On CPUs: rows of weights per position of the grid, a multiple of four.
    pub rows: u32,
    /// Float weights: threads along the columns of a row.
    pub lanes: u32,
    /// Quantized weights: workgroups that share the columns of a tile, where there are fewer than `fill` tiles.
    #[serde(default = "one")]
    pub parts: u32,
    /// Workgroups that a device needs to be busy.
    #[serde(default)]
    pub fill: u32,
    /// Quantized weights: whether layers of the same activations are computed by one kernel.
    #[serde(default)]
    pub together: bool,
}

fn one() -> u32 {
    1
}

/// Tiled matrix product: a workgroup computes `tile_m x tile_n` results, each thread `thread_m x thread_n` of them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatmulSchedule {
    /// Rows of activations per workgroup: 16, 32 or 64.
    pub tile_m: u32,
    /// Rows of weights per workgroup: 16, 32 or 64.
    pub tile_n: u32,
    /// Columns staged at a time, a multiple of 16.
    pub tile_k: u32,
    /// Rows of activations per thread: 1, 2, 4 or 8.
    pub thread_m: u32,
    /// Rows of weights per thread, which are the lanes of a vector: 2 or 4.
    pub thread_n: u32,
    /// Fewest rows of activations for which the tiled kernel is used.
    pub min_rows: u32,
    /// On CPUs: rows of byte activations whose sums are held in registers at a time.
    #[serde(default)]
    pub rows_together: u32,
    /// The same for float activations.
    #[serde(default)]
    pub float_rows_together: u32,
}

/// Attention: one workgroup per head and block of queries.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionSchedule {
    /// Threads per workgroup, also keys per step.
    pub threads: u32,
    /// Queries per workgroup when there are many: 1, 2 or 4.
    pub queries: u32,
    /// Workgroups that share the keys of a single query.
    #[serde(default = "one")]
    pub parts: u32,
    /// On CPUs: keys whose scores are held at a time, a multiple of four.
    #[serde(default)]
    pub tile: u32,
    /// On CPUs: quads of columns whose sums are held in registers at a time, for each of four queries. A single query
    /// takes four times as many.
    #[serde(default)]
    pub quads: u32,
}

/// Selection of the `k` largest: one workgroup per row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopKSchedule {
    /// Threads per workgroup.
    pub threads: u32,
    /// Workgroups that share a row when only the best element is wanted.
    #[serde(default = "one")]
    pub parts: u32,
}
