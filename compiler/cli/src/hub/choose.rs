//! Selects the files of a model that a compilation needs. Weights in other formats, images and documents are not
//! downloaded.

use std::path::Path;

use gristmill_compiler::gguf;
use gristmill_compiler::hf::adapter::SETTINGS as ADAPTER;
use gristmill_compiler::weights::files::{self, Found};
use serde_json::Value;

use super::listing::Listing;
use super::name::Name;
use crate::failure::{Failure, Outcome};
use crate::output::bytes;

/// The list of modules of a sentence-transformers model, with their folders.
pub(super) const MODULES: &str = "modules.json";
/// The folder of further chat templates.
const TEMPLATES: &str = "additional_chat_templates";

/// The kind of a model on the Hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// GGUF: one file, or all parts of a split one.
    Gguf(Vec<String>),
    /// A model directory with settings and weights.
    Directory,
    /// An adapter. Its settings suffice to report which model it modifies.
    Adapter,
}

/// The kind of a model. `has` says whether a GGUF file is already cached.
pub(super) fn kind(name: &Name<'_>, listing: &Listing, has: impl Fn(&str) -> bool) -> Outcome<Kind> {
    if let Some(file) = name.file {
        return parts(name, listing, file).map(Kind::Gguf);
    }
    let root = listing.names_in("");
    let is_there = |file: &str| root.iter().any(|name| name == file);
    let safetensors = listing.files.iter().any(|file| file.path.ends_with(".safetensors"));
    let config = is_there("config.json") || is_there(MODULES);
    if is_there(ADAPTER) && !is_there("config.json") {
        return Ok(Kind::Adapter);
    }
    let models = models(listing);
    if !(models.is_empty() || config && safetensors) {
        return match models.as_slice() {
            [one] => parts(name, listing, one).map(Kind::Gguf),
            several => match several.iter().filter(|file| has(file)).collect::<Vec<_>>().as_slice() {
                [one] => parts(name, listing, one).map(Kind::Gguf),
                _ => Err(several_models(name, listing, several)),
            },
        };
    }
    match config {
        true => Ok(Kind::Directory),
        false => Err(Failure::wrong(format!(
            "{name}: has neither config.json nor GGUF files; name a model in the format of transformers"
        ))),
    }
}

/// GGUF files that are complete models, or the first part of one.
fn models(listing: &Listing) -> Vec<&str> {
    let is_model = |path: &&str| path.ends_with(".gguf") && !gguf::is_later_part(Path::new(path));
    listing.files.iter().map(|file| file.path.as_str()).filter(is_model).collect()
}

/// The parts of a GGUF model.
fn parts(name: &Name<'_>, listing: &Listing, first: &str) -> Outcome<Vec<String>> {
    let path = |path: &Path| path.to_string_lossy().replace('\\', "/");
    let parts: Vec<String> = gguf::parts(Path::new(first)).iter().map(|part| path(part)).collect();
    match parts.iter().find(|part| listing.file(part).is_none()) {
        None => Ok(parts),
        Some(missing) => {
            let known = models(listing);
            let remedy = match known.is_empty() {
                true => "it has no GGUF files".to_string(),
                false => format!("name one of {}", known.join(", ")),
            };
            Err(Failure::wrong(format!("{name}: has no file {missing}; {remedy}")))
        }
    }
}

fn several_models(name: &Name<'_>, listing: &Listing, models: &[&str]) -> Failure {
    let line = |file: &&str| {
        let sizes = gguf::parts(Path::new(file));
        let sizes = sizes.iter().map(|part| listing.file(&part.to_string_lossy()).and_then(|f| f.size));
        let size = sizes.sum::<Option<u64>>().map_or(String::new(), |n| format!(" ({})", bytes(n)));
        format!("\n  {name}/{file}{size}")
    };
    let lines: String = models.iter().map(line).collect();
    Failure::wrong(format!("{name}: has several models; name one of these:{lines}"))
}

/// Small files in a folder of the model: settings, tokenizers and templates.
pub(super) fn small(listing: &Listing, folder: &str) -> Vec<String> {
    let mut files: Vec<String> =
        listing.names_in(folder).iter().filter(|name| is_small(name)).map(|name| join(folder, name)).collect();
    if folder.is_empty() {
        let jinja = listing.names_in(TEMPLATES).into_iter().filter(|name| name.ends_with(".jinja"));
        files.extend(jinja.map(|name| join(TEMPLATES, &name)));
    }
    files
}

fn is_small(name: &str) -> bool {
    let ends = |end: &str| name.ends_with(end);
    let index_of_others = ends(".index.json") && !ends(".safetensors.index.json");
    let of_training = ["trainer_state.json", "training_args.json", "all_results.json"].contains(&name);
    let reads = [".json", ".jinja", ".txt", ".model", ".tiktoken"].iter().any(|end| ends(end));
    reads && !index_of_others && !of_training
}

