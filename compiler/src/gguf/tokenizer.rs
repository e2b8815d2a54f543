//! From the tokenizer in a file's metadata to `tokenizer.json` and `tokenizer_config.json`.
//!
//! What the names of tokenizers and of ways to split text stand for is in `models/tokenizers/ggml.ron`.

mod bpe;

mod table;

use std::collections::HashMap;

use gristmill_graph::text::MergeOrder;
use serde_json::{Map, Value as Json, json};

use self::table::{Method, Table};
use super::Gguf;
use super::value::Value;
use crate::error::CompileError;
use crate::weights::error::shown;

/// The name of the tokenizer.
pub(crate) const MODEL: &str = "tokenizer.ggml.model";
const TEMPLATE: &str = "tokenizer.chat_template";

/// Bytes of the longest token; real ones have up to a few hundred.
const LONGEST: usize = 1 << 10;

/// What tokens are, by the numbers that llama.cpp gives to kinds of tokens.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

/// The files of a tokenizer.
pub(super) struct Made {
    /// `tokenizer.json`.
    pub(super) tokenizer: Json,
    /// `tokenizer_config.json`.
    pub(super) config: Json,
    /// What may not be as the model's author meant it.
    pub(super) warnings: Vec<String>,
}

/// The tokenizer entries of a file.
struct Entries<'a> {
    gguf: &'a Gguf,
    /// Texts by id.
    tokens: Vec<&'a str>,
    ids: HashMap<&'a str, u32>,
    /// Kinds by id; all of them 0 if the file does not say.
    kinds: Vec<u64>,
}

/// Makes the files.
///
/// # Errors
/// If the tokenizer is of a kind that is not read, or contradicts itself.
pub(super) fn make(gguf: &Gguf, order: MergeOrder) -> Result<Made, CompileError> {
    let table = Table::read()?;
    let entries = Entries::read(gguf)?;
    let name = entries.text("model").unwrap_or_default();
    let mut warnings = Vec::new();
    let (method, bos, model, around) = match table.models.get(name) {
        Some(Method::Bytes) => {
            let pre = entries.pre(&table, &mut warnings)?;
            (Method::Bytes, pre.bos, bpe::of_bytes(&entries, pre.ignore_merges)?, bpe::around_bytes(pre))
        }
        Some(Method::Pieces) => {
            entries.refuse_settings()?;
            let space = entries.truth("add_space_prefix").unwrap_or(true);
            (Method::Pieces, true, bpe::of_pieces(&entries, order)?, bpe::around_pieces(space))
        }
        None => {
            let known = Vec::from_iter(table.models.keys().map(String::as_str)).join(", ");
            return Err(entries.fault(format!("metadata `{MODEL}` is `{}`; {known} are read", shown(name))));
        }
    };
    let special = Special::of(&entries, method, bos)?;
    let mut tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": entries.added(method),
        "post_processor": special.processor(&entries), "model": model,
    });
    if let (Some(all), Json::Object(around)) = (tokenizer.as_object_mut(), around) {
        all.extend(around);
    }
    Ok(Made { tokenizer, config: special.config(&entries), warnings })
}

impl<'a> Entries<'a> {
    fn read(gguf: &'a Gguf) -> Result<Self, CompileError> {
        let mut entries = Entries { gguf, tokens: Vec::new(), ids: HashMap::new(), kinds: Vec::new() };
        entries.tokens = entries
            .texts("tokens")?
            .ok_or_else(|| entries.fault(format!("has metadata `{MODEL}`, but no `tokenizer.ggml.tokens`")))?;
        for (id, token) in entries.tokens.iter().enumerate() {
            if token.len() > LONGEST {
                return Err(entries.fault(format!("token {id} has {} bytes; at most {LONGEST} are read", token.len())));
            }
            if let Some(other) = entries.ids.insert(token, id as u32) {
                return Err(entries.fault(format!("tokens {other} and {id} are both `{}`", shown(token))));
            }
        }
        let kinds = entries.numbers("token_type", Value::as_u64)?;
        entries.kinds = kinds.unwrap_or_else(|| vec![0; entries.tokens.len()]);
        Ok(entries)
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.gguf.metadata.get(&format!("tokenizer.ggml.{key}"))
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_text()
    }

