//! Settings and tensors that are not read: named in a message, and an error where they would change the results.

use std::path::Path;

use crate::common::{Place, Ran, Raw, edit_json, load, save};
use safetensors::tensor::Dtype;
use serde_json::json;

/// Adds tensors of zeros to the weights.
fn add(model: &Path, names: &[&str]) {
    let file = model.join("model.safetensors");
    let mut all = load(&file);
    let zeros: Raw = (Dtype::F32, vec![4, 4], vec![0; 64]);
    all.extend(names.iter().map(|name| ((*name).to_string(), zeros.clone())));
    save(&file, &all);
}

/// Compiles the model of the folder, with further arguments.
fn compile(place: &Place, more: &[&str]) -> Ran {
    place.run(&[&["compile", "model", "-o", "out", "--target", "native"], more].concat())
}

/// The lines on stderr about the model directory.
fn said(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|l| ["warning: ", "note: ", "error: "].iter().any(|start| l.starts_with(start))).collect()
}

#[test]
fn a_tensor_too_many_is_a_warning() {
    let place = Place::new();
    let model = place.model();
    add(&model, &["extra.weight"]);
    edit_json(&model.join("config.json"), |c| c["surprise"] = json!(true));
    std::fs::write(model.join("model.fp16.safetensors"), "").unwrap();
    std::fs::write(model.join("adapter_config.json"), "{\"base_model_name_or_path\": \"some/base\"}").unwrap();
    let ran = compile(&place, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let expected = [
        "warning: adapter_config.json: the adapter of some/base is ignored; only the model next to it is compiled",
        "warning: model.fp16.safetensors is not read; the weights are those of model.safetensors",
        "warning: 1 tensor of model.safetensors is not used: extra.weight",
        "warning: config.json: `surprise` is unknown and not read by llama.ron",
    ];
    assert_eq!(said(&ran), expected);
}

#[test]
fn weights_of_what_is_computed_are_an_error() {
    let place = Place::new();
    let model = place.model();
    add(&model, &["model.layers.0.self_attn.q_proj.bias", "model.layers.1.self_attn.q_proj.bias"]);
    add(&model, &["model.layers.5.self_attn.q_proj.weight", "model.layers.5.mlp.up_proj.weight"]);
    add(&model, &["model.layers.2.self_attn.q_proj.lora_A.weight"]);
    let texts = [
        "llama.ron does not read 2 tensors of blocks that it computes: model.layers.*.self_attn.q_proj.bias (2)",
        "has model.layers.5 (2 tensors), but only model.layers.0 to 4 are computed; in config.json `num_hidden_layers` is 5",
        "1 tensor of an adapter (LoRA) that is not merged into the weights: model.layers.2.self_attn.q_proj.lora_A.weight",
        "--allow-unused",
    ];
    compile(&place, &[]).fails(2, &texts);
    assert_eq!(place.names(), ["model"], "nothing partial may stay");
    let ran = compile(&place, &["--allow-unused"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(said(&ran).len(), 3, "{}", ran.stderr);
    // `check` says the same without compiling.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/llama.ron").display().to_string();
    place.run(&["check", &file, "--model", "model"]).fails(1, &texts[..3]);
}

#[test]
fn packed_weights_are_refused_with_their_method() {
    let place = Place::new();
    let model = place.model();
    let quantized = json!({"quant_method": "gptq", "bits": 4, "group_size": 128});
    edit_json(&model.join("config.json"), |c| c["quantization_config"] = quantized);
    let ran = compile(&place, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let expected = "warning: config.json: `quantization_config` says that weights are quantized with gptq (4 bits, \
        groups of 128), but those of model.safetensors are not packed; they are used as they are";
    assert_eq!(said(&ran), [expected]);

    let file = model.join("model.safetensors");
    let mut all = load(&file);
    let name = "model.layers.0.self_attn.q_proj";
    all.remove(&format!("{name}.weight"));
    all.insert(format!("{name}.qweight"), (Dtype::I32, vec![8, 64], vec![0; 2048]));
    save(&file, &all);
    let texts = [
        "gptq (4 bits, groups of 128) and packed",
        "q_proj.qweight",
        "use the original checkpoint with unquantized weights",
    ];
    compile(&place, &[]).fails(2, &texts);
    edit_json(&model.join("config.json"), |c| drop(c.as_object_mut().unwrap().remove("quantization_config")));
    compile(&place, &[]).fails(2, &["model.safetensors: weights quantized with gptq or awq and packed"]);
}

#[test]
fn what_is_no_model_is_refused_by_name() {
    let place = Place::new();
    let model = place.model();
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    std::fs::write(model.join("pytorch_model.bin"), "").unwrap();
    compile(&place, &[]).fails(2, &["a PyTorch pickle: pytorch_model.bin", "save_pretrained"]);
    let settings = json!({"peft_type": "LORA", "base_model_name_or_path": "some/base"});
    std::fs::create_dir(place.at("adapter")).unwrap();
    std::fs::write(place.at("adapter/adapter_config.json"), settings.to_string()).unwrap();
    std::fs::write(place.at("adapter/adapter_model.safetensors"), "").unwrap();
    let texts = ["adapter_config.json", "an adapter (LORA) of some/base, not a model", "merge_and_unload()"];
    place.run(&["compile", "adapter", "-o", "out"]).fails(2, &texts);
    place.run(&["run", "adapter", "--prompt", "x"]).fails(2, &texts);
}

#[test]
fn a_missing_tokenizer_is_a_note() {
    let place = Place::new();
    std::fs::remove_file(place.model().join("tokenizer.json")).unwrap();
    let ran = compile(&place, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let [note] = said(&ran)[..] else { panic!("{}", ran.stderr) };
    assert!(note.starts_with("note: tokenizer.json is missing: "), "{note}");
}
