//! From pictures, recordings and texts to the inputs of an entry.

use gristmill_bundle::{Cut, Entry, Feed, FeedSource, Input, Manifest, Pictures, Size, Task};

use super::entries::frame_count;
use crate::backend::{Request, Tensor, Tensors};
use crate::error::Error;
use crate::picture::{Picture, Prepared};
use crate::sound::Sound;

/// What a task is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Pictures.
    pub pictures: &'a [Picture],
    /// Films: the pictures of each, in their order.
    pub films: &'a [Vec<Picture>],
    /// Recordings.
    pub sounds: &'a [Sound],
    /// Token ids of texts, with those around them that the model wants.
    pub texts: &'a [Vec<u32>],
}

/// One call for everything that is given.
pub(super) fn request(manifest: &Manifest, entry: &Entry, task: &Task, given: Given<'_>) -> Result<Request, Error> {
    request_with(manifest, entry, task, given, Tensors::new())
}

/// The same with what other entries have made.
pub(super) fn request_with(
    manifest: &Manifest,
    entry: &Entry,
    task: &Task,
    given: Given<'_>,
    made: Tensors,
) -> Result<Request, Error> {
    let (mut inputs, _) = inputs(manifest, task, given)?;
    inputs.extend(made);
    let masked = task.takes.iter().any(|f| f.source == FeedSource::Mask);
    let mut lengths = given.texts.iter().map(Vec::len);
    let first = lengths.next();
    if !masked && lengths.any(|n| Some(n) != first) {
        let message = "this model takes no mask, so its texts must have the same number of tokens";
        return Err(Error::Unsupported(message.to_string()));
    }
    Ok(Request::new(&entry.name, &inputs, 0))
}

/// The inputs that a task makes, and the pictures that they were made from.
pub(super) fn inputs(manifest: &Manifest, task: &Task, given: Given<'_>) -> Result<(Tensors, Vec<Prepared>), Error> {
    let how = task.takes.iter().find_map(|f| match &f.source {
        FeedSource::Picture(how) => Some(how),
        _ => None,
    });
    let prepared = how.map_or(Ok(Vec::new()), |how| given.pictures.iter().map(|p| p.prepare(how)).collect())?;
    let mut all = Tensors::new();
    for feed in task.takes.iter().filter(|f| !matches!(f.source, FeedSource::Heard(_))) {
        let name = manifest.inputs[feed.input as usize].name.clone();
        all.insert(name, tensor(manifest, feed, given, &prepared)?);
    }
    Ok((all, prepared))
}

fn tensor(manifest: &Manifest, feed: &Feed, given: Given<'_>, prepared: &[Prepared]) -> Result<Tensor, Error> {
    let input = &manifest.inputs[feed.input as usize];
    let nothing = |what: &str| Err(fault(input, &format!("{what} to make it from"), "none"));
    match &feed.source {
        FeedSource::Picture(_) | FeedSource::Sizes(_) if prepared.is_empty() => nothing("a picture"),
        FeedSource::Frames(_) if given.films.is_empty() => nothing("a film"),
        FeedSource::Sound(_) | FeedSource::Heard(_) if given.sounds.is_empty() => nothing("a recording"),
        FeedSource::Text | FeedSource::Mask if given.texts.iter().all(Vec::is_empty) => nothing("a text"),
        FeedSource::Picture(how) => joined(manifest, input, how.cut, prepared),
        FeedSource::Sizes(sizes) => {
            let row = |p: &Prepared| sizes.iter().map(|s| p.eval(s).map(|n| n as i32)).collect::<Result<Vec<_>, _>>();
            let most = limits(manifest, input.shape.first()).1;
            if prepared.len() > most {
                return Err(fault(input, &format!("at most {most} pictures"), &prepared.len().to_string()));
            }
            let rows = prepared.iter().map(row).collect::<Result<Vec<_>, _>>()?;
            Ok(Tensor::i32([prepared.len(), sizes.len()], rows.concat()))
        }
        FeedSource::Frames(how) => {
            let films = given.films.iter().map(|film| frames(input, film, how)).collect::<Result<Vec<_>, _>>()?;
            stacked(input, films)
        }
        FeedSource::Sound(how) => {
            let (least, most) = lengths(manifest, feed.input);
            if let Some(long) = given.sounds.iter().find(|s| s.samples().len() > most) {
                let found = format!("{} samples", long.samples().len());
                return Err(fault(input, &format!("at most {most} samples"), &found));
            }
            let tensors = given.sounds.iter().map(|s| s.tensor(how, least, most)).collect::<Result<Vec<_>, _>>()?;
            stacked(input, tensors)
        }
        FeedSource::Heard(_) => nothing("the output of another entry"),
        FeedSource::Text => Ok(table(given.texts, |id| id as i32)),
        FeedSource::Mask => Ok(table(given.texts, |_| 1)),
    }
}