    fn truth(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    fn fault(&self, message: impl std::fmt::Display) -> CompileError {
        CompileError::Config(format!("{}: {message}", self.gguf.path.display()))
    }

    /// A list of texts.
    fn texts(&self, key: &str) -> Result<Option<Vec<&'a str>>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let texts = value.as_list().and_then(|all| all.iter().map(Value::as_text).collect());
        texts.map(Some).ok_or_else(|| self.fault(format!("metadata `tokenizer.ggml.{key}` is no list of texts")))
    }

    /// A list with a number for each token.
    fn numbers<T>(&self, key: &str, number: fn(&Value) -> Option<T>) -> Result<Option<Vec<T>>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let numbers = value.as_list().and_then(|all| all.iter().map(number).collect::<Option<Vec<T>>>());
        match numbers.filter(|all| all.len() == self.tokens.len()) {
            Some(all) => Ok(Some(all)),
            None => {
                let n = self.tokens.len();
                Err(self
                    .fault(format!("metadata `tokenizer.ggml.{key}` is no list of {n} numbers, one for each token")))
            }
        }
    }

    /// The id that a key gives; it has to be one of a token.
    fn id(&self, key: &str) -> Result<Option<u32>, CompileError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().filter(|id| *id < self.tokens.len() as u64) {
            Some(id) => Ok(Some(id as u32)),
            None => {
                let n = self.tokens.len();
                Err(self.fault(format!("metadata `tokenizer.ggml.{key}` is none of the {n} tokens")))
            }
        }
    }

    /// How text is split into words.
    fn pre<'t>(&self, table: &'t Table, warnings: &mut Vec<String>) -> Result<&'t table::Pre, CompileError> {
        const KEY: &str = "tokenizer.ggml.pre";
        let name = self.text("pre").unwrap_or(table::UNSTATED);
        let Some(pre) = table.pre.iter().find(|pre| pre.names.iter().any(|n| n == name)) else {
            let known: Vec<&str> = table.pre.iter().flat_map(|pre| pre.names.iter().map(String::as_str)).collect();
            let remedy = "give the model as a Hugging Face model directory";
            let name = shown(name);
            return Err(self.fault(format!("metadata `{KEY}` is `{name}`; {} are read; {remedy}", known.join(", "))));
        };
        if name == table::UNSTATED {
            warnings.push(format!(
                "{}: metadata `{KEY}` does not say how text is split; words, numbers and signs are taken",
                self.gguf.path.display()
            ));
        }
        Ok(pre)
    }

    /// Refuses what would change texts and is not read.
    fn refuse_settings(&self) -> Result<(), CompileError> {
        let cleans = self.truth("remove_extra_whitespaces") == Some(true);
        let maps = self.get("precompiled_charsmap").and_then(Value::as_list).is_some_and(|all| !all.is_empty());
        let found = [("remove_extra_whitespaces", cleans), ("precompiled_charsmap", maps)];
        match found.iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => {
                Err(self.fault(format!("metadata `tokenizer.ggml.{key}` is not read for this tokenizer")))
            }
            None => Ok(()),
        }
    }

    /// Tokens that are found in a text before anything else.
    fn added(&self, method: Method) -> Vec<Json> {
        let is_added = |id: usize| match self.kinds[id] {
            UNKNOWN | CONTROL => true,
            // Runs of spaces are made from single ones.
            USER_DEFINED => method == Method::Bytes || !is_spaces(self.tokens[id]),
            _ => false,
        };
        let added = (0..self.tokens.len()).filter(|id| is_added(*id));
        added
            .map(|id| {
                json!({
                    "id": id, "content": self.tokens[id], "special": self.kinds[id] != USER_DEFINED,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                })
            })
            .collect()
    }
}

