//! Pictures from files.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use gristmill_runtime::picture::{MAX_PIXELS, Picture, check_size};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::failure::{Failure, Outcome};

/// A picture from a file, upright.
pub(super) fn read(path: &Path) -> Outcome<Picture> {
    let place = |fault: String| Failure::wrong(format!("{}: {fault}", path.display()));
    let file = File::open(path).map_err(|e| Failure::io(path, &e))?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|e| Failure::io(path, &e))?;
    if reader.format().is_none_or(|f| !f.reading_enabled()) {
        return Err(place("not a picture; expected a PNG, JPEG, WebP or GIF file".to_string()));
    }
    let decode = || -> Result<DynamicImage, Failure> {
        let fault = |e: image::ImageError| place(format!("the picture cannot be decoded: {e}"));
        let mut decoder = reader.into_decoder().map_err(fault)?;
        let (width, height) = decoder.dimensions();
        check_size(width.into(), height.into()).map_err(|e| place(e.to_string()))?;
        // Some decoders need more than one copy; a pixel has at most 16 bytes.
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(32 * MAX_PIXELS);
        decoder.set_limits(limits).map_err(fault)?;
        // A file whose orientation cannot be read is shown as it is.
        let orientation = decoder.orientation().ok();
        let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
        if let Some(orientation) = orientation {
            image.apply_orientation(orientation);
        }
        Ok(image)
    };
    let rgb = decode()?.into_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    Ok(Picture::from_rgb(width, height, rgb.into_raw())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_stand_upright() {
        // Stored as cameras that are held sideways do, 16 wide and 24 high: green in a corner, red on the left, blue
        // on the right, once it is turned as it says.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/turned.jpg");
        let picture = read(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((picture.width(), picture.height()), (24, 16));
        let strongest = |x: usize, y: usize| {
            let pixel = &picture.rgb()[3 * (y * 24 + x)..][..3];
            ["red", "green", "blue"][(0..3).max_by_key(|c| pixel[*c]).unwrap_or(0)]
        };
        assert_eq!([strongest(1, 1), strongest(2, 12), strongest(21, 2)], ["green", "red", "blue"]);
    }
}
