//! How a model wants its pictures: `preprocessor_config.json`, as Hugging Face's image processors read it, as steps that
//! a runtime can follow.

use gristmill_bundle::{Cut, Filter, PictureStep, Pictures, Resized};
use gristmill_graph::{Cut as CutPlan, Fit};
use serde_json::{Map, Value};

/// Processors that are asked for `crop_pct` of a picture do not crop from this size on.
const UNCROPPED: u32 = 384;
/// Settings that mean more than the steps here; a picture prepared without them would be wrong.
const BEYOND: [&str; 5] =
    ["do_thumbnail", "do_align_long_axis", "do_flip_channel_order", "do_crop_margin", "do_image_splitting"];
/// Settings of pictures that are cut. What they say is what the architecture says, or the picture would be wrong.
const PINPOINTS: &str = "image_grid_pinpoints";
const FRAMES: &str = "temporal_patch_size";

/// The steps that the settings of a model ask for; `defaults` hold where the file does not have a key. `fit` and `cut` are
/// what the architecture says. None if there are no settings at all, so that nobody knows how pictures become tensors.
///
/// # Errors
/// What is wrong with a setting, that it is not supported, or that the architecture says something else.
pub fn pictures(
    file: &Value,
    defaults: &Map<String, Value>,
    fit: Option<&Fit>,
    cut: CutPlan,
) -> Result<Option<Pictures>, String> {
    let mut settings = defaults.clone();
    if let Some(own) = file.as_object() {
        settings.extend(own.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())));
    }
    if settings.is_empty() {
        return Ok(None);
    }
    Settings(&settings).read(fit, cut).map(Some)
}

struct Settings<'a>(&'a Map<String, Value>);

