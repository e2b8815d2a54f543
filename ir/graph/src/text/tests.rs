//! The architectures that ship, bound to small configs.

use serde_json::json;

use super::*;
use crate::op::Op;

/// The files below `models/`, as the compiler embeds them.
fn library() -> Library {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut files = BTreeMap::new();
    for folder in ["", "blocks/"] {
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
    assert_eq!(library.architecture_for_class("MistralForCausalLM").as_deref(), Some("llama.ron"));
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
