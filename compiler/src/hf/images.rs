//! Image preprocessing: turns the settings of a transformers image processor, as its class reads them, into steps that
//! a runtime can execute.

use gristmill_bundle::{Cut, Filter, ImageStep, Images, Resized};
use gristmill_graph::{Cut as CutPlan, Fit};
use serde_json::{Map, Value};

use super::image_classes::{Class, Way, class};

/// From this size on, processors with `crop_pct` do not crop.
const UNCROPPED: u32 = 384;
/// Maximum length of the longer side in pixels, where a class limits it and the settings do not.
const LIMIT: u32 = 1333;
/// Settings that ask for more than the supported steps. Without them, images would be preprocessed incorrectly.
const BEYOND: [&str; 18] = [
    "apply_ocr",
    "crop_to_patches",
    "do_align_long_axis",
    "do_color_quantize",
    "do_crop_margin",
    "do_flip_channel_order",
    "do_grayscale",
    "do_image_splitting",
    "do_pan_and_scan",
    "do_split_image",
    "do_thumbnail",
    "ensure_multiple_of",
    "keep_aspect_ratio",
    "offset",
    "pad_size",
    "size_divisor",
    "split_image",
    "use_square_size",
];
/// The setting for grids of tiles. It must agree with the architecture.
const PINPOINTS: &str = "image_grid_pinpoints";
const FRAMES: &str = "temporal_patch_size";
/// Settings whose class defaults are ignored where the architecture decides on sizes.
const SIZES: [&str; 2] = ["size", "crop_size"];

/// The preprocessing steps that the settings ask for. `defaults` apply to keys that the file lacks, and the defaults of
/// its class to keys that both lack. `model_type` determines the class if the file does not. `fit` and `cut` come from
/// the architecture. `None` if there are no settings, so that nothing says how images become tensors.
///
/// # Errors
/// If a setting is invalid or not supported, or contradicts the architecture.
pub fn images(
    file: &Value,
    model_type: Option<&str>,
    defaults: &Map<String, Value>,
    fit: Option<&Fit>,
    cut: CutPlan,
) -> Result<Option<Images>, String> {
    let mut settings = defaults.clone();
    if let Some(own) = file.as_object() {
        settings.extend(own.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())));
    }
    if settings.is_empty() {
        return Ok(None);
    }
    let class = class(&settings, model_type)?;
    // To a class, null is a value: it disables a step, or is an error where a value is required.
    for (key, _) in file.as_object().into_iter().flatten().filter(|(_, v)| class.is_some() && v.is_null()) {
        settings.insert(key.clone(), if key.starts_with("do_") { Value::Bool(false) } else { Value::Null });
    }
    for (key, value) in class.iter().flat_map(|class| &class.defaults) {
        if fit.is_none() || !SIZES.contains(&key.as_str()) {
            settings.entry(key).or_insert_with(|| value.clone());
        }
    }
    Settings { all: &settings, class }.read(fit, cut).map(Some)
}

struct Settings<'a> {
    all: &'a Map<String, Value>,
    /// `None` if nothing names a class; sizes are then interpreted in the most likely way.
    class: Option<&'static Class>,
}

