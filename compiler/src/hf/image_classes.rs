//! What classes of image processors do where settings say nothing: `models/processors/images.ron`, which is made from the
//! classes themselves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

const FILE: &str = "processors/images.ron";

/// How a class reads its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Way {
    /// Resize, crop, rescale, normalize.
    Plain,
    /// A part of the resized image is cut off around its middle: `crop_pct`.
    CropPct,
    /// A number is the length of the shorter side, and the longer one has a limit.
    Limited,
    /// `rescale_offset` and `include_top`.
    Offset,
    /// Tiles of the size that fits best.
    Tiles,
    /// Patches of an image whose size depends on its own.
    Patches,
}

/// A class of image processors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    pub(super) way: Way,
    /// Settings that mean steps which nothing here does.
    pub(super) refuses: Vec<String>,
    /// What it has where its settings say nothing.
    pub(super) defaults: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Images")]
struct Table {
    /// For people.
    #[serde(rename = "doc")]
    _doc: String,
    classes: BTreeMap<String, Class>,
    /// Classes of model types.
    models: BTreeMap<String, String>,
}

static TABLE: LazyLock<Result<Table, String>> = LazyLock::new(|| {
    let library = crate::library::library();
    let text = library.files.get(FILE).map(String::as_str).unwrap_or_default();
    ron::from_str(text).map_err(|e| format!("{FILE}: {e}"))
});

/// The class of a processor, as `AutoImageProcessor.from_pretrained` of transformers finds it: `image_processor_type`,
/// `feature_extractor_type` of older files, or that of the model type. None if nothing names one.
///
/// # Errors
/// Names a class that is not known, and where its name stands.
pub(super) fn class(settings: &Map<String, Value>, model_type: Option<&str>) -> Result<Option<&'static Class>, String> {
    let table = TABLE.as_ref().map_err(String::clone)?;
    let named = |key: &str| match settings.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.as_str())),
        Some(other) => Err(format!("`{key}` is {other}, expected the name of a class")),
    };
    let old = || named("feature_extractor_type").map(|name| name.map(|n| ("feature_extractor_type", n)));
    let found = match named("image_processor_type")? {
        Some(name) => Some(("image_processor_type", name)),
        None => old()?,
    };
    let (key, name) = match (found, model_type.and_then(|model| table.models.get(model))) {
        (Some(found), _) => found,
        (None, Some(name)) => ("model_type", name.as_str()),
        (None, None) => return Ok(None),
    };
    let own = name.replace("FeatureExtractor", "ImageProcessor");
    let own = own.strip_suffix("Fast").or(own.strip_suffix("Pil")).unwrap_or(&own);
    table.classes.get(own).map(Some).ok_or_else(|| {
        let known: Vec<&str> = table.classes.keys().map(String::as_str).collect();
        let known = known.join(", ");
        match key {
            "model_type" => format!(
                "no `image_processor_type`, and `{own}`, the default of this `model_type`, is not supported; name an \
                 equivalent one of {known}"
            ),
            key => {
                format!("`{key}` is \"{name}\", which is not supported; if an equivalent class is, name that: {known}")
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes_are_found_by_all_their_names() {
        let find = |settings: Value, model| class(settings.as_object().unwrap(), model).map(|c| c.map(|c| c.way));
        assert_eq!(find(json!({"image_processor_type": "ViTImageProcessor"}), None), Ok(Some(Way::Plain)));
        assert_eq!(find(json!({"image_processor_type": "DetrImageProcessorFast"}), None), Ok(Some(Way::Limited)));
        assert_eq!(find(json!({"feature_extractor_type": "ConvNextFeatureExtractor"}), None), Ok(Some(Way::CropPct)));
        assert_eq!(find(json!({"image_processor_type": null}), Some("resnet")), Ok(Some(Way::CropPct)));
        assert_eq!(find(json!({}), Some("nothing")), Ok(None));
        assert_eq!(find(json!({}), None), Ok(None));
        let fault = find(json!({"image_processor_type": "OtherImageProcessor"}), Some("vit")).unwrap_err();
        assert!(
            fault.starts_with("`image_processor_type` is \"OtherImageProcessor\", which is not supported"),
            "{fault}"
        );
        let fault = find(json!({}), Some("sam")).unwrap_err();
        assert!(fault.starts_with("no `image_processor_type`, and `SamImageProcessor`"), "{fault}");
    }
}
