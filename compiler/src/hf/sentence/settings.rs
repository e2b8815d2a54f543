//! `config_sentence_transformers.json` and `sentence_bert_config.json`: how texts are prepared for the tokenizer.

use gristmill_bundle::SimilarityFunction;
use serde_json::Value;

use super::{ALWAYS, Sentence, Table, short};
use crate::error::CompileError;
use crate::hf::files::Files;

/// File names of the transformer module's settings in versions of sentence-transformers. The first that exists counts.
const TRANSFORMER: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];
/// Entries of that file with arguments for the tokenizer, the config and the model.
const TOKENIZER_ARGUMENTS: [&str; 2] = ["tokenizer_args", "processor_kwargs"];
const OTHER_ARGUMENTS: [&str; 4] = ["config_args", "config_kwargs", "model_args", "model_kwargs"];
/// Arguments that change no result: file locations, loading options, the implementation to use.
const HARMLESS: [&str; 12] = [
    "add_pooling_layer",
    "attn_implementation",
    "cache_dir",
    "device_map",
    "dtype",
    "local_files_only",
    "padding_side",
    "revision",
    "token",
    "torch_dtype",
    "trust_remote_code",
    "use_fast",
];

impl Sentence {
    /// Prompts and similarity.
    pub(super) fn settings(&mut self, settings: &Table) -> Result<(), CompileError> {
        if let Some(kind) = settings.text("model_type")?.filter(|kind| *kind != "SentenceTransformer") {
            return settings.fault("model_type", format!("{kind} is not supported; only SentenceTransformer is"));
        }
        match settings.get("prompts") {
            None => {}
            Some(Value::Object(prompts)) => {
                for (name, text) in prompts {
                    let text = match text {
                        Value::Null => String::new(),
                        Value::String(text) => text.clone(),
                        other => {
                            return settings.fault("prompts", format!("expected texts, found {}", short(other)));
                        }
                    };
                    self.prompts.insert(name.clone(), text);
                }
            }
            Some(other) => return settings.fault("prompts", format!("expected texts by name, found {}", short(other))),
        }
        self.default_prompt = settings.text("default_prompt_name")?.map(str::to_string);
        let missing = |name: &&String| !ALWAYS.contains(&name.as_str()) && !self.prompts.contains_key(*name);
        if let Some(name) = self.default_prompt.as_ref().filter(missing) {
            return settings.fault("default_prompt_name", format!("`{name}` is not among `prompts`"));
        }
        if let Some(name) = settings.text("similarity_fn_name")? {
            match SimilarityFunction::from_name(name) {
                Some(similarity) => self.similarity = similarity,
                None => self.warnings.push(format!(
                    "{}: `similarity_fn_name`: `{name}` is unknown; using cosine similarity",
                    settings.file
                )),
            }
        }
        self.truncate_dim = settings.count("truncate_dim")?;
        Ok(())
    }

    /// The maximum text length and whether texts are lowercased, from the folder of the model.
    pub(super) fn transformer(&mut self, files: &Files) -> Result<(), CompileError> {
        for file in TRANSFORMER {
            // Like sentence-transformers, ignores an empty file.
            let Some(table) = Table::read(files, &self.path_of(file))?.filter(|t| !t.entries.is_empty()) else {
                continue;
            };
            self.max_tokens = table.count("max_seq_length")?;
            self.lowers = table.flag("do_lower_case", false)?;
            return self.arguments(&table);
        }
        Ok(())
    }

    /// A file in the folder of the model.
    fn path_of(&self, file: &str) -> String {
        if self.folder.is_empty() { file.to_string() } else { format!("{}/{file}", self.folder) }
    }

    /// Settings that newer files add.
    fn arguments(&mut self, table: &Table) -> Result<(), CompileError> {
        let expected = [("transformer_task", "feature-extraction"), ("module_output_name", "token_embeddings")];
        for (key, value) in expected {
            if let Some(found) = table.text(key)?.filter(|found| *found != value) {
                return table.fault(key, format!("`{found}` is not supported; {value} is"));
            }
        }
        if let Some(modalities) = table.get("modality_config") {
            if modalities.get("message").is_some() {
                return table.fault("modality_config", "chat templates are not supported for embedding models");
            }
            let text = &modalities["text"];
            if text["method"] != "forward" || text["method_output_name"] != "last_hidden_state" {
                return table.fault("modality_config", format!("{} is not supported", short(text)));
            }
        }
        if table.get("query_expansion").is_some() {
            return table.fault("query_expansion", "is not supported");
        }
        for key in TOKENIZER_ARGUMENTS {
            let Some(arguments) = table.get(key) else { continue };
            if let Some(limit) = arguments["model_max_length"].as_u64().and_then(|n| u32::try_from(n).ok()) {
                self.max_tokens = Some(self.max_tokens.map_or(limit, |own| own.min(limit)).max(1));
            }
            self.leave_out(table, key, arguments, &["model_max_length"]);
        }
        for key in OTHER_ARGUMENTS {
            if let Some(arguments) = table.get(key) {
                self.leave_out(table, key, arguments, &[]);
            }
        }
        Ok(())
    }

    /// Warns of arguments that have no effect.
    fn leave_out(&mut self, table: &Table, key: &str, arguments: &Value, read: &[&str]) {
        let names = arguments.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        for name in names.filter(|name| !read.contains(name) && !HARMLESS.contains(name)) {
            self.warnings.push(format!("{}: `{key}.{name}` has no effect", table.file));
        }
    }
}
