//! Draws boxes with labels on an image.

use gristmill_runtime::image::Image;
use gristmill_runtime::task::Detection;

use super::font::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};

/// Colours of classes, used in turn. White text is legible on all of them.
const COLOURS: [[u8; 3]; 8] = [
    [200, 40, 40],
    [30, 110, 200],
    [20, 130, 60],
    [170, 60, 170],
    [190, 100, 0],
    [0, 125, 130],
    [110, 80, 200],
    [130, 95, 40],
];

/// An image to draw on.
struct Canvas {
    width: i64,
    height: i64,
    rgb: Vec<u8>,
}

impl Canvas {
    /// Fills a rectangle, clipped to the image. `right` and `bottom` are exclusive.
    fn fill(&mut self, left: i64, top: i64, right: i64, bottom: i64, colour: [u8; 3]) {
        for y in top.max(0)..bottom.min(self.height) {
            for x in left.max(0)..right.min(self.width) {
                let at = 3 * (y * self.width + x) as usize;
                self.rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    fn frame(&mut self, corners: [i64; 4], thick: i64, colour: [u8; 3]) {
        let [left, top, right, bottom] = corners;
        self.fill(left, top, right, top + thick, colour);
        self.fill(left, bottom - thick, right, bottom, colour);
        self.fill(left, top, left + thick, bottom, colour);
        self.fill(right - thick, top, right, bottom, colour);
    }

    /// Draws text on a background; [`Canvas::text_height`] is its height.
    fn text(&mut self, text: &str, left: i64, top: i64, size: i64, ground: [u8; 3]) {
        let step = (GLYPH_WIDTH + 1) * size;
        let count = text.chars().count() as i64;
        self.fill(left, top, left + count * step + size, top + Self::text_height(size), ground);
        for (i, c) in text.chars().enumerate() {
            let from = left + size + i as i64 * step;
            for (row, bits) in glyph(c).into_iter().enumerate() {
                for column in (0..GLYPH_WIDTH).filter(|c| bits >> (GLYPH_WIDTH - 1 - c) & 1 == 1) {
                    let (x, y) = (from + column * size, top + (row as i64 + 1) * size);
                    self.fill(x, y, x + size, y + size, [255; 3]);
                }
            }
        }
    }

    fn text_height(size: i64) -> i64 {
        (GLYPH_HEIGHT + 2) * size
    }
}

/// The pixels of the image with a box around each detected object. The object with the highest score is drawn last.
pub(super) fn boxes(image: &Image, found: &[Detection]) -> Vec<u8> {
    let (width, height) = (image.width() as i64, image.height() as i64);
    let mut canvas = Canvas { width, height, rgb: image.rgb().to_vec() };
    // Scaled to be legible at any image size.
    let size = (width.min(height) / 200).clamp(1, 20);
    for one in found.iter().rev() {
        let colour = COLOURS[one.what.class % COLOURS.len()];
        // Models may place boxes outside the image; they are clipped.
        let within = |v: f32, most: i64| (v.round() as i64).clamp(0, most);
        let [left, top, right, bottom] = one.corners;
        let corners = [within(left, width), within(top, height), within(right, width), within(bottom, height)];
        canvas.frame(corners, size.max(2), colour);
        let text = format!("{} {:.0}%", one.what.label, 100.0 * one.what.score);
        let above = corners[1] - Canvas::text_height(size);
        canvas.text(&text, corners[0], if above < 0 { corners[1] } else { above }, size, colour);
    }
    canvas.rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_runtime::task::Score;

    #[test]
    fn boxes_stay_in_the_image() {
        let image = Image::from_rgb(30, 20, vec![0; 1800]).unwrap();
        let what = Score { label: "cat".to_string(), class: 0, score: 0.9 };
        let found = [Detection { what, corners: [-50.0, 10.0, 25.0, 1e30] }];
        let drawn = boxes(&image, &found);
        let pixel = |x: usize, y: usize| [0, 1, 2].map(|c| drawn[3 * (y * 30 + x) + c]);
        assert_eq!(pixel(24, 15), COLOURS[0], "the right edge");
        assert_eq!(pixel(10, 19), COLOURS[0], "the lower edge");
        assert_eq!(pixel(10, 15), [0; 3], "inside");
        assert_eq!(pixel(28, 15), [0; 3], "outside");
        assert!(drawn.chunks(3).any(|p| p == [255; 3]), "there is text");
        assert_eq!(boxes(&image, &[]), image.rgb());
    }
}
