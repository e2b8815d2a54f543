//! Runs the tasks of a bundle: images, audio files and texts in; labels, boxes, similarities or texts out.

use gristmill_bundle::order::order;
use gristmill_bundle::{Entry, Manifest, Task, TaskOutput};
use serde::Serialize;

mod audio;
mod entries;
mod image_prompt;
mod inputs;

pub use audio::{AudioResult, audio_input, compared_audio, decode_ctc, encode_audio};
pub use entries::{Kind, takes_audio, takes_images, takes_texts, takes_videos, tasks, video_length};
use entries::{begin, find};
pub use image_prompt::{ImagePlaceholder, ImageText, image_placeholder, image_prompt};
pub use inputs::TaskInputs;
use inputs::{request, request_with};

use crate::backend::{Backend, Request, Tensor, Tensors, run, run_all};
use crate::error::Error;
use crate::image::Image;

/// A class and its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The name of the class, or its number if it has none.
    pub label: String,
    /// The number of the class.
    pub class: usize,
    /// The probability, from 0 to 1.
    pub score: f32,
}

/// An object that was detected in an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// Its class and score.
    #[serde(flatten)]
    pub what: Score,
    /// The bounding box: left, top, right and bottom, in pixels of the given image.
    #[serde(rename = "box")]
    pub corners: [f32; 4],
}

/// The similarity of texts to one item: an image, a video or an audio file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similarity {
    /// The score of the model for each text.
    pub similarity: Vec<f32>,
    /// The softmax of the scores: from 0 to 1 for each text, with the sum 1.
    pub probability: Vec<f32>,
}

/// Classifies images, or texts if the model takes texts: for each, all classes, by descending score.
///
/// # Errors
/// If the model does not classify, an input is unsuitable, or a call fails.
pub async fn classify(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    given: TaskInputs<'_>,
) -> Result<Vec<Vec<Score>>, Error> {
    let (entry, task) = find(manifest, Kind::Classify)?;
    let TaskOutput::Classify { scores, labels, independent } = &task.output else { return Ok(Vec::new()) };
    let requests = one_by_one(manifest, entry, task, given)?;
    let output = entry.outputs[*scores as usize].name.as_str();
    begin(backend, manifest, 1).await?;
    let results = run_all(backend, &requests, &[output]).await?;
    let read = |outputs: &Tensors| {
        let mut values = floats(outputs, output, labels.len(), 1)?.to_vec();
        if *independent {
            values.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp()))
        } else {
            softmax(&mut values)
        }
        Ok(falling(&values).into_iter().map(|class| scored(labels, class, values[class])).collect())
    };
    results.iter().map(read).collect()
}

/// Detects objects in images: for each image, those with a score above `threshold`, by descending score.
///
/// # Errors
/// If the model does not detect objects, an image is unsuitable, or a call fails.
pub async fn detect(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    given: TaskInputs<'_>,
    threshold: f32,
) -> Result<Vec<Vec<Detection>>, Error> {
    let (entry, task) = find(manifest, Kind::Detect)?;
    let TaskOutput::Detect { scores, boxes, labels } = &task.output else { return Ok(Vec::new()) };
    let requests = one_by_one(manifest, entry, task, given)?;
    let outputs = [*scores, *boxes].map(|i| entry.outputs[i as usize].name.as_str());
    begin(backend, manifest, 1).await?;
    let results = run_all(backend, &requests, &outputs).await?;
    let read = |(results, image): (&Tensors, &Image)| {
        let boxes = floats(results, outputs[1], 4, 1)?;
        let count = boxes.len() / 4;
        let logits = floats(results, outputs[0], 2, count)?;
        let rows = logits.chunks_exact(logits.len() / count.max(1));
        let mut best: Vec<(usize, f32)> = Vec::with_capacity(count);
        for row in rows {
            let mut row = row.to_vec();
            softmax(&mut row);
            // The last class means "no object".
            row.pop();
            let first = |best: (usize, f32), (class, score): (usize, &f32)| {
                if *score > best.1 { (class, *score) } else { best }
            };
            best.push(row.iter().enumerate().fold((0, f32::NEG_INFINITY), first));
        }
        let order = falling(&best.iter().map(|(_, score)| *score).collect::<Vec<_>>()).into_iter();
        let certain = order.filter(|i| best[*i].1 > threshold);
        let found = certain.map(|i| Detection {
            what: scored(labels, best[i].0, best[i].1),
            corners: corners(&boxes[4 * i..], image),
        });
        Ok(found.collect())
    };
    results.iter().zip(given.images).map(read).collect()
}

/// Compares texts with each image, video or audio file.
///
/// # Errors
/// If the model does not compare, an input is unsuitable, or a call fails.
pub async fn compare(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    given: TaskInputs<'_>,
) -> Result<Vec<Similarity>, Error> {
    let (entry, task) = find(manifest, Kind::Compare)?;
    let TaskOutput::Compare { scores } = &task.output else { return Ok(Vec::new()) };
    let output = entry.outputs[*scores as usize].name.as_str();
    begin(backend, manifest, 1).await?;
    let made = audio::encode_all(backend, manifest, task, given).await?;
    let request = request_with(manifest, entry, task, given, made)?;
    let outputs = run(backend, &request, &[output]).await?;
    let items = match task {
        task if takes_videos(task) => given.videos.len(),
        task if takes_audio(task) => given.audio.len(),
        _ => given.images.len(),
    };
    let rows = floats(&outputs, output, given.texts.len(), items)?;
    let read = |row: &[f32]| {
        let mut probability = row.to_vec();
        softmax(&mut probability);
        Similarity { similarity: row.to_vec(), probability }
    };
    Ok(rows.chunks_exact(given.texts.len().max(1)).map(read).collect())
}

/// One call for each image or text: they may differ in size, and separate calls need no padding.
fn one_by_one(manifest: &Manifest, entry: &Entry, task: &Task, given: TaskInputs<'_>) -> Result<Vec<Request>, Error> {
    if takes_images(task) {
        let one = |image| request(manifest, entry, task, TaskInputs { images: std::slice::from_ref(image), ..given });
        given.images.iter().map(one).collect()
    } else {
        let one = |text| request(manifest, entry, task, TaskInputs { texts: std::slice::from_ref(text), ..given });
        given.texts.iter().map(one).collect()
    }
}

/// An f32 output of `rows` rows with at least `least` elements each.
fn floats<'t>(outputs: &'t Tensors, name: &str, least: usize, rows: usize) -> Result<&'t [f32], Error> {
    let values = outputs.get(name).and_then(Tensor::as_f32);
    let values = values.filter(|v| rows > 0 && v.len() % rows == 0 && v.len() / rows >= least.max(1));
    values.ok_or_else(|| Error::Backend(format!("output `{name}` has the wrong shape for its task")))
}

fn scored(labels: &[String], class: usize, score: f32) -> Score {
    let label = labels.get(class).cloned().unwrap_or_else(|| class.to_string());
    Score { label, class, score }
}

/// The indices of the values in descending order of value; equal values keep their order.
fn falling(values: &[f32]) -> Vec<usize> {
    order(values.len(), &|a, b| values[b].total_cmp(&values[a]))
}

fn softmax(values: &mut [f32]) {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|v| *v = (*v - most).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

/// The corners of a box in pixels, from its centre and size as fractions of the image.
fn corners(at: &[f32], image: &Image) -> [f32; 4] {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let (x, y, w, h) = (at[0], at[1], at[2], at[3]);
    [(x - w / 2.0) * width, (y - h / 2.0) * height, (x + w / 2.0) * width, (y + h / 2.0) * height]
}

#[cfg(test)]
mod tests;
