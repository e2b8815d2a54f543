//! The settings for preprocessing images, audio and videos, and which file of a model directory has them.
//!
//! transformers 4 writes a `preprocessor_config.json`, and possibly a `video_preprocessor_config.json`. transformers 5
//! writes one `processor_config.json` with an entry for each kind of input; files of that name by version 4 lack these
//! entries and accompany the other files. An entry takes precedence over a file, as in `AutoImageProcessor`,
//! `AutoFeatureExtractor` and `AutoVideoProcessor` of version 5.24.

use serde_json::{Map, Value};

use crate::error::CompileError;

/// The file of version 4 for images and audio.
pub const PREPROCESSOR: &str = "preprocessor_config.json";
/// The file of version 4 for videos.
pub(crate) const VIDEO_PREPROCESSOR: &str = "video_preprocessor_config.json";
/// The file of version 5 for all kinds of inputs.
pub(crate) const PROCESSOR: &str = "processor_config.json";

/// Kinds of inputs: the name by which formulas read their settings, and the entries of [`PROCESSOR`] that may hold
/// them.
const KINDS: [(&str, &[&str]); 3] = [
    ("image", &["image_processor"]),
    ("audio", &["feature_extractor", "audio_processor"]),
    ("video", &["video_processor"]),
];

/// The settings of a kind of input, and where they come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings<'a> {
    /// An object, or null if there are no settings for such inputs.
    pub values: &'a Value,
    /// The file, and the entry in it, for messages.
    pub source: &'a str,
}

/// The settings of all kinds of inputs.
#[derive(Clone, Debug, Default)]
pub struct Processors {
    /// By kind, as formulas read them.
    pub values: Value,
    sources: Vec<(&'static str, String)>,
}

impl Processors {
    /// Finds the settings. `read` returns the content of a file of the model directory, `None` if it does not exist.
    ///
    /// # Errors
    /// Errors of `read`, or a file or entry that is not an object.
    pub(crate) fn read(read: impl Fn(&str) -> Result<Option<Value>, CompileError>) -> Result<Self, CompileError> {
        let whole = object(PROCESSOR, read(PROCESSOR)?)?.unwrap_or_default();
        let file = object(PREPROCESSOR, read(PREPROCESSOR)?)?;
        let video = object(VIDEO_PREPROCESSOR, read(VIDEO_PREPROCESSOR)?)?;
        let mut found = Processors { values: Value::Object(Map::new()), sources: Vec::new() };
        for (kind, entries) in KINDS {
            let entry = entries.iter().find_map(|name| Some((name, whole.get(*name).filter(|v| !v.is_null())?)));
            if let Some((name, value)) = entry {
                let source = format!("{PROCESSOR}: {name}");
                let value = object(&source, Some(value.clone()))?.unwrap_or_default();
                found.add(kind, source, value);
            } else if let Some(own) = video.clone().filter(|_| kind == "video") {
                found.add(kind, VIDEO_PREPROCESSOR.to_string(), own);
            } else if let Some(file) = &file {
                found.add(kind, PREPROCESSOR.to_string(), file.clone());
            }
        }
        // Frames are preprocessed like images, unless they have settings of their own.
        let image = found.image();
        if found.values.get("video").is_none() && !image.values.is_null() {
            let (values, source) = (image.values.clone(), image.source.to_string());
            found.values["video"] = values;
            found.sources.push(("video", source));
        }
        Ok(found)
    }

    fn add(&mut self, kind: &'static str, source: String, value: Map<String, Value>) {
        self.values[kind] = Value::Object(value);
        self.sources.push((kind, source));
    }

    /// Settings for images.
    pub fn image(&self) -> Settings<'_> {
        self.kind("image")
    }

    /// Settings for audio.
    pub fn audio(&self) -> Settings<'_> {
        self.kind("audio")
    }

    /// Settings for the frames of videos.
    pub fn video(&self) -> Settings<'_> {
        self.kind("video")
    }

    fn kind(&self, kind: &str) -> Settings<'_> {
        let source = self.sources.iter().find(|(name, _)| *name == kind);
        Settings { values: &self.values[kind], source: source.map_or(PREPROCESSOR, |(_, source)| source) }
    }
}

/// The entries of an object from `source`.
fn object(source: &str, value: Option<Value>) -> Result<Option<Map<String, Value>>, CompileError> {
    match value {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(CompileError::Config(format!("{source}: not a JSON object"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn processors(files: &Value) -> Result<Processors, CompileError> {
        Processors::read(|name| Ok(files.get(name).cloned()))
    }

    fn found<'a>(settings: Settings<'a>) -> (&'a Value, &'a str) {
        (settings.values, settings.source)
    }

    #[test]
    fn an_entry_goes_before_a_file() {
        let file = json!({"a": 1});
        let old = processors(&json!({PREPROCESSOR: {"a": 1}, PROCESSOR: {"patch_size": 14}})).unwrap();
        for settings in [old.image(), old.audio(), old.video()] {
            assert_eq!(found(settings), (&file, PREPROCESSOR));
        }
        let whole = json!({"image_processor": {"b": 2}, "audio_processor": {"c": 3}, "video_processor": null});
        let new = processors(&json!({PROCESSOR: whole, PREPROCESSOR: {"a": 1}})).unwrap();
        assert_eq!(found(new.image()), (&json!({"b": 2}), "processor_config.json: image_processor"));
        assert_eq!(found(new.audio()), (&json!({"c": 3}), "processor_config.json: audio_processor"));
        assert_eq!(found(new.video()), (&file, PREPROCESSOR));
        let both = json!({"feature_extractor": {"d": 4}, "audio_processor": {"c": 3}});
        assert_eq!(processors(&json!({PROCESSOR: both})).unwrap().audio().values, &json!({"d": 4}));
    }

    #[test]
    fn frames_have_a_file_of_their_own_or_are_images() {
        let own = processors(&json!({PREPROCESSOR: {"a": 1}, VIDEO_PREPROCESSOR: {"b": 2}})).unwrap();
        assert_eq!(found(own.video()), (&json!({"b": 2}), VIDEO_PREPROCESSOR));
        let images = processors(&json!({PROCESSOR: {"image_processor": {"a": 1}}})).unwrap();
        assert_eq!(found(images.video()), (&json!({"a": 1}), "processor_config.json: image_processor"));
        assert!(images.audio().values.is_null());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let fault = |files: Value| processors(&files).unwrap_err().to_string();
        assert_eq!(fault(json!({PREPROCESSOR: []})), "preprocessor_config.json: not a JSON object");
        let entry = json!({PROCESSOR: {"image_processor": "CLIPImageProcessor"}});
        assert_eq!(fault(entry), "processor_config.json: image_processor: not a JSON object");
    }
}
