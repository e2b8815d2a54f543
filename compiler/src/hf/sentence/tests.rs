//! Directories as sentence-transformers saves them, and malformed ones.

use serde_json::{Value, json};

use super::*;

/// Reads a directory with these files.
fn read(files: &[(&str, Value)]) -> Result<Sentence, String> {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content.to_string()).unwrap();
    }
    Sentence::read(&Files::of_dir(dir.path())).map_err(|e| e.to_string())
}

fn module(class: &str, path: &str) -> Value {
    json!({"type": format!("sentence_transformers.models.{class}"), "path": path})
}

/// A transformer, a pooling module with this config, and more modules.
fn pooled(config: Value, more: &[Value], files: &[(&str, Value)]) -> Result<Sentence, String> {
    let listed = [&[module("Transformer", ""), module("Pooling", "1_Pooling")], more].concat();
    read(&[&[("modules.json", Value::from(listed)), ("1_Pooling/config.json", config)], files].concat())
}

#[test]
fn plain_directories_have_no_modules() {
    let found = read(&[]).unwrap();
    assert!(found.modules.is_null() && found.warnings.is_empty());
    assert_eq!(found.prompts.keys().collect::<Vec<_>>(), ["document", "query"]);
    let found = read(&[("sentence_bert_config.json", json!({"max_seq_length": 7}))]).unwrap();
    assert_eq!(found.max_tokens, Some(7));
    let found = read(&[("config_sentence_transformers.json", json!({"prompts": {"query": "q: "}}))]).unwrap();
    assert_eq!((found.prompts["query"].as_str(), found.warnings.len()), ("", 1));
}

