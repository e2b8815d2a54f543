//! Models saved by sentence-transformers, and the embeddings that it computes with them
//! (`tests/fixtures/sentences/make.py`).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::goldens::{Case, root};

/// A model directory and its expected results.
#[derive(Clone, Debug)]
pub struct SentenceModel {
    /// `cls`, `dense`, ..
    pub name: String,
    /// Maximum number of tokens of a text.
    pub max_tokens: u64,
    /// Texts and their embeddings.
    pub texts: Vec<Embedded>,
    /// Tokens and their embeddings.
    pub batches: Vec<Batch>,
    case: Value,
}

/// A text and its embedding.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The name of the prompt to prepend.
    pub prompt: Option<String>,
    /// The text.
    pub text: String,
    /// Its tokens, including the prompt, truncated.
    pub ids: Vec<i32>,
    /// How many of them are excluded from pooling.
    pub left_out: usize,
    /// The embedding.
    pub vector: Vec<f32>,
}

/// Rows of token ids with padding on one side, and an embedding for each.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Token ids, row by row.
    pub ids: Vec<i32>,
    /// 1 for a token, 0 for padding.
    pub mask: Vec<i32>,
    /// An embedding for each row.
    pub vectors: Vec<Vec<f32>>,
}

fn folder() -> PathBuf {
    root().join("tests/fixtures/sentences")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the fixtures")).expect("JSON")
}

/// All models.
///
/// # Panics
/// If the fixtures cannot be read.
pub fn models() -> Vec<SentenceModel> {
    let cases = json(&folder().join("cases.json"));
    let floats = |v: &Value| serde_json::from_value::<Vec<f32>>(v.clone()).expect("numbers");
    let whole = |v: &Value| serde_json::from_value::<Vec<Vec<i32>>>(v.clone()).expect("rows").concat();
    let text = |v: &Value| Embedded {
        prompt: v["prompt"].as_str().map(str::to_string),
        text: v["text"].as_str().expect("a text").to_string(),
        ids: serde_json::from_value(v["ids"].clone()).expect("token ids"),
        left_out: v["left_out"].as_u64().expect("a number") as usize,
        vector: floats(&v["vector"]),
    };
    let batch = |v: &Value| Batch {
        ids: whole(&v["ids"]),
        mask: whole(&v["mask"]),
        vectors: v["vectors"].as_array().expect("vectors").iter().map(floats).collect(),
    };
    let list = |v: &Value| v.as_array().expect("a list").clone();
    let model = |case: &Value| SentenceModel {
        name: case["name"].as_str().expect("a name").to_string(),
        max_tokens: case["max_tokens"].as_f64().expect("a number") as u64,
        texts: list(&case["texts"]).iter().map(text).collect(),
        batches: list(&case["batches"]).iter().map(batch).collect(),
        case: case.clone(),
    };
    list(&cases["cases"]).iter().map(model).collect()
}

impl SentenceModel {
    /// The model with this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> Self {
        models().into_iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no model `{name}`"))
    }

    /// Writes the model directory.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, dir: &Path) {
        let files = self.case["files"].as_object().expect("files");
        let inner = dir.join(files["modules.json"][0]["path"].as_str().expect("a path"));
        fs::create_dir_all(&inner).expect("a folder");
        let golden = Case::open(self.case["golden"].as_str().expect("a case")).model_dir();
        for file in fs::read_dir(golden).expect("a model").flatten() {
            fs::copy(file.path(), inner.join(file.file_name())).expect("a copy");
        }
        let mut config = json(&inner.join("config.json"));
        for (key, value) in self.case["config"].as_object().expect("changes") {
            config[key] = value.clone();
        }
        write(&inner.join("config.json"), &config);
        let mut tokenizer = json(&folder().join("tokenizer.json"));
        tokenizer["normalizer"]["lowercase"] = self.case["lowers"].clone();
        write(&inner.join("tokenizer.json"), &tokenizer);
        for (path, content) in files {
            let at = if path == "tokenizer_config.json" { &inner } else { dir };
            write(&at.join(path), content);
        }
        for module in self.case["weights"].as_array().expect("folders") {
            let module = module.as_str().expect("a folder");
            let weights = folder().join(format!("{}.{module}.safetensors", self.name));
            fs::copy(weights, dir.join(module).join("model.safetensors")).expect("weights");
        }
    }
}

fn write(path: &Path, content: &Value) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, content.to_string()).expect("a file");
}