impl Settings<'_> {
    fn read(&self, fit: Option<&Fit>, cut: CutPlan) -> Result<Images, String> {
        self.refuse()?;
        if let (Some(Way::Tiles | Way::Patches), None) = (self.way(), fit) {
            let name = self.get("image_processor_type").unwrap_or(&Value::Null);
            return Err(format!(
                "`image_processor_type` is {name}, which splits images, but this model takes whole images"
            ));
        }
        let (factor, (mean, std)) = (self.factor()?, self.normalization()?);
        let steps = match fit {
            None => self.steps()?,
            Some(Fit::Best { sizes }) => vec![ImageStep::Fit { sizes: sizes.clone(), filter: self.filter()? }],
            Some(Fit::Multiple { of, least, most }) => {
                let to = Resized::Multiple { of: *of, least: *least, most: *most };
                vec![ImageStep::Resize { to, filter: self.filter()? }]
            }
        };
        if fit.is_some() && !self.flag("do_resize", true)? {
            return Err("`do_resize` is false, but this model takes images of fixed sizes only".to_string());
        }
        self.agrees(fit, cut)?;
        let cut = match cut {
            CutPlan::Whole => Cut::Whole,
            CutPlan::Tiles { side } => Cut::Tiles { side, filter: self.filter()? },
            CutPlan::Patches { side, merge, frames } => Cut::Patches { side, merge, frames },
        };
        Ok(Images { steps, cut, factor, mean, std })
    }

    /// A setting, unless it is null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.all.get(key).filter(|value| !value.is_null())
    }

    fn way(&self) -> Option<Way> {
        self.class.map(|class| class.way)
    }

    /// Fails for settings that ask for more than the supported steps.
    fn refuse(&self) -> Result<(), String> {
        let own = self.class.into_iter().flat_map(|class| class.refuses.iter().map(String::as_str));
        let pads = self.flag("do_pad", false)?;
        for key in BEYOND.into_iter().chain(own) {
            match self.get(key) {
                None | Some(Value::Null | Value::Bool(false)) => {}
                // Without a size, an image is padded to the largest of its batch, and here it is alone.
                Some(_) if key == "pad_size" && !pads => {}
                Some(value) => return Err(format!("`{key}` is {value}, which is not supported")),
            }
        }
        Ok(())
    }

    /// Whether the settings of sizes and tiles agree with the architecture.
    fn agrees(&self, fit: Option<&Fit>, cut: CutPlan) -> Result<(), String> {
        let same = |key: &str, expected: Value| match self.get(key) {
            Some(found) if *found != expected => Err(format!("`{key}` is {found}, but this model has {expected}")),
            _ => Ok(()),
        };
        match fit {
            Some(Fit::Best { sizes }) => same(PINPOINTS, serde_json::json!(sizes))?,
            _ => same(PINPOINTS, Value::Null)?,
        }
        match cut {
            CutPlan::Whole => same(FRAMES, Value::Null),
            CutPlan::Tiles { side } => {
                // The overview image is as large as a tile, and a tile keeps its size.
                for key in ["size", "crop_size"] {
                    let found = self.get(key);
                    let edge = |v: &Value| v.get("shortest_edge").and_then(pixels).map(|side| (side, side));
                    let size =
                        found.and_then(|v| rectangle(v).or_else(|| edge(v)).or_else(|| pixels(v).map(|s| (s, s))));
                    if size.is_some_and(|size| size != (side, side)) {
                        let found = found.unwrap_or(&Value::Null);
                        return Err(format!("`{key}` is {found}, but the tiles of this model have {side} pixels"));
                    }
                }
                Ok(())
            }
            CutPlan::Patches { side, merge, frames } => {
                same("patch_size", side.into())?;
                same("merge_size", merge.into())?;
                same(FRAMES, frames.into())
            }
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(other) => Err(format!("`{key}` is {other}, expected true or false")),
        }
    }

    fn factor(&self) -> Result<f64, String> {
        if !self.flag("do_rescale", true)? {
            return Ok(1.0);
        }
        match self.get("rescale_factor") {
            None if self.class.is_none() => Ok(1.0 / 255.0),
            None => Err("`do_rescale` without a `rescale_factor`".to_string()),
            Some(value) => value.as_f64().ok_or_else(|| format!("`rescale_factor` is {value}, expected a number")),
        }
    }

    fn normalization(&self) -> Result<([f32; 3], [f32; 3]), String> {
        let normal = self.flag("do_normalize", self.get("image_mean").is_some())?;
        let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
        if normal {
            (mean, std) = (self.channels("image_mean")?, self.channels("image_std")?);
        }
        if self.way() == Some(Way::Offset) {
            if self.flag("rescale_offset", false)? && self.flag("do_rescale", true)? {
                mean = mean.map(|mean| mean + 1.0);
            }
            if self.flag("include_top", true)? {
                let again = self.channels("image_std")?;
                std = [0, 1, 2].map(|i| std[i] * again[i]);
            }
        }
        Ok((mean, std))
    }

    /// One number per channel, or one for all channels.
    fn channels(&self, key: &str) -> Result<[f32; 3], String> {
        let value = self.get(key).unwrap_or(&Value::Null);
        let numbers: Option<Vec<f32>> = match value {
            Value::Array(all) => all.iter().map(|v| v.as_f64().map(|v| v as f32)).collect(),
            one => one.as_f64().map(|v| vec![v as f32; 3]),
        };
        let three = numbers.and_then(|n| <[f32; 3]>::try_from(n).ok());
        three.ok_or_else(|| format!("`{key}` is {value}, expected three numbers, for red, green and blue"))
    }

    fn steps(&self) -> Result<Vec<ImageStep>, String> {
        let mut steps = Vec::new();
        let crops = self.flag("do_center_crop", false)?;
        if self.flag("do_resize", self.get("size").is_some())? {
            let filter = self.filter()?;
            let to = self.size(crops)?;
            let by_part = self.way().is_none_or(|way| way == Way::CropPct);
            match self.get("crop_pct").filter(|_| by_part) {
                Some(part) => steps.extend(self.cropped_by_part(to, part, filter)?),
                None => steps.push(ImageStep::Resize { to, filter }),
            }
        }
        if crops {
            let size = self.get("crop_size").or_else(|| self.get("size").filter(|_| self.class.is_none()));
            let size = size.ok_or("`do_center_crop` without a `crop_size`")?;
            let (height, width) = rectangle(size)
                .or_else(|| pixels(size).map(|side| (side, side)))
                .ok_or_else(|| format!("`crop_size` is {size}; expected a number of pixels, or height and width"))?;
            steps.push(ImageStep::Crop { height, width });
        }
        Ok(steps)
    }

    /// Resizes so that the fraction `part` of the image has the requested size, and crops that.
    fn cropped_by_part(&self, to: Resized, part: &Value, filter: Filter) -> Result<Vec<ImageStep>, String> {
        let resize = |to| ImageStep::Resize { to, filter };
        let Resized::Shortest { shortest, longest: None } = to else {
            if self.class.is_none() {
                return Ok(vec![resize(to)]);
            }
            let size = self.get("size").unwrap_or(&Value::Null);
            return Err(format!("`size` is {size}; with `crop_pct` it is a number of pixels or shortest_edge"));
        };
        if shortest >= UNCROPPED {
            return Ok(vec![resize(Resized::Exact { height: shortest, width: shortest })]);
        }
        let part = part.as_f64().filter(|p| *p > 0.0 && *p <= 1.0);
        let part = part.ok_or("`crop_pct` must be above 0 and at most 1")?;
        // Both truncate, as the original does.
        let wider = Resized::Shortest { shortest: (f64::from(shortest) / part) as u32, longest: None };
        Ok(vec![resize(wider), ImageStep::Crop { height: shortest, width: shortest }])
    }

    fn filter(&self) -> Result<Filter, String> {
        // Numbered as in Pillow.
        let usual = if self.class.is_none() { Some(2) } else { None };
        Ok(match self.get("resample").map_or(usual, Value::as_u64) {
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(4) => Filter::Box,
            Some(5) => Filter::Hamming,
            _ => {
                return Err({
                    let found = self.all.get("resample").unwrap_or(&Value::Null);
                    format!("`resample` is {found}, expected 0 to 5")
                });
            }
        })
    }

    /// The size to resize to. The class decides what a single number means. Without a class it is the shorter side if
    /// the image is cropped afterwards or the longer side is limited, and otherwise both sides.
    fn size(&self, crops: bool) -> Result<Resized, String> {
        let size = self.get("size").ok_or("`do_resize` without a `size`")?;
        let key = |key: &str| size.get(key).and_then(pixels);
        let limit = self.get("max_size").and_then(pixels);
        let keys = size.as_object().map_or(0, |all| all.values().filter(|v| !v.is_null()).count());
        let found = match (rectangle(size), pixels(size), key("shortest_edge"), key("longest_edge")) {
            (Some((height, width)), ..) => Some(Resized::Exact { height, width }),
            (_, Some(side), ..) => Some(self.number(side, limit, crops)?),
            (_, _, Some(shortest), longest) if keys == 1 + usize::from(longest.is_some()) => match self.way() {
                // Only without a class may a limit accompany the size.
                None => Some(Resized::Shortest { shortest, longest: longest.or(limit) }),
                Some(Way::Limited) if longest.is_none() => None,
                // It reads only the shorter side.
                Some(Way::CropPct) => Some(Resized::Shortest { shortest, longest: None }),
                Some(_) => Some(Resized::Shortest { shortest, longest }),
            },
            _ => None,
        };
        let within = || match (key("max_height"), key("max_width")) {
            (Some(height), Some(width)) if keys == 2 => Some(Resized::Within { height, width }),
            _ => None,
        };
        found.or_else(within).ok_or_else(|| {
            format!(
                "`size` is {size}; expected a number of pixels, height and width, max_height and max_width, or \
                 shortest_edge perhaps with longest_edge"
            )
        })
    }

    /// Interprets a single number as a size.
    fn number(&self, side: u32, limit: Option<u32>, crops: bool) -> Result<Resized, String> {
        let square = match self.way() {
            None => !(crops || limit.is_some() || self.get("crop_pct").is_some()),
            Some(Way::Limited) => false,
            Some(_) => self.flag("default_to_square", true)?,
        };
        let longest = match self.way() {
            None => limit,
            Some(Way::Limited) => limit.or(Some(LIMIT)),
            Some(_) => None,
        };
        Ok(if square {
            Resized::Exact { height: side, width: side }
        } else {
            Resized::Shortest { shortest: side, longest }
        })
    }
}

