//! Settings of text embedding: prompts, the largest length, and the comparison of embeddings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of the entry with the role `Embed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// The largest number of tokens of a text, including special tokens and its prompt. Longer texts are truncated.
    pub max_tokens: u32,
    /// Prompts that can be prepended to texts, by name. Some are empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, String>,
    /// The name of the prompt if the caller names none; by default, no prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_prompt: Option<String>,
    /// Index in [`crate::Manifest::inputs`] of a mask, i32 `[texts, tokens]`, that is 0 for the tokens of a prompt,
    /// which the model reads but pooling leaves out. Without it, they are pooled like all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling_mask: Option<u32>,
    /// How embeddings are compared.
    #[serde(default, skip_serializing_if = "SimilarityFunction::is_cosine")]
    pub similarity: SimilarityFunction,
}

/// How two embeddings are compared; larger values are closer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimilarityFunction {
    /// Cosine similarity.
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
    /// The function with this name in `config_sentence_transformers.json`.
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
