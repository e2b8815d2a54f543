//! Resampling as in Pillow: one pass over the columns and one over the rows, in integers, rounded after each.

use std::f64::consts::PI;

use gristmill_bundle::Filter;

use super::pixels::Image;

/// Fractional bits of a coefficient: 32, minus 8 for a byte and 2 for the overshoot of sums.
const BITS: u32 = 32 - 8 - 2;

/// The image with another size, each side of which is at least 1.
pub(super) fn resize(image: &Image, width: usize, height: usize, filter: Filter) -> Image {
    if (image.width, image.height) == (width, height) {
        return image.clone();
    }
    let Some((support, weight)) = window(filter) else { return nearest(image, width, height) };
    let across = (image.width != width).then(|| Taps::new(image.width, width, support, weight));
    let down = (image.height != height).then(|| Taps::new(image.height, height, support, weight));
    let rgb = match (across, down) {
        (None, None) => image.rgb.clone(),
        (Some(across), None) => columns(&image.rgb, 3 * image.width, &across),
        (None, Some(down)) => rows(&image.rgb, 3 * width, &down),
        (Some(across), Some(down)) if rows_first(image, width, height) => {
            columns(&rows(&image.rgb, 3 * image.width, &down), 3 * image.width, &across)
        }
        (Some(across), Some(down)) => rows(&columns(&image.rgb, 3 * image.width, &across), 3 * width, &down),
    };
    Image { width, height, rgb }
}

/// Whether the pass over the rows comes first, which shows in the rounding. Pillow begins with the columns, except,
/// since version 13, if fewer rows save much more work.
fn rows_first(image: &Image, width: usize, height: usize) -> bool {
    let (less_high, less_wide) = (image.height as i64 - height as i64, image.width as i64 - width as i64);
    less_high > 0 && less_high > 2 * less_wide
}

/// The weight of a pixel at a distance.
type Weight = fn(f64) -> f64;

/// The radius of a filter, and its weight at a distance.
fn window(filter: Filter) -> Option<(f64, Weight)> {
    fn sinc(x: f64) -> f64 {
        if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
    }
    Some(match filter {
        Filter::Nearest => return None,
        Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
        Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Filter::Hamming => (1.0, |x| {
            let x = x.abs();
            if x == 0.0 {
                1.0
            } else if x >= 1.0 {
                0.0
            } else {
                let x = x * PI;
                x.sin() / x * (0.54 + 0.46 * x.cos())
            }
        }),
        Filter::Bicubic => (2.0, |x| {
            const A: f64 = -0.5;
            let x = x.abs();
            if x < 1.0 {
                ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
            } else if x < 2.0 {
                (((x - 5.0) * x + 8.0) * x - 4.0) * A
            } else {
                0.0
            }
        }),
        Filter::Lanczos => (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
    })
}

/// The source pixels and coefficients of each new pixel of a line.
struct Taps {
    /// The first source pixel, and the number of source pixels, of each new pixel.
    spans: Vec<(usize, usize)>,
    /// The coefficients of all new pixels, concatenated.
    weights: Vec<i32>,
}

impl Taps {
    fn new(from: usize, to: usize, support: f64, weight: Weight) -> Self {
        let scale = from as f64 / to as f64;
        // Filters widen when the image shrinks, and do not narrow when it grows.
        let stretch = scale.max(1.0);
        let support = support * stretch;
        let (mut spans, mut weights) = (Vec::with_capacity(to), Vec::new());
        let mut exact: Vec<f64> = Vec::new();
        for x in 0..to {
            let center = (x as f64 + 0.5) * scale;
            // Converting a negative number gives 0, the start of the line.
            let begin = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            exact.clear();
            exact.extend((begin..end).map(|i| weight((i as f64 - center + 0.5) * (1.0 / stretch))));
            let sum: f64 = exact.iter().sum();
            let whole = f64::from(1 << BITS);
            weights.extend(exact.iter().map(|w| {
                let w = if sum == 0.0 { *w } else { w / sum } * whole;
                // Half away from zero, then truncated.
                (w + 0.5f64.copysign(w)) as i32
            }));
            spans.push((begin, end - begin));
        }
        Taps { spans, weights }
    }

    /// The source pixels of each new pixel, with their coefficients.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut rest = self.weights.as_slice();
        self.spans.iter().map(move |(begin, count)| {
            let (own, behind) = rest.split_at(*count);
            rest = behind;
            (*begin, own)
        })
    }
}

/// A sum of coefficients times bytes, rounded to a byte.
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// The initial value of sums, so that truncation rounds.
const HALF: i32 = 1 << (BITS - 1);

/// `stride` is the number of bytes in a row.
fn columns(rgb: &[u8], stride: usize, taps: &Taps) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 * taps.spans.len() * (rgb.len() / stride));
    for line in rgb.chunks_exact(stride) {
        for (begin, weights) in taps.iter() {
            let mut sums = [HALF; 3];
            for (pixel, weight) in line[3 * begin..].chunks_exact(3).zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(i32::from(*value) * weight);
                }
            }
            out.extend(sums.map(byte));
        }
    }
    out
}

/// `stride` is the number of bytes in a row.
fn rows(rgb: &[u8], stride: usize, taps: &Taps) -> Vec<u8> {
    let mut out = Vec::with_capacity(stride * taps.spans.len());
    let mut sums = vec![HALF; stride];
    for (begin, weights) in taps.iter() {
        sums.fill(HALF);
        for (line, weight) in rgb[stride * begin..].chunks_exact(stride).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(i32::from(*value) * weight);
            }
        }
        out.extend(sums.iter().map(|s| byte(*s)));
    }
    out
}

fn nearest(image: &Image, width: usize, height: usize) -> Image {
    let (across, down) = (positions(image.width, width), positions(image.height, height));
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in &down {
        let line = &image.rgb[3 * y * image.width..][..3 * image.width];
        rgb.extend(across.iter().flat_map(|x| [line[3 * x], line[3 * x + 1], line[3 * x + 2]]));
    }
    Image { width, height, rgb }
}

/// The nearest source pixel of each new one. Steps are accumulated, to reproduce the rounding errors of the reference.
fn positions(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let mut at = step * 0.5;
    let next = |_| {
        let here = (at as usize).min(from - 1);
        at += step;
        here
    };
    (0..to).map(next).collect()
}
