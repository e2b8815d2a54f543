use serde_json::json;

use super::*;
use crate::library::library;
use gristmill_graph::text::check;

/// A decoder like llama, but its norms have a bias, and it has one projection fewer.
fn tensors() -> BTreeMap<String, Vec<u64>> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, shape: &[u64]| all.insert(name.to_string(), shape.to_vec());
    add("model.embed_tokens.weight", &[101, 16]);
    add("model.norm.weight", &[16]);
    add("model.norm.bias", &[16]);
    for layer in 0..2 {
        for (name, shape) in [
            ("input_layernorm.weight", vec![16]),
            ("input_layernorm.bias", vec![16]),
            ("post_attention_layernorm.weight", vec![16]),
            ("self_attn.q_proj.weight", vec![16, 16]),
            ("self_attn.k_proj.weight", vec![16, 16]),
            ("self_attn.v_proj.weight", vec![16, 16]),
            ("self_attn.o_proj.weight", vec![16, 16]),
            ("mlp.up_proj.weight", vec![24, 16]),
            ("mlp.down_proj.weight", vec![16, 24]),
        ] {
            add(&format!("model.layers.{layer}.{name}"), &shape);
        }
    }
    all
}

#[test]
fn the_nearest_architecture_is_the_base_and_the_rest_is_listed() {
    let config = json!({
        "architectures": ["TinyForCausalLM"], "vocab_size": 101, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "use_parallel_residual": true, "hidden_dropout": 0.1,
    });
    let draft = draft(&library(), &config, &tensors(), None).expect("a base");
    assert_eq!((draft.base.as_str(), draft.known, draft.total), ("llama", 18, 21));
    let text = &draft.text;
    for part in [
        "extends: \"llama\"",
        "classes: [\"TinyForCausalLM\"]",
        "//   use_parallel_residual = true",
        "\"norm_bias\": (tensor: \"model.norm.bias\", shape: \"hidden\")",
        "\"input_layernorm_bias\": (tensor: \"model.layers.{i}.input_layernorm.bias\", shape: \"hidden\")",
        "//   gate_proj: ",
        "layers.k layers.v ",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    for part in ["dropout", "vocab_size", "//   lm_head"] {
        assert!(!text.contains(part), "{part} is in\n{text}");
    }
    // The draft is valid; what is missing is found when it is bound.
    let library = library().with_file("tiny.ron", text.clone());
    assert_eq!(check(&library, "tiny.ron"), Ok(()));
    let faults = bind(&library, "tiny.ron", &config, Some(&tensors())).unwrap_err().to_string();
    assert!(faults.contains("mlp.gate_proj.weight` is not in the checkpoint"), "{faults}");
}

#[test]
fn what_nothing_knows_has_no_draft() {
    let tensors = BTreeMap::from([("alpha".to_string(), vec![2]), ("beta".to_string(), vec![3])]);
    assert_eq!(draft(&library(), &json!({}), &tensors, None), None);
}

#[test]
fn a_plain_file_goes_before_those_that_extend_it() {
    let library = library();
    let depth = |file: &str| outline(&library, file).expect("it is valid").depth;
    assert_eq!([depth("llama.ron"), depth("qwen2.ron"), depth("qwen3.ron")], [0, 1, 2]);
    for file in library.architectures() {
        let outlined = outline(&library, file).expect("it is valid");
        assert!(!outlined.statements.is_empty() && !outlined.weights.is_empty(), "{file}");
        // Formulas come without the names that they define.
        assert!(outlined.config.iter().all(|(name, f)| !f.starts_with(&format!("{name} ="))), "{file}");
    }
}
