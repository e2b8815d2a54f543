//! The files of a model directory.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::library::library;
use gristmill_compiler::weights::{Checkpoint, index as weight_index};
use gristmill_compiler::{CompileOptions, Quiet, compile as compile_model};
use gristmill_graph::text::{Library, Policy, bind, check};
use serde_json::{Value, json};

use crate::scratch::with_files;
use crate::target::Accepted;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const ARCHITECTURE: &str = "fuzzed.ron";

fn shipped() -> &'static Library {
    static SHIPPED: OnceLock<Library> = OnceLock::new();
    SHIPPED.get_or_init(library)
}

/// A config with some settings that every family needs.
fn settings_of_all() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 11, "hidden_size": 16, "intermediate_size": 20,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 3,
        "use_sliding_window": true, "max_window_layers": 1, "layer_types": ["full_attention", "sliding_attention"],
        "rope_scaling": {"rope_type": "linear", "factor": 2.0}, "head_dim": 4, "max_position_embeddings": 32,
        "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32, "id2label": {"0": "a"}, "rms_norm_eps": 1e-6
    })
}

/// An architecture file, also bound to a model.
pub(crate) fn architecture(data: &[u8]) -> Accepted {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let library = shipped().clone().with_file(ARCHITECTURE, text);
    let good = check(&library, ARCHITECTURE).map_err(|e| e.to_string()).is_ok();
    if good {
        let _ = bind(&library, ARCHITECTURE, &settings_of_all(), None).map_err(|e| e.to_string());
    }
    good
}

/// A precision policy.
pub(crate) fn policy(data: &[u8]) -> Accepted {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    Policy::parse("fuzzed.ron", text).map_err(|e| e.to_string()).is_ok()
}

/// A `config.json`, for the family that it names.
pub(crate) fn config(data: &[u8]) -> Accepted {
    with_files(&[(CONFIG, data), (WEIGHTS, &no_weights())], |folder| {
        let dir = ModelDir::open(folder).map_err(|e| e.to_string());
        let Ok(dir) = dir else { return false };
        let Ok(architecture) = dir.architecture_file(shipped()).map_err(|e| e.to_string()) else { return false };
        bind(shipped(), &architecture, &dir.config, None).map_err(|e| e.to_string()).is_ok()
    })
}

/// Files with settings of inputs and outputs. Each is preceded by a line with its name: `--- NAME`.
pub(crate) fn settings(data: &[u8]) -> Accepted {
    const NAMES: [&str; 16] = [
        "generation_config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "spiece.model",
        "tokenizer.model",
        "chat_template.jinja",
        "chat_template.json",
        "preprocessor_config.json",
        "processor_config.json",
        "modules.json",
        "adapter_config.json",
    ];
    let (config, weights) = (settings_of_all().to_string(), no_weights());
    let mut files = BTreeMap::from([(CONFIG, config.as_bytes()), (WEIGHTS, &weights)]);
    let known = |(name, content)| NAMES.iter().find(|n| n.as_bytes() == name).map(|n| (*n, content));
    files.extend(parts(data).into_iter().filter_map(known));
    let files: Vec<(&str, &[u8])> = files.into_iter().collect();
    with_files(&files, |folder| {
        let read = || -> Result<(), String> {
            let mut dir = ModelDir::open(folder).map_err(|e| e.to_string())?;
            let tokenizer = dir.tokenizer().map_err(|e| e.to_string())?;
            dir.chat_template(tokenizer.as_ref()).map_err(|e| e.to_string())?;
            dir.eos_token_ids();
            dir.companions().map_err(|e| e.to_string())?;
            let _ = dir.ctc().map_err(|e| e.to_string());
            bind(shipped(), "llama.ron", &dir.config, None).map_err(|e| e.to_string())?;
            Ok(())
        };
        read().is_ok()
    })
}

