//! `gristmill run --video`: compares videos with texts.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use gristmill_bundle::Bundle;
use gristmill_runtime::blocking;
use gristmill_runtime::image::{Image, MAX_PIXELS, check_size};
use gristmill_runtime::task::{TaskInputs, takes_videos, tasks};
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder, Limits};

use super::{files, labels, show};
use crate::args::RunArgs;
use crate::backend;
use crate::failure::{Failure, Outcome};
use crate::locate::{EXACT, Purpose, bundle_for};

/// Maximum number of frames per video.
const MAX_FRAMES: usize = 1 << 12;
/// Maximum number of pixels of all frames of a video.
const MAX_VIDEO: u64 = 8 * MAX_PIXELS;

/// Prints the similarity of the texts to each video.
pub(super) fn run(args: &RunArgs) -> Outcome {
    // Errors in files are found before anything is compiled or loaded.
    let (names, videos): (Vec<String>, Vec<Vec<Image>>) = videos(&args.video)?.into_iter().unzip();
    let dir = bundle_for(&args.model, &args.flags, EXACT, Purpose::Here)?;
    let bundle = Bundle::open(&dir)?;
    if !tasks(bundle.manifest()).any(|(_, task)| takes_videos(task)) {
        return Err(Failure::wrong(
            "--video: this model takes no videos, or its directory had no preprocessor_config.json or \
             processor_config.json when it was compiled",
        ));
    }
    let words = args.texts();
    let texts = labels::texts(&bundle, words, "videos")?;
    let mut loaded = backend::load(&dir, &args.backend)?;
    let given = TaskInputs { videos: &videos, texts: &texts, ..TaskInputs::default() };
    let fits = blocking::compare(loaded.backend.as_mut(), loaded.bundle.manifest(), given)?;
    show::fits(args, words, &names, &fits)
}

/// Videos by name: each folder or animation is one, and all other files together are one.
fn videos(paths: &[PathBuf]) -> Outcome<Vec<(String, Vec<Image>)>> {
    let mut videos = Vec::new();
    let mut rest = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        if path.is_dir() {
            let files = images_in(path)?;
            videos.push((name, read_all(&files)?));
        } else if is_gif(path)? {
            videos.push((name, animation(path)?));
        } else {
            rest.push(path.clone());
        }
    }
    if let Some(first) = rest.first() {
        let more = if rest.len() > 1 { format!(" and {} more", rest.len() - 1) } else { String::new() };
        videos.push((format!("{}{more}", first.display()), read_all(&rest)?));
    }
    Ok(videos)
}

/// The files of a folder, sorted by name in natural order.
fn images_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let fail = |e: std::io::Error| Failure::io(folder, &e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::wrong(format!("{}: no files; expected the images of a video", folder.display())));
    }
    files.sort_by_cached_key(|path| order(&path.file_name().unwrap_or_default().to_string_lossy()));
    Ok(files)
}

/// The sort key of a name: its characters, with each number as one element that compares by value, so that `frame10`
/// comes after `frame9`.
fn order(name: &str) -> Vec<(char, u64)> {
    let mut letters: Vec<(char, u64)> = Vec::new();
    let mut in_number = false;
    for c in name.chars() {
        let digit = c.to_digit(10);
        match (digit, letters.last_mut().filter(|_| in_number)) {
            (Some(digit), Some((_, number))) => *number = number.saturating_mul(10).saturating_add(u64::from(digit)),
            (Some(digit), None) => letters.push(('0', u64::from(digit))),
            (None, _) => letters.push((c, 0)),
        }
        in_number = digit.is_some();
    }
    letters
}

/// Reads images, as long as they fit into memory.
fn read_all(paths: &[PathBuf]) -> Outcome<Vec<Image>> {
    let mut video = Video::default();
    for path in paths {
        video.push(path, files::read(path)?)?;
    }
    Ok(video.images)
}

#[derive(Default)]
struct Video {
    images: Vec<Image>,
    pixels: u64,
}

impl Video {
    fn push(&mut self, path: &Path, image: Image) -> Outcome<()> {
        self.pixels += (image.width() * image.height()) as u64;
        if self.images.len() >= MAX_FRAMES || self.pixels > MAX_VIDEO {
            let most = format!("at most {MAX_FRAMES} images with {MAX_VIDEO} pixels in all are supported");
            return Err(Failure::wrong(format!(
                "{}: the video is too long: {most}; remove some images",
                path.display()
            )));
        }
        self.images.push(image);
        Ok(())
    }
}

fn is_gif(path: &Path) -> Outcome<bool> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    file.take(6).read_to_end(&mut head).map_err(|e| Failure::io(path, &e))?;
    Ok(head == b"GIF87a" || head == b"GIF89a")
}

/// The frames of an animation, in order.
fn animation(path: &Path) -> Outcome<Vec<Image>> {
    let fault =
        |e: image::ImageError| Failure::wrong(format!("{}: the animation cannot be decoded: {e}", path.display()));
    let file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    let mut decoder = GifDecoder::new(BufReader::new(file)).map_err(fault)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into()).map_err(|e| Failure::wrong(format!("{}: {e}", path.display())))?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(32 * MAX_PIXELS);
    decoder.set_limits(limits).map_err(fault)?;
    let mut video = Video::default();
    for frame in decoder.into_frames() {
        let pixels = frame.map_err(fault)?.into_buffer();
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        video.push(path, Image::from_rgba(width, height, &pixels.into_raw())?)?;
    }
    Ok(video.images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["b1.png", "a10.png", "a9.png", "a.png", "a9b.png", "010.png", "2.png"];
        names.sort_by_cached_key(|n| order(n));
        assert_eq!(names, ["2.png", "010.png", "a.png", "a9.png", "a9b.png", "a10.png", "b1.png"]);
    }
}
