//! Tasks of a manifest: what is written is read, and what cannot be is refused.

use std::collections::BTreeMap;

use gristmill_bundle::*;

fn size(text: &str) -> Size {
    text.parse().expect("a size")
}

fn input(name: &str, elem: Elem, shape: &[&str]) -> Input {
    let shape = shape.iter().map(|s| size(s)).collect();
    Input { name: name.to_string(), elem, shape, default: None, advance: None, below: None }
}

fn output(name: &str, shape: &[&str]) -> Output {
    Output { name: name.to_string(), elem: Elem::F32, shape: shape.iter().map(|s| size(s)).collect() }
}

fn manifest() -> Manifest {
    let steps = vec![
        ImageStep::Resize { to: Resized::Shortest { shortest: 8, longest: None }, filter: Filter::Bicubic },
        ImageStep::Crop { height: 8, width: 8 },
    ];
    let images = Images { steps, cut: Cut::Whole, factor: 1.0 / 255.0, mean: [0.1; 3], std: [0.3; 3] };
    let task = Task {
        inputs: vec![TaskInput { input: 0, source: InputSource::Image(images) }],
        output: TaskOutput::Classify { scores: 0, labels: vec!["cat".into(), "dog".into()], independent: false },
    };
    Manifest {
        format: FORMAT,
        generator: "gristmill test".to_string(),
        model: ModelInfo {
            name: "tiny".to_string(),
            architecture: "tiny".to_string(),
            precision: "f32".to_string(),
            parameters: 0,
            max_context: 8,
            prefill_chunk: 4,
            eos_token_ids: vec![],
            decoder_start_tokens: vec![],
            choices: vec![],
            embedding: None,
        },
        symbols: vec![Symbol { name: "B".to_string(), min: 1, max: 4 }],
        inputs: vec![input("pixels", Elem::F32, &["B", "3", "8", "8"]), input("ids", Elem::I32, &["B", "4"])],
        states: vec![],
        entries: vec![Entry {
            name: "forward".to_string(),
            role: EntryRole::Tensors,
            bind: BTreeMap::new(),
            inputs: vec![0],
            outputs: vec![output("logits", &["B", "2"]), output("boxes", &["B", "5", "4"])],
            task: Some(task),
            states: vec![],
            components: vec![],
        }],
        tensors: vec![],
        shards: vec![],
        components: vec![],
        files: BTreeMap::new(),
        profiles: vec![],
    }
}

fn task(m: &mut Manifest) -> &mut Task {
    m.entries[0].task.as_mut().unwrap()
}

