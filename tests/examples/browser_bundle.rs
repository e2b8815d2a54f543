//! Compiles a bundle for the browser tests, and records what the native runtime computes with it:
//!
//! ```text
//! cargo xtask web
//! cargo run -p gristmill-tests --example browser_bundle -- FOLDER NAME MODEL_DIR PRECISION TEXT..
//! node tests/browser/run.mjs --bundles FOLDER --only embed
//! ```
//!
//! Each text is embedded if the model embeds texts, and otherwise continued by 16 tokens.

use std::path::Path;

use gristmill_tests::browser::{Task, make};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, name, model, precision, texts @ ..] = args.as_slice() else {
        return Err("expected FOLDER NAME MODEL_DIR PRECISION TEXT..".into());
    };
    let model = Path::new(model);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let prompts: Vec<(&str, u32)> = texts.iter().map(|t| (*t, 16)).collect();
    let embeds = ["modules.json", "sentence_bert_config.json"].iter().any(|file| model.join(file).exists());
    let (texts, prompts) = if embeds { (texts.as_slice(), [].as_slice()) } else { ([].as_slice(), prompts.as_slice()) };
    make(Path::new(folder), &Task { prompts, texts, ..Task::new(name, model, precision) })
}