/// Several spaces and nothing else.
fn is_spaces(token: &str) -> bool {
    token.len() > 1 && token.bytes().all(|b| b == b' ')
}

/// Tokens with a meaning, and which of them stand around a text.
struct Special {
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    padding: Option<u32>,
    begins: bool,
    ends: bool,
}

impl Special {
    fn of(entries: &Entries<'_>, method: Method, usually_begins: bool) -> Result<Self, CompileError> {
        // Files of pieces may leave out what llama.cpp takes then.
        let usual = |id: u32| (method == Method::Pieces && entries.tokens.len() > id as usize).then_some(id);
        let special = Special {
            bos: entries.id("bos_token_id")?.or(usual(1)),
            eos: entries.id("eos_token_id")?.or(usual(2)),
            unknown: entries.id("unknown_token_id")?.or(usual(0)),
            padding: entries.id("padding_token_id")?,
            begins: entries.truth("add_bos_token").unwrap_or(usually_begins),
            ends: entries.truth("add_eos_token").unwrap_or(false),
        };
        for (adds, key, id) in [(special.begins, "bos", special.bos), (special.ends, "eos", special.eos)] {
            if adds && id.is_none() {
                let message = format!("texts get a token (`tokenizer.ggml.add_{key}_token`), but there is no");
                return Err(entries.fault(format!("{message} `tokenizer.ggml.{key}_token_id`")));
            }
        }
        Ok(special)
    }

    /// What puts tokens around texts.
    fn processor(&self, entries: &Entries<'_>) -> Json {
        let bos = self.bos.filter(|_| self.begins);
        let eos = self.eos.filter(|_| self.ends);
        if bos.is_none() && eos.is_none() {
            return Json::Null;
        }
        let text = |id: u32| entries.tokens[id as usize];
        let around = |sequence: &str, kind: u32| {
            let token = |id: u32| json!({"SpecialToken": {"id": text(id), "type_id": kind}});
            let middle = json!({"Sequence": {"id": sequence, "type_id": kind}});
            bos.map(token).into_iter().chain([middle]).chain(eos.map(token)).collect::<Vec<Json>>()
        };
        let tokens: Map<String, Json> = [bos, eos]
            .into_iter()
            .flatten()
            .map(|id| (text(id).to_string(), json!({"id": text(id), "ids": [id], "tokens": [text(id)]})))
            .collect();
        let pair: Vec<Json> = around("A", 0).into_iter().chain(around("B", 1)).collect();
        json!({"type": "TemplateProcessing", "single": around("A", 0), "pair": pair, "special_tokens": tokens})
    }

    fn config(&self, entries: &Entries<'_>) -> Json {
        let text = |id: Option<u32>| id.map(|id| entries.tokens[id as usize]);
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
            "bos_token": text(self.bos), "eos_token": text(self.eos), "unk_token": text(self.unknown),
            "pad_token": text(self.padding), "add_bos_token": self.begins, "add_eos_token": self.ends,
        });
        if let Some(template) = template(entries.gguf) {
            config["chat_template"] = template;
        }
        config
    }
}

/// The chat template, or a list where there are several by name.
fn template(gguf: &Gguf) -> Option<Json> {
    let prefix = format!("{TEMPLATE}.");
    let named: Vec<Json> = gguf
        .metadata
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value.as_text()?)))
        .map(|(name, text)| json!({"name": name, "template": text}))
        .collect();
    let usual = gguf.metadata.get(TEMPLATE).and_then(Value::as_text);
    match (usual, named.is_empty()) {
        (None, true) => None,
        (Some(text), true) => Some(Json::from(text)),
        (usual, false) => {
            let first = usual.map(|text| json!({"name": "default", "template": text}));
            Some(Json::Array(first.into_iter().chain(named).collect()))
        }
    }
}
