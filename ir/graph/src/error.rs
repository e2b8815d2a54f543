//! Why an evaluation stopped.

/// Why an evaluation stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct EvalError {
    /// Node path, or name of the input or output.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
}

impl EvalError {
    /// An error at a node path, input or output.
    pub fn new(place: &str, message: impl Into<String>) -> Self {
        Self { place: place.to_string(), message: message.into() }
    }
}