/// A row per text, filled up with zeros.
fn table(texts: &[Vec<u32>], value: fn(u32) -> i32) -> Tensor {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let row = |ids: &Vec<u32>| {
        let mut row: Vec<i32> = ids.iter().map(|id| value(*id)).collect();
        row.resize(longest, 0);
        row
    };
    Tensor::i32([texts.len(), longest], texts.iter().flat_map(row).collect::<Vec<_>>())
}

/// All pictures in one tensor.
fn joined(manifest: &Manifest, input: &Input, cut: Cut, prepared: &[Prepared]) -> Result<Tensor, Error> {
    let mut tensors: Vec<Tensor> = prepared.iter().map(|p| p.tensor.clone()).collect();
    if let Cut::Tiles { .. } = cut {
        // Zeros stand behind the tiles of smaller pictures.
        let most = tensors.iter().map(|t| t.shape[1]).max().unwrap_or(0);
        for tensor in &mut tensors {
            tensor.shape[1] = most;
            let mut values = tensor.as_f32().unwrap_or_default().to_vec();
            values.resize(tensor.shape.iter().product(), 0.0);
            *tensor = Tensor::f32(tensor.shape.clone(), values);
        }
    }
    let joined = stacked(input, tensors)?;
    let what = if matches!(cut, Cut::Patches { .. }) { "patches of pictures" } else { "pictures" };
    let (rows, (_, most)) = (joined.shape[0], limits(manifest, input.shape.first()));
    match rows > most {
        true => Err(fault(input, &format!("at most {most} {what}"), &format!("{rows}"))),
        false => Ok(joined),
    }
}

/// As many pictures of a film as the input takes, at even distances.
fn frames(input: &Input, film: &[Picture], how: &Pictures) -> Result<Tensor, Error> {
    let count = frame_count(input);
    if film.is_empty() {
        return Err(fault(input, "a film with at least one picture", "none"));
    }
    // The picture in the middle of each of `count` equal parts.
    let chosen = (0..count).map(|i| &film[(2 * i + 1) * film.len() / (2 * count)]);
    let tensors = chosen.map(|p| p.prepare(how).map(|p| p.tensor)).collect::<Result<Vec<_>, _>>()?;
    let mut whole = stacked(input, tensors)?;
    whole.shape.insert(0, 1);
    Ok(whole)
}

/// Tensors on top of one another. All but the number of rows must be the same.
pub(super) fn stacked(input: &Input, tensors: Vec<Tensor>) -> Result<Tensor, Error> {
    let mut shape = tensors.first().map(|t| t.shape.clone()).unwrap_or_default();
    if let Some(other) = tensors.iter().find(|t| t.shape.get(1..) != shape.get(1..)) {
        return Err(fault(input, &format!("all of one size: {shape:?}"), &format!("{:?}", other.shape)));
    }
    if let Some(rows) = shape.first_mut() {
        *rows = tensors.iter().map(|t| t.shape[0]).sum();
    }
    let data: Vec<f32> = tensors.iter().flat_map(|t| t.as_f32().unwrap_or_default()).copied().collect();
    Ok(Tensor::f32(shape, data))
}

/// The least and the most that a size may be.
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

/// Least and most samples that an input takes.
pub(super) fn lengths(manifest: &Manifest, input: u32) -> (usize, usize) {
    limits(manifest, manifest.inputs[input as usize].shape.last())
}
