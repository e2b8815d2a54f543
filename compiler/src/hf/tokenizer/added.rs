//! Tokens outside the model's vocabulary, added like version 0.23 of the tokenizers library does: adding a token again
//! replaces how it is matched.

use std::collections::BTreeMap;

use tokenizers::{AddedToken, Model};

use super::settings::Token;

/// Added tokens by id.
#[derive(Debug, Default)]
pub(super) struct Added {
    tokens: BTreeMap<u32, AddedToken>,
    ids: BTreeMap<String, u32>,
}

impl Added {
    /// Adds tokens. Those in the vocabulary keep their ids; the others get the ids after it.
    pub(super) fn add(&mut self, tokens: impl IntoIterator<Item = AddedToken>, model: &impl Model) {
        let size = u32::try_from(model.get_vocab_size()).unwrap_or(u32::MAX);
        let mut next = match self.tokens.last_key_value() {
            Some((last, _)) if *last >= size || size == 0 => last.saturating_add(1),
            Some(_) | None => size,
        };
        for token in tokens.into_iter().filter(|t| !t.content.is_empty()) {
            let id = self.id(&token.content, model).unwrap_or_else(|| {
                next = next.saturating_add(1);
                next - 1
            });
            self.ids.insert(token.content.clone(), id);
            self.tokens.insert(id, token);
        }
    }

    /// The id of a token in the vocabulary or among the added ones.
    pub(super) fn id(&self, token: &str, model: &impl Model) -> Option<u32> {
        self.ids.get(token).copied().or_else(|| model.token_to_id(token))
    }

    /// Whether a token was added.
    pub(super) fn has(&self, token: &Token) -> bool {
        self.ids.contains_key(&token.content)
    }

    /// All added tokens, in order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.tokens.iter().map(|(id, token)| (*id, token))
    }
}
