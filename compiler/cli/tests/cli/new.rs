//! Drafts of architecture files.

use crate::common::{Place, stories};

#[test]
fn a_draft_is_written_beside_the_script_of_its_test() {
    let place = Place::new();
    // No shipped file describes this class; there is one in examples/.
    let model = stories().join("../../tests/goldens/olmo2/base/model").display().to_string();
    let ran = place.run(&["new", &model, "-o", "mine.ron"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("mine.ron: extends llama, which names 19 of 25 tensors"), "{}", ran.stderr);
    let draft = std::fs::read_to_string(place.at("mine.ron")).unwrap();
    // All of its tensors have a name in another architecture, but with other shapes.
    for part in ["extends: \"llama\"", "classes: [\"Olmo2ForCausalLM\"]", "q_norm.weight", "input_norm: "] {
        assert!(draft.contains(part), "{part} is not in\n{draft}");
    }
    let script = std::fs::read_to_string(place.at("mine_golden.py")).unwrap();
    assert!(script.contains("gristmill verify MODEL_DIR --arch mine.ron"), "{script}");

    // `check` reports what is missing, except what the base lacks anyway.
    place.run(&["check", "mine.ron"]).ok();
    place
        .run(&["check", "mine.ron", "--model", &model])
        .fails(1, &["input_layernorm.weight` is not in the checkpoint"]);
    place.run(&["new", &model, "-o", "mine.ron"]).fails(2, &["mine.ron already exists; --force overwrites it"]);
    place.run(&["new", &model, "-o", "mine.ron", "--force", "--base", "gemma3.ron"]).ok();
    assert!(std::fs::read_to_string(place.at("mine.ron")).unwrap().contains("extends: \"gemma3\""));
    place.run(&["new", &model, "--base", "gemma33"]).fails(2, &["is called gemma33; expected one of bart, bert,"]);
}

#[test]
fn what_needs_no_draft_gets_none() {
    let place = Place::new();
    let stories = stories().display().to_string();
    place.run(&["new", &stories]).fails(2, &["the shipped architecture llama.ron already describes"]);
    place.run(&["new", "nowhere"]).fails(2, &["nowhere: is neither a directory nor a GGUF file"]);
    assert!(place.names().is_empty(), "{:?}", place.names());
}
