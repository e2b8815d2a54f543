//! Complete model directories: unchanged ones must give no messages, changed ones must.

use std::path::{Path, PathBuf};

use gristmill_graph::text::{Settings, bind_with_usage};
use serde_json::json;

use super::*;
use crate::hf::dir::ModelDir;
use crate::hf::quantized;
use crate::library::library;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The messages for a directory with a changed config.
fn found(dir: &Path, change: impl FnOnce(&mut Value)) -> Findings {
    let mut opened = ModelDir::open(dir).unwrap();
    assert_eq!(opened.warnings, Vec::<String>::new(), "{}", dir.display());
    change(&mut opened.config);
    let checkpoint = opened.checkpoint().unwrap();
    assert_eq!(quantized::check(&opened.config, &checkpoint).unwrap(), None);
    assert_eq!(checkpoint.unread_files(), Vec::<String>::new());
    let mut library = library();
    for path in ["examples/olmo2.ron", "tests/goldens/gated_conv/gated_conv.ron"] {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        library = library.with_file(path.rsplit('/').next().unwrap(), text);
    }
    let file = opened.architecture_file(&library).unwrap();
    let settings = opened.settings();
    let bound = bind_with_usage(&library, &file, settings, Some(&checkpoint.tensors()));
    let (_, usage) = bound.unwrap_or_else(|found| panic!("{}: {found}", dir.display()));
    unused(&opened.config, &checkpoint, &usage, &file).unwrap()
}

/// The only message for the shipped example with a changed config.
#[track_caller]
fn only(key: &str, value: Value) -> String {
    let Findings { mut warnings, mut faults } =
        found(&root().join("examples/stories260K"), |config| config[key] = value);
    assert_eq!(warnings.len() + faults.len(), 1, "{warnings:?} {faults:?}");
    warnings.pop().or_else(|| faults.pop()).unwrap()
}

/// Collects all directories with weights below a folder.
fn models(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).filter(|p| p.is_dir()) {
        let has = |name: &str| entry.join(name).is_file();
        if has("model.safetensors") || has("model.safetensors.index.json") {
            all.push(entry)
        } else {
            models(&entry, all)
        }
    }
}

#[test]
fn nothing_of_the_goldens_is_left_over() {
    let mut all = Vec::new();
    models(&root().join("tests/goldens"), &mut all);
    models(&root().join("examples"), &mut all);
    assert!(all.len() > 40, "{}", all.len());
    all.sort();
    let mut said = String::new();
    for dir in all {
        let Findings { warnings, faults } = found(&dir, |_| {});
        for sentence in warnings.iter().chain(&faults) {
            said += &format!("{}: {sentence}\n", dir.display());
        }
    }
    assert!(said.is_empty(), "{said}");
}

#[test]
fn unknown_entries_are_named() {
    let text = only("surprise", json!(1));
    assert_eq!(text, "config.json: `surprise` is unknown and not read by llama.ron");
    let nested = found(&root().join("tests/goldens/clip/eos_first/model"), |c| c["text_config"]["surprise"] = json!(1));
    assert_eq!(nested.warnings, ["config.json: `text_config.surprise` is unknown and not read by clip.ron"]);
    // The name comes from the file and may contain anything.
    assert!(!only("a\u{1b}[31m", json!(1)).contains('\u{1b}'));
}

#[test]
fn entries_that_others_compute_with_are_named() {
    let text = only("attn_logit_softcapping", json!(50.0));
    assert!(
        text.starts_with("config.json: `attn_logit_softcapping` is 50.0, which llama.ron does not read for Llama"),
        "{text}"
    );
    let bert = found(&root().join("tests/goldens/bert/base/model"), |c| c["is_decoder"] = json!(true));
    assert_eq!(bert.warnings, Vec::<String>::new());
    let expected = "config.json: `is_decoder` is true, which bert.ron does not read for BertModel, but then positions \
                    see only those before them";
    assert_eq!(bert.faults, [expected]);
}

#[test]
fn a_head_that_is_not_tied_and_not_there_is_named() {
    let text = only("tie_word_embeddings", json!(false));
    let expected = "config.json: `tie_word_embeddings` is false, but the checkpoint has no `lm_head.weight`: the \
                    embedding of tokens is used as the head";
    assert_eq!(text, expected);
    let untied = root().join("tests/goldens/llama/gqa_untied/model");
    for tied in [json!(true), json!(false)] {
        assert_eq!(found(&untied, |c| c["tie_word_embeddings"] = tied), Findings::default());
    }
}

#[test]
fn values_without_effect_are_passed_over() {
    let stories = root().join("examples/stories260K");
    let quiet = found(&stories, |c| {
        c["attn_logit_softcapping"] = Value::Null;
        c["residual_multiplier"] = json!(1);
        c["sliding_window"] = Value::Null;
        c["attention_dropout"] = json!(0.1);
        c["unsloth_version"] = json!("2026.1");
    });
    assert_eq!(quiet, Findings::default());
}

#[test]
fn the_entries_of_all_default_configurations_are_known() {
    let text = std::fs::read(root().join("tests/fixtures/configs/defaults.json")).unwrap();
    let all: Map<String, Value> = serde_json::from_slice(&text).unwrap();
    let (library, known) = (library(), ConfigEntries::load().unwrap());
    let mut said = String::new();
    for (name, config) in &all {
        let file = library.architecture_for_class(config["architectures"][0].as_str().unwrap()).unwrap();
        let settings = Settings { config, generation: &Value::Null, processors: &Value::Null };
        let bound = bind_with_usage(&library, &file, settings, None);
        let Ok((_, usage)) = bound.map_err(|found| said += &format!("{name}: {found}\n")) else { continue };
        let Findings { warnings, faults } = config::check(config.as_object().unwrap(), &usage, &known, &file);
        warnings.iter().chain(&faults).for_each(|sentence| said += &format!("{name}: {sentence}\n"));
    }
    assert!(said.is_empty(), "{said}");
}
