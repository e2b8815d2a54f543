//! Tasks: images, audio and texts from JavaScript in; labels, boxes and similarities as JSON out.

use gristmill_bundle::Manifest;
use gristmill_runtime::audio::Audio;
use gristmill_runtime::image::Image;
use gristmill_runtime::task::{TaskInputs, classify, compare, compared_audio, detect};
use gristmill_runtime::{Backend, Error};
use js_sys::{Array, Float32Array, Reflect, Uint8ClampedArray, Uint32Array};
use serde_json::{Value, json};
use wasm_bindgen::{JsCast, JsValue};

/// The inputs of a task, in the memory of the runtime.
pub(crate) struct Inputs {
    images: Vec<Image>,
    videos: Vec<Vec<Image>>,
    audio: Vec<Audio>,
    texts: Vec<Vec<u32>>,
}

impl Inputs {
    /// Reads images, videos (lists of images), audio (samples at the model's rate), and texts as token ids.
    pub(crate) fn read(manifest: &Manifest, items: &Array, texts: &[Uint32Array]) -> Result<Self, Error> {
        let texts = texts.iter().map(Uint32Array::to_vec).collect();
        let mut inputs = Inputs { images: Vec::new(), videos: Vec::new(), audio: Vec::new(), texts };
        for item in items.iter() {
            if let Some(video) = item.dyn_ref::<Array>() {
                inputs.videos.push(images(video)?);
            } else if let Some(samples) = item.dyn_ref::<Float32Array>() {
                let rate = compared_audio(manifest).map_or(0, |how| how.rate);
                inputs.audio.push(Audio::new(rate, samples.to_vec())?);
            } else {
                inputs.images.push(image(&item)?);
            }
        }
        Ok(inputs)
    }
}

/// Reads images with `width`, `height` and `data`, like `ImageData`.
pub(crate) fn images(all: &Array) -> Result<Vec<Image>, Error> {
    all.iter().map(|p| image(&p)).collect()
}

fn image(value: &JsValue) -> Result<Image, Error> {
    let field = |name: &str| Reflect::get(value, &JsValue::from_str(name)).ok();
    let side = |name: &str| field(name).and_then(|v| v.as_f64()).filter(|v| *v >= 0.0 && *v < 4e9).map(|v| v as usize);
    let data = field("data").and_then(|v| v.dyn_into::<Uint8ClampedArray>().ok());
    match (side("width"), side("height"), data) {
        (Some(width), Some(height), Some(data)) => {
            gristmill_runtime::image::check_size(width as u64, height as u64)?;
            Image::from_rgba(width, height, &data.to_vec())
        }
        _ => Err(Error::Input {
            name: "image".to_string(),
            expected: "width, height and data, as ImageData has them".to_string(),
            found: "something else".to_string(),
        }),
    }
}

/// Runs a task (`classify`, `detect` or `compare`); returns its results in the form of `ts/api.ts`.
pub(crate) async fn perform(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    kind: &str,
    inputs: &Inputs,
    threshold: f32,
) -> Result<Value, Error> {
    let given =
        TaskInputs { images: &inputs.images, videos: &inputs.videos, audio: &inputs.audio, texts: &inputs.texts };
    Ok(match kind {
        "classify" => json!(classify(backend, manifest, given).await?),
        "detect" => json!(detect(backend, manifest, given, threshold).await?),
        "compare" => json!(compare(backend, manifest, given).await?),
        other => return Err(Error::Unsupported(format!("no task is called `{other}`"))),
    })
}
