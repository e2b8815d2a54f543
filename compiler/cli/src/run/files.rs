//! Reads images from files.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use gristmill_runtime::file_kind::{HEAD, Medium, file_kind};
use gristmill_runtime::image::{Image, MAX_PIXELS, check_size};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::failure::{Failure, Outcome};
use crate::output::note;

const EXPECTED: &str = "expected a PNG, JPEG, WebP, GIF, BMP, TIFF, PNM or ICO file";

/// Maximum number of pixels decoded at the same time, unless a single image has more.
const AT_ONCE: u64 = 16 << 20;
/// Maximum number of images per batch: larger batches are hardly faster, and take memory.
const MOST_AT_ONCE: usize = 16;

/// Reads an image, rotated upright, with the same RGB values as Pillow's `convert("RGB")`.
pub(crate) fn read(path: &Path) -> Outcome<Image> {
    let (mut decoder, format) = open(path)?;
    let place = |fault: String| wrong(path, &fault);
    let fault = |e: image::ImageError| place(undecodable(&e));
    // Some decoders need more than one copy; a pixel has at most 16 bytes.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(32 * MAX_PIXELS);
    decoder.set_limits(limits).map_err(fault)?;
    // If the orientation cannot be read, the image is used as it is.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    let (rgb, warning) = colours(image, format).map_err(place)?;
    if let Some(warning) = warning {
        note(&format!("warning: {}: {warning}", path.display()));
    }
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    Ok(Image::from_rgb(width, height, rgb.into_raw())?)
}

/// The number of pixels of an image, according to its header.
///
/// # Errors
/// If it is not a supported image, or too large.
pub(super) fn pixels(path: &Path) -> Outcome<u64> {
    let (width, height) = open(path)?.0.dimensions();
    Ok(u64::from(width) * u64::from(height))
}

/// Divides images, in order, into batches that fit into memory.
pub(super) fn groups(paths: &[PathBuf]) -> Outcome<Vec<&[PathBuf]>> {
    let (mut groups, mut start, mut sum) = (Vec::new(), 0, 0);
    for (at, path) in paths.iter().enumerate() {
        let pixels = pixels(path)?;
        if at > start && (sum + pixels > AT_ONCE || at - start == MOST_AT_ONCE) {
            groups.push(&paths[start..at]);
            (start, sum) = (at, 0);
        }
        sum += pixels;
    }
    groups.push(&paths[start..]);
    Ok(groups)
}

/// A decoder that has read the header of an image.
fn open(path: &Path) -> Outcome<(impl ImageDecoder, ImageFormat)> {
    let mut file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Failure::io(path, &e))?;
    file.rewind().map_err(|e| Failure::io(path, &e))?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|e| Failure::io(path, &e))?;
    let format = reader.format().filter(ImageFormat::reading_enabled);
    let format = format.ok_or_else(|| wrong(path, &unknown(&head)))?;
    let decoder = reader.into_decoder().map_err(|e| wrong(path, &undecodable(&e)))?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into()).map_err(|e| wrong(path, &e.to_string()))?;
    Ok((decoder, format))
}

fn wrong(path: &Path, fault: &str) -> Failure {
    Failure::wrong(format!("{}: {fault}", path.display()))
}

fn undecodable(error: &image::ImageError) -> String {
    format!("the image cannot be decoded: {error}; convert it to PNG or JPEG")
}

/// The error for a file that starts with these bytes, if no decoder recognizes it.
fn unknown(head: &[u8]) -> String {
    match file_kind(head) {
        None => format!("not an image; {EXPECTED}"),
        Some(kind) if kind.medium == Medium::Image => {
            format!("this is {}, which is not supported; convert it to PNG or JPEG", kind.name)
        }
        Some(kind) => format!("not an image: this is {}; {EXPECTED}", kind.name),
    }
}

/// The RGB values as Pillow computes them, without alpha, and a warning if there is one.
fn colours(image: DynamicImage, format: ImageFormat) -> Result<(RgbImage, Option<&'static str>), String> {
    let (width, height) = (image.width(), image.height());
    let made = |bytes: Vec<u8>| RgbImage::from_raw(width, height, bytes).ok_or_else(|| "no pixels".to_string());
    // Pillow takes the upper eight of 16 bits, except for PNM, which it scales.
    let upper = |value: u16| (value >> 8) as u8;
    Ok(match &image {
        DynamicImage::ImageLuma16(grey) => {
            let bytes: Vec<u8> = grey.as_raw().iter().flat_map(|v| [(*v).min(255) as u8; 3]).collect();
            let white = grey.as_raw().iter().any(|v| *v > 255);
            const CLIPPED: &str = "16-bit grey values above 255 become white, as in Pillow; save it with 8 bits per \
                channel to avoid that";
            (made(bytes)?, white.then_some(CLIPPED))
        }
        DynamicImage::ImageLumaA16(grey) => (made(grey.pixels().flat_map(|p| [upper(p[0]); 3]).collect())?, None),
        DynamicImage::ImageRgb16(rgb) if format != ImageFormat::Pnm => {
            (made(rgb.as_raw().iter().map(|v| upper(*v)).collect())?, None)
        }
        DynamicImage::ImageRgba16(rgba) => {
            (made(rgba.pixels().flat_map(|p| [p[0], p[1], p[2]].map(upper)).collect())?, None)
        }
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) => {
            return Err("floating-point pixels are not supported; save it with 8 bits per channel".to_string());
        }
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_)
        | DynamicImage::ImageRgb16(_) => (image.into_rgb8(), None),
        _ => return Err("this pixel format is not supported; save it with 8 bits per channel".to_string()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn photographs_stand_upright() {
        // Stored as cameras held sideways do, 16 wide and 24 high. Rotated as its EXIF data says, it has green in a
        // corner, red on the left and blue on the right.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/turned.jpg");
        let image = read(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((image.width(), image.height()), (24, 16));
        let strongest = |x: usize, y: usize| {
            let pixel = &image.rgb()[3 * (y * 24 + x)..][..3];
            ["red", "green", "blue"][(0..3).max_by_key(|c| pixel[*c]).unwrap_or(0)]
        };
        assert_eq!([strongest(1, 1), strongest(2, 12), strongest(21, 2)], ["green", "red", "blue"]);
    }

    /// Files of all kinds, compared with Pillow: `tests/fixtures/images/make.py`.
    #[test]
    fn colours_are_those_of_pillow() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/images/cases.json");
        let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(root).unwrap()).unwrap();
        assert!(cases.len() > 30, "{} cases", cases.len());
        let hex = |text: &Value| -> Vec<u8> {
            let text = text.as_str().unwrap();
            (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
        };
        let folder = tempfile::tempdir().unwrap();
        // A name that does not reveal the format.
        let path = folder.path().join("image");
        for case in &cases {
            let name = case["name"].as_str().unwrap();
            std::fs::write(&path, hex(&case["file"])).unwrap();
            let found = read(&path).map_err(|e| e.to_string());
            if let Some(fault) = case["fault"].as_str() {
                let found = found.map(|p| p.rgb().to_vec()).unwrap_err();
                assert!(found.contains(fault), "{name}: {found}");
                continue;
            }
            let found = found.unwrap_or_else(|e| panic!("{name}: {e}"));
            let size = [found.width() as u64, found.height() as u64];
            assert_eq!(serde_json::json!(size), case["size"], "{name}");
            let most = case["tolerance"].as_u64().unwrap_or(0);
            let far = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)) > most;
            let expected = hex(&case["rgb"]);
            assert!(!found.rgb().iter().zip(&expected).any(far), "{name}: {:?}, not {expected:?}", found.rgb());
        }
    }
}
