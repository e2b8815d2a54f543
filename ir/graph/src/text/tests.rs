//! The architectures that ship, bound to small configs.

use serde_json::json;

use super::library::BLOCKS;
use super::*;
use crate::op::Op;

/// The files below `models/`, as the compiler embeds them.
fn library() -> Library {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut files = BTreeMap::new();
    for folder in ["", "blocks/", "parts/"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".ron") {
                let text = std::fs::read_to_string(root.join(folder).join(&name)).unwrap();
                files.insert(format!("{folder}{name}"), text);
            }
        }
    }
    Library { files }
}

/// The model, which must be valid, and the same each time.
fn bound(file: &str, config: &Json) -> Model {
    let library = library();
    let model = bind(&library, file, config, None).unwrap_or_else(|d| panic!("{d}"));
    if let Err(errors) = crate::verify(&model) {
        panic!("{}", errors.join("\n"));
    }
    assert_eq!(bind(&library, file, config, None).unwrap(), model);
    model
}

fn names(model: &Model) -> Vec<&str> {
    model.weights.iter().map(|w| w.name.as_str()).collect()
}

fn llama_config() -> Json {
    json!({
        "vocab_size": 11, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5
    })
}

#[test]
fn llama_binds() {
    let library = library();
    assert_eq!(library.architecture_for_class("MistralForCausalLM").as_deref(), Some("mistral.ron"));
    assert_eq!(library.architecture_for_class("Nothing"), None);
    let model = bound("llama", &llama_config());
    assert_eq!(model.architecture, "llama");
    let layer = ["input_norm", "q_proj", "k_proj", "v_proj", "o_proj", "ffn_norm", "gate_proj", "up_proj", "down_proj"];
    let mut expected = vec!["embed_tokens".to_string()];
    expected.extend((0..2).flat_map(|i| layer.iter().map(move |n| format!("layers.{i}.{n}"))));
    expected.extend(["final_norm".to_string(), "lm_head".to_string()]);
    assert_eq!(names(&model), expected);
    assert_eq!(model.weights[2].source, "model.layers.0.self_attn.q_proj.weight");
    assert_eq!(model.weights[3].shape, [8, 16]);
    let states: Vec<&str> = model.states.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(states, ["layers.0.key", "layers.0.value", "layers.1.key", "layers.1.value"]);
    let regions: Vec<(&str, Option<u32>)> = model.graph.regions.iter().map(|r| (r.name.as_str(), r.index)).collect();
    assert_eq!(regions, [("start", None), ("layers", Some(0)), ("layers", Some(1)), ("end", None)]);
    assert_eq!(
        model.taps,
        [
            "hidden_states.0",
            "inter.layer0_attn",
            "inter.layer0_mlp",
            "hidden_states.1",
            "inter.layer1_attn",
            "inter.layer1_mlp",
            "hidden_states.2"
        ]
    );
    // Masks and angles are made once; without a window no window mask is left.
    let cosines = model.graph.nodes.iter().filter(|n| matches!(n.op, Op::Unary(crate::Unary::Cos))).count();
    assert_eq!(cosines, 1);
    assert!(!model.graph.nodes.iter().any(|n| n.path.starts_with("near_visible")));
}

#[test]
fn a_tied_head_is_one_weight() {
    let config = llama_config();
    let untied = bound("llama", &config);
    let mut tensors: BTreeMap<String, Vec<u64>> =
        untied.weights.iter().map(|w| (w.source.clone(), w.shape.clone())).collect();
    tensors.remove("lm_head.weight");
    let library = library();
    let tied = bind(&library, "llama", &config, Some(&tensors)).unwrap();
    assert_eq!(tied.weights.len(), untied.weights.len() - 1);
    assert_eq!(tied.graph.nodes.iter().filter(|n| n.op == Op::Weight(0)).count(), 1);
}

