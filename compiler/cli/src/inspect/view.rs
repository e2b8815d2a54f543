//! What `gristmill inspect` shows.

use serde_json::Value;

/// Text for people and the same as JSON.
pub(super) struct View {
    pub(super) text: String,
    pub(super) json: Value,
}
