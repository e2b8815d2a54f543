//! How texts become embeddings: what is put in front of them, and how much of them is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// Index in [`crate::Manifest::inputs`] of a mask, i32 `[texts, tokens]`, that is 0 for the tokens of a prompt: they are
    /// read, but not pooled. Without it they are pooled as all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling_mask: Option<u32>,
    /// How embeddings are compared.
    #[serde(default, skip_serializing_if = "SimilarityFunction::is_cosine")]
    pub similarity: SimilarityFunction,
}

/// How two embeddings are compared; more is closer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimilarityFunction {
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

impl SimilarityFunction {
    /// The one with this name in `config_sentence_transformers.json`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "cosine" => Some(SimilarityFunction::Cosine),
            "dot" => Some(SimilarityFunction::Dot),
            "euclidean" => Some(SimilarityFunction::Euclidean),
            "manhattan" => Some(SimilarityFunction::Manhattan),
            _ => None,
        }
    }

    fn is_cosine(&self) -> bool {
        *self == SimilarityFunction::Cosine
    }
}
