//! The small files of a Hugging Face model directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_graph::text::{Library, Settings};
use serde_json::Value;

use super::adapter;
use super::class;
use super::ctc::{Ctc, ctc, unused};
use super::files::Files;
use super::json;
use super::processors::{PREPROCESSOR, PROCESSOR, Processors, VIDEO_PREPROCESSOR};
use super::sentence::{self, Sentence};
use super::template;
use super::tokenizer::Tokenizer;
use crate::error::CompileError;
use crate::gguf::{self, Gguf};
use crate::source::{Folder, Source};
use crate::weights::Checkpoint;

/// Files that a bundle carries over from the model. JSON is rewritten so that every parser accepts it.
const COMPANIONS: [&str; 5] = ["config.json", "generation_config.json", PREPROCESSOR, VIDEO_PREPROCESSOR, PROCESSOR];

/// A model directory with its parsed settings.
#[derive(Debug)]
pub struct ModelDir {
    /// The last part of its path.
    pub name: String,
    /// `config.json`. The modules of sentence-transformers are added as an entry, so that formulas can read both.
    pub config: Value,
    /// `generation_config.json`, or null.
    pub generation: Value,
    /// How images, audio and videos are preprocessed.
    pub processors: Processors,
    /// The settings of sentence-transformers.
    pub(crate) sentence: Sentence,
    /// Parts of the directory that have no effect; [`crate::compile()`] reports them.
    pub warnings: Vec<String>,
    files: Files,
    weights: Weights,
}

/// Where the weights are.
#[derive(Debug)]
enum Weights {
    /// In safetensors files.
    Files(Arc<dyn Source>),
    /// In a GGUF file.
    Gguf(Gguf),
}

impl ModelDir {
    /// Reads the settings of a model directory, or of a GGUF file.
    ///
    /// # Errors
    /// If the directory or its `config.json` is missing, `config.json` is not JSON, or the GGUF file is not supported.
    pub fn open(path: &Path) -> Result<Self, CompileError> {
        Self::read(source(path)?)
    }

    /// Reads the settings from the files of a source, or from the GGUF file that it is.
    ///
    /// # Errors
    /// If `config.json` is missing or not JSON, or the GGUF file is not supported.
    pub fn read(source: Arc<dyn Source>) -> Result<Self, CompileError> {
        if let Some(file) = source.whole() {
            let gguf = Gguf::open(source.as_ref(), file)?;
            let (files, warnings) = gguf::model(&gguf)?;
            let dir = Self::from_files(gguf::name(Path::new(file)), files, Weights::Gguf(gguf))?;
            return Ok(ModelDir { warnings, ..dir });
        }
        let files = Files::of(source.clone());
        let mut warnings: Vec<String> = adapter::check(&files)?.into_iter().collect();
        warnings.extend(unused(&files)?);
        let mut dir = Self::from_files(source.name(), files, Weights::Files(source))?;
        dir.warnings.extend(warnings);
        Ok(dir)
    }

    /// Reads the settings from these files.
    fn from_files(name: String, files: Files, weights: Weights) -> Result<Self, CompileError> {
        let mut sentence = Sentence::read(&files)?;
        let files = files.folder(&sentence.folder);
        let mut config = files.json("config.json")?.ok_or_else(|| CompileError::Io {
            path: files.place("config.json"),
            message: "not found; a Hugging Face model directory must have one".into(),
        })?;
        let Some(entries) = config.as_object_mut() else {
            return Err(CompileError::Config(format!("{}: not a JSON object", files.place("config.json"))));
        };
        let generation = files.json("generation_config.json")?.unwrap_or(Value::Null);
        let processors = Processors::read(|name| files.json(name))?;
        entries.remove(sentence::KEY);
        if !sentence.modules.is_null() {
            entries.insert(sentence::KEY.to_string(), sentence.modules.clone());
        }
        let settings = files.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        sentence.max_tokens = sentence.limit(&settings);
        let warnings = std::mem::take(&mut sentence.warnings);
        Ok(ModelDir { name, config, generation, processors, sentence, warnings, files, weights })
    }

    /// Whether the model is a GGUF file.
    pub(crate) fn is_gguf(&self) -> bool {
        matches!(self.weights, Weights::Gguf(_))
    }

    /// Opens the weights of the model. Those of sentence-transformers modules are named after their folder:
    /// `2_Dense/linear.weight`.
    ///
    /// # Errors
    /// If there are none, or a file is malformed.
    pub fn checkpoint(&self) -> Result<Checkpoint, CompileError> {
        let source = match &self.weights {
            Weights::Files(source) => source,
            Weights::Gguf(gguf) => return gguf::checkpoint(gguf),
        };
        let mut checkpoint = Checkpoint::read(source.clone(), &self.sentence.folder)?;
        for folder in &self.sentence.weights {
            checkpoint.add_folder(folder, sentence::WEIGHTS)?;
        }
        Ok(checkpoint)
    }