#[test]
fn windows_are_chosen_by_layer() {
    let mut config = llama_config();
    config["sliding_window"] = json!(4);
    let windowed = |model: &Model| -> Vec<bool> {
        let near: Vec<bool> = model.graph.nodes.iter().map(|n| n.path == "near_visible").collect();
        let selects = model.graph.nodes.iter().filter(|n| n.op == Op::Select && n.path.starts_with("layers."));
        selects.map(|n| near[n.inputs[0].index()]).collect()
    };
    assert_eq!(windowed(&bound("llama", &config)), [false, false]);
    assert_eq!(windowed(&bound("mistral", &config)), [true, true]);
    assert_eq!(windowed(&bound("qwen2", &config)), [false, false]);
    config["use_sliding_window"] = json!(true);
    config["max_window_layers"] = json!(1);
    assert_eq!(windowed(&bound("qwen2", &config)), [false, true]);
    config["layer_types"] = json!(["sliding_attention", "full_attention"]);
    assert_eq!(windowed(&bound("qwen3", &config)), [true, false]);
    config["sliding_window"] = Json::Null;
    assert_eq!(windowed(&bound("mistral", &config)), [false, false]);
    config["num_hidden_layers"] = json!(3);
    for layer_types in [Json::Null, json!(["sliding_attention", "full_attention", "sliding_attention"])] {
        config["layer_types"] = layer_types;
        assert_eq!(windowed(&bound("gemma2", &config)), [true, false, true]);
    }
    config["layer_types"] = Json::Null;
    config["sliding_window_pattern"] = json!(3);
    assert_eq!(windowed(&bound("gemma3", &config)), [true, true, false]);
}

#[test]
fn extensions_change_what_they_say() {
    let config = llama_config();
    let qwen2 = bound("qwen2", &config);
    assert!(names(&qwen2).contains(&"layers.1.k_bias") && !names(&qwen2).contains(&"layers.1.o_bias"));
    let mut config = config;
    config["head_dim"] = json!(6);
    let qwen3 = bound("qwen3", &config);
    let norm = qwen3.weights.iter().find(|w| w.name == "layers.0.q_norm").unwrap();
    assert_eq!((norm.source.as_str(), norm.shape.as_slice()), ("model.layers.0.self_attn.q_norm.weight", &[6][..]));
}

fn rope_table(scaling: Json) -> Vec<f32> {
    let mut config = llama_config();
    config["head_dim"] = json!(8);
    config["rope_theta"] = json!(10000.0);
    config["rope_scaling"] = scaling;
    let model = bound("llama", &config);
    let table = model.graph.nodes.iter().find_map(|n| if let Op::Table(t) = &n.op { Some(t.clone()) } else { None });
    table.unwrap().iter().map(|b| b.get()).collect()
}

#[test]
fn rope_frequencies_are_those_of_the_reference() {
    // Printed by the reference implementation for head_dim 8 and theta 10000.
    let base = [1.0, 0.1, 0.01, 0.001];
    let near = |table: &[f32], expected: &[f32]| {
        assert_eq!(table.len(), 8);
        for (found, expected) in table.iter().zip(expected.iter().chain(expected)) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{table:?} {expected:?}");
        }
    };
    near(&rope_table(Json::Null), &base);
    near(&rope_table(json!({"type": "linear", "factor": 4.0})), &base.map(|f| f / 4.0));
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 100});
    // Wavelengths 6.28 (kept), 62.8 (between), 628 and 6283 (stretched).
    let smooth = (100.0 / (2.0 * std::f32::consts::PI / 0.1) - 1.0) / 3.0;
    near(&rope_table(llama3), &[1.0, (1.0 - smooth) * 0.1 / 8.0 + smooth * 0.1, 0.01 / 8.0, 0.001 / 8.0]);
    let mut yarn = json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1000});
    near(&rope_table(yarn.clone()), &[1.0, 0.075, 0.005, 0.00025]);
    yarn["truncate"] = json!(false);
    near(&rope_table(yarn), &[1.0, 0.084_885_41, 0.003_505_647_7, 0.00025]);
}

