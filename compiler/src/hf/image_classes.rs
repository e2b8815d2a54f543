//! The defaults of image processor classes: `models/processors/images.ron`, which is generated from the classes
//! themselves.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

const FILE: &str = "processors/images.ron";

/// How a class interprets its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Way {
    /// Resize, crop, rescale, normalize.
    Plain,
    /// Resizes by a larger amount and crops the center: `crop_pct`.
    CropPct,
    /// A number is the length of the shorter side; the longer one is limited.
    Limited,
    /// `rescale_offset` and `include_top`.
    Offset,
    /// Tiles in the grid that fits best.
    Tiles,
    /// Patches; the size of the image depends on its original size.
    Patches,
}

/// A class of image processors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    pub(super) way: Way,
    /// Settings that ask for steps which are not supported.
    pub(super) refuses: Vec<String>,
    /// Values of settings that the file does not have.
    pub(super) defaults: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Images")]
struct Table {
    /// For readers of the file.
    #[serde(rename = "doc")]
    _doc: String,
    classes: BTreeMap<String, Class>,
    /// Processor classes by model type.
    models: BTreeMap<String, String>,
}

static TABLE: LazyLock<Result<Table, String>> = LazyLock::new(|| {
    let library = crate::library::library();
    let text = library.files.get(FILE).map(String::as_str).unwrap_or_default();
    ron::from_str(text).map_err(|e| format!("{FILE}: {e}"))
});

/// The class of a processor, found as `AutoImageProcessor.from_pretrained` of transformers does:
/// `image_processor_type`, `feature_extractor_type` in older files, or the class for the model type. `None` if nothing
/// names one.
///
/// # Errors
/// Names an unknown class, and the setting that names it.
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
