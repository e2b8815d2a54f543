//! What can go wrong while compiling, for people.
use gristmill_graph::Node;
use gristmill_graph::text::Diagnostics;
use thiserror::Error;

use crate::weights::WeightError;

/// What to do about what is not read.
const UNUSED_HELP: &str = "the results would be wrong: either config.json does not belong to these weights, or the \
    model needs an architecture of its own (docs/authoring.md); --allow-unused compiles it anyway";

/// Why a model was not compiled. Every variant is the user's input or environment; bugs of the compiler are
/// [`CompileError::Internal`].
#[derive(Debug, Error)]
pub enum CompileError {
    /// A file could not be read or written.
    #[error("{path}: {message}")]
    Io {
        /// The file.
        path: String,
        /// What the system said, and what to do.
        message: String,
    },
    /// A wrong option or option value.
    #[error("{0}")]
    Options(String),
    /// `config.json` cannot be used.
    #[error("{0}")]
    Config(String),
    /// The architecture file, or how it fits the model directory.
    #[error("{0}")]
    Architecture(Diagnostics),
    /// A target profile.
    #[error("{0}")]
    Profile(Diagnostics),
    /// What the architecture does not read would change the results.
    #[error("{}\n  help: {UNUSED_HELP}", .0.join("\n"))]
    Unused(Vec<String>),
    /// The weights.
    #[error("{0}")]
    Weights(#[from] WeightError),
    /// The bundle could not be written.
    #[error("{0}")]
    Bundle(#[from] gristmill_bundle::Error),
    /// A target cannot run a kernel of this model.
    #[error("target {target}: node {node}: {message}")]
    Target {
        /// Name of the profile.
        target: String,
        /// Path of the graph node.
        node: String,
        /// The limit and the remedy.
        message: String,
    },
    /// A weight is larger than a device can bind, and cannot be cut.
    #[error(
        "node {node}: weight `{weight}` {message}; store it at a lower precision (--precision, or a policy file with \
         a line for this weight)"
    )]
    Binding {
        /// Path of the graph node that uses it.
        node: String,
        /// Path of the weight.
        weight: String,
        /// Its size, the limit, and why it cannot be cut.
        message: String,
    },
    /// The compiler contradicted itself. Please report this.
    #[error("internal error: {0} (this is a bug)")]
    Internal(String),
}

impl CompileError {
    /// A [`CompileError::Internal`] about an operation of which a form is missing: `no` says which.
    pub(crate) fn unlowered(node: &Node, no: &str) -> Self {
        CompileError::Internal(format!("operation `{}` of node {} has no {no}", node.op.name(), node.path))
    }

    /// An [`CompileError::Io`] from a system error.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        CompileError::Io { path: path.display().to_string(), message: error.to_string() }
    }
}
