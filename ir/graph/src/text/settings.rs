//! What is said of a model beside its weights.

use serde_json::Value as Json;

/// What a model directory says besides its weights.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// `config.json`, which formulas call `config`.
    pub config: &'a Json,
    /// `generation_config.json`, which formulas call `generation`; null without that file.
    pub generation: &'a Json,
    /// How inputs are prepared, which formulas call `processors`: an object with the settings of `image`, `audio` and
    /// `video`, or null.
    pub processors: &'a Json,
}
