//! Sizes that depend on the image, computed with the same fractions as in transformers.

use gristmill_bundle::Resized;

use super::pixels::fault;
use crate::error::Error;

/// The largest aspect ratio that `smart_resize` accepts.
const MAX_ASPECT: f64 = 200.0;

/// Height and width after a step.
pub(super) fn resized(to: Resized, height: usize, width: usize) -> Result<[u64; 2], Error> {
    Ok(match to {
        Resized::Exact { height, width } => [u64::from(height), u64::from(width)],
        Resized::Within { height: most_height, width: most_width } => {
            // `get_image_size_for_max_height_width`
            let [height, width] = [height, width].map(|side| side as f64);
            let scale = (f64::from(most_height) / height).min(f64::from(most_width) / width);
            [height, width].map(|side| (side * scale) as u64)
        }
        Resized::Shortest { shortest, longest } => {
            by_shortest(u64::from(shortest), longest.map(f64::from), height as u64, width as u64)
        }
        Resized::Multiple { of, least, most } => {
            multiple([of, least, most].map(f64::from), height as f64, width as f64)?
        }
    })
}

/// `get_size_with_aspect_ratio`: the shorter side gets a length, unless the longer one would then exceed its maximum.
fn by_shortest(size: u64, longest: Option<f64>, height: u64, width: u64) -> [u64; 2] {
    let (short, long) = (height.min(width), height.max(width));
    let too_long = longest.filter(|most| long as f64 / short as f64 * size as f64 > *most);
    // The reference computes the limited size with a fraction, and rounds the two sides each in its own way.
    let exact = too_long.map(|most| most * short as f64 / long as f64);
    let size = exact.map_or(size, |e| (e.round_ties_even() as u64).max(1));
    let long = match exact {
        _ if short == size => long,
        Some(exact) => (exact * long as f64 / short as f64) as u64,
        // Exact sizes are below 2^53, so this is the quotient of floats with its fraction cut off.
        None => size * long / short,
    };
    if height <= width { [size, long] } else { [long, size] }
}

/// `smart_resize`: multiples of a length, with a smallest and a largest number of pixels.
fn multiple([of, least, most]: [f64; 3], height: f64, width: f64) -> Result<[u64; 2], Error> {
    if height.max(width) / height.min(width) > MAX_ASPECT {
        let expected = format!("an aspect ratio of at most {MAX_ASPECT}");
        return Err(fault(&expected, &format!("{width} x {height}")));
    }
    let near = |side: f64| (side / of).round_ties_even() * of;
    let (pixels, found) = (near(height) * near(width), height * width);
    let sides = if pixels > most {
        let shrink = (found / most).sqrt();
        [height, width].map(|side| ((side / shrink / of).floor() * of).max(of))
    } else if pixels < least {
        let grow = (least / found).sqrt();
        [height, width].map(|side| (side * grow / of).ceil() * of)
    } else {
        [near(height), near(width)]
    };
    Ok(sides.map(|side| side as u64))
}

/// `select_best_resolution`: the size with the highest effective resolution; among equals, the one that wastes the
/// least.
pub(super) fn best(sizes: &[[u32; 2]], height: usize, width: usize) -> [u32; 2] {
    let (own_height, own_width) = (height as f64, width as f64);
    let mut chosen = (sizes.first().copied().unwrap_or([1, 1]), 0, u64::MAX);
    for size in sizes {
        let [tall, wide] = size.map(f64::from);
        let scale = (wide / own_width).min(tall / own_height);
        let seen = (own_width * scale) as u64 * (own_height * scale) as u64;
        let seen = seen.min(height as u64 * width as u64);
        let waste = (u64::from(size[0]) * u64::from(size[1])).saturating_sub(seen);
        if seen > chosen.1 || (seen == chosen.1 && waste < chosen.2) {
            chosen = (*size, seen, waste);
        }
    }
    chosen.0
}

/// `get_patch_output_size`: height and width of the image within a size, with its aspect ratio.
pub(super) fn within([tall, wide]: [u32; 2], height: usize, width: usize) -> [u64; 2] {
    let (by_width, by_height) = (f64::from(wide) / width as f64, f64::from(tall) / height as f64);
    let other = |side: usize, scale: f64, most: u32| ((side as f64 * scale).ceil() as u64).min(u64::from(most));
    if by_width < by_height {
        [other(height, by_width, tall), u64::from(wide)]
    } else {
        [u64::from(tall), other(width, by_height, wide)]
    }
}
