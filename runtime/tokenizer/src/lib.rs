//! Converts text to token ids and back, with a `tokenizer.json`.
//!
//! # Example
//!
//! ```
//! use gristmill_tokenizer::Tokenizer;
//!
//! let file = r#"{
//!     "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
//!     "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
//!     "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "once": 1, "upon": 2}, "unk_token": "<unk>"}
//! }"#;
//! let tokenizer = Tokenizer::from_bytes(file.as_bytes())?;
//! assert_eq!(tokenizer.encode("once upon", true)?, [1, 2]);
//! assert_eq!(tokenizer.decode(&[2, 1])?, "upon once");
//! # Ok::<(), gristmill_tokenizer::Error>(())
//! ```

mod charsmap;
pub mod check;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gristmill_bundle::Bundle;
use serde::Deserialize;
use tokenizers::{AddedToken, Decoder, Encoding, NormalizedString, Normalizer, TruncationDirection};

use self::check::Parts;

/// The tokenizer file in a bundle.
pub const FILE: &str = "tokenizer.json";
/// Entries of that file that are gristmill's own.
const OWN: [&str; 2] = ["split_special_tokens", "truncation_side"];

/// A tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Texts of added tokens that are matched after normalization. They are decoded to the normalized text.
    normalized: BTreeMap<u32, String>,
    /// The side at which a text that is too long is truncated.
    side: Side,
}

/// Entries of a bundle's file beyond those of the library.
#[derive(Deserialize)]
struct Besides {
    /// Whether special tokens that occur in a text are treated as text.
    #[serde(default)]
    split_special_tokens: bool,
    /// The side at which a text that is too long is truncated.
    #[serde(default)]
    truncation_side: Side,
}

/// A side of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Left,
    #[default]
    Right,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").finish_non_exhaustive()
    }
}

/// The normalized texts of added tokens that the normalizer changes, by id.
///
/// # Errors
/// If two tokens have the same normalized text: the library might match either.
pub fn normalized(tokenizer: &tokenizers::Tokenizer) -> Result<BTreeMap<u32, String>, Unusable> {
    let Some(normalizer) = tokenizer.get_normalizer() else { return Ok(BTreeMap::new()) };
    let mut texts: BTreeMap<String, &str> = BTreeMap::new();
    let added: BTreeMap<u32, AddedToken> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    let mut changed = BTreeMap::new();
    for (id, token) in added.iter().filter(|(_, token)| token.normalized) {
        let mut text = NormalizedString::from(token.content.as_str());
        guarded(|| normalizer.normalize(&mut text))?;
        if let Some(other) = texts.insert(text.get().to_string(), &token.content).filter(|_| !text.get().is_empty()) {
            return Err(Unusable::Refused(format!(
                "added_tokens: the normalizer makes the same text of {other:?} and {:?}, and the tokenizers library \
                 would find one of them by chance; remove one, or set its `normalized` to false",
                token.content
            )));
        }
        if text.get() != token.content {
            changed.insert(*id, text.get().to_string());
        }
    }
    Ok(changed)
}

/// Why a tokenizer could not be loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] gristmill_bundle::Error),
    /// The file is missing, damaged or not supported, or the library fails.
    #[error("{FILE}: {0}")]
    Text(String),
}

fn fault(message: impl std::fmt::Display) -> Error {
    Error::Text(message.to_string())
}

/// Why a tokenizer file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The library would not handle it safely.
    #[error("{0}")]
    Refused(String),
    /// An error of the library.
    #[error("{0}")]
    Unread(String),
}

/// Calls the tokenizers library, which panics on unexpected files and texts. [`Parts::check`] rejects the known cases;
/// any other must not end a program that serves others. This is the only place that catches panics. It is safe because
/// the library's only state is caches of results, which an interrupted call leaves intact.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Unusable> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| Unusable::Unread(e.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            Err(Unusable::Refused(format!("the tokenizers library fails: {said}")))
        }
    }
}

/// Parses a file with the tokenizers library, after checking for what would make it panic.
///
/// # Errors
/// See [`Unusable`].
pub fn parse(content: &[u8]) -> Result<tokenizers::Tokenizer, Unusable> {
    let parts: Parts = serde_json::from_slice(content).map_err(|e| Unusable::Unread(e.to_string()))?;
    parts.check().map_err(Unusable::Refused)?;
    guarded(|| tokenizers::Tokenizer::from_bytes(content))
}