impl Settings<'_> {
    fn read(&self, fit: Option<&Fit>, cut: CutPlan) -> Result<Pictures, String> {
        let asks = |key: &&str| self.0.get(*key).is_some_and(|v| *v != Value::Bool(false));
        if let Some(key) = BEYOND.iter().copied().find(|key| asks(key)) {
            return Err(format!("`{key}` is not supported"));
        }
        let (factor, (mean, std)) = (self.factor()?, self.normalization()?);
        let steps = match fit {
            None => self.steps()?,
            Some(Fit::Best { sizes }) => vec![PictureStep::Fit { sizes: sizes.clone(), filter: self.filter()? }],
            Some(Fit::Multiple { of, least, most }) => {
                let to = Resized::Multiple { of: *of, least: *least, most: *most };
                vec![PictureStep::Resize { to, filter: self.filter()? }]
            }
        };
        if fit.is_some() && !self.flag("do_resize", true)? {
            return Err("`do_resize` is false, but this model takes certain sizes only".to_string());
        }
        self.agrees(fit, cut)?;
        let cut = match cut {
            CutPlan::Whole => Cut::Whole,
            CutPlan::Tiles { side } => Cut::Tiles { side, filter: self.filter()? },
            CutPlan::Patches { side, merge, frames } => Cut::Patches { side, merge, frames },
        };
        Ok(Pictures { steps, cut, factor, mean, std })
    }

    /// Whether the settings of sizes and pieces are those of the architecture.
    fn agrees(&self, fit: Option<&Fit>, cut: CutPlan) -> Result<(), String> {
        let same = |key: &str, expected: Value| match self.0.get(key) {
            Some(found) if *found != expected => Err(format!("`{key}` is {found}, this model has {expected}")),
            _ => Ok(()),
        };
        match fit {
            Some(Fit::Best { sizes }) => same(PINPOINTS, serde_json::json!(sizes))?,
            _ => same(PINPOINTS, Value::Null)?,
        }
        match cut {
            CutPlan::Whole => same(FRAMES, Value::Null),
            CutPlan::Tiles { side } => {
                // The whole becomes as large as a tile, and a tile stays as it is.
                for key in ["size", "crop_size"] {
                    let found = self.0.get(key);
                    let edge = |v: &Value| v.get("shortest_edge").and_then(pixels).map(|side| (side, side));
                    let size =
                        found.and_then(|v| rectangle(v).or_else(|| edge(v)).or_else(|| pixels(v).map(|s| (s, s))));
                    if size.is_some_and(|size| size != (side, side)) {
                        let found = found.unwrap_or(&Value::Null);
                        return Err(format!("`{key}` is {found}, the tiles of this model have {side} pixels"));
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
        match self.0.get(key) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(other) => Err(format!("`{key}` is {other}, expected true or false")),
        }
    }

    fn factor(&self) -> Result<f64, String> {
        if !self.flag("do_rescale", true)? {
            return Ok(1.0);
        }
        match self.0.get("rescale_factor") {
            None => Ok(1.0 / 255.0),
            Some(value) => value.as_f64().ok_or_else(|| format!("`rescale_factor` is {value}, expected a number")),
        }
    }

    fn normalization(&self) -> Result<([f32; 3], [f32; 3]), String> {
        if !self.flag("do_normalize", self.0.contains_key("image_mean"))? {
            return Ok(([0.0; 3], [1.0; 3]));
        }
        Ok((self.channels("image_mean")?, self.channels("image_std")?))
    }

    /// A number per channel, or one for all.
    fn channels(&self, key: &str) -> Result<[f32; 3], String> {
        let value = self.0.get(key).unwrap_or(&Value::Null);
        let numbers: Option<Vec<f32>> = match value {
            Value::Array(all) => all.iter().map(|v| v.as_f64().map(|v| v as f32)).collect(),
            one => one.as_f64().map(|v| vec![v as f32; 3]),
        };
        let three = numbers.and_then(|n| <[f32; 3]>::try_from(n).ok());
        three.ok_or_else(|| format!("`{key}` is {value}, expected a number for each of red, green and blue"))
    }

    fn steps(&self) -> Result<Vec<PictureStep>, String> {
        let mut steps = Vec::new();
        let crops = self.flag("do_center_crop", false)?;
        if self.flag("do_resize", self.0.contains_key("size"))? {
            let filter = self.filter()?;
            let to = self.size(crops)?;
            match (to, self.0.get("crop_pct")) {
                (Resized::Shortest { shortest, .. }, Some(part)) => {
                    let to = Resized::Exact { height: shortest, width: shortest };
                    if shortest >= UNCROPPED {
                        steps.push(PictureStep::Resize { to, filter });
                    } else {
                        let part = part.as_f64().filter(|p| *p > 0.0 && *p <= 1.0);
                        let part = part.ok_or("`crop_pct` must be above 0 and at most 1")?;
                        // Both cut the fraction, here as there.
                        let wider = Resized::Shortest { shortest: (f64::from(shortest) / part) as u32, longest: None };
                        steps.push(PictureStep::Resize { to: wider, filter });
                        steps.push(PictureStep::Crop { height: shortest, width: shortest });
                    }
                }
                _ => steps.push(PictureStep::Resize { to, filter }),
            }
        }
        if crops {
            let size = self.0.get("crop_size").or_else(|| self.0.get("size"));
            let (height, width) = size
                .and_then(|v| rectangle(v).or_else(|| pixels(v).map(|side| (side, side))))
                .ok_or("`crop_size` must be a number of pixels, or height and width")?;
            steps.push(PictureStep::Crop { height, width });
        }
        Ok(steps)
    }

    fn filter(&self) -> Result<Filter, String> {
        // Numbered as in Pillow.
        Ok(match self.0.get("resample").map_or(Some(2), Value::as_u64) {
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(4) => Filter::Box,
            Some(5) => Filter::Hamming,
            _ => return Err(format!("`resample` is {}, expected 0 to 5", self.0["resample"])),
        })
    }

    /// The size to resample to. A number alone means the shorter side where something is cut off afterwards, or where the
    /// longer one is limited, else both.
    fn size(&self, crops: bool) -> Result<Resized, String> {
        let size = self.0.get("size").ok_or("`do_resize` without a `size`")?;
        let longest = self.0.get("max_size").or_else(|| size.get("longest_edge")).and_then(pixels);
        if let Some((height, width)) = rectangle(size) {
            return Ok(Resized::Exact { height, width });
        }
        if let Some(shortest) = size.get("shortest_edge").and_then(pixels) {
            return Ok(Resized::Shortest { shortest, longest });
        }
        match pixels(size) {
            Some(shortest) if crops || longest.is_some() || self.0.contains_key("crop_pct") => {
                Ok(Resized::Shortest { shortest, longest })
            }
            Some(side) => Ok(Resized::Exact { height: side, width: side }),
            None => Err(format!(
                "`size` is {size}; expected a number of pixels, height and width, or shortest_edge perhaps with longest_edge"
            )),
        }
    }
}

/// A side of a picture.
fn pixels(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

/// Height and width.
fn rectangle(value: &Value) -> Option<(u32, u32)> {
    let side = |key: &str| value.get(key).and_then(pixels);
    Some((side("height")?, side("width")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(file: &Value, defaults: &Map<String, Value>) -> Result<Option<Pictures>, String> {
        pictures(file, defaults, None, CutPlan::Whole)
    }

    fn steps(file: Value) -> Result<Vec<PictureStep>, String> {
        read(&file, &Map::new()).map(|p| p.unwrap().steps)
    }

    fn resize(to: Resized, filter: Filter) -> PictureStep {
        PictureStep::Resize { to, filter }
    }

    #[test]
    fn every_way_to_write_a_size_is_read() {
        let exact = |height, width| resize(Resized::Exact { height, width }, Filter::Bilinear);
        let shortest = |shortest, longest| resize(Resized::Shortest { shortest, longest }, Filter::Bilinear);
        let crop = |height, width| PictureStep::Crop { height, width };
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
        assert_eq!(pictures(&Value::Null, &Map::new(), None, CutPlan::Whole), Ok(None));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let fault = |file: Value| read(&file, &Map::new()).unwrap_err();
        assert_eq!(fault(json!({"do_thumbnail": true})), "`do_thumbnail` is not supported");
        assert!(fault(json!({"size": {"longest_edge": 8}})).starts_with("`size` is {\"longest_edge\":8}; expected"));
        assert!(fault(json!({"size": 8, "resample": 6})).starts_with("`resample` is 6"));
        assert!(fault(json!({"size": 0})).starts_with("`size` is 0"));
        assert!(fault(json!({"do_normalize": true})).starts_with("`image_mean` is null"));
        assert_eq!(fault(json!({"temporal_patch_size": 2})), "`temporal_patch_size` is 2, this model has null");
        assert!(fault(json!({"do_resize": "yes"})).starts_with("`do_resize` is \"yes\""));
    }

    #[test]
    fn pieces_are_those_of_the_architecture() {
        let best = Fit::Best { sizes: vec![[8, 16], [16, 8]] };
        let tiles = |file: Value| pictures(&file, &Map::new(), Some(&best), CutPlan::Tiles { side: 8 });
        let file = json!({"size": {"shortest_edge": 8}, "crop_size": 8, "resample": 3});
        let read = tiles(file).unwrap().unwrap();
        assert_eq!(read.steps, [PictureStep::Fit { sizes: vec![[8, 16], [16, 8]], filter: Filter::Bicubic }]);
        assert_eq!(read.cut, Cut::Tiles { side: 8, filter: Filter::Bicubic });
        let other = json!({"image_grid_pinpoints": [[8, 8]]});
        assert_eq!(tiles(other).unwrap_err(), "`image_grid_pinpoints` is [[8,8]], this model has [[8,16],[16,8]]");
        let large = tiles(json!({"crop_size": 9})).unwrap_err();
        assert_eq!(large, "`crop_size` is 9, the tiles of this model have 8 pixels");
        let multiple = Fit::Multiple { of: 4, least: 16, most: 99 };
        let cut = CutPlan::Patches { side: 2, merge: 2, frames: 2 };
        let patches = |file: Value| pictures(&file, &Map::new(), Some(&multiple), cut);
        assert_eq!(patches(json!({"patch_size": 3})).unwrap_err(), "`patch_size` is 3, this model has 2");
        let read = patches(json!({"patch_size": 2, "temporal_patch_size": 2})).unwrap().unwrap();
        assert_eq!(read.cut, Cut::Patches { side: 2, merge: 2, frames: 2 });
    }
}
