use gristmill_bundle::Filter;

use super::*;

fn sizes(shortest: u32, longest: Option<u32>, height: u64, width: u64) -> (u64, u64) {
    resized(Resized::Shortest { shortest, longest }, height, width)
}

#[test]
fn sizes_are_those_of_the_reference() {
    // Computed by `get_size_with_aspect_ratio`.
    assert_eq!(sizes(224, None, 480, 640), (224, 298));
    assert_eq!(sizes(224, None, 640, 480), (298, 224));
    assert_eq!(sizes(224, None, 224, 500), (224, 500));
    assert_eq!(sizes(800, Some(1333), 480, 640), (800, 1066));
    assert_eq!(sizes(800, Some(1333), 427, 1000), (569, 1333));
    assert_eq!(sizes(80, Some(128), 30, 200), (19, 128));
}

#[test]
fn the_middle_is_cut_out_and_filled_up() {
    // Each pixel holds its number.
    let numbered =
        |w: usize, h: usize| Picture::from_rgb(w, h, (0..w * h).flat_map(|i| [i as u8 + 1; 3]).collect()).unwrap();
    let cropped = |w, h, to_w, to_h| {
        let picture = numbered(w, h).cropped(to_w, to_h).unwrap();
        picture.rgb.chunks(3).map(|p| p[0]).collect::<Vec<_>>()
    };
    assert_eq!(cropped(4, 3, 2, 1), [6, 7]);
    assert_eq!(cropped(3, 1, 2, 1), [1, 2], "what is cut off in front is rounded down");
    assert_eq!(cropped(2, 1, 5, 1), [0, 0, 1, 2, 0], "what is added in front is rounded up");
    assert_eq!(cropped(3, 1, 1, 2), [0, 2]);
}

#[test]
fn bytes_become_numbers_channel_by_channel() {
    let picture = Picture::from_rgba(2, 1, &[255, 0, 51, 0, 0, 255, 102, 255]).unwrap();
    let how = Pictures { steps: Vec::new(), factor: 1.0 / 255.0, mean: [0.5, 0.0, 0.0], std: [0.5, 1.0, 2.0] };
    let tensor = picture.tensor(&how).unwrap();
    assert_eq!(tensor, Tensor::f32([1, 3, 1, 2], vec![1.0, -1.0, 0.0, 1.0, 0.1, 0.2]));
}

#[test]
fn hostile_sizes_are_refused_before_anything_is_made() {
    let message = |r: Result<Picture, Error>| r.unwrap_err().to_string();
    assert!(message(Picture::from_rgb(0, 5, Vec::new())).contains("at least one pixel"));
    assert!(message(Picture::from_rgb(usize::MAX, 2, Vec::new())).contains("at most 67108864 pixels"));
    assert!(message(Picture::from_rgb(2, 2, vec![0; 11])).contains("expected 12 bytes for 2 x 2, found 11"));
    let line = Picture::from_rgb(5000, 1, vec![0; 15000]).unwrap();
    let to = Resized::Shortest { shortest: 8, longest: None };
    let how = Pictures {
        steps: vec![PictureStep::Resize { to, filter: Filter::Bilinear }],
        factor: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    assert!(line.tensor(&how).unwrap_err().to_string().contains("no side of more than"));
}
