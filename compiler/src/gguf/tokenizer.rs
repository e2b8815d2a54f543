//! Turns the tokenizer in a file's metadata into `tokenizer.json` and `tokenizer_config.json`.
//!
//! `models/tokenizers/ggml.ron` defines the names of tokenizers and of ways to split text.

mod bpe;

mod entries;

mod table;

use gristmill_graph::text::MergeOrder;
use serde_json::{Map, Value as Json, json};

use self::entries::Entries;
use self::table::{Method, Table};
use super::file::Gguf;
use super::value::Value;
use crate::error::CompileError;
use crate::weights::error::shown;

pub(crate) use self::entries::MODEL;

const TEMPLATE: &str = "tokenizer.chat_template";

/// The files of a tokenizer.
pub(super) struct Made {
    /// `tokenizer.json`.
    pub(super) tokenizer: Json,
    /// `tokenizer_config.json`.
    pub(super) config: Json,
    /// Where the result may differ from what the model's author intended.
    pub(super) warnings: Vec<String>,
}

/// Builds the files.
///
/// # Errors
/// If the kind of tokenizer is not supported, or the metadata contradict each other.
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
            return Err(entries.fault(format!("metadata `{MODEL}` is `{}`; {known} are supported", shown(name))));
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

/// Special tokens, and which of them surround a text.
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
        // SentencePiece files may omit the ids that llama.cpp assumes by default.
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
                let message = format!("`tokenizer.ggml.add_{key}_token` is set, but there is no");
                return Err(entries.fault(format!("{message} `tokenizer.ggml.{key}_token_id`")));
            }
        }
        Ok(special)
    }

    /// The post-processor that adds tokens around texts.
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

/// The chat template, or a list if there are several with names.
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
