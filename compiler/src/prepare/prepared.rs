//! A prepared model: which weights are stored, how each is made, and how it is used.

use std::sync::Arc;

use gristmill_graph::{Graph, Model, Precision, Weight};

/// A use of a stored weight, for which a policy chooses a precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightUse {
    /// Path of the weight: `layers.3.q_proj`.
    pub weight: String,
    /// The tensor that it is made of, or several, joined by ` + `.
    pub source: String,
    /// Name of its component.
    pub component: String,
    /// Shape as stored.
    pub shape: Vec<u64>,
    /// Path of the node that uses it.
    pub node: String,
    /// The role of that node or, if it has none, of the weight.
    pub role: Option<String>,
    /// Index of the layer, if the node is in a repeated one.
    pub layer: Option<u32>,
    /// A precision that the architecture prescribes; the policy is then not asked.
    pub demanded: Option<Precision>,
    /// Whether the weight can be quantized. If not, quantized precisions mean f32.
    pub quantizable: bool,
}

/// A constant expression over tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// The graph to evaluate. Its output `value` is the result. It has no symbols and no inputs.
    pub graph: Graph,
    /// The weights that `Op::Weight` refers to in the graph.
    pub weights: Vec<Weight>,
}

/// The name of the only output of [`Computed::graph`].
pub const VALUE: &str = "value";

/// How the values of a stored weight are computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipe {
    /// The tensor with this name, unchanged.
    Direct(String),
    /// An expression.
    Computed(Computed),
    /// Rows of a larger weight.
    Part(Part),
}

/// A part of a weight that was too large to be stored in one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The recipe of the whole weight, shared by all parts.
    pub whole: Arc<Recipe>,
    /// Shape of the whole weight.
    pub shape: Vec<u64>,
    /// Index of the first row of this part.
    pub first: u64,
}

/// A model that is ready for rewriting, and how its weights are made and stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The model; its weights are the stored ones.
    pub model: Model,
    /// How each weight is made.
    pub recipes: Vec<Recipe>,
    /// The precision of each weight.
    pub precisions: Vec<Precision>,
}
