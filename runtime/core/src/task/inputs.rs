//! From images, audio files and texts to the inputs of an entry.

use gristmill_bundle::{Cut, Entry, Images, Input, InputSource, Manifest, Size, Task, TaskInput};

use super::entries::frame_count;
use crate::audio::Audio;
use crate::backend::{Request, Tensor, Tensors};
use crate::error::Error;
use crate::image::{Image, Prepared};

/// The items that a task is run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskInputs<'a> {
    /// Images.
    pub images: &'a [Image],
    /// Videos: the frames of each, in order.
    pub videos: &'a [Vec<Image>],
    /// Audio files.
    pub audio: &'a [Audio],
    /// Token ids of texts, with the special tokens of the model.
    pub texts: &'a [Vec<u32>],
}

/// One call for all items.
pub(super) fn request(
    manifest: &Manifest,
    entry: &Entry,
    task: &Task,
    given: TaskInputs<'_>,
) -> Result<Request, Error> {
    request_with(manifest, entry, task, given, Tensors::new())
}

/// The same, with inputs that other entries have computed.
pub(super) fn request_with(
    manifest: &Manifest,
    entry: &Entry,
    task: &Task,
    given: TaskInputs<'_>,
    made: Tensors,
) -> Result<Request, Error> {
    let (mut inputs, _) = inputs(manifest, task, given)?;
    inputs.extend(made);
    let masked = task.inputs.iter().any(|f| f.source == InputSource::Mask);
    let mut lengths = given.texts.iter().map(Vec::len);
    let first = lengths.next();
    if !masked && lengths.any(|n| Some(n) != first) {
        let message = "this model takes no mask, so all texts must have the same number of tokens";
        return Err(Error::Unsupported(message.to_string()));
    }
    Ok(Request::new(&entry.name, &inputs, 0))
}

/// The inputs of a task, and the images that they were made from.
pub(super) fn inputs(
    manifest: &Manifest,
    task: &Task,
    given: TaskInputs<'_>,
) -> Result<(Tensors, Vec<Prepared>), Error> {
    let how = task.inputs.iter().find_map(|f| match &f.source {
        InputSource::Image(how) => Some(how),
        _ => None,
    });
    let prepared = how.map_or(Ok(Vec::new()), |how| given.images.iter().map(|p| p.prepare(how)).collect())?;
    let mut all = Tensors::new();
    for task_input in task.inputs.iter().filter(|f| !matches!(f.source, InputSource::EncodedAudio(_))) {
        let name = manifest.inputs[task_input.input as usize].name.clone();
        all.insert(name, tensor(manifest, task_input, given, &prepared)?);
    }
    Ok((all, prepared))
}

fn tensor(
    manifest: &Manifest,
    task_input: &TaskInput,
    given: TaskInputs<'_>,
    prepared: &[Prepared],
) -> Result<Tensor, Error> {
    let input = &manifest.inputs[task_input.input as usize];
    let nothing = |what: &str| Err(fault(input, what, "none"));
    match &task_input.source {
        InputSource::Image(_) | InputSource::Sizes(_) if prepared.is_empty() => nothing("an image"),
        InputSource::Frames(_) if given.videos.is_empty() => nothing("a video"),
        InputSource::Audio(_) | InputSource::EncodedAudio(_) if given.audio.is_empty() => nothing("an audio file"),
        InputSource::Text | InputSource::Mask if given.texts.iter().all(Vec::is_empty) => nothing("a text"),
        InputSource::Image(how) => joined(manifest, input, how.cut, prepared),
        InputSource::Sizes(sizes) => {
            let row = |p: &Prepared| sizes.iter().map(|s| p.eval(s).map(|n| n as i32)).collect::<Result<Vec<_>, _>>();
            let most = limits(manifest, input.shape.first()).1;
            if prepared.len() > most {
                return Err(fault(input, &format!("at most {most} images"), &prepared.len().to_string()));
            }
            let rows = prepared.iter().map(row).collect::<Result<Vec<_>, _>>()?;
            Ok(Tensor::i32([prepared.len(), sizes.len()], rows.concat()))
        }
        InputSource::Frames(how) => {
            let videos = given.videos.iter().map(|video| frames(input, video, how)).collect::<Result<Vec<_>, _>>()?;
            stacked(input, videos)
        }
        InputSource::Audio(how) => {
            let (least, most) = lengths(manifest, task_input.input);
            if let Some(long) = given.audio.iter().find(|s| s.samples().len() > most) {
                let found = format!("{} samples", long.samples().len());
                return Err(fault(input, &format!("at most {most} samples"), &found));
            }
            let tensors = given.audio.iter().map(|s| s.tensor(how, least, most)).collect::<Result<Vec<_>, _>>()?;
            stacked(input, tensors)
        }
        InputSource::EncodedAudio(_) => nothing("the output of another entry"),
        InputSource::Text => Ok(table(given.texts, |id| id as i32)),
        InputSource::Mask => Ok(table(given.texts, |_| 1)),
    }
}

