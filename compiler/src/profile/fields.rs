//! The fields of a profile file.

use gristmill_graph::{Bindings, Model};
use serde::{Deserialize, Serialize};

use crate::rewrite::CostModel;

/// The symbol for the number of tokens that states can hold.
pub const CAPACITY: &str = "C";

/// A target, read from `profiles/<name>.ron` or a user's file. Tuned numbers are commented with device and date.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `chrome`, `edge`, `firefox`, `safari`, `native`, `wasm` or a custom name. A bundle stores the target's programs
    /// under it.
    pub name: String,
    /// The language that its kernels are printed in.
    #[serde(default)]
    pub language: Language,
    /// Whether the target is a browser, so that its bundles include a page.
    pub browser: bool,
    /// Where the numbers come from: device, driver and date of the measurement, or the reason for a default.
    pub origin: String,
    /// Feature sets that get a variant of each kernel, best first. A variant without features always follows.
    pub variants: Vec<Features>,
    /// Whether the shading language has functions that unpack the bytes of a word (`packed_4x8_integer_dot_product`).
    pub packed_bytes: bool,
    /// Whether activations are quantized to bytes for products with quantized weights.
    #[serde(default)]
    pub byte_activations: bool,
    /// Limits that every device of the target has.
    pub limits: Limits,
    /// How each family of kernels is tuned.
    pub schedule: Schedule,
    /// The costs of launches, bytes and arithmetic, for rewriting.
    pub cost: CostModel,
}

impl Profile {
    /// The values of the model's symbols, and of the capacity of states, for which kernels are chosen and buffers are
    /// shared: those of the cost model, clamped to the ranges of the symbols.
    pub fn nominal(&self, model: &Model) -> Bindings {
        let typical = |name: &str| self.cost.nominal_of(name);
        let symbols = model.symbols.iter().map(|s| (s.name.clone(), typical(&s.name).clamp(s.min, s.max)));
        symbols.chain([(CAPACITY.to_string(), typical(CAPACITY))]).collect()
    }
}

/// The language that kernels are printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// Shaders: one file per kernel and variant.
    #[default]
    Wgsl,
    /// WebAssembly modules with all kernels, for CPUs.
    Wasm,
}

/// Optional device features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Features {
    /// The WebGPU feature `subgroups`.
    pub subgroups: bool,
}

/// Limits that a kernel must stay within.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Maximum number of threads per workgroup.
    pub workgroup_size: u32,
    /// Bytes of shared memory per workgroup.
    pub shared_bytes: u32,
    /// Maximum number of storage buffers per kernel.
    pub storage_buffers: u32,
    /// Maximum size of a storage buffer binding in bytes (`maxStorageBufferBindingSize`); larger weights are split.
    pub binding_bytes: u64,
}

/// The tuning of each family of kernels. Widths are powers of two.
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
    /// Top-k and arg max.
    pub top_k: TopKSchedule,
}

/// Element-wise kernels: one element per thread.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapSchedule {
    /// Threads per workgroup.
    pub threads: u32,
}

/// Row-wise kernels: one workgroup per row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceSchedule {
    /// Threads that share a row.
    pub threads: u32,
}

/// Products of matrices with few vectors.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatvecSchedule {
    /// Quantized weights: groups of threads that share the columns of a 32-row tile.
    pub k_splits: u32,
    /// Float weights: rows per workgroup. On CPUs: rows of weights per grid position, a multiple of four.
    pub rows: u32,
    /// Float weights: threads along the columns of a row.
    pub lanes: u32,
    /// Quantized weights: workgroups that share the columns of a tile, if there are fewer than `fill` tiles.
    #[serde(default = "one")]
    pub parts: u32,
    /// Number of workgroups that keep the device busy.
    #[serde(default)]
    pub fill: u32,
    /// Quantized weights: whether one kernel computes all layers with the same activations.
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
    /// Minimum number of rows of activations for the tiled kernel.
    pub min_rows: u32,
    /// On CPUs: rows of byte activations whose sums are kept in registers at a time.
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
    /// Threads per workgroup, which is also the number of keys per tile.
    pub threads: u32,
    /// Queries per workgroup when there are many: 1, 2 or 4.
    pub queries: u32,
    /// Workgroups that share the keys of a single query.
    #[serde(default = "one")]
    pub parts: u32,
    /// On CPUs: keys whose scores are kept at a time, a multiple of four.
    #[serde(default)]
    pub tile: u32,
    /// On CPUs: groups of four columns whose sums are kept in registers at a time, for each of four queries. A single
    /// query takes four times as many.
    #[serde(default)]
    pub quads: u32,
}

/// Top-k and arg max: one workgroup per row.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopKSchedule {
    /// Threads per workgroup.
    pub threads: u32,
    /// Workgroups that share a row for an arg max.
    #[serde(default = "one")]
    pub parts: u32,
}