fn images(m: &mut Manifest) -> &mut Images {
    match &mut task(m).inputs[0].source {
        InputSource::Image(images) => images,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tasks_are_read_back() {
    let text = serde_json::to_string(&manifest()).unwrap();
    assert_eq!(parse_manifest(text.as_bytes()).unwrap(), manifest());
    assert!(text.contains(r#"{"resize":{"to":{"shortest":{"shortest":8}},"filter":"bicubic"}}"#), "{text}");
    let strange = text.replacen("\"bicubic\"", "\"sharp\"", 1);
    assert!(parse_manifest(strange.as_bytes()).unwrap_err().to_string().contains("unknown variant `sharp`"));
}

/// A change to a manifest, and what the complaint must mention.
type Forgery = (fn(&mut Manifest), &'static str);

#[test]
fn forged_tasks_are_refused() {
    let forgeries: &[Forgery] = &[
        (|m| task(m).inputs.clear(), "1 to 16 inputs, found 0"),
        (|m| task(m).inputs[0].input = 9, "input 9 is not an input of the entry"),
        (|m| task(m).inputs[0].input = 1, "input 1 is not an input of the entry"),
        (|m| m.entries[0].inputs = vec![0, 1], "`ids` has neither a default nor a source"),
        (
            |m| task(m).inputs[0].source = InputSource::Text,
            "`pixels` has the wrong type for its source: it needs I32 with 2 axes",
        ),
        (|m| images(m).steps[1] = ImageStep::Crop { height: 8, width: 0 }, "an image of 0 pixels"),
        (|m| images(m).steps[1] = ImageStep::Crop { height: 1 << 20, width: 8 }, "an image of 1048576 pixels"),
        (|m| images(m).steps = vec![ImageStep::Crop { height: 8, width: 8 }; 17], "17 steps for an image"),
        (|m| images(m).std[1] = 0.0, "std must not be 0"),
        (|m| images(m).factor = f64::NAN, "must be finite"),
        (|m| task(m).output = TaskOutput::Compare { scores: 7 }, "output 7 does not exist"),
        (|m| task(m).output = TaskOutput::Compare { scores: 1 }, "output `boxes` must be f32 with 2 axes"),
        (
            |m| task(m).output = TaskOutput::Classify { scores: 0, labels: vec!["cat".into()], independent: false },
            "1 names for 2 classes",
        ),
        (
            |m| {
                task(m).output =
                    TaskOutput::Classify { scores: 0, labels: vec!["x".repeat(2000); 2], independent: false }
            },
            "1000 bytes",
        ),
        (
            |m| task(m).output = TaskOutput::Detect { scores: 0, boxes: 1, labels: vec![] },
            "`logits` must be f32 with 3 axes",
        ),
        (|m| images(m).cut = Cut::Tiles { side: 0, filter: Filter::Box }, "pieces of 0 pixels"),
        (|m| images(m).cut = Cut::Patches { side: 4, merge: 1 << 20, frames: 1 }, "pieces of 1048576 pixels"),
        (|m| images(m).cut = Cut::Patches { side: 4, merge: 2, frames: 1 }, "it needs F32 with 2 axes"),
        (|m| images(m).steps[1] = ImageStep::Fit { sizes: vec![], filter: Filter::Box }, "a choice of 0 sizes"),
        (|m| images(m).steps[1] = ImageStep::Fit { sizes: vec![[8, 0]], filter: Filter::Box }, "an image of 0 pixels"),
        (
            |m| {
                let to = Resized::Multiple { of: 28, least: 9, most: 100 };
                images(m).steps[0] = ImageStep::Resize { to, filter: Filter::Box };
            },
            "images of 9 to 100 pixels, with sides in steps of 28",
        ),
        (
            |m| {
                let how = images(m).clone();
                task(m).inputs[0].source = InputSource::Frames(how);
            },
            "`pixels` has the wrong type for its source: it needs F32 with 5 axes",
        ),
        (|m| task(m).inputs[0].source = InputSource::Sizes(vec![size("depth")]), "`depth` is not a declared symbol"),
        (
            |m| task(m).inputs[0].source = InputSource::Sizes(vec![size("height")]),
            "`pixels` does not take 1 numbers per image",
        ),
        (
            |m| {
                let audio = AudioInput { rate: 8, normalize: false, fill: Fill::Silence };
                task(m).inputs[0].source =
                    InputSource::EncodedAudio(EncodedAudio { audio, entry: 7, input: 0, output: 0 });
            },
            "entry 7 has no input of 4 axes",
        ),
        (
            |m| task(m).output = TaskOutput::ImagePrompt { token: 5, count: size("rows"), placeholder: None },
            "the entry of an image prompt must encode",
        ),
        (
            |m| {
                m.entries[0].role = EntryRole::Encode;
                task(m).output = TaskOutput::ImagePrompt { token: 5, count: size("rows + T"), placeholder: None };
            },
            "`T` is not a declared symbol",
        ),
    ];
    for (forge, complaint) in forgeries {
        let mut m = manifest();
        forge(&mut m);
        let text = m.validate().unwrap_err().to_string();
        assert!(text.contains(complaint), "{text}\n  should mention: {complaint}");
        assert!(text.contains("entry `forward`"), "{text}");
    }
}
