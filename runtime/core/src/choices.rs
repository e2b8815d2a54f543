//! The start tokens of encoder-decoder models, and the options that callers have among them.

use std::collections::{BTreeMap, VecDeque};

use gristmill_bundle::{Choice, Manifest};

use crate::error::Error;
use crate::gather::gather;

/// Values by the names of options, such as `de` for `language`.
pub type Choices = BTreeMap<String, String>;

/// A start token that the model chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// The index of the token.
    pub(crate) place: usize,
    /// The tokens that are allowed there.
    pub(crate) among: Vec<u32>,
}

/// The start tokens of a decoder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The tokens. Those of open places have no meaning yet.
    pub(crate) tokens: Vec<u32>,
    /// The open places, which the model chooses, in order.
    pub(crate) open: VecDeque<Open>,
}

impl Start {
    /// The start tokens of the model, with the options that the caller chose.
    ///
    /// # Errors
    /// If there is no such option or value.
    pub fn new(manifest: &Manifest, chosen: &Choices) -> Result<Self, Error> {
        let mut start = Start { tokens: manifest.model.decoder_start_tokens.clone(), open: VecDeque::new() };
        let choices = &manifest.model.choices;
        if let Some(name) = chosen.keys().find(|name| choices.iter().all(|c| c.name != **name)) {
            let known: Vec<&str> = choices.iter().map(|c| c.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
            let message = format!("{name}: this model has no such choice; it has {known}");
            return Err(Error::Unsupported(message));
        }
        for choice in choices {
            let place = choice.place as usize;
            match chosen.get(&choice.name).or(choice.default.as_ref()) {
                Some(word) => start.tokens[place] = token(choice, word)?,
                None => start.open.push_back(Open { place, among: choice.values.values().copied().collect() }),
            }
        }
        Ok(start)
    }
}

fn token(choice: &Choice, word: &str) -> Result<u32, Error> {
    choice.values.get(word).copied().ok_or_else(|| {
        let known: Vec<&str> = choice.values.keys().map(String::as_str).collect();
        Error::Input { name: choice.name.clone(), expected: format!("one of {}", known.join(", ")), found: word.into() }
    })
}

/// The values of options in start tokens without open places.
pub(crate) fn words(manifest: &Manifest, tokens: &[u32]) -> Choices {
    let word = |choice: &Choice| {
        let token = tokens.get(choice.place as usize);
        choice.values.iter().find(|(_, id)| Some(*id) == token).map(|(word, _)| (choice.name.clone(), word.clone()))
    };
    gather(manifest.model.choices.iter().filter_map(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoder_manifest;

    fn manifest() -> Manifest {
        let mut manifest = decoder_manifest();
        manifest.model.decoder_start_tokens = vec![9, 1, 5, 8];
        let values = |all: &[(&str, u32)]| all.iter().map(|(word, id)| (word.to_string(), *id)).collect();
        manifest.model.choices = vec![
            Choice { name: "language".into(), place: 1, values: values(&[("de", 2), ("en", 1)]), default: None },
            Choice {
                name: "task".into(),
                place: 2,
                values: values(&[("translate", 4), ("transcribe", 5)]),
                default: Some("transcribe".into()),
            },
        ];
        manifest
    }

    fn chosen(all: &[(&str, &str)]) -> Choices {
        all.iter().map(|(name, word)| (name.to_string(), word.to_string())).collect()
    }

    #[test]
    fn words_become_tokens() {
        let manifest = manifest();
        let start = Start::new(&manifest, &chosen(&[("language", "de"), ("task", "translate")])).unwrap();
        assert_eq!((start.tokens.as_slice(), start.open.len()), (&[9, 2, 4, 8][..], 0));
        assert_eq!(words(&manifest, &start.tokens), chosen(&[("language", "de"), ("task", "translate")]));
        let start = Start::new(&manifest, &Choices::new()).unwrap();
        assert_eq!(start.open, [Open { place: 1, among: vec![2, 1] }]);
        assert_eq!(start.tokens[2], 5);
    }

    #[test]
    fn what_cannot_be_chosen_is_said() {
        let fail = |all| Start::new(&manifest(), &chosen(all)).unwrap_err().to_string();
        assert_eq!(fail(&[("accent", "de")]), "accent: this model has no such choice; it has language, task");
        let unknown = fail(&[("language", "xx")]);
        assert!(unknown.contains("language") && unknown.contains("one of de, en"), "{unknown}");
        let none = Start::new(&decoder_manifest(), &chosen(&[("task", "a")])).unwrap_err().to_string();
        assert!(none.ends_with("it has none"), "{none}");
    }
}
