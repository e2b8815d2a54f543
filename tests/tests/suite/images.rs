//! Image preprocessing gives the same bytes as Pillow and the same numbers as the processors of transformers
//! (`tests/fixtures/image_inputs/make.py` records the expectations).

use std::fs;
use std::sync::Arc;

use gristmill_bundle::{Bundle, Cut, Filter, ImageStep, Images, Resized};
use gristmill_compiler::hf::images::images;
use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_runtime::blocking::{classify, compare, detect};
use gristmill_runtime::image::Image;
use gristmill_runtime::native::{Wasm, WasmOptions};
use gristmill_runtime::task::TaskInputs;
use gristmill_tests::goldens::{Case, root};
use safetensors::SafeTensors;
use serde_json::{Map, Value};
use tempfile::TempDir;

fn all_cases() -> Value {
    serde_json::from_slice(&fs::read(root().join("tests/fixtures/image_inputs/cases.json")).unwrap()).unwrap()
}

/// Calls `f` with the cases of a kind, and the tensors that they refer to.
fn with_cases(kind: &str, f: impl Fn(&Value, &SafeTensors<'_>)) {
    let cases = all_cases();
    let bytes = fs::read(root().join("tests/fixtures/image_inputs/tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let cases = cases[kind].as_array().unwrap();
    assert!(cases.len() >= 10, "{} cases", cases.len());
    cases.iter().for_each(|case| f(case, &tensors));
}

fn image(case: &Value, tensors: &SafeTensors<'_>) -> Image {
    let view = tensors.tensor(case["image"].as_str().unwrap()).unwrap();
    Image::from_rgb(view.shape()[1], view.shape()[0], view.data().to_vec()).unwrap()
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
        let steps = vec![ImageStep::Resize { to, filter }];
        let how = Images { steps, cut: Cut::Whole, factor: 1.0, mean: [0.0; 3], std: [1.0; 3] };
        let found = image(case, tensors).prepare(&how).unwrap().tensor;
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
        let how = images(&case["settings"], None, &Map::new(), None, gristmill_graph::Cut::Whole).unwrap().unwrap();
        let found = image(case, tensors).prepare(&how).unwrap().tensor;
        assert_eq!(found.shape, expect.shape(), "{name}");
        let expect = floats(expect.data());
        let worst = found.as_f32().unwrap().iter().zip(&expect).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        // Far below the effect of one step of a byte, which is 1/255 divided by std: the bytes are the same.
        assert!(worst < 1e-6, "{name}: {worst}");
    });
}

/// `tests/fixtures/image_inputs/processors.py` records the expectations.
#[test]
fn settings_mean_what_their_class_makes_of_them() {
    let bytes = fs::read(root().join("tests/fixtures/image_inputs/processors.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let bytes = fs::read(root().join("tests/fixtures/image_inputs/tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut refused = 0;
    for case in &cases {
        let settings = &case["settings"];
        let how = images(settings, case["model_type"].as_str(), &Map::new(), None, gristmill_graph::Cut::Whole);
        let Some(expect) = case["values"].as_array() else {
            let fault = how.map(|how| format!("{how:?}")).expect_err(&settings.to_string());
            assert!(fault.contains('`'), "{settings}: {fault} names no setting");
            refused += 1;
            continue;
        };
        let how = how.unwrap_or_else(|e| panic!("{settings}: {e}")).unwrap();
        let found = image(case, &tensors).prepare(&how).unwrap().tensor;
        assert_eq!(serde_json::json!(found.shape), case["shape"], "{settings}");
        let values = found.as_f32().unwrap().iter().step_by(case["step"].as_u64().unwrap() as usize);
        assert_eq!(values.len(), expect.len(), "{settings}");
        for (found, expect) in values.zip(expect) {
            let expect = expect.as_f64().unwrap();
            let error = (f64::from(*found) - expect).abs();
            assert!(error <= 1e-6 * expect.abs().max(1.0), "{settings}: {found} instead of {expect}");
        }
    }
    assert!(refused > 20 && cases.len() - refused > 60, "{refused} of {} cases are refused", cases.len());
}

/// A golden model on WebAssembly, its bundle, and the folder of the bundle.
fn loaded(model: &Value) -> (Arc<Bundle>, Wasm, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bundle");
    let options = CompileOptions { precision: "f32".into(), targets: vec!["wasm".into()], ..CompileOptions::default() };
    compile(&Case::open(model.as_str().unwrap()).model_dir(), &out, &options, &Quiet).unwrap();
    let bundle = Arc::new(Bundle::open(&out).unwrap());
    let one = WasmOptions { threads: Some(1), relaxed: None, ..WasmOptions::default() };
    let backend = Wasm::load(bundle.clone(), &one, &mut |_, _| {}).unwrap();
    (bundle, backend, folder)
}

fn close(found: f32, expect: &Value, tolerance: f64) {
    let expect = expect.as_f64().unwrap();
    assert!((f64::from(found) - expect).abs() <= tolerance, "{found} instead of {expect}");
}

#[test]
fn answers_are_those_of_transformers() {
    let bytes = fs::read(root().join("tests/fixtures/image_inputs/tensors.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let images = [image(&serde_json::json!({ "image": "wide" }), &tensors)];
    let given = TaskInputs { images: &images, ..TaskInputs::default() };
    let answered = &all_cases()["answered"];

    let expect = &answered["classify"];
    let (bundle, mut backend, _folder) = loaded(&expect["model"]);
    let scores = classify(&mut backend, bundle.manifest(), given).unwrap().swap_remove(0);
    assert_eq!(scores.len(), expect["classes"].as_array().unwrap().len());
    scores.iter().for_each(|s| close(s.score, &expect["classes"][s.class], 1e-5));
    assert!(scores.is_sorted_by(|a, b| a.score >= b.score));

    let expect = &answered["detect"];
    let (bundle, mut backend, _folder) = loaded(&expect["model"]);
    let found = detect(&mut backend, bundle.manifest(), given, 0.2).unwrap().swap_remove(0);
    assert!(found.len() > 3 && found.len() == expect["found"].as_array().unwrap().len(), "{found:?}");
    for (one, expect) in found.iter().zip(expect["found"].as_array().unwrap()) {
        assert_eq!(one.what.class as u64, expect[1].as_u64().unwrap());
        close(one.what.score, &expect[0], 1e-5);
        one.corners.iter().enumerate().for_each(|(i, c)| close(*c, &expect[2][i], 1e-3));
    }

    let expect = &answered["compare"];
    let texts: Vec<Vec<u32>> = serde_json::from_value(expect["texts"].clone()).unwrap();
    let (bundle, mut backend, _folder) = loaded(&expect["model"]);
    let fits = compare(&mut backend, bundle.manifest(), TaskInputs { texts: &texts, ..given }).unwrap();
    for i in 0..texts.len() {
        close(fits[0].similarity[i], &expect["similarity"][i], 1e-3);
        close(fits[0].probability[i], &expect["probability"][i], 1e-4);
    }
}
