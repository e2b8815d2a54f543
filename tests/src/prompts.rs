//! Models with images in prompts, and the results of transformers for some (`tests/fixtures/prompts/make.py`).

use std::fs;
use std::path::{Path, PathBuf};

use gristmill_runtime::image::Image;
use serde_json::{Value, json};

use crate::goldens::{Case, root};

/// A model and its expected results.
#[derive(Clone, Debug)]
pub struct PromptModel {
    /// Its golden case.
    pub model: String,
    /// Settings of its image processor.
    pub settings: Value,
    /// Its chat template.
    pub template: String,
    /// The rendered template for an image and the text `what is in this image`.
    pub rendered: String,
    /// Prompts.
    pub prompts: Vec<ImagePrompt>,
    /// Conversations, as lists of turns.
    pub conversations: Vec<Vec<Turn>>,
}

/// A prompt with images.
#[derive(Clone, Debug)]
pub struct ImagePrompt {
    /// The text, with image placeholders.
    pub prompt: String,
    /// File names of the images.
    pub images: Vec<String>,
    /// The token ids that the processor makes of the prompt.
    pub ids: Vec<u32>,
    /// The token ids that the model generates after it.
    pub written: Vec<u32>,
}

/// A turn of a conversation: what the user says, and what comes of that.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The words.
    pub text: String,
    /// Names of the images of this message.
    pub images: Vec<String>,
    /// The conversation as the template writes it, this turn included.
    pub rendered: String,
    /// The token ids that the processor makes of it.
    pub ids: Vec<u32>,
    /// The token ids that the model writes.
    pub written: Vec<u32>,
    /// Their text.
    pub reply: String,
}

/// The folder of the fixtures.
pub fn folder() -> PathBuf {
    root().join("tests/fixtures/prompts")
}

/// The models by name.
///
/// # Panics
/// If the fixtures cannot be read.
pub fn models() -> Vec<(String, PromptModel)> {
    let file = fs::read(folder().join("cases.json")).expect("the fixtures");
    let all: Value = serde_json::from_slice(&file).expect("cases");
    let text = |v: &Value| v.as_str().expect("a text").to_string();
    let list = |v: &Value| v.as_array().expect("a list").clone();
    let ids = |v: &Value| serde_json::from_value::<Vec<u32>>(v.clone()).expect("token ids");
    let prompt = |v: &Value| ImagePrompt {
        prompt: text(&v["prompt"]),
        images: serde_json::from_value(v["images"].clone()).expect("names"),
        ids: ids(&v["ids"]),
        written: ids(&v["written"]),
    };
    let turn = |v: &Value| Turn {
        text: text(&v["text"]),
        images: serde_json::from_value(v["images"].clone()).expect("names"),
        rendered: text(&v["rendered"]),
        ids: ids(&v["ids"]),
        written: ids(&v["written"]),
        reply: text(&v["reply"]),
    };
    let model = |v: &Value| PromptModel {
        model: text(&v["model"]),
        settings: v["settings"].clone(),
        template: text(&v["template"]),
        rendered: text(&v["rendered"]),
        prompts: list(&v["prompts"]).iter().map(prompt).collect(),
        conversations: list(&v["conversations"]).iter().map(|c| list(c).iter().map(turn).collect()).collect(),
    };
    all.as_object().expect("models").iter().map(|(name, v)| (name.clone(), model(v))).collect()
}

/// The path of an image.
pub fn file(name: &str) -> PathBuf {
    folder().join(format!("{name}.png"))
}

/// An image.
///
/// # Panics
/// If it cannot be read.
pub fn image(name: &str) -> Image {
    let rgb = image::open(file(name)).expect("an image").into_rgb8();
    Image::from_rgb(rgb.width() as usize, rgb.height() as usize, rgb.into_raw()).expect("an image")
}

/// Writes the model directory: the golden one, with a tokenizer and settings.
///
/// # Panics
/// If it cannot be written.
pub fn write_model(name: &str, model: &PromptModel, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(Case::open(&model.model).model_dir()).expect("the golden model").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
    fs::copy(folder().join(format!("{name}.tokenizer.json")), to.join("tokenizer.json")).expect("a copy");
    let write = |file: &str, value: &Value| fs::write(to.join(file), value.to_string()).expect("written");
    write("preprocessor_config.json", &model.settings);
    write("tokenizer_config.json", &json!({ "tokenizer_class": "PreTrainedTokenizerFast" }));
    // The form used by models that accept more than text.
    write("chat_template.json", &json!({ "chat_template": model.template }));
}