/// The folders that `modules.json` lists.
pub(super) fn folders(modules: &[u8], listing: &Listing) -> Vec<String> {
    let json: Value = serde_json::from_slice(modules).unwrap_or_default();
    let entries = json.as_array().into_iter().flatten();
    let mut folders: Vec<String> = entries.filter_map(|e| e["path"].as_str()).map(str::to_string).collect();
    // The compiler reports errors in the file.
    folders.retain(|folder| !folder.is_empty() && !listing.names_in(folder).is_empty());
    folders
}

/// The weights in a folder of the model: a file, or an index.
pub(super) fn weights(name: &Name<'_>, listing: &Listing, folder: &str) -> Outcome<Found> {
    let place = match folder {
        "" => name.name.to_string(),
        _ => join(name.name, folder),
    };
    files::choose(Path::new(&place), &listing.names_in(folder)).map_err(|e| Failure::wrong(e.to_string()))
}

/// The path of a file in a folder of the model.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::super::listing::Remote;
    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let file = |path: &&str| Remote { path: path.to_string(), size: Some(1 << 20), hash: None };
        Listing { commit: "0123456".into(), files: paths.iter().map(file).collect() }
    }

    fn kind_of(name: &str, paths: &[&str], here: &[&str]) -> Result<Kind, String> {
        let name = Name::parse(name).unwrap();
        kind(&name, &listing(paths), |file| here.contains(&file)).map_err(|e| e.message)
    }

    #[test]
    fn what_a_model_is_follows_from_its_files() {
        let gguf = |files: &[&str]| Ok(Kind::Gguf(files.iter().map(|f| f.to_string()).collect()));
        assert_eq!(kind_of("o/n", &["config.json", "model.safetensors", "a.gguf"], &[]), Ok(Kind::Directory));
        assert_eq!(kind_of("o/n", &["config.json", "README.md", "a.gguf"], &[]), gguf(&["a.gguf"]));
        let parts = ["q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"];
        assert_eq!(kind_of("o/n", &parts, &[]), gguf(&parts));
        assert_eq!(kind_of("o/n", &["a.gguf", "b.gguf"], &["b.gguf"]), gguf(&["b.gguf"]));
        assert_eq!(kind_of("o/n/b.gguf", &["a.gguf", "b.gguf"], &[]), gguf(&["b.gguf"]));
        assert_eq!(kind_of("o/n", &["adapter_config.json", "adapter_model.safetensors"], &[]), Ok(Kind::Adapter));
        let several = kind_of("o/n", &["a.gguf", "q/b.gguf"], &[]).unwrap_err();
        assert!(several.contains("o/n/a.gguf (1.0 MiB)") && several.contains("o/n/q/b.gguf"), "{several}");
        let none = kind_of("o/n/c.gguf", &["a.gguf"], &[]).unwrap_err();
        assert!(none.contains("has no file c.gguf; name one of a.gguf"), "{none}");
        assert!(kind_of("o/n/c-00001-of-00002.gguf", &["c-00001-of-00002.gguf"], &[]).is_err());
        let other = kind_of("o/n", &["model_index.json", "unet/x.safetensors"], &[]).unwrap_err();
        assert!(other.contains("neither config.json nor GGUF"), "{other}");
    }

    #[test]
    fn only_files_that_are_read_are_chosen() {
        let all = [
            "config.json",
            "tokenizer.json",
            "merges.txt",
            "spiece.model",
            "chat_template.jinja",
            "modules.json",
            "additional_chat_templates/rag.jinja",
            "1_Pooling/config.json",
            "onnx/config.json",
            "README.md",
            "a.png",
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            "model.safetensors.index.json",
            "trainer_state.json",
            "model.onnx",
            "tf_model.h5",
            "flax_model.msgpack",
        ];
        let listing = listing(&all);
        let mut expected = all[..7].to_vec();
        expected.push("model.safetensors.index.json");
        let mut found = small(&listing, "");
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let modules = br#"[{"path": ""}, {"path": "1_Pooling"}, {"path": "../x"}, {"path": "2_Missing"}]"#;
        assert_eq!(folders(modules, &listing), ["1_Pooling"]);
        assert_eq!(small(&listing, "1_Pooling"), ["1_Pooling/config.json"]);
    }

    #[test]
    fn weights_of_other_formats_are_named_with_a_remedy() {
        let name = Name::parse("o/n").unwrap();
        let fault = weights(&name, &listing(&["config.json", "pytorch_model.bin"]), "").unwrap_err().message;
        assert!(
            fault.starts_with("o/n: ") && fault.contains("pytorch_model.bin") && fault.contains("save_pretrained"),
            "{fault}"
        );
    }
}
