use std::collections::BTreeMap;

use gristmill_bundle::{Cut, Elem, EntryRole, Images, Input, InputSource, Output, Size, TaskInput};

use super::*;
use crate::backend::Pending;
use crate::testing::decoder_manifest;

/// Returns fixed outputs, and records requests.
struct Fixed {
    outputs: Tensors,
    asked: Vec<Request>,
}

impl Backend for Fixed {
    fn describe(&self) -> String {
        "fixed".to_string()
    }
    fn begin(&mut self, _: u32, _: u32) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }
    fn start<'a>(&'a mut self, request: &'a Request, _: &'a [&'a str]) -> Pending<'a, ()> {
        self.asked.push(request.clone());
        Box::pin(async { Ok(()) })
    }
    fn finish(&mut self) -> Pending<'_, Tensors> {
        Box::pin(async { Ok(self.outputs.clone()) })
    }
}

fn manifest(meaning: TaskOutput) -> Manifest {
    let mut manifest = decoder_manifest();
    manifest.states.clear();
    let size = |s: &str| s.parse::<Size>().expect("a size");
    let input = |name: &str, elem, shape: &[&str]| Input {
        name: name.to_string(),
        elem,
        shape: shape.iter().map(|s| size(s)).collect(),
        default: None,
        advance: None,
        below: None,
    };
    manifest.inputs = vec![
        input("pixel_values", Elem::F32, &["B", "3", "1", "1"]),
        input("input_ids", Elem::I32, &["B", "T"]),
        input("attention_mask", Elem::I32, &["B", "T"]),
    ];
    let output = |name: &str, shape: &[&str]| Output {
        name: name.to_string(),
        elem: Elem::F32,
        shape: shape.iter().map(|s| size(s)).collect(),
    };
    let image = Images { steps: Vec::new(), cut: Cut::Whole, factor: 1.0, mean: [0.0; 3], std: [1.0; 3] };
    let sources = match meaning {
        TaskOutput::Compare { .. } => vec![InputSource::Image(image), InputSource::Text, InputSource::Mask],
        _ => vec![InputSource::Image(image)],
    };
    let rank = if matches!(meaning, TaskOutput::Detect { .. }) { vec!["B", "2", "3"] } else { vec!["B", "3"] };
    manifest.entries = vec![Entry {
        name: "forward".to_string(),
        role: EntryRole::Tensors,
        bind: BTreeMap::new(),
        inputs: (0..sources.len() as u32).collect(),
        outputs: vec![output("logits", &rank), output("boxes", &["B", "2", "4"])],
        task: Some(Task {
            inputs: sources.into_iter().enumerate().map(|(i, source)| TaskInput { input: i as u32, source }).collect(),
            output: meaning,
        }),
        states: vec![],
        components: vec![],
    }];
    manifest.validate().unwrap();
    manifest
}

fn backend(logits: Tensor, boxes: Tensor) -> Fixed {
    let outputs = BTreeMap::from([("logits".to_string(), logits), ("boxes".to_string(), boxes)]);
    Fixed { outputs, asked: Vec::new() }
}

fn nothing() -> Tensor {
    Tensor::f32([0], Vec::new())
}

fn dot(r: u8, g: u8, b: u8) -> Image {
    Image::from_rgb(1, 1, vec![r, g, b]).unwrap()
}

#[test]
fn classes_come_in_the_order_of_their_scores() {
    let labels = ["cat", "dog", "bee"].map(String::from).to_vec();
    let m = manifest(TaskOutput::Classify { scores: 0, labels: labels.clone(), independent: false });
    let mut fixed = backend(Tensor::f32([1, 3], vec![0.0, (3f32).ln(), -100.0]), nothing());
    let images = [dot(1, 2, 3), dot(4, 5, 6)];
    let given = TaskInputs { images: &images, ..TaskInputs::default() };
    let scores = pollster::block_on(classify(&mut fixed, &m, given)).unwrap();
    assert_eq!(scores.len(), 2);
    let shown: Vec<_> = scores[0].iter().map(|s| (s.label.as_str(), s.class, (s.score * 1e4).round())).collect();
    assert_eq!(shown, [("dog", 1, 7500.0), ("cat", 0, 2500.0), ("bee", 2, 0.0)]);
    assert_eq!(fixed.asked[1].inputs["pixel_values"], Tensor::f32([1, 3, 1, 1], vec![4.0, 5.0, 6.0]));

    let m = manifest(TaskOutput::Classify { scores: 0, labels: Vec::new(), independent: true });
    let scores = pollster::block_on(classify(&mut fixed, &m, given)).unwrap();
    assert_eq!((scores[0][0].label.as_str(), (scores[0][0].score * 1e4).round()), ("1", 7500.0));
    let none = pollster::block_on(detect(&mut fixed, &m, given, 0.5)).unwrap_err().to_string();
    assert_eq!(none, "this model does not detect; it can classify");
}

#[test]
fn boxes_are_in_pixels_and_nothing_is_left_out() {
    let m = manifest(TaskOutput::Detect { scores: 0, boxes: 1, labels: vec!["cat".into(), "dog".into()] });
    let logits = Tensor::f32([1, 2, 3], vec![0.0, 5.0, 0.0, 1.0, 0.0, 6.0]);
    let boxes = Tensor::f32([1, 2, 4], vec![0.5, 0.5, 1.0, 0.5, 0.1, 0.1, 0.1, 0.1]);
    let mut fixed = backend(logits, boxes);
    let images = [Image::from_rgb(40, 20, vec![0; 2400]).unwrap()];
    let found =
        pollster::block_on(detect(&mut fixed, &m, TaskInputs { images: &images, ..TaskInputs::default() }, 0.5))
            .unwrap();
    assert_eq!(found[0].len(), 1, "what is most likely nothing is not found");
    assert_eq!((found[0][0].what.label.as_str(), found[0][0].corners), ("dog", [0.0, 5.0, 40.0, 15.0]));
}

#[test]
fn texts_are_padded_to_the_longest() {
    let m = manifest(TaskOutput::Compare { scores: 0 });
    let mut fixed = backend(Tensor::f32([1, 3], vec![0.0, 0.0, (2f32).ln()]), nothing());
    let (images, texts) = ([dot(0, 0, 0)], [vec![7, 8, 9], vec![5], vec![6, 4]]);
    let given = TaskInputs { images: &images, texts: &texts, ..TaskInputs::default() };
    let fits = pollster::block_on(compare(&mut fixed, &m, given)).unwrap();
    assert_eq!(fits[0].probability, [0.25, 0.25, 0.5]);
    let inputs = &fixed.asked[0].inputs;
    assert_eq!(inputs["input_ids"], Tensor::i32([3, 3], vec![7, 8, 9, 5, 0, 0, 6, 4, 0]));
    assert_eq!(inputs["attention_mask"], Tensor::i32([3, 3], vec![1, 1, 1, 1, 0, 0, 1, 1, 0]));
    let none = TaskInputs { texts: &texts, ..TaskInputs::default() };
    let message = pollster::block_on(compare(&mut fixed, &m, none)).unwrap_err().to_string();
    assert_eq!(message, "input `pixel_values`: expected an image, found none");
}
