//! The small files of a Hugging Face model directory.

use std::path::{Path, PathBuf};

use gristmill_graph::text::{Library, Settings};
use serde_json::Value;

use super::adapter;
use super::ctc::{Ctc, ctc, unused};
use super::files::Files;
use crate::error::CompileError;
use crate::gguf::{self, Gguf};
use crate::weights::Checkpoint;

/// How pictures and recordings become tensors.
pub const PREPROCESSOR: &str = "preprocessor_config.json";

/// Under which entry of the config architectures find what stands in that file.
pub(crate) const PREPROCESSOR_KEY: &str = "preprocessor_config";

/// Files that a bundle carries as the model had them.
const COMPANIONS: [&str; 8] = [
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
    PREPROCESSOR,
    "sentence_bert_config.json",
];

/// A model directory with its parsed settings.
#[derive(Debug)]
pub struct ModelDir {
    /// The last part of its path.
    pub name: String,
    /// `config.json`, with `preprocessor_config.json` as a further entry, so that formulas can read both.
    pub config: Value,
    /// `generation_config.json`, or null.
    pub generation: Value,
    /// `preprocessor_config.json`, or null.
    pub preprocessor: Value,
    /// What is in the directory and has no effect; [`crate::compile()`] says it.
    pub warnings: Vec<String>,
    files: Files,
    weights: Weights,
}

/// Where the weights of a model are.
#[derive(Debug)]
enum Weights {
    /// In safetensors files of a directory.
    Dir(PathBuf),
    /// In a GGUF file.
    Gguf(Gguf),
}

impl ModelDir {
    /// Reads the settings of a model directory, or of a GGUF file.
    ///
    /// # Errors
    /// If the directory or its `config.json` is missing or not JSON, or the file is not one that can be read.
    pub fn open(path: &Path) -> Result<Self, CompileError> {
        if gguf::is_gguf(path) {
            let gguf = Gguf::open(path)?;
            let (files, warnings) = gguf::model(&gguf)?;
            let dir = Self::from_files(gguf::name(path), files, Weights::Gguf(gguf))?;
            return Ok(ModelDir { warnings, ..dir });
        }
        if !path.is_dir() {
            return Err(CompileError::Io {
                path: path.display().to_string(),
                message: "is neither a directory nor a GGUF file; expected a Hugging Face model directory with \
                          config.json and *.safetensors, or a .gguf file"
                    .into(),
            });
        }
        let warnings = adapter::check(path)?.into_iter().chain(unused(path)).collect();
        let dir = Self::from_files(name_of(path), Files::of_dir(path), Weights::Dir(path.to_path_buf()))?;
        Ok(ModelDir { warnings, ..dir })
    }

    /// Reads the settings among these files.
    fn from_files(name: String, files: Files, weights: Weights) -> Result<Self, CompileError> {
        let mut config = files.json("config.json")?.ok_or_else(|| CompileError::Io {
            path: files.place("config.json"),
            message: "not found; a Hugging Face model directory has one".into(),
        })?;
        let Some(entries) = config.as_object_mut() else {
            return Err(CompileError::Config(format!("{}: not a JSON object", files.place("config.json"))));
        };
        let generation = files.json("generation_config.json")?.unwrap_or(Value::Null);
        let preprocessor = files.json(PREPROCESSOR)?.unwrap_or(Value::Null);
        if preprocessor.is_object() {
            entries.entry(PREPROCESSOR_KEY).or_insert_with(|| preprocessor.clone());
        }
        Ok(ModelDir { name, config, generation, preprocessor, warnings: Vec::new(), files, weights })
    }

    /// Opens the weights.
    ///
    /// # Errors
    /// If there are none, or their files break a rule of their format.
    pub fn checkpoint(&self) -> Result<Checkpoint, CompileError> {
        match &self.weights {
            Weights::Dir(path) => Ok(Checkpoint::open(path)?),
            Weights::Gguf(gguf) => gguf::checkpoint(gguf),
        }
    }

    /// What formulas of an architecture see.
    pub fn settings(&self) -> Settings<'_> {
        Settings { config: &self.config, generation: &self.generation }
    }

    /// The shipped architecture file for the first known class in `architectures`.
    ///
    /// # Errors
    /// Names the classes and what to do if none is known.
    pub fn architecture_file(&self, library: &Library) -> Result<String, CompileError> {
        let classes: Vec<&str> = self.config["architectures"]
            .as_array()
            .map_or(Vec::new(), |a| a.iter().filter_map(Value::as_str).collect());
        if classes.is_empty() {
            return Err(CompileError::Config(format!(
                "{}: no `architectures`; name an architecture file with --arch FILE.ron",
                self.files.place("config.json")
            )));
        }
        classes.iter().find_map(|c| library.architecture_for_class(c)).ok_or_else(|| {
            let known: Vec<String> = library.architectures().flat_map(|file| library.classes(file)).collect();
            CompileError::Config(format!(
                "{}: no shipped architecture handles {}; write one and pass it with --arch FILE.ron (see \
                 docs/authoring.md). Shipped are {}",
                self.files.place("config.json"),
                classes.join(", "),
                known.join(", ")
            ))
        })
    }

    /// The companion files that exist, by name.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn companions(&self) -> Result<Vec<(String, Vec<u8>)>, CompileError> {
        let mut found = Vec::new();
        for name in COMPANIONS {
            if let Some(content) = self.files.read(name)? {
                found.push((name.to_string(), content));
            }
        }
        Ok(found)
    }

    /// What the tokens of a model with a CTC head stand for; none without a vocabulary.
    ///
    /// # Errors
    /// If a file cannot be read, or asks for something that is not supported.
    pub fn ctc(&self) -> Result<Option<Ctc>, CompileError> {
        let size = self.config["vocab_size"].as_u64().map_or(0, |n| n as usize);
        let settings = self.files.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        ctc(&|name| self.files.json(name), &settings, size)
    }

    /// Ids that end generation: `eos_token_id` of the generation settings, else of the config.
    pub fn eos_token_ids(&self) -> Vec<u32> {
        let ids = |v: &Value| match v {
            Value::Number(_) => v.as_u64().into_iter().collect(),
            Value::Array(a) => a.iter().filter_map(Value::as_u64).collect(),
            _ => Vec::new(),
        };
        let mut all: Vec<u64> = ids(&self.generation["eos_token_id"]);
        if all.is_empty() {
            all = ids(&self.config["eos_token_id"]);
        }
        all.into_iter().filter_map(|id| u32::try_from(id).ok()).collect()
    }

    /// The content of the bundle's `tokenizer.json`, if the directory has a tokenizer; warnings are added to its own.
    ///
    /// # Errors
    /// As [`super::tokenizer::tokenizer`].
    pub fn tokenizer(&mut self) -> Result<Option<Vec<u8>>, CompileError> {
        let Some(found) = super::tokenizer::tokenizer(&self.files, &self.config)? else { return Ok(None) };
        self.warnings.extend(found.warnings);
        Ok(Some(found.json))
    }
}

/// The last part of a path; of a snapshot in the cache of the Hub, `models--org--NAME/snapshots/COMMIT`, the name.
fn name_of(dir: &Path) -> String {
    let absolute = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    let part = |n: usize| absolute.ancestors().nth(n)?.file_name()?.to_str();
    let on_hub = match (part(1), part(2)) {
        (Some("snapshots"), Some(folder)) => folder.strip_prefix("models--").and_then(|name| name.rsplit("--").next()),
        _ => None,
    };
    on_hub.or(part(0)).unwrap_or("model").to_string()
}
