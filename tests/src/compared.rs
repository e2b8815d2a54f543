//! Models that compare audio and videos with texts, and the results of transformers
//! (`tests/fixtures/compared/make.py`).

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::goldens::{Case, root};
use crate::speech::copy;

/// Samples per second of the audio files.
pub const RATE: u32 = 8000;

/// A model and its expected results.
#[derive(Clone, Debug)]
pub struct Compared {
    case: Value,
    /// Audio files by name; empty for a video model.
    pub waveforms: Vec<(String, Vec<i16>)>,
}

/// The folder of the fixtures.
pub fn folder() -> PathBuf {
    root().join("tests/fixtures/compared")
}

/// Writes the model directory of `fused`, `unfused` or `video`: the golden one with settings, and with a tokenizer
/// whose words are named after their ids, such as `t17`.
///
/// # Panics
/// If the fixtures cannot be read, or the directory cannot be written.
pub fn write_model(name: &str, to: &Path) -> Compared {
    let cases: Value =
        serde_json::from_slice(&fs::read(folder().join("cases.json")).expect("the fixtures")).expect("cases");
    let case = cases[name].clone();
    copy(&Case::open(case["model"].as_str().expect("a name")).model_dir(), to);
    let write = |file: &str, value: &Value| fs::write(to.join(file), value.to_string()).expect("written");
    write("preprocessor_config.json", &case["settings"]);
    write("tokenizer_config.json", &json!({ "tokenizer_class": "PreTrainedTokenizerFast" }));
    let vocab: serde_json::Map<String, Value> = (0..140).map(|id| (format!("t{id}"), id.into())).collect();
    write(
        "tokenizer.json",
        &json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "t1" },
        }),
    );
    let bytes = fs::read(folder().join("tensors.safetensors")).expect("the fixtures");
    let tensors = SafeTensors::deserialize(&bytes).expect("tensors");
    let samples = |name: &str| {
        let bytes = tensors.tensor(name).expect("an audio file").data();
        bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
    };
    let named = case["logits"].as_object().expect("logits").keys().filter(|key| *key != "video");
    let waveforms = named.map(|name| (name.clone(), samples(name))).collect();
    Compared { case, waveforms }
}

impl Compared {
    /// The texts as token ids.
    ///
    /// # Panics
    /// If the fixtures are damaged.
    pub fn ids(&self) -> Vec<Vec<u32>> {
        serde_json::from_value(self.case["texts"].clone()).expect("token ids")
    }

    /// The texts.
    pub fn texts(&self) -> Vec<String> {
        let text = |ids: &Vec<u32>| ids.iter().map(|id| format!("t{id}")).collect::<Vec<_>>().join(" ");
        self.ids().iter().map(text).collect()
    }

    /// The expected logits of an audio file or video.
    ///
    /// # Panics
    /// If the fixtures are damaged.
    pub fn logits(&self, name: &str) -> Vec<f32> {
        serde_json::from_value(self.case["logits"][name].clone()).expect("logits")
    }
}
