use gristmill_bundle::{Filter, ImageStep, Resized};

use super::*;

fn sizes(shortest: u32, longest: Option<u32>, height: usize, width: usize) -> [u64; 2] {
    fit::resized(Resized::Shortest { shortest, longest }, height, width).unwrap()
}

#[test]
fn sizes_are_those_of_the_reference() {
    // Computed by `get_size_with_aspect_ratio`.
    assert_eq!(sizes(224, None, 480, 640), [224, 298]);
    assert_eq!(sizes(224, None, 640, 480), [298, 224]);
    assert_eq!(sizes(224, None, 224, 500), [224, 500]);
    assert_eq!(sizes(800, Some(1333), 480, 640), [800, 1066]);
    assert_eq!(sizes(800, Some(1333), 427, 1000), [569, 1333]);
    assert_eq!(sizes(80, Some(128), 30, 200), [19, 128]);
}

#[test]
fn the_middle_is_cut_out_and_filled_up() {
    // The value of each pixel is its index.
    let numbered =
        |w: usize, h: usize| Image::from_rgb(w, h, (0..w * h).flat_map(|i| [i as u8 + 1; 3]).collect()).unwrap();
    let cropped = |w, h, to_w, to_h| {
        let image = numbered(w, h).cropped(to_w, to_h).unwrap();
        image.rgb.chunks(3).map(|p| p[0]).collect::<Vec<_>>()
    };
    assert_eq!(cropped(4, 3, 2, 1), [6, 7]);
    assert_eq!(cropped(3, 1, 2, 1), [1, 2], "what is cut off in front is rounded down");
    assert_eq!(cropped(2, 1, 5, 1), [0, 0, 1, 2, 0], "what is added in front is rounded up");
    assert_eq!(cropped(3, 1, 1, 2), [0, 2]);
}

#[test]
fn bytes_become_numbers_channel_by_channel() {
    let image = Image::from_rgba(2, 1, &[255, 0, 51, 0, 0, 255, 102, 255]).unwrap();
    let how =
        Images { steps: Vec::new(), cut: Cut::Whole, factor: 1.0 / 255.0, mean: [0.5, 0.0, 0.0], std: [0.5, 1.0, 2.0] };
    let tensor = image.prepare(&how).unwrap().tensor;
    assert_eq!(tensor, Tensor::f32([1, 3, 1, 2], vec![1.0, -1.0, 0.0, 1.0, 0.1, 0.2]));
}

#[test]
fn hostile_sizes_are_refused_before_anything_is_made() {
    let message = |r: Result<Image, Error>| r.unwrap_err().to_string();
    assert!(message(Image::from_rgb(0, 5, Vec::new())).contains("at least one pixel"));
    assert!(message(Image::from_rgb(usize::MAX, 2, Vec::new())).contains("at most 67108864 pixels"));
    assert!(message(Image::from_rgb(2, 2, vec![0; 11])).contains("expected 12 bytes for 2 x 2, found 11"));
    let line = Image::from_rgb(5000, 1, vec![0; 15000]).unwrap();
    let to = Resized::Shortest { shortest: 8, longest: None };
    let how = Images {
        steps: vec![ImageStep::Resize { to, filter: Filter::Bilinear }],
        cut: Cut::Whole,
        factor: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    assert!(line.prepare(&how).unwrap_err().to_string().contains("no side exceeds"));
}

#[test]
fn multiples_have_the_pixels_of_the_reference() {
    // Computed by `smart_resize`.
    let sizes = |of, least, most, height, width| fit::resized(Resized::Multiple { of, least, most }, height, width);
    assert_eq!(sizes(28, 3136, 1003520, 480, 640).unwrap(), [476, 644]);
    assert_eq!(sizes(28, 3136, 1003520, 10, 20).unwrap(), [56, 84]);
    assert_eq!(sizes(28, 3136, 1003520, 3000, 4000).unwrap(), [840, 1148]);
    assert_eq!(sizes(28, 3136, 1003520, 42, 70).unwrap(), [56, 56]);
    let narrow = sizes(28, 3136, 1003520, 1, 201).unwrap_err().to_string();
    assert!(narrow.contains("an aspect ratio of at most 200"), "{narrow}");
}

#[test]
fn the_size_that_shows_most_is_best() {
    // Computed by `select_best_resolution` and `get_patch_output_size`.
    let sizes = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]];
    let found = |height, width| {
        let best = fit::best(&sizes, height, width);
        (best, fit::within(best, height, width))
    };
    assert_eq!(found(480, 640), ([672, 672], [504, 672]));
    assert_eq!(found(100, 300), ([336, 672], [225, 672]));
    assert_eq!(found(1000, 200), ([1008, 336], [1008, 202]));
    assert_eq!(found(336, 336), ([336, 672], [336, 336]));
}

#[test]
fn pieces_are_cut_in_their_order() {
    // Red counts the pixels, row by row.
    let numbered = |w: usize, h: usize| (0..w * h).flat_map(|i| [i as u8, 100, 200]).collect();
    let how = |steps, cut| Images { steps, cut, factor: 1.0, mean: [0.0; 3], std: [1.0; 3] };
    let image = Image::from_rgb(4, 2, numbered(4, 2)).unwrap();
    let tiles = image.prepare(&how(vec![], Cut::Tiles { side: 2, filter: Filter::Nearest })).unwrap();
    assert_eq!((tiles.tensor.shape.as_slice(), tiles.known), ([1, 3, 3, 2, 2].as_slice(), [2, 4, 1, 2]));
    let reds: Vec<f32> = tiles.tensor.as_f32().unwrap().chunks(12).flat_map(|t| t[..4].to_vec()).collect();
    assert_eq!(reds, [1.0, 3.0, 5.0, 7.0, 0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);

    let patches = image.prepare(&how(vec![], Cut::Patches { side: 1, merge: 2, frames: 2 })).unwrap();
    assert_eq!((patches.tensor.shape.as_slice(), patches.known), ([8, 6].as_slice(), [2, 4, 2, 4]));
    let rows: Vec<&[f32]> = patches.tensor.as_f32().unwrap().chunks(6).collect();
    assert_eq!(rows[2], [4.0, 4.0, 100.0, 100.0, 200.0, 200.0]);
    assert_eq!(rows.iter().map(|r| r[0]).collect::<Vec<_>>(), [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
    let count = "floor_div(rows * columns, 4) + height".parse::<Size>().expect("a size");
    assert_eq!(patches.eval(&count).unwrap(), 4);
    let odd = Image::from_rgb(3, 2, numbered(3, 2)).unwrap();
    let refused = odd.prepare(&how(vec![], Cut::Patches { side: 1, merge: 2, frames: 1 })).unwrap_err();
    assert!(refused.to_string().contains("multiples of 2, found 3 x 2"), "{refused}");

    // Half a pixel less before the image, in black.
    let fitted = image.changed(&ImageStep::Fit { sizes: vec![[5, 4]], filter: Filter::Nearest }).unwrap();
    assert_eq!((fitted.width, fitted.height), (4, 5));
    assert_eq!(fitted.rgb.chunks(12).map(|row| row[3]).collect::<Vec<_>>(), [0, 1, 5, 0, 0]);
}
