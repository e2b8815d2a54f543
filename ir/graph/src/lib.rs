//! The graph IR: what a model means.
//!
//! A [`Model`] is an architecture file bound to a `config.json`. It holds one body, a [`Graph`] of
//! [`Node`]s in topological order, and *entries*, which are views of that body: some of its outputs under
//! some symbol values (`prefill`, `decode` with `T = 1`, `embed`). Dimensions are polynomials over symbols
//! ([`Dim`]): `B` batch, `T` new tokens, `P` past tokens. Values are f32, i32 or bool; how a weight is
//! *stored* is its [`Precision`] and never changes what a node means.
//!
//! Operations ([`Op`]) are few. Element-wise ones broadcast as NumPy does. What people call softmax, norm,
//! attention or a linear layer are blocks over these primitives; the compiler finds the fused forms again,
//! and the evaluator in this crate defines both.
//!
//! Nodes have no side effects but those on states: [`Op::StateAppend`] writes at the past length `P`, and
//! [`Op::StateKeep`] and [`Op::StateUpdate`] replace the whole. A graph runs them once per call, and the caller moves `P`.
//!
//! # Example
//!
//! An architecture in a few lines, bound to a config and evaluated:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use gristmill_graph::text::{Library, bind};
//! use gristmill_graph::{Array, Evaluator};
//!
//! let file = r#"Architecture(
//!     doc: "A row of a table for each token, doubled.",
//!     classes: ["ToyModel"],
//!     config: ["vocab = config.vocab_size", "hidden = config.hidden_size"],
//!     symbols: {"B": "1, 64", "T": "1, 2048"},
//!     inputs: {"input_ids": (dtype: I32, shape: "B, T")},
//!     weights: {"table": (tensor: "table.weight", shape: "vocab, hidden")},
//!     body: [Output("y", "2 * gather(table, input_ids)")],
//!     entries: {"forward": (outputs: ["y"], role: Tensors)},
//! )"#;
//! let library = Library::default().with_file("toy.ron", file);
//! let config = serde_json::json!({"vocab_size": 3, "hidden_size": 2});
//! let model = bind(&library, "toy", &config, None)?;
//!
//! let weights = vec![Arc::new(Array::f32(&[3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))];
//! let inputs = BTreeMap::from([("input_ids".to_string(), Array::i32(&[1, 2], vec![2, 0]))]);
//! let outputs = Evaluator::new(&model, &weights).run_entry("forward", &inputs, 0, false)?;
//! assert_eq!(outputs["y"], Array::f32(&[1, 2, 2], vec![8.0, 10.0, 0.0, 2.0]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod array;
pub mod dim;
pub mod dtype;
mod erf;
mod error;
pub mod eval;
pub mod format;
pub mod graph;
pub mod infer;
pub mod literal;
pub mod op;
pub mod ops;
pub mod quant;
pub mod scalar;
pub mod symbols;
pub mod task;
pub mod text;
pub mod verify;

pub use array::Array;
pub use dim::{Bindings, Dim, Factor, Shape, numel, show_shape};
pub use dtype::{DType, Precision, precision_names};
pub use error::EvalError;
pub use eval::{Evaluator, States, WeightSource};
pub use format::{Format, QuantSpec};
pub use graph::{
    Advance, Entry, EntryRole, Graph, Input, InputDefault, Modality, Model, Node, NodeId, PAST, Region, State,
    StateKind, Symbol, Weight,
};
pub use infer::{infer, infer_declared};
pub use literal::{Bits, Literal};
pub use op::{NormKind, Op, ROUND_BLOCK, Reduction, View};
pub use ops::{Anchor, Declarations, Role, StateUse, Traits, Work};
pub use scalar::{Binary, Scalar, Unary};
pub use symbols::apply_defaults;
pub use task::{Cut, Fit, IMAGE_SYMBOLS, Source, Task, TaskInput, TaskOutput};
pub use verify::{verify, verify_graph};
