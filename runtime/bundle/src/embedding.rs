//! How texts become embeddings: what is put in front of them, and how much of them is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::{Elem, EntryRole, Manifest};

/// Most prompts, and the longest of them with its name in bytes.
const MAX_PROMPTS: usize = 10_000;
const MAX_PROMPT: usize = 1 << 20;

/// Settings of the entry that embeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Most token ids of a text, those around it and those of its prompt included. Longer texts are cut.
    pub max_tokens: u32,
    /// Texts that are put in front of what is embedded, by name. Some are empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, String>,
    /// The name of the prompt that is used if the caller names none; without it there is none then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_prompt: Option<String>,
    /// Index in [`Manifest::inputs`] of a mask, i32 `[texts, tokens]`, that is 0 for the tokens of a prompt: they are
    /// read, but not pooled. Without it they are pooled as all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling_mask: Option<u32>,
    /// How embeddings are compared.
    #[serde(default, skip_serializing_if = "Similarity::is_cosine")]
    pub similarity: Similarity,
}

/// How two embeddings are compared; more is closer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// The cosine of the angle between them.
    #[default]
    Cosine,
    /// Their dot product.
    Dot,
    /// The negative Euclidean distance.
    Euclidean,
    /// The negative sum of absolute differences.
    Manhattan,
}

impl Similarity {
    /// The one with this name in `config_sentence_transformers.json`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cosine" => Some(Similarity::Cosine),
            "dot" => Some(Similarity::Dot),
            "euclidean" => Some(Similarity::Euclidean),
            "manhattan" => Some(Similarity::Manhattan),
            _ => None,
        }
    }

    fn is_cosine(&self) -> bool {
        *self == Similarity::Cosine
    }
}

impl Manifest {
    /// What is wrong with the settings of the entry that embeds, if anything.
    pub(crate) fn embedding_fault(&self) -> Option<String> {
        let embedding = self.model.embedding.as_ref()?;
        let Some(entry) = self.entries.iter().find(|e| e.role == EntryRole::Embed) else {
            return Some("there is no entry that embeds".to_string());
        };
        if embedding.max_tokens == 0 {
            return Some("max_tokens must not be 0".to_string());
        }
        if embedding.prompts.len() > MAX_PROMPTS {
            return Some(format!("{} prompts, at most {MAX_PROMPTS} are accepted", embedding.prompts.len()));
        }
        if embedding.prompts.iter().any(|(name, text)| name.len() + text.len() > MAX_PROMPT) {
            return Some(format!("a prompt with its name is longer than {MAX_PROMPT} bytes"));
        }
        if embedding.default_prompt.as_ref().is_some_and(|name| !embedding.prompts.contains_key(name)) {
            return Some("the default prompt is none of the prompts".to_string());
        }
        let index = embedding.pooling_mask?;
        let input = self.inputs.get(index as usize).filter(|_| entry.inputs.contains(&index));
        let fits = input.is_some_and(|i| i.elem == Elem::I32 && i.shape.len() == 2 && i.default.is_some());
        (!fits).then(|| format!("input {index} is no mask that the entry `{}` may be given", entry.name))
    }
}
