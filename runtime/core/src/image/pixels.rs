//! Images as bytes.

use crate::error::Error;

/// The largest number of pixels of an image, before and after resizing: 192 MiB of memory.
pub const MAX_PIXELS: u64 = 1 << 26;

/// An RGB image with 8 bits per channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

/// Fails if an image of this size is empty or too large. Decoders call it before they allocate memory.
pub fn check_size(width: u64, height: u64) -> Result<(), Error> {
    let pixels = width.saturating_mul(height);
    if pixels == 0 {
        return Err(fault("at least one pixel", &format!("{width} x {height}")));
    }
    if pixels > MAX_PIXELS {
        let found = format!("{width} x {height}; make it smaller first");
        return Err(fault(&format!("at most {MAX_PIXELS} pixels"), &found));
    }
    Ok(())
}

/// An error about an image.
pub(super) fn fault(expected: &str, found: &str) -> Error {
    Error::Input { name: "image".to_string(), expected: expected.to_string(), found: found.to_string() }
}

impl Image {
    /// An image from 3 bytes per pixel (RGB), row by row.
    ///
    /// # Errors
    /// If the image is empty or too large, or the number of bytes is not `3 * width * height`.
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, Error> {
        check_size(width as u64, height as u64)?;
        if rgb.len() != 3 * width * height {
            return Err(fault(&format!("{} bytes for {width} x {height}", 3 * width * height), &rgb.len().to_string()));
        }
        Ok(Image { width, height, rgb })
    }

    /// An image from 4 bytes per pixel (RGBA), row by row. Alpha is dropped: the colours of transparent pixels show, as
    /// in Pillow.
    ///
    /// # Errors
    /// If the image is empty or too large, or the number of bytes is not `4 * width * height`.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Result<Self, Error> {
        check_size(width as u64, height as u64)?;
        if rgba.len() != 4 * width * height {
            return Err(fault(
                &format!("{} bytes for {width} x {height}", 4 * width * height),
                &rgba.len().to_string(),
            ));
        }
        let rgb = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        Ok(Image { width, height, rgb })
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of all pixels, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}
