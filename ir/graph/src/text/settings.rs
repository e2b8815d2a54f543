//! The settings of a model.

use serde_json::Value as Json;

/// The settings in a model directory.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// `config.json`, which formulas call `config`.
    pub config: &'a Json,
    /// `generation_config.json`, which formulas call `generation`; null without that file.
    pub generation: &'a Json,
    /// Preprocessor settings, which formulas call `processors`: an object with the settings of `image`, `audio` and
    /// `video`, or null.
    pub processors: &'a Json,
}
