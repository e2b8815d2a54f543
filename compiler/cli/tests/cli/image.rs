//! Images on the command line.

use std::path::PathBuf;

use serde_json::Value;

use crate::common::{Place, stories};

fn detector() -> PathBuf {
    stories().parent().unwrap().join("person-detector")
}

fn text(path: PathBuf) -> String {
    path.display().to_string()
}

#[test]
fn the_person_is_found_and_the_cat_is_none() {
    let place = Place::new();
    let (model, person, cat) =
        (text(detector()), text(detector().join("astronaut.png")), text(detector().join("cat.png")));
    let shown = place.run(&["run", &model, "--image", &person, "--backend", "wasm"]).ok();
    assert_eq!(shown, "class      score\nperson     89.6%\nno_person  10.4%\n");
    let readme = std::fs::read_to_string(stories().join("../../README.md")).unwrap();
    let indented: String = shown.lines().map(|l| format!("    {l}\n")).collect();
    assert!(readme.contains(&indented), "the README shows another output than\n{indented}");

    let shown = place.run(&["run", &model, "--image", &person, &cat, "--top", "1", "--json", "--backend", "wasm"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    // The results of transformers for the same files.
    let expect = [(&person, "person", 0.89612037), (&cat, "no_person", 0.95888603)];
    for (item, (path, label, score)) in shown.as_array().unwrap().iter().zip(expect) {
        assert_eq!(item["input"], path.as_str());
        assert_eq!(item["classes"].as_array().unwrap().len(), 1);
        assert_eq!(item["classes"][0]["label"], label);
        let found = item["classes"][0]["score"].as_f64().unwrap();
        assert!((found - score).abs() < 1e-5, "{label}: {found} instead of {score}");
    }
}

#[test]
fn what_is_no_image_is_said_before_anything_is_compiled() {
    let place = Place::new();
    let (model, person) = (text(detector()), text(detector().join("astronaut.png")));
    std::fs::write(place.at("note.txt"), "no image").unwrap();
    std::fs::write(place.at("empty.png"), "").unwrap();
    let png = std::fs::read(detector().join("cat.png")).unwrap();
    std::fs::write(place.at("cut.png"), &png[..200]).unwrap();
    // The size follows the signature, and is followed by a checksum.
    let huge = [&png[..16], &100_000u32.to_be_bytes(), &100_000u32.to_be_bytes(), &png[24..]].concat();
    std::fs::write(place.at("huge.png"), huge).unwrap();
    let bmp = [b"BM".as_slice(), &[0; 60]].concat();
    std::fs::write(place.at("old.bmp"), bmp).unwrap();

    let run = |more: &[&str], texts: &[&str]| {
        let args = [&["run", &model], more].concat();
        place.run(&args).fails(2, texts);
    };
    run(&["--image", "nowhere.png"], &["nowhere.png: No such file"]);
    run(&["--image", "note.txt"], &["note.txt: not an image: this is a text file; expected a PNG, JPEG, WebP, GIF"]);
    run(&["--image", "old.bmp"], &["old.bmp: the image cannot be decoded"]);
    run(&["--image", "empty.png"], &["empty.png: not an image: this is empty"]);
    run(&["--image", "cut.png"], &["cut.png: the image cannot be decoded"]);
    run(&["--image", "huge.png"], &["huge.png: "]);
    run(&["--image", &person, "--draw", "missing/out.png"], &["the directory does not exist"]);
    run(&["--image", &person, "--draw", "out.jpg"], &["--draw writes PNG"]);
    run(&["--image", &person, &person, "--draw", "out.png"], &["--draw needs exactly one --image"]);
    run(&["--image", &person, "--threshold", "2"], &["at least 0 and below 1"]);
    run(&["--image", &person, "--inputs", "x", "--outputs", "y"], &["cannot be used with"]);
    assert!(!place.at("cache").exists(), "nothing was compiled");

    run(&["--image", &person, "--draw", "out.png"], &["this model does not detect objects"]);
    run(&["--image", &person, "--prompt", "a cat"], &["takes no text with images; it can classify"]);
    run(&["--prompt", "a cat"], &["neither generates nor embeds text", "or with --image"]);
    let stories = text(stories());
    place.run(&["run", &stories, "--image", &person]).fails(2, &["takes no images"]);
    place.run(&["run", &stories, "--prompt", "a", "--json"]).fails(2, &["generated text is streamed as plain text"]);
    place.run(&["run", &stories, "--prompt", "a", "--prompt", "b"]).fails(2, &["--image FILE"]);
}

/// A model that generates text about images, its fixture, and the folder of the images.
fn writer(place: &Place, name: &str) -> (String, Value, PathBuf) {
    let fixtures = stories().join("../../tests/fixtures/prompts");
    let cases: Value = serde_json::from_slice(&std::fs::read(fixtures.join("cases.json")).unwrap()).unwrap();
    let (case, model) = (cases[name].clone(), place.at(name));
    std::fs::create_dir(&model).unwrap();
    let golden = stories().join("../../tests/goldens").join(case["model"].as_str().unwrap()).join("model");
    for entry in std::fs::read_dir(golden).unwrap().flatten() {
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    std::fs::copy(fixtures.join(format!("{name}.tokenizer.json")), model.join("tokenizer.json")).unwrap();
    std::fs::write(model.join("preprocessor_config.json"), case["settings"].to_string()).unwrap();
    std::fs::write(model.join("tokenizer_config.json"), r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#).unwrap();
    let template = serde_json::json!({ "chat_template": case["template"] });
    std::fs::write(model.join("chat_template.json"), template.to_string()).unwrap();
    (text(model), case, fixtures)
}

#[test]
fn texts_are_written_about_images() {
    let place = Place::new();
    for name in ["fixed", "tiles", "patches"] {
        let (model, case, fixtures) = writer(&place, name);
        let run = |more: &[&str]| {
            let fixed = ["run", &model, "--precision", "f32", "--backend", "wasm", "--max-new-tokens", "12"];
            place.run(&[fixed.as_slice(), more].concat())
        };
        let vocabulary: Value =
            serde_json::from_slice(&std::fs::read(place.at(name).join("tokenizer.json")).unwrap()).unwrap();
        let config: Value =
            serde_json::from_slice(&std::fs::read(place.at(name).join("config.json")).unwrap()).unwrap();
        let words = vocabulary["model"]["vocab"].as_object().unwrap();
        let special: Vec<&Value> =
            vocabulary["added_tokens"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
        for prompt in case["prompts"].as_array().unwrap() {
            // Generation stops at an end token, if the model has one, and special tokens are not shown.
            let ids = prompt["written"].as_array().unwrap().iter().take_while(|id| **id != config["eos_token_id"]);
            let word = |id: &Value| words.iter().find(|(_, v)| *v == id).map(|(word, _)| format!(" {word}"));
            let written: String = ids.filter(|id| !special.contains(id)).filter_map(word).collect();
            let text = prompt["prompt"].as_str().unwrap();
            let files: Vec<String> = prompt["images"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| fixtures.join(format!("{}.png", p.as_str().unwrap())).display().to_string())
                .collect();
            let mut args = vec!["--image"];
            args.extend(files.iter().map(String::as_str));
            args.extend(["--prompt", text]);
            assert_eq!(run(&args).ok(), format!("{text}{written}\n"), "{name}");
        }
        let small = fixtures.join("small.png").display().to_string();
        // Images without a placeholder go first, or where the template puts them.
        let told = run(&["--image", &small, "--prompt", "what is in this image"]).ok();
        assert!(told.starts_with("what is in this image "), "{told}");
        // A conversation that begins without an image, and one that begins with an image.
        for turns in case["conversations"].as_array().unwrap() {
            let (said, reply) = (turns[0]["text"].as_str().unwrap(), turns[0]["reply"].as_str().unwrap());
            let images = turns[0]["images"].as_array().unwrap();
            let files =
                images.iter().map(|i| fixtures.join(format!("{}.png", i.as_str().unwrap())).display().to_string());
            let files: Vec<String> = files.flat_map(|file| ["--image".to_string(), file]).collect();
            let mut args: Vec<&str> = files.iter().map(String::as_str).collect();
            args.extend(["--prompt", said, "--chat"]);
            let told = run(&args);
            let summary = told.stderr.clone();
            let answer = told.ok();
            assert_eq!(answer.trim(), reply, "{name}: {said}");
            let tokens = turns[0]["ids"].as_array().unwrap().len();
            assert!(summary.contains(&format!("{tokens} prompt tokens")), "{name}: {summary}");
        }
        run(&["--image", &small]).fails(
            2,
            &["this model continues one --prompt about the images; add it, such as --prompt \"Describe the image.\""],
        );
        run(&["--image", &small, "--prompt", "a", "--json"]).fails(2, &["generated text is streamed as plain text"]);
    }
}
