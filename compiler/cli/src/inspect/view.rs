//! The output of `gristmill inspect`.

use serde_json::Value;

/// A view as text and as JSON.
pub(super) struct View {
    pub(super) text: String,
    pub(super) json: Value,
}
