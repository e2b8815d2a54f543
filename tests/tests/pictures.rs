//! Pictures become the same bytes as in Pillow and the same numbers as in the processors of transformers
//! (`tests/fixtures/pictures/make.py` says how the expectations are made).

use std::fs;

use gristmill_bundle::{Filter, PictureStep, Pictures, Resized};
use gristmill_compiler::pictures::pictures;
use gristmill_runtime::picture::Picture;
use gristmill_tests::goldens::root;
use safetensors::SafeTensors;
use serde_json::{Map, Value};

/// Calls `f` with the cases of a kind and the tensors they name.
fn with_cases(kind: &str, f: impl Fn(&Value, &SafeTensors<'_>)) {
    let folder = root().join("tests/fixtures/pictures");
    let cases: Value = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let bytes = fs::read(folder.join("tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let cases = cases[kind].as_array().unwrap();
    assert!(cases.len() >= 10, "{} cases", cases.len());
    cases.iter().for_each(|case| f(case, &tensors));
}

fn picture(case: &Value, tensors: &SafeTensors<'_>) -> Picture {
    let view = tensors.tensor(case["picture"].as_str().unwrap()).unwrap();
    Picture::from_rgb(view.shape()[1], view.shape()[0], view.data().to_vec()).unwrap()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn every_filter_gives_the_bytes_of_pillow() {
    with_cases("resized", |case, tensors| {
        let name = case["expect"].as_str().unwrap();
        let expect = tensors.tensor(name).unwrap();
        let (height, width) = (expect.shape()[0], expect.shape()[1]);
        let filter: Filter = serde_json::from_value(case["filter"].clone()).unwrap();
        let to = Resized::Exact { height: height as u32, width: width as u32 };
        let steps = vec![PictureStep::Resize { to, filter }];
        let how = Pictures { steps, factor: 1.0, mean: [0.0; 3], std: [1.0; 3] };
        let found = picture(case, tensors).tensor(&how).unwrap();
        let found = found.as_f32().unwrap();
        for (i, byte) in expect.data().iter().enumerate() {
            let (pixel, channel) = (i / 3, i % 3);
            let here = found[channel * height * width + pixel];
            assert_eq!(here, f32::from(*byte), "{name}: row {}, column {}", pixel / width, pixel % width);
        }
    });
}

#[test]
fn settings_of_processors_give_their_numbers() {
    with_cases("prepared", |case, tensors| {
        let name = case["expect"].as_str().unwrap();
        let expect = tensors.tensor(name).unwrap();
        let how = pictures(&case["settings"], &Map::new()).unwrap().unwrap();
        let found = picture(case, tensors).tensor(&how).unwrap();
        assert_eq!(found.shape, expect.shape(), "{name}");
        let expect = floats(expect.data());
        let worst = found.as_f32().unwrap().iter().zip(&expect).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        // Far below what one step of a byte makes, which is 1/255 divided by std: the bytes are the same.
        assert!(worst < 1e-6, "{name}: {worst}");
    });
}