#[test]
fn rotary_settings_have_two_spellings() {
    let with = |entries: Json| {
        let mut config = llama_config();
        config.as_object_mut().unwrap().remove("rope_theta");
        config.as_object_mut().unwrap().extend(entries.as_object().unwrap().clone());
        config
    };
    let model = |entries: Json| bound("llama", &with(entries));
    let old = model(json!({"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2.0}}));
    let settings = json!({"rope_theta": 500.0, "rope_type": "linear", "factor": 2.0});
    assert!(old == model(json!({"rope_parameters": settings})));
    // What an older version has written goes first, and bases stand beside it, too.
    let both = json!({"rope_scaling": settings, "rope_theta": 9.0, "rope_parameters": {"rope_theta": 7.0}});
    assert!(old == model(both));
    assert!(model(json!({})) == model(json!({"rope_scaling": {}, "rope_parameters": {"rope_theta": 10000.0}})));
    let fault = |entries: Json| {
        bind(&library(), "llama", &with(entries), None)
            .unwrap_err()
            .0
            .into_iter()
            .map(|d| d.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(fault(json!({"rope_scaling": {"type": "spiral"}})), ["'spiral' is not supported for `rope_type`"]);
    let by_kind = json!({"full_attention": {"rope_theta": 7.0}});
    assert!(fault(json!({"rope_parameters": by_kind}))[0].starts_with("rope_parameters differ by the kind of a layer"));
}

#[test]
fn numbers_that_json_does_not_have_do_harm_where_they_are_read() {
    let mut config = llama_config();
    config["loss_cap"] = json!({FLOAT_TAG: "Infinity"});
    bound("llama", &config);
    config["rms_norm_eps"] = json!({FLOAT_TAG: "NaN"});
    config["rope_scaling"] = json!({"rope_type": "linear", "factor": [1.0, {FLOAT_TAG: "-Infinity"}]});
    let faults = bind(&library(), "llama", &config, None).unwrap_err();
    let found: Vec<&str> = faults.0.iter().map(|d| d.message.as_str()).collect();
    assert!(found.contains(&"`config.rms_norm_eps` is NaN in config.json"), "{found:?}");
    assert!(found.iter().any(|m| m.contains("has -Infinity in config.json")), "{found:?}");
}

#[test]
fn yarn_reaches_beyond_the_stated_length() {
    let limit = |scaling: Json| {
        let mut config = llama_config();
        config["max_position_embeddings"] = json!(32);
        config["rope_scaling"] = scaling;
        let model = bound("llama", &config);
        model.symbols.iter().find(|s| s.name == "T").unwrap().max
    };
    assert_eq!(limit(json!({"type": "linear", "factor": 4.0})), 32);
    assert_eq!(limit(json!({"type": "yarn", "factor": 4.0})), 128);
    assert_eq!(limit(json!({"type": "yarn", "factor": 2.5, "original_max_position_embeddings": 30})), 75);
    assert_eq!(limit(json!({"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 8})), 32);
}

#[test]
fn encoders_bind_with_every_head() {
    let config = |class: &str| {
        json!({
            "architectures": [class], "vocab_size": 11, "hidden_size": 12, "intermediate_size": 20,
            "num_hidden_layers": 2, "num_attention_heads": 3, "max_position_embeddings": 16, "pad_token_id": 1,
            "id2label": {"0": "a", "1": "b", "2": "c"}
        })
    };
    let library = library();
    let mut small = config("DistilBertModel");
    for (key, value) in [("dim", 12), ("hidden_dim", 20), ("n_layers", 2), ("n_heads", 3)] {
        small[key] = json!(value);
    }
    assert_eq!(bound("distilbert", &small).entries[0].outputs, ["last_hidden_state"]);
    for class in ["BertModel", "RobertaModel"] {
        let model = bound(&library.architecture_for_class(class).unwrap(), &config(class));
        let entries: Vec<&str> = model.entries.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(entries, ["forward", "embed"]);
        assert_eq!(model.entries[0].outputs, ["last_hidden_state", "pooler_output"]);
        let inputs: Vec<&str> = model.inputs.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(inputs, ["pooling_mask", "input_ids", "attention_mask", "token_type_ids", "position_ids"]);
    }
    for head in ["MaskedLM", "SequenceClassification", "TokenClassification"] {
        for family in ["Bert", "Roberta"] {
            let class = format!("{family}For{head}");
            let model = bound(&library.architecture_for_class(&class).unwrap(), &config(&class));
            assert!(model.entries[0].outputs.contains(&"logits".to_string()), "{class}");
            assert_eq!(model.entries.len(), 1);
        }
    }
}

#[test]
fn only_the_first_dimensions_turn() {
    let mut config = llama_config();
    let parts = |config: &Json| {
        let model = bound("phi3", config);
        model.graph.nodes.iter().filter(|n| n.op == Op::Concat { axis: 3 } && n.path.ends_with("rope")).count()
    };
    // Queries and keys of two layers.
    config["head_dim"] = json!(8);
    config["partial_rotary_factor"] = json!(0.75);
    assert_eq!(parts(&config), 4);
    config["partial_rotary_factor"] = json!(1.0);
    assert_eq!(parts(&config), 0);
}

#[test]
fn a_vector_is_made_of_a_list_of_numbers() {
    let frequencies = |factors: Json| {
        let mut config = llama_config();
        config["head_dim"] = json!(4);
        config["rope_scaling"] = json!({"type": "longrope", "short_factor": factors, "long_factor": [4.0, 5.0]});
        let model = bind(&library(), "phi3", &config, None).map_err(|d| d.to_string())?;
        let tables = model.graph.nodes.iter();
        let tables =
            tables.filter_map(|n| if let Op::Table(t) = &n.op { Some(t.iter().map(|b| b.get())) } else { None });
        Ok::<Vec<Vec<f32>>, String>(tables.map(Iterator::collect).collect())
    };
    let (long, short) = (vec![0.25, 0.002, 0.25, 0.002], vec![1.0, 0.005, 1.0, 0.005]);
    let found = frequencies(json!([1, 2.0])).unwrap();
    assert!(found.contains(&long) && found.contains(&short), "{found:?}");
    let error = frequencies(json!([1.0, "2"])).unwrap_err();
    assert!(error.contains("a list of 1 to 65536 numbers"), "{error}");
    let error = frequencies(json!([1.0, 2.0, 3.0])).unwrap_err();
    assert!(error.contains("vectors of 3 and 2 elements"), "{error}");
}

#[test]
fn gpt2_binds() {
    let config = json!({"vocab_size": 11, "n_embd": 12, "n_layer": 1, "n_head": 3, "n_positions": 16, "n_inner": null});
    let model = bound("gpt2", &config);
    let up = model.weights.iter().find(|w| w.name == "layers.0.up_proj").unwrap();
    assert_eq!((up.source.as_str(), up.shape.as_slice()), ("transformer.h.0.mlp.c_fc.weight", &[12, 48][..]));
}

/// The fenced RON examples of the manual that begin with `word`.
fn examples(word: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/README.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let fenced = manual.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_string());
    fenced.filter(|text| text.starts_with(word)).collect()
}

#[test]
fn parts_come_between_the_extended_file_and_its_own() {
    let part = "Architecture(
        config: [\"size = 3\", \"side = 2\"],
        inputs: {\"x\": (dtype: F32, shape: \"size, side\")},
        body: [Let(\"h = x + 1\")],
    )";
    let base = "Architecture(
        config: [\"size = 2\"],
        body: [Output(\"y\", \"h * 2\")],
        entries: {\"forward\": (outputs: [\"y\"], role: Tensors)},
    )";
    let own = "Architecture(
        extends: \"base\", includes: [\"half\"], config: [\"side = 5\"],
        edits: [Replace(\"h\", [Let(\"h = x - 1\")])],
    )";
    let library = Library::default().with_file("base.ron", base).with_file("parts/half.ron", part);
    let model = bind(&library.clone().with_file("own.ron", own), "own", &json!({}), None).unwrap();
    assert_eq!(crate::dim::show_shape(&model.inputs[0].shape), "[3, 5]");
    let fail = |part: &str, text: &str| {
        let library = library.clone().with_file("parts/half.ron", part).with_file("own.ron", text);
        check(&library, "own").unwrap_err().to_string()
    };
    let unknown = fail(part, &own.replace("half", "hals"));
    assert!(unknown.contains("unknown part `hals`") && unknown.contains("did you mean `half`?"), "{unknown}");
    let nested = fail("Architecture(extends: \"base\")", own);
    assert!(nested.contains("the part `half` has `extends`, `includes` or `edits`"), "{nested}");
}

#[test]
fn the_manual_is_right() {
    let architectures = examples("Architecture(");
    assert_eq!(architectures.len(), 2);
    for text in architectures {
        let library = library().with_file("example.ron", text);
        if let Err(d) = check(&library, "example.ron") {
            panic!("{d}");
        }
    }
    for text in examples("Blocks(") {
        let library = library().with_file("blocks/example.ron", text);
        if let Err(d) = check(&library, "llama") {
            panic!("{d}");
        }
    }
    for text in examples("Policy(") {
        Policy::parse("example.ron", &text).unwrap();
    }
}

#[test]
fn the_manual_of_operations_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/OPS.md");
    let library = library();
    let expected = manual(&library);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "models/OPS.md is not what the sources say; if that is right: UPDATE=1");
    // Every function and block is in it, and says what it is for.
    let loaded = load(&library, "llama").unwrap();
    let functions = functions::all().map(|f| f.name);
    for name in functions.chain(loaded.blocks.keys().copied()) {
        assert!(expected.contains(&format!("`{name}(")), "`{name}` is missing");
    }
    for op in ["Input", "Unary", "MatMul", "Windows", "StateRead", "Attention"] {
        assert!(expected.contains(&format!("| `{op}` | ")), "`{op}` is missing");
    }
    let silent: Vec<&str> = expected.lines().filter(|l| l.ends_with("|  |")).collect();
    assert!(silent.is_empty(), "without a word: {silent:?}");
}

#[test]
fn the_first_example_of_the_manual_binds() {
    let text = examples("Architecture(").remove(0);
    let library = library().with_file("example.ron", text);
    let config = json!({"vocab_size": 11, "hidden_size": 4, "num_hidden_layers": 2});
    let model = bind(&library, "example", &config, None).unwrap_or_else(|d| panic!("{d}"));
    assert_eq!(model.weights.len(), 8);
}

#[test]
fn the_stated_lengths_are_right() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/authoring.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(|c| c.trim().trim_matches('`'));
        Some((cells.next()?, cells.next()?.parse::<usize>().ok()?))
    });
    let stated: BTreeMap<&str, usize> = rows.collect();
    let library = library();
    let counted = library.files.iter().filter(|(name, _)| !name.starts_with(BLOCKS));
    assert_eq!(stated, counted.map(|(name, text)| (name.as_str(), text.lines().count())).collect());
}

/// Problems of an architecture that extends the smallest decoder.
fn problems(text: &str) -> String {
    let library = library().with_file("mine.ron", text);
    bind(&library, "mine", &llama_config(), None).unwrap_err().to_string()
}

#[test]
fn components_share_out_the_weights() {
    let text = r#"Architecture(
        extends: "llama",
        modality: Multimodal,
        components: {"rest": ["*"], "unused": ["*.nothing"], "attention": ["*self_attn*"], "queries": ["*q_proj*"]},
    )"#;
    let library = library().with_file("mine.ron", text);
    let model = bind(&library, "mine", &llama_config(), None).unwrap_or_else(|d| panic!("{d}"));
    // The first pattern that fits counts, `*` last of all; what has no weights is left out.
    assert_eq!(model.components, ["rest", "attention"]);
    for weight in &model.weights {
        assert_eq!(weight.component, u32::from(weight.source.contains("self_attn")), "{}", weight.source);
    }
    assert_eq!((model.modality.name(), model.precision.as_str()), ("multimodal", "multimodal"));
    let plain = bound("llama", &llama_config());
    assert_eq!((plain.components, plain.modality.name()), (vec!["model".to_string()], "text"));
    assert!(plain.weights.iter().all(|w| w.component == 0));
}

#[test]
fn mistakes_in_components_are_told() {
    let told = problems(r#"Architecture(extends: "llama", components: {"attention": ["*self_attn*"]})"#);
    assert!(
        told.contains("belongs to no component") && told.contains("`*`, which takes all remaining tensors"),
        "{told}"
    );
    let told = problems(r#"Architecture(extends: "llama", components: {"a": ["*"], "b": ["*"]})"#);
    assert!(told.contains("`a` already takes"), "{told}");
    let told = problems(r#"Architecture(extends: "llama", components: {"a b": [], "c": ["*"]})"#);
    assert!(told.contains("has no pattern") && told.contains("letters, digits"), "{told}");
}

#[test]
fn another_modality_has_another_default_precision() {
    let encoder = r#"Architecture(extends: "llama", precision: "q8")"#;
    let library =
        library().with_file("encoder.ron", encoder).with_file("same.ron", r#"Architecture(extends: "encoder")"#);
    let library = library.with_file("other.ron", r#"Architecture(extends: "encoder", modality: Audio)"#);
    let precision = |file: &str| bind(&library, file, &llama_config(), None).unwrap().precision;
    assert_eq!([precision("encoder"), precision("same"), precision("other")], ["q8", "q8", "audio"]);
}

#[test]
fn mistakes_with_states_are_told() {
    let told = |shape: &str, closing: &[&str]| {
        let statements: Vec<String> = closing.iter().enumerate().map(|(i, s)| format!("Let(\"s{i} = {s}\")")).collect();
        let statements = statements.join(", ");
        problems(&format!(
            r#"Architecture(extends: "llama", states: {{"w": (shape: "{shape}")}}, closing: [{statements}])"#
        ))
    };
    let fixed = |closing: &[&str]| told("B, hidden", closing);
    for (found, expected) in [
        (fixed(&["previous(w)"]), "the state `w` is read, but never updated"),
        (fixed(&["update(w, h[:, -1])", "previous(w)"]), "put `previous(w)` before `update`"),
        (fixed(&["previous(w)", "update(w, s0 + 1)", "update(w, s0)"]), "the state `w` is updated twice"),
        (fixed(&["previous(w)", "update(w, h)"]), "update: expected the shape [B, 16] of state `w`"),
        (fixed(&["previous(w)", "update(w, s0)", "keep(w, s0)"]), "the state `w` is used in two different ways"),
        (fixed(&["keep(w, h[:, -1])", "previous(w)"]), "use `keep` and `recall`"),
        (fixed(&["append(w, h[:, -1])"]), "state `w` has no axis to append along"),
        (fixed(&["previous(key)"]), "state `key` grows along an axis: use `append`"),
        (fixed(&["w"]), "`previous(w)` returns its value from the previous call"),
        (told("B, T", &["previous(w)"]), "its size must be the same in all calls"),
        (told("B, P", &["previous(w)"]), "`B` is the only symbol with the same value in all calls"),
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
}
