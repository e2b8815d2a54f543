//! What becomes of a model that is prepared: which weights are stored, how each is made, and how it is used.

use std::sync::Arc;

use gristmill_graph::{Graph, Model, Precision, Weight};

/// A use of a stored weight, for which a policy chooses a precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightUse {
    /// Path of the weight: `layers.3.q_proj`.
    pub weight: String,
    /// The tensor (or tensors, joined by ` + `) that it is made of.
    pub source: String,
    /// Name of the component that it belongs to.
    pub component: String,
    /// Shape as it is stored.
    pub shape: Vec<u64>,
    /// Path of the node that uses it.
    pub node: String,
    /// What part that node plays, or if it says nothing, the weight.
    pub role: Option<String>,
    /// Which layer, if the node is in a repeated one.
    pub layer: Option<u32>,
    /// Precision that the author demands in the architecture; the policy is not asked then.
    pub demanded: Option<Precision>,
    /// Whether the weight can be quantized; if not, quantized precisions mean f32 for it.
    pub quantizable: bool,
}

/// A constant expression over tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// What to evaluate; the result is the output `value`. Depends on no symbol and no input.
    pub graph: Graph,
    /// What `Op::Weight` means in the graph.
    pub weights: Vec<Weight>,
}

/// The name of the only output of [`Computed::graph`].
pub const VALUE: &str = "value";

/// How the values of a stored weight are made.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipe {
    /// The tensor with this name.
    Direct(String),
    /// An expression.
    Computed(Computed),
    /// Rows of a larger weight.
    Part(Part),
}

/// Rows of a weight that was too large to stay in one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// How the values of the whole weight are made; its parts share this.
    pub whole: Arc<Recipe>,
    /// Shape of the whole weight.
    pub shape: Vec<u64>,
    /// The first row of this part.
    pub first: u64,
}

/// A model ready for rewriting, and what its weights are.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The model; its weights are the stored tensors.
    pub model: Model,
    /// How each is made.
    pub recipes: Vec<Recipe>,
    /// How each is stored.
    pub precisions: Vec<Precision>,
}
