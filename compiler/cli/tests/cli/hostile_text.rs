//! Tokenizers that would exhaust memory or make a library panic, and token ids out of range: exit code 2.

use serde_json::{Value, json};

use crate::common::{Place, edit_json, ids, save};

/// Running the model with this tokenizer must fail with these texts.
#[track_caller]
fn refused(change: impl FnOnce(&mut Value), texts: &[&str]) {
    let place = Place::new();
    edit_json(&place.model().join("tokenizer.json"), change);
    let args = ["run", "model", "--prompt", "Once aaaa", "--backend", "reference", "--max-new-tokens", "1"];
    place.run(&args).fails(2, &[&["tokenizer.json"], texts].concat());
}

#[test]
fn tokenizers_that_panic_or_fill_the_memory() {
    let twice = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    refused(
        |t| t["normalizer"] = json!({"type": "Sequence", "normalizers": vec![twice; 40]}),
        &["1099511627776 times as long", "at most 4096 times"],
    );
    refused(
        |t| t["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAEAAAAA"}),
        &["precompiled_charsmap is damaged"],
    );
    refused(|t| t["model"]["continuing_subword_prefix"] = json!("####"), &["does not continue with \"####\""]);
    refused(
        |t| {
            let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
            t["post_processor"] =
                json!({"type": "TemplateProcessing", "single": [begin], "pair": [], "special_tokens": {}});
        },
        &["special_tokens has no \"<s>\""],
    );
    refused(|t| t["decoder"] = json!({"type": "Strip", "content": " ", "start": 0, "stop": 1}), &["Strip with `stop`"]);
}

#[test]
fn added_tokens_without_an_embedding() {
    let added = |t: &mut Value, id: u32| {
        let token = json!({"id": id, "content": "<more>", "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false});
        t["added_tokens"].as_array_mut().unwrap().push(token);
    };
    refused(|t| added(t, 512), &["\"<more>\" has the id 512", "has only 512 rows", "resize_token_embeddings"]);
    // A class adds tokens that the directory does not list; they are rejected in a prompt.
    let place = Place::new();
    place.model();
    let settings = json!({"tokenizer_class": "CodeLlamaTokenizer"});
    std::fs::write(place.at("model/tokenizer_config.json"), settings.to_string()).unwrap();
    let run = |prompt: &str| {
        place.run(&["run", "model", "--prompt", prompt, "--backend", "reference", "--max-new-tokens", "1"])
    };
    run("Once").ok();
    run("Once <FILL_ME>").fails(2, &["input `input_ids`: expected values from 0 to 511, found 5"]);
    // Published models have one too many for padding, which is never written here.
    let place = Place::new();
    edit_json(&place.model().join("tokenizer.json"), |t| added(t, 512));
    let settings = json!({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<more>"});
    std::fs::write(place.at("model/tokenizer_config.json"), settings.to_string()).unwrap();
    let run = |prompt: &str| {
        place.run(&["run", "model", "--prompt", prompt, "--backend", "reference", "--max-new-tokens", "1"])
    };
    run("Once").ok();
    run("Once <more>").fails(2, &["input `input_ids`: expected values from 0 to 511, found 512"]);
}

#[test]
fn token_ids_out_of_range() {
    let place = Place::new();
    place.bundle(&["--target", "wasm"]);
    for (id, shown) in [(-2, "-2"), (512, "512"), (2_147_483_647, "2147483647")] {
        save(&place.at("in.safetensors"), &[("input_ids".to_string(), ids(&[1, 4], &[1, id, 3, 4]))].into());
        for backend in ["reference", "wasm"] {
            let args = ["run", "bundle", "--backend", backend, "--inputs", "in.safetensors", "--outputs", "out"];
            let found = format!("found {shown} at 1");
            place.run(&args).fails(2, &["input `input_ids`: expected values from 0 to 511", &found]);
        }
    }
    save(&place.at("in.safetensors"), &[("input_ids".to_string(), ids(&[1, 2], &[0, 511]))].into());
    place.run(&["run", "bundle", "--backend", "wasm", "--inputs", "in.safetensors", "--outputs", "out"]).ok();
}