/// The length of a side in pixels.
fn pixels(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

/// Height and width, from an object or a list.
fn rectangle(value: &Value) -> Option<(u32, u32)> {
    if let Some([height, width]) = value.as_array().map(Vec::as_slice) {
        return Some((pixels(height)?, pixels(width)?));
    }
    let side = |key: &str| value.get(key).and_then(pixels);
    let others = value.as_object()?.iter().any(|(key, v)| !v.is_null() && key != "height" && key != "width");
    if others { None } else { Some((side("height")?, side("width")?)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(file: &Value, defaults: &Map<String, Value>) -> Result<Option<Images>, String> {
        images(file, None, defaults, None, CutPlan::Whole)
    }

    fn steps(file: Value) -> Result<Vec<ImageStep>, String> {
        read(&file, &Map::new()).map(|p| p.unwrap().steps)
    }

    fn resize(to: Resized, filter: Filter) -> ImageStep {
        ImageStep::Resize { to, filter }
    }

    #[test]
    fn every_way_to_write_a_size_is_read() {
        let exact = |height, width| resize(Resized::Exact { height, width }, Filter::Bilinear);
        let shortest = |shortest, longest| resize(Resized::Shortest { shortest, longest }, Filter::Bilinear);
        let crop = |height, width| ImageStep::Crop { height, width };
        assert_eq!(steps(json!({"size": 8})).unwrap(), [exact(8, 8)]);
        assert_eq!(steps(json!({"size": {"height": 8, "width": 9}})).unwrap(), [exact(8, 9)]);
        assert_eq!(
            steps(json!({"size": 8, "do_center_crop": true, "crop_size": 7})).unwrap(),
            [shortest(8, None), crop(7, 7)]
        );
        assert_eq!(steps(json!({"size": 8, "max_size": 10})).unwrap(), [shortest(8, Some(10))]);
        let edges = json!({"size": {"shortest_edge": 8, "longest_edge": 13}});
        assert_eq!(steps(edges).unwrap(), [shortest(8, Some(13))]);
        let pct = |edge: u32| json!({"size": {"shortest_edge": edge}, "crop_pct": 0.875});
        assert_eq!(steps(pct(224)).unwrap(), [shortest(256, None), crop(224, 224)]);
        assert_eq!(steps(pct(384)).unwrap(), [exact(384, 384)]);
        assert_eq!(steps(json!({"size": 8, "do_resize": false})).unwrap(), []);
    }

    #[test]
    fn values_come_from_the_file_then_from_the_architecture() {
        let defaults = json!({"size": 4, "resample": 3, "image_mean": 0.5, "image_std": [0.5, 0.25, 1.0]});
        let file = json!({"size": 8, "resample": null});
        let read = read(&file, defaults.as_object().unwrap()).unwrap().unwrap();
        let to = Resized::Exact { height: 8, width: 8 };
        assert_eq!(read.steps, [resize(to, Filter::Bicubic)]);
        assert_eq!((read.factor, read.mean, read.std), (1.0 / 255.0, [0.5; 3], [0.5, 0.25, 1.0]));
        assert_eq!(images(&Value::Null, None, &Map::new(), None, CutPlan::Whole), Ok(None));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let fault = |file: Value| read(&file, &Map::new()).unwrap_err();
        assert_eq!(fault(json!({"do_thumbnail": true})), "`do_thumbnail` is true, which is not supported");
        assert!(fault(json!({"size": {"longest_edge": 8}})).starts_with("`size` is {\"longest_edge\":8}; expected"));
        assert!(fault(json!({"size": 8, "resample": 6})).starts_with("`resample` is 6"));
        assert!(fault(json!({"size": 0})).starts_with("`size` is 0"));
        assert!(fault(json!({"do_normalize": true})).starts_with("`image_mean` is null"));
        assert_eq!(fault(json!({"temporal_patch_size": 2})), "`temporal_patch_size` is 2, but this model has null");
        assert!(fault(json!({"do_resize": "yes"})).starts_with("`do_resize` is \"yes\""));
    }

    #[test]
    fn pieces_are_those_of_the_architecture() {
        let best = Fit::Best { sizes: vec![[8, 16], [16, 8]] };
        let tiles = |file: Value| images(&file, None, &Map::new(), Some(&best), CutPlan::Tiles { side: 8 });
        let file = json!({"size": {"shortest_edge": 8}, "crop_size": 8, "resample": 3});
        let read = tiles(file).unwrap().unwrap();
        assert_eq!(read.steps, [ImageStep::Fit { sizes: vec![[8, 16], [16, 8]], filter: Filter::Bicubic }]);
        assert_eq!(read.cut, Cut::Tiles { side: 8, filter: Filter::Bicubic });
        let other = json!({"image_grid_pinpoints": [[8, 8]]});
        assert_eq!(tiles(other).unwrap_err(), "`image_grid_pinpoints` is [[8,8]], but this model has [[8,16],[16,8]]");
        let large = tiles(json!({"crop_size": 9})).unwrap_err();
        assert_eq!(large, "`crop_size` is 9, but the tiles of this model have 8 pixels");
        let multiple = Fit::Multiple { of: 4, least: 16, most: 99 };
        let cut = CutPlan::Patches { side: 2, merge: 2, frames: 2 };
        let patches = |file: Value| images(&file, None, &Map::new(), Some(&multiple), cut);
        assert_eq!(patches(json!({"patch_size": 3})).unwrap_err(), "`patch_size` is 3, but this model has 2");
        let read = patches(json!({"patch_size": 2, "temporal_patch_size": 2})).unwrap().unwrap();
        assert_eq!(read.cut, Cut::Patches { side: 2, merge: 2, frames: 2 });
    }
}