    /// What the formulas of an architecture can read.
    pub fn settings(&self) -> Settings<'_> {
        Settings { config: &self.config, generation: &self.generation, processors: &self.processors.values }
    }

    /// The shipped architecture file for the first known class in `architectures`, or for the `model_type` if the
    /// config has no such entry.
    ///
    /// # Errors
    /// Names the classes or the type, and the remedy, if none is known.
    pub fn architecture_file(&self, library: &Library) -> Result<String, CompileError> {
        class::architecture_file(&self.config, library)
            .map_err(|fault| CompileError::Config(format!("{}: {fault}", self.files.place("config.json"))))
    }

    /// If the config names no class and the architecture `file` describes several, infers the class, adds it to the
    /// config, and adds a warning.
    ///
    /// # Errors
    /// If several classes are possible.
    pub fn choose_class(
        &mut self,
        library: &Library,
        file: &str,
        tensors: &BTreeMap<String, Vec<u64>>,
    ) -> Result<(), CompileError> {
        let place = self.files.place("config.json");
        let chosen = class::choose(library, file, self.settings(), tensors);
        if let Some(class) = chosen.map_err(|fault| CompileError::Config(format!("{place}: {fault}")))? {
            self.warnings.push(format!("{place}: no `architectures`; its tensors are those of a {class}"));
            self.config["architectures"] = Value::from(vec![class]);
        }
        Ok(())
    }

    /// The companion files that exist, by name.
    ///
    /// # Errors
    /// If a file cannot be read, or a `.json` file is not JSON.
    pub fn companions(&self) -> Result<Vec<(String, Vec<u8>)>, CompileError> {
        let mut found = Vec::new();
        for name in COMPANIONS {
            let Some(mut content) = self.files.read(name)? else { continue };
            if name.ends_with(".json") {
                let fault = |fault: String| CompileError::Config(format!("{}{fault}", self.files.place(name)));
                content = json::standard(content).map_err(fault)?;
            }
            found.push((name.to_string(), content));
        }
        Ok(found)
    }

    /// The content of the bundle's chat template file, if the model has any template. Adds to the warnings.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn chat_template(&mut self, tokenizer: Option<&Tokenizer>) -> Result<Option<String>, CompileError> {
        let mut warnings = Vec::new();
        let made = template::chat_file(&self.files, tokenizer.map_or(&[], |t| &t.special), &mut warnings)?;
        self.warnings.extend(warnings);
        Ok(made)
    }

    /// The meaning of the tokens of a model with a CTC head; `None` without a vocabulary.
    ///
    /// # Errors
    /// If a file cannot be read, or asks for something that is not supported.
    pub fn ctc(&self) -> Result<Option<Ctc>, CompileError> {
        let size = self.config["vocab_size"].as_u64().map_or(0, |n| n as usize);
        let settings = self.files.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        ctc(&|name| self.files.json(name), &settings, size)
    }

    /// The value of `key` in the first of these where it is not null: the generation settings, the config, and the
    /// config's text part, like `GenerationConfig.from_model_config` of transformers.
    fn setting(&self, key: &str) -> &Value {
        let places = [&self.generation, &self.config, &self.config["text_config"]];
        places.into_iter().map(|place| &place[key]).find(|v| !v.is_null()).unwrap_or(&Value::Null)
    }

    /// Ids that end generation: `eos_token_id` of the generation settings, or else of the config or its text part.
    pub fn eos_token_ids(&self) -> Vec<u32> {
        let all: Vec<u64> = match self.setting("eos_token_id") {
            Value::Array(ids) => ids.iter().filter_map(Value::as_u64).collect(),
            id => id.as_u64().into_iter().collect(),
        };
        all.into_iter().filter_map(|id| u32::try_from(id).ok()).collect()
    }

    /// The tokenizer, if the directory has one. Adds to the warnings.
    ///
    /// # Errors
    /// See [`super::tokenizer::tokenizer`].
    pub fn tokenizer(&mut self) -> Result<Option<Tokenizer>, CompileError> {
        let Some(mut found) = super::tokenizer::tokenizer(&self.files, &self.config)? else { return Ok(None) };
        self.warnings.append(&mut found.warnings);
        if self.sentence.lowers {
            let internal = |e| CompileError::Internal(format!("{}: {e}", super::tokenizer::FILE));
            let mut tokenizer = serde_json::from_slice(&found.json).map_err(internal)?;
            Sentence::lower(&mut tokenizer);
            found.json = serde_json::to_vec(&tokenizer).map_err(internal)?;
        }
        Ok(Some(found))
    }
}

/// The files of a model directory, or a GGUF file.
///
/// # Errors
/// If the path is neither.
pub(crate) fn source(path: &Path) -> Result<Arc<dyn Source>, CompileError> {
    if gguf::is_gguf(path) {
        return Ok(Arc::new(Folder::around(path)));
    }
    if path.is_dir() {
        return Ok(Arc::new(Folder::new(path)));
    }
    Err(CompileError::Io {
        path: path.display().to_string(),
        message: "is neither a directory nor a GGUF file; expected a Hugging Face model directory with \
                  config.json and *.safetensors, or a .gguf file"
            .into(),
    })
}