#[test]
fn poolings_are_named_by_flags_or_names() {
    let ways = |config: Value| pooled(config, &[], &[]).map(|found| found.modules["pooling"].clone());
    assert_eq!(ways(json!({"pooling_mode_mean_tokens": false})), Ok(json!(["mean"])));
    assert_eq!(ways(json!({"pooling_mode_lasttoken": true})), Ok(json!(["lasttoken"])));
    let several = json!({"pooling_mode_weightedmean_tokens": true, "pooling_mode_max_tokens": true});
    assert_eq!(ways(several), Ok(json!(["max", "weightedmean"])));
    let both = json!({"pooling_mode": "cls", "pooling_mode_mean_tokens": true});
    assert_eq!(ways(both), Ok(json!(["cls"])));
    assert_eq!(ways(json!({"pooling_mode": ["mean", "cls"]})), Ok(json!(["mean", "cls"])));
    for (config, message) in [
        (json!({"pooling_mode": "median"}), "1_Pooling/config.json: `pooling_mode`: \"median\" is not supported"),
        (json!({"pooling_mode": []}), "`pooling_mode`: expected a name, found []"),
        (json!({"pooling_mode_min_tokens": true}), "`pooling_mode_min_tokens`: is not supported"),
        (json!({"pooling_mode_cls_token": 3}), "`pooling_mode_cls_token`: expected true or false, found 3"),
        (json!([]), "1_Pooling/config.json: expected an object"),
    ] {
        let text = ways(config).unwrap_err();
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn modules_that_are_not_supported_are_named() {
    let list = |all: &[Value]| read(&[("modules.json", Value::from(all.to_vec()))]).unwrap_err();
    let with = |class: &str, path: &str| list(&[module("Transformer", ""), module(class, path)]);
    for (text, message) in [
        (list(&[]), "modules.json: expected a list"),
        (list(&[module("CLIPModel", "0_CLIPModel")]), "module 0 (CLIPModel): is not supported"),
        (list(&[module("StaticEmbedding", "")]), "module 0 (StaticEmbedding)"),
        (list(&[module("Transformer", "")]), "no Pooling module"),
        (list(&[json!({"type": "custom_st.Transformer", "path": ""})]), "is custom code"),
        (list(&[json!({"path": ""})]), "`type`: expected a text, found null"),
        (with("WeightedLayerPooling", "1_WeightedLayerPooling"), "module 1 (WeightedLayerPooling): is not supported"),
        (with("Dense", "1_Dense"), "module 1 (Dense): is not supported before a Pooling"),
        (with("Pooling", "1_Pooling"), "1_Pooling/config.json is missing"),
    ] {
        assert!(text.contains(message), "{text}");
    }
    for path in ["../1_Pooling", "/etc", "a/../../b", "C:\\x", ".", "a//b"] {
        let text = with("Pooling", path);
        assert!(text.contains("is outside of the model directory"), "{text}");
    }
    let twice = pooled(json!({}), &[module("Pooling", "1_Pooling")], &[]).unwrap_err();
    assert!(twice.contains("module 2 (Pooling): there is already a Pooling"), "{twice}");
}

#[test]
fn dense_layers_need_weights_and_known_functions() {
    let dense = |config: Value| {
        let files = [("2_Dense/config.json", config), ("2_Dense/model.safetensors", json!(0))];
        pooled(json!({}), &[module("Dense", "2_Dense")], &files)
    };
    let sizes = json!({"in_features": 4, "out_features": 3});
    let with = |key: &str, value: Value| {
        let mut config = sizes.clone();
        config[key] = value;
        dense(config)
    };
    let found = dense(sizes.clone()).unwrap();
    assert_eq!(found.modules["layers"][0]["activation"], "Tanh");
    assert_eq!((found.modules["kinds"].clone(), found.weights), (json!(["dense"]), vec!["2_Dense".to_string()]));
    let found = with("activation_function", json!("torch.nn.modules.activation.GELU")).unwrap();
    assert_eq!(found.modules["layers"][0]["activation"], "GELU");
    for (found, message) in [
        (with("activation_function", json!("torch.nn.modules.activation.PReLU")), "PReLU\" is not supported"),
        (with("activation_function", json!("os.system.Tanh")), "os.system.Tanh\" is not supported"),
        (with("module_input_name", json!("token_embeddings")), "`module_input_name`: \"token_embeddings\""),
        (with("in_features", json!(1 << 30)), "is too large for a layer"),
        (with("out_features", json!(-1)), "`out_features`: expected a whole number above 0"),
        (dense(json!({"in_features": 4})), "`out_features`: is missing"),
        (
            pooled(json!({}), &[module("Dense", "2_Dense")], &[("2_Dense/config.json", sizes.clone())]),
            "2_Dense/model.safetensors is missing",
        ),
    ] {
        let text = found.unwrap_err();
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn prompts_similarity_and_limits() {
    let settings = |content: Value| pooled(json!({}), &[], &[("config_sentence_transformers.json", content)]);
    let found = settings(json!({
        "prompts": {"query": "q: ", "passage": null}, "default_prompt_name": "passage", "similarity_fn_name": "dot",
        "truncate_dim": 8,
    }));
    let found = found.unwrap();
    let names: Vec<&String> = found.prompts.keys().collect();
    assert_eq!(names, ["document", "passage", "query"]);
    assert_eq!((found.default_prompt.as_deref(), found.similarity), (Some("passage"), SimilarityFunction::Dot));
    assert_eq!(found.modules["truncate_dim"], 8);
    let odd = settings(json!({"similarity_fn_name": "maxsim"})).unwrap();
    assert!(odd.warnings[0].contains("`maxsim` is unknown"), "{:?}", odd.warnings);
    for (found, message) in [
        (settings(json!({"default_prompt_name": "x"})), "`default_prompt_name`: `x` is not among"),
        (settings(json!({"prompts": {"query": 3}})), "`prompts`: expected texts, found 3"),
        (settings(json!({"model_type": "SparseEncoder"})), "SparseEncoder is not supported"),
        (settings(json!({"truncate_dim": 0})), "`truncate_dim`: expected a whole number above 0"),
    ] {
        let text = found.unwrap_err();
        assert!(text.contains(message), "{text}");
    }
    let cross = settings(json!({"model_type": "CrossEncoder"})).unwrap();
    assert!(cross.modules.is_null() && cross.warnings[0].contains("cross-encoder"), "{:?}", cross.warnings);

    let limited = |content: Value| pooled(json!({}), &[], &[("sentence_bert_config.json", content)]);
    let found = limited(json!({"max_seq_length": 30, "processor_kwargs": {"model_max_length": 20}})).unwrap();
    assert_eq!(found.limit(&json!({"model_max_length": 25})), Some(20));
    assert_eq!(found.limit(&json!({"model_max_length": 5})), Some(5));
    assert_eq!(Sentence::default().limit(&json!({"model_max_length": 1e30})), None);
    let found = limited(json!({"max_seq_length": null, "config_args": {"rotary": 3, "revision": "x"}})).unwrap();
    assert_eq!((found.max_tokens, found.warnings.len()), (None, 1));
    for (content, message) in [
        (json!({"max_seq_length": 0}), "`max_seq_length`: expected a whole number above 0"),
        (json!({"transformer_task": "text-generation"}), "`transformer_task`: `text-generation` is not supported"),
        (json!({"modality_config": {"image": {}}}), "`modality_config`"),
    ] {
        let text = limited(content).unwrap_err();
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn texts_are_lowered_once() {
    let lowered = |normalizer: Value| {
        let mut tokenizer = json!({"normalizer": normalizer});
        Sentence::lower(&mut tokenizer);
        tokenizer["normalizer"]["normalizers"].clone()
    };
    let (lower, strip) = (json!({"type": "Lowercase"}), json!({"type": "StripAccents"}));
    assert_eq!(lowered(json!(null)), json!([lower]));
    assert_eq!(lowered(lower.clone()), json!([lower]));
    assert_eq!(lowered(strip.clone()), json!([lower, strip]));
    assert_eq!(lowered(json!({"type": "Sequence", "normalizers": [strip]})), json!([lower, strip]));
    assert_eq!(lowered(json!({"type": "Sequence", "normalizers": [strip, lower]})), json!([strip, lower]));
}
