//! Tokens outside of the model's vocabulary, added as version 0.23 of the tokenizers library does: a token that is
//! there already is replaced by one that is found otherwise.

use std::collections::BTreeMap;

use tokenizers::{AddedToken, Model};

use super::settings::Token;

/// Added tokens by their ids.
#[derive(Debug, Default)]
pub(super) struct Added {
    tokens: BTreeMap<u32, AddedToken>,
    ids: BTreeMap<String, u32>,
}

impl Added {
    /// Adds tokens: those of the vocabulary keep their ids, all others come behind it.
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

    /// The id of a token, added or of the vocabulary.
    pub(super) fn id(&self, token: &str, model: &impl Model) -> Option<u32> {
        self.ids.get(token).copied().or_else(|| model.token_to_id(token))
    }

    /// Whether a token was added.
    pub(super) fn has(&self, token: &Token) -> bool {
        self.ids.contains_key(&token.content)
    }

    /// All of them in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.tokens.iter().map(|(id, token)| (*id, token))
    }
}