/// One row per text, padded with zeros.
fn table(texts: &[Vec<u32>], value: fn(u32) -> i32) -> Tensor {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let row = |ids: &Vec<u32>| {
        let mut row: Vec<i32> = ids.iter().map(|id| value(*id)).collect();
        row.resize(longest, 0);
        row
    };
    Tensor::i32([texts.len(), longest], texts.iter().flat_map(row).collect::<Vec<_>>())
}

/// All images in one tensor.
fn joined(manifest: &Manifest, input: &Input, cut: Cut, prepared: &[Prepared]) -> Result<Tensor, Error> {
    let mut tensors: Vec<Tensor> = prepared.iter().map(|p| p.tensor.clone()).collect();
    if let Cut::Tiles { .. } = cut {
        // Images with fewer tiles are padded with zeros.
        let most = tensors.iter().map(|t| t.shape[1]).max().unwrap_or(0);
        for tensor in &mut tensors {
            tensor.shape[1] = most;
            let mut values = tensor.as_f32().unwrap_or_default().to_vec();
            values.resize(tensor.shape.iter().product(), 0.0);
            *tensor = Tensor::f32(tensor.shape.clone(), values);
        }
    }
    let joined = stacked(input, tensors)?;
    let what = if matches!(cut, Cut::Patches { .. }) { "patches of images" } else { "images" };
    let (rows, (_, most)) = (joined.shape[0], limits(manifest, input.shape.first()));
    match rows > most {
        true => Err(fault(input, &format!("at most {most} {what}"), &format!("{rows}"))),
        false => Ok(joined),
    }
}

/// As many frames of a video as the input takes, at equal distances.
fn frames(input: &Input, video: &[Image], how: &Images) -> Result<Tensor, Error> {
    let count = frame_count(input);
    if video.is_empty() {
        return Err(fault(input, "a video with at least one image", "none"));
    }
    // The image in the middle of each of `count` equal parts.
    let chosen = (0..count).map(|i| &video[(2 * i + 1) * video.len() / (2 * count)]);
    let tensors = chosen.map(|p| p.prepare(how).map(|p| p.tensor)).collect::<Result<Vec<_>, _>>()?;
    let mut whole = stacked(input, tensors)?;
    whole.shape.insert(0, 1);
    Ok(whole)
}

/// Concatenates tensors along the first axis. All other axes must be equal.
pub(super) fn stacked(input: &Input, tensors: Vec<Tensor>) -> Result<Tensor, Error> {
    let mut shape = tensors.first().map(|t| t.shape.clone()).unwrap_or_default();
    if let Some(other) = tensors.iter().find(|t| t.shape.get(1..) != shape.get(1..)) {
        return Err(fault(input, &format!("the same size for all: {shape:?}"), &format!("{:?}", other.shape)));
    }
    if let Some(rows) = shape.first_mut() {
        *rows = tensors.iter().map(|t| t.shape[0]).sum();
    }
    let data: Vec<f32> = tensors.iter().flat_map(|t| t.as_f32().unwrap_or_default()).copied().collect();
    Ok(Tensor::f32(shape, data))
}

/// The smallest and the largest value of a size.
pub(super) fn limits(manifest: &Manifest, size: Option<&Size>) -> (usize, usize) {
    let symbol = |name: &str| manifest.symbols.iter().find(|s| s.name == name);
    match size {
        Some(Size::Int(fixed)) => (*fixed as usize, *fixed as usize),
        Some(Size::Symbol(name)) => symbol(name).map_or((0, usize::MAX), |s| (s.min as usize, s.max as usize)),
        _ => (0, usize::MAX),
    }
}

fn fault(input: &Input, expected: &str, found: &str) -> Error {
    Error::Input { name: input.name.clone(), expected: expected.to_string(), found: found.to_string() }
}

/// The smallest and the largest number of samples that an input takes.
pub(super) fn lengths(manifest: &Manifest, input: u32) -> (usize, usize) {
    limits(manifest, manifest.inputs[input as usize].shape.last())
}