impl Tokenizer {
    /// Loads the tokenizer of a bundle.
    ///
    /// # Errors
    /// If the bundle has no tokenizer, or the file cannot be read; see also [`Tokenizer::from_bytes`].
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, Error> {
        if !bundle.has(FILE) {
            return Err(fault("not in this bundle: the model came without it, so it takes token ids only"));
        }
        Tokenizer::from_bytes(&bundle.read(FILE)?)
    }

    /// Parses the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// If the file is damaged or not supported.
    pub fn from_bytes(content: &[u8]) -> Result<Self, Error> {
        let besides: Besides = serde_json::from_slice(content).map_err(fault)?;
        let mut inner = if besides.split_special_tokens || besides.truncation_side != Side::Right {
            let mut file: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(content).map_err(fault)?;
            OWN.iter().for_each(|entry| drop(file.remove(*entry)));
            let content = serde_json::to_vec(&file).map_err(fault)?;
            parse(&content).map_err(fault)?
        } else {
            parse(content).map_err(fault)?
        };
        inner.set_encode_special_tokens(besides.split_special_tokens);
        // Files contain settings from training, such as padding and truncation to 128 tokens. The model decides how
        // long an input may be.
        inner.with_truncation(None).map_err(fault)?;
        inner.with_padding(None);
        let normalized = normalized(&inner).map_err(fault)?;
        Ok(Tokenizer { inner, normalized, side: besides.truncation_side })
    }

