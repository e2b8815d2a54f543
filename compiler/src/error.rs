//! Compilation errors, as shown to the user.
use gristmill_graph::Node;
use gristmill_graph::text::Diagnostics;
use thiserror::Error;

use crate::weights::WeightError;

/// Help for settings or tensors that are not read.
const UNUSED_HELP: &str = "the results would be wrong: either config.json does not belong to these weights, or the \
    model needs an architecture of its own (docs/authoring.md); --allow-unused compiles it anyway";

/// Why a model could not be compiled. Every variant is about the user's input or environment, except
/// [`CompileError::Internal`], which is a bug of the compiler.
#[derive(Debug, Error)]
pub enum CompileError {
    /// A file could not be read or written.
    #[error("{path}: {message}")]
    Io {
        /// The file.
        path: String,
        /// What the system reported, and the remedy.
        message: String,
    },
    /// An invalid option or option value.
    #[error("{0}")]
    Options(String),
    /// `config.json` cannot be used.
    #[error("{0}")]
    Config(String),
    /// The architecture file is wrong, or does not fit the model directory.
    #[error("{0}")]
    Architecture(Diagnostics),
    /// A target profile is wrong.
    #[error("{0}")]
    Profile(Diagnostics),
    /// The architecture does not read something that would change the results.
    #[error("{}\n  help: {UNUSED_HELP}", .0.join("\n"))]
    Unused(Vec<String>),
    /// The weights cannot be read.
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
    /// A weight is larger than a device can bind, and cannot be split.
    #[error(
        "node {node}: weight `{weight}` {message}; store it at a lower precision (--precision, or a policy file with \
         a line for this weight)"
    )]
    Binding {
        /// Path of the graph node that uses it.
        node: String,
        /// Path of the weight.
        weight: String,
        /// Its size, the limit, and why it cannot be split.
        message: String,
    },
    /// The compiler contradicted itself. This is a bug.
    #[error("internal error: {0} (this is a bug)")]
    Internal(String),
}

impl CompileError {
    /// A [`CompileError::Internal`] for an operation that lacks a form; `no` says which.
    pub(crate) fn unlowered(node: &Node, no: &str) -> Self {
        CompileError::Internal(format!("operation `{}` of node {} has no {no}", node.op.name(), node.path))
    }

    /// A [`CompileError::Io`] from a system error.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        CompileError::Io { path: path.display().to_string(), message: error.to_string() }
    }
}