/// Splits the input into names and contents of files.
fn parts(mut data: &[u8]) -> Vec<(&[u8], &[u8])> {
    const MARK: &[u8] = b"--- ";
    let mut found = Vec::new();
    while let Some(rest) = data.strip_prefix(MARK) {
        let Some(line) = rest.iter().position(|b| *b == b'\n') else { break };
        let (name, content) = (&rest[..line], &rest[line + 1..]);
        let next = content.windows(MARK.len() + 1).position(|w| w[0] == b'\n' && &w[1..] == MARK);
        let end = next.unwrap_or(content.len());
        found.push((name, &content[..end]));
        data = content.get(end + 1..).unwrap_or_default();
    }
    found
}

/// A safetensors file without tensors.
fn no_weights() -> Vec<u8> {
    [&2_u64.to_le_bytes()[..], b"{}"].concat()
}

/// A safetensors file.
pub(crate) fn weights(data: &[u8]) -> Accepted {
    with_files(&[(WEIGHTS, data)], |folder| Checkpoint::open(folder).map_err(|e| e.to_string()).is_ok_and(|c| rows(&c)))
}

/// An index of safetensors files.
pub(crate) fn index(data: &[u8]) -> Accepted {
    const INDEX: &str = "model.safetensors.index.json";
    with_files(&[(INDEX, data), ("model-00001-of-00001.safetensors", &no_weights())], |folder| {
        let _ = Checkpoint::open(folder).map_err(|e| e.to_string());
        weight_index::read(&folder.join(INDEX)).map_err(|e| e.to_string()).is_ok()
    })
}

/// A GGUF file: its settings, its tokenizer, its tensors.
pub(crate) fn gguf(data: &[u8]) -> Accepted {
    const NAME: &str = "model.gguf";
    with_files(&[(NAME, data)], |folder| {
        let Ok(mut dir) = ModelDir::open(&folder.join(NAME)).map_err(|e| e.to_string()) else { return false };
        let tokenizer = dir.tokenizer().map_err(|e| e.to_string()).ok().flatten();
        let _ = dir.chat_template(tokenizer.as_ref()).map_err(|e| e.to_string());
        let _ = dir.architecture_file(shipped()).map_err(|e| e.to_string());
        dir.checkpoint().map_err(|e| e.to_string()).map(|checkpoint| rows(&checkpoint)).is_ok()
    })
}

/// Reads the first rows of all tensors. Returns whether they can be read.
fn rows(checkpoint: &Checkpoint) -> bool {
    let mut values = Vec::new();
    let mut good = true;
    for (name, shape) in checkpoint.tensors() {
        let rows = shape.first().copied().unwrap_or(1).min(3);
        // The caller has to bound the rows that it asks for.
        if shape.iter().skip(1).try_fold(rows, |all, n| all.checked_mul(*n)).is_some_and(|n| n < 1 << 20) {
            values.clear();
            good &= checkpoint.read_rows_f32(&name, 0..rows, &mut values).map_err(|e| e.to_string()).is_ok();
        }
    }
    good
}

/// An architecture file, run through the whole compiler. The model has a weight of each rank, `a` to `c`, with 4
/// elements per axis.
pub(crate) fn compile(data: &[u8]) -> Accepted {
    let values = [1_u8; 4 * (4 + 16 + 64)];
    let header = json!({
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "b": {"dtype": "F32", "shape": [4, 4], "data_offsets": [16, 80]},
        "c": {"dtype": "F32", "shape": [4, 4, 4], "data_offsets": [80, 336]},
    })
    .to_string();
    let weights = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &values].concat();
    let config = settings_of_all().to_string();
    with_files(&[(CONFIG, config.as_bytes()), (WEIGHTS, &weights), (ARCHITECTURE, data)], |folder| {
        let out = folder.join("bundle");
        let options = CompileOptions {
            arch: Some(folder.join(ARCHITECTURE)),
            targets: vec!["native".to_string(), "wasm".to_string()],
            allow_unused: true,
            ..CompileOptions::default()
        };
        let compiled = compile_model(folder, &out, &options, &Quiet).map_err(|e| e.to_string());
        let _ = std::fs::remove_dir_all(&out);
        if let Err(text) = &compiled {
            assert!(!text.starts_with("internal error"), "{text}");
        }
        compiled.is_ok()
    })
}