    /// The token ids of a text. With `special`, the file's post-processor adds tokens around it. Special tokens that
    /// occur in the text are recognized either way, unless the file says that they are text.
    ///
    /// # Errors
    /// If the library fails on the text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, Error> {
        self.encode_within(text, special, usize::MAX)
    }

    /// Like [`Tokenizer::encode`], but truncates the text to fit into `most` token ids, including the special tokens
    /// around it. If not even those fit, the result is longer than `most`. The end of the text is cut off, or its
    /// beginning if the file says so.
    ///
    /// # Errors
    /// If the library fails on the text.
    pub fn encode_within(&self, text: &str, special: bool, most: usize) -> Result<Vec<u32>, Error> {
        let encode = || guarded(|| self.inner.encode_fast(text, false)).map_err(fault);
        let whole = self.process(encode()?, special)?;
        if whole.len() <= most {
            return Ok(whole);
        }
        let mut encoding = encode()?;
        let around = whole.len().saturating_sub(encoding.len());
        let direction = match self.side {
            Side::Left => TruncationDirection::Left,
            Side::Right => TruncationDirection::Right,
        };
        encoding.truncate(most.saturating_sub(around), 0, direction);
        self.process(encoding, special)
    }

    /// The number of leading token ids of a text that belong to a prompt at its start, including special tokens before
    /// it: the length of the encoded prompt, without a special token at its end. At most `most`.
    ///
    /// # Errors
    /// If the library fails on the prompt.
    pub fn prompt_tokens(&self, prompt: &str, most: usize) -> Result<usize, Error> {
        let ids = self.encode_within(prompt, true, most)?;
        let special = |id: &u32| self.inner.get_added_tokens_decoder().get(id).is_some_and(|token| token.special);
        Ok(ids.len() - usize::from(ids.last().is_some_and(special)))
    }

    /// The ids of an encoded text, with special tokens added if `special` is set.
    fn process(&self, encoding: Encoding, special: bool) -> Result<Vec<u32>, Error> {
        let encoding = guarded(|| self.inner.post_process(encoding, None, special)).map_err(fault)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text for token ids, without special tokens. Unknown ids are skipped.
    ///
    /// # Errors
    /// If the library fails on the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        let special = self.inner.get_added_vocabulary();
        let written = |id: &u32| self.normalized.get(id).cloned().or_else(|| self.inner.id_to_token(*id));
        let tokens: Vec<String> = ids.iter().filter_map(written).filter(|t| !special.is_special_token(t)).collect();
        // One of the library's decoders panics on an empty list.
        if tokens.is_empty() {
            return Ok(String::new());
        }
        match self.inner.get_decoder() {
            Some(decoder) => guarded(|| decoder.decode(tokens)).map_err(fault),
            None => Ok(tokens.join(" ")),
        }
    }

    /// The id of a token.
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token with an id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SentencePiece-like tokenizer with byte fallback, and training settings that must be ignored.
    const TOY: &str = include_str!("../../../tests/fixtures/tokenizer/toy.json");

    fn toy_json(post_processor: &str) -> String {
        TOY.replace(r#""post_processor": null"#, &format!(r#""post_processor": {post_processor}"#))
    }

    const ADDS_BOS: &str = r#"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
        {"Sequence":{"id":"A","type_id":0}}],
        "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
        "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}"#;

    fn toy(post_processor: &str) -> Tokenizer {
        Tokenizer::from_bytes(toy_json(post_processor).as_bytes()).unwrap()
    }

    #[test]
    fn special_tokens_come_once() {
        let once = toy("null").encode("Once", false).unwrap();
        assert_eq!(once, [toy("null").token_to_id("▁Once").unwrap()]);
        let with_bos = [&[1], once.as_slice()].concat();
        for (post_processor, special, expect) in
            [("null", true, &once), (ADDS_BOS, true, &with_bos), (ADDS_BOS, false, &once)]
        {
            assert_eq!(toy(post_processor).encode("Once", special).unwrap(), *expect, "{post_processor} {special}");
        }
        let written = toy("null").encode("<s>Once</s>", false).unwrap();
        assert_eq!((written[0], *written.last().unwrap()), (1, 2));
        assert_eq!(toy("null").decode(&written).unwrap(), "Once");
    }

    #[test]
    fn special_tokens_are_text_where_the_file_says_so() {
        let file = toy_json("null").replacen('{', r#"{"split_special_tokens":true,"#, 1);
        let tokenizer = Tokenizer::from_bytes(file.as_bytes()).unwrap();
        let ids = tokenizer.encode("<s>Once", false).unwrap();
        assert!(ids.len() > 2 && !ids.contains(&1), "{ids:?}");
        assert_eq!(tokenizer.decode(&[1]).unwrap(), "");
    }

    #[test]
    fn training_settings_do_not_act() {
        let tokenizer = toy("null");
        let text = "Once upon Once upon Once €";
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(ids.len(), 5 + 1 + 3, "neither cut at 3 nor padded to 9 on the way: {ids:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        assert_eq!(tokenizer.encode("Once", true).unwrap().len(), 1);
    }

    #[test]
    fn cutting_keeps_the_tokens_around() {
        const BOTH: &str = r#"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
            {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
            "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
            "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},
                              "</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}}"#;
        let tokenizer = toy(BOTH);
        let text = "Once upon Once upon";
        let whole = tokenizer.encode(text, true).unwrap();
        let inside = tokenizer.encode(text, false).unwrap();
        assert_eq!(whole, [&[1], inside.as_slice(), &[2]].concat());
        for most in 2..=whole.len() + 1 {
            let cut = tokenizer.encode_within(text, true, most).unwrap();
            let kept = inside.len().min(most - 2);
            assert_eq!(cut, [&[1], &inside[..kept], &[2]].concat(), "{most}");
        }
        assert_eq!(tokenizer.encode_within(text, true, 0).unwrap(), [1, 2]);
        assert_eq!(toy(ADDS_BOS).encode_within(text, true, 3).unwrap(), [&[1], &inside[..2]].concat());

        let left = toy_json(BOTH).replacen('{', r#"{"truncation_side":"left","#, 1);
        let left = Tokenizer::from_bytes(left.as_bytes()).unwrap();
        for most in 2..=whole.len() + 1 {
            let kept = inside.len().min(most - 2);
            let cut = left.encode_within(text, true, most).unwrap();
            assert_eq!(cut, [&[1], &inside[inside.len() - kept..], &[2]].concat(), "{most}");
        }
    }

    #[test]
    fn panics_of_the_library_are_errors() {
        let text = guarded::<()>(|| panic!("out of {}", "bounds")).unwrap_err().to_string();
        assert_eq!(text, "the tokenizers library fails: out of bounds");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }

    #[test]
    fn damaged_files_are_named() {
        let text = Tokenizer::from_bytes(b"{\"version\": 3").unwrap_err().to_string();
        assert!(text.starts_with("tokenizer.json: "), "{text}");
    }
}
