//! Rejects tokenizers that would make the tokenizers library panic, or exhaust memory on a short text.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use super::charsmap::Charsmap;

/// Maximum nesting of parts.
const MAX_DEPTH: usize = 32;
/// Maximum factor by which a text may grow, in bytes. The normalizers of real tokenizers reach 800 in total.
const MAX_GROWTH: f64 = 4096.0;
/// Maximum length of the affixes of a word's tokens, in bytes.
const MAX_AFFIX: usize = 256;

/// The parts of a `tokenizer.json` that are checked.
#[derive(Debug, Default, Deserialize)]
pub struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    model: Model,
}

/// The merged pairs, and the maximum length of a token.
#[derive(Debug, Default, Deserialize)]
struct Model {
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    merges: Option<Vec<Merge>>,
    #[serde(default)]
    vocab: Longest,
}

/// A pair, in one of its two notations. The library reports anything else.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Text(String),
    Other(IgnoredAny),
}

/// The length in bytes of the longest token in a vocabulary.
#[derive(Debug, Default)]
struct Longest(usize);

impl<'de> Deserialize<'de> for Longest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tokens;
        impl<'de> Visitor<'de> for Tokens {
            type Value = Longest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Longest, A::Error> {
                let mut longest = 0;
                while let Some((token, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    longest = longest.max(token.len());
                }
                Ok(Longest(longest))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Longest, A::Error> {
                while let Some(IgnoredAny) = seq.next_element()? {}
                Ok(Longest(0))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Longest, E> {
                Ok(Longest(0))
            }
        }
        deserializer.deserialize_any(Tokens)
    }
}

impl Parts {
    /// Rejects what the library does not handle safely.
    ///
    /// # Errors
    /// Names the part and the problem.
    pub fn check(&self) -> Result<(), String> {
        for (name, part) in [
            ("normalizer", &self.normalizer),
            ("pre_tokenizer", &self.pre_tokenizer),
            ("post_processor", &self.post_processor),
            ("decoder", &self.decoder),
        ] {
            each(part, 0, &mut |entry| panics(entry)).map_err(|m| format!("{name}: {m}"))?;
        }
        let text = [&self.normalizer, &self.pre_tokenizer, &self.post_processor];
        for (name, parts) in [("normalizer and pre_tokenizer", &text[..]), ("decoder", &[&self.decoder])] {
            let growth: f64 = parts.iter().map(|part| growth(part)).product();
            if growth > MAX_GROWTH {
                return Err(format!(
                    "{name}: they can make a text {growth:.0} times as long; at most {MAX_GROWTH} times is supported"
                ));
            }
        }
        self.model.check().map_err(|m| format!("model: {m}"))
    }
}

/// Visits every object in a part.
fn each(part: &Value, depth: usize, visit: &mut dyn FnMut(&Value) -> Result<(), String>) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("parts are nested more than {MAX_DEPTH} deep"));
    }
    match part {
        Value::Array(items) => items.iter().try_for_each(|item| each(item, depth + 1, visit)),
        Value::Object(fields) => {
            visit(part)?;
            fields.values().try_for_each(|item| each(item, depth + 1, visit))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Whether the library would panic at an entry of a part.
fn panics(entry: &Value) -> Result<(), String> {
    let kind = entry["type"].as_str().unwrap_or_default();
    if kind == "Strip" && entry["stop"].as_u64().is_some_and(|stop| stop > 0) {
        return Err("Strip with `stop`, at which the tokenizers library fails for short tokens".into());
    }
    if kind == "FixedLength" && entry["length"].as_u64() == Some(0) {
        return Err("FixedLength with the length 0".into());
    }
    if entry["precompiled_charsmap"].as_str().is_some_and(|map| Charsmap::read(map).is_none()) {
        return Err("precompiled_charsmap is damaged".into());
    }
    let around = |part: &Value| {
        let kind = part["type"].as_str().unwrap_or_default();
        ["BertProcessing", "RobertaProcessing", "TemplateProcessing"].contains(&kind)
    };
    if entry["processors"].as_array().is_some_and(|all| all.iter().filter(|p| around(p)).count() > 1) {
        return Err("a Sequence with two processors that put tokens around a text".into());
    }
    let used = ["single", "pair"].into_iter().filter_map(|key| entry[key].as_array()).flatten();
    let mut used = used.filter_map(|item| item["SpecialToken"]["id"].as_str());
    match used.find(|id| entry["special_tokens"][*id].is_null()) {
        Some(id) => Err(format!("special_tokens has no {id:?}")),
        None => Ok(()),
    }
}

/// The factor by which a part can lengthen a text at most, in bytes. A prefix can occur once per piece, and pieces may
/// be single bytes.
fn growth(part: &Value) -> f64 {
    let bytes = |key: &str| part[key].as_str().map_or(0.0, |text| text.len() as f64);
    let flag = |key: &str, default| part[key].as_bool().unwrap_or(default);
    let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
    let inner: f64 = lists.iter().filter_map(|list| part[*list].as_array()).flatten().map(growth).product();
    inner
        * match part["type"].as_str().unwrap_or_default() {
            "Replace" => match part["pattern"]["String"].as_str() {
                Some(from) if !from.is_empty() => (bytes("content") / from.len() as f64).max(1.0),
                // The pattern may match the empty string, everywhere.
                _ => 1.0 + bytes("content"),
            },
            "Prepend" => 1.0 + bytes("prepend"),
            // U+FDFA grows by a factor of 11, U+0390 by 3, and U+023A by 1.5.
            "NFKC" | "NFKD" => 11.0,
            "NFC" | "NFD" => 3.0,
            "Lowercase" => 1.5,
            "BertNormalizer" => 3.0 * 1.5 * (5.0 / 3.0),
            "Precompiled" => part["precompiled_charsmap"].as_str().and_then(Charsmap::read).map_or(1.0, |m| m.growth()),
            "ByteLevel" => 2.0 + if flag("add_prefix_space", false) { 2.0 } else { 0.0 },
            "Metaspace" => 1.0 + bytes("replacement").max(3.0),
            "TemplateProcessing" => {
                let single = part["single"].as_array().into_iter().flatten();
                (single.filter(|item| !item["Sequence"].is_null()).count() as f64).max(1.0)
            }
            "WordPiece" | "BPEDecoder" => 2.0,
            _ => 1.0,
        }
}

impl Model {
    /// Rejects long affixes, which are added to every character, and merges for which the library would slice or write
    /// past the end of a text.
    fn check(&self) -> Result<(), String> {
        let prefix = self.continuing_subword_prefix.as_deref().unwrap_or_default();
        let suffix = self.end_of_word_suffix.as_deref().unwrap_or_default();
        for (name, affix) in [("continuing_subword_prefix", prefix), ("end_of_word_suffix", suffix)] {
            if affix.len() > MAX_AFFIX {
                return Err(format!("model: {name} has more than {MAX_AFFIX} bytes"));
            }
        }
        for (at, merge) in self.merges.iter().flatten().enumerate() {
            let (first, second) = match merge {
                Merge::Pair(first, second) => (first.as_str(), second.as_str()),
                Merge::Text(text) => match text.split_once(' ') {
                    Some(halves) => halves,
                    None => continue,
                },
                Merge::Other(_) => continue,
            };
            if second.len() < prefix.len() || !second.is_char_boundary(prefix.len()) {
                return Err(format!("merge {at} does not continue with {prefix:?}"));
            }
            if first.len() + second.len() - prefix.len() > self.vocab.0 {
                return Err(format!("merge {at} gives a token that is not in the vocabulary"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn checked(part: &str, value: Value) -> Result<(), String> {
        let file = BTreeMap::from([(part, value)]);
        serde_json::from_value::<Parts>(json!(file)).unwrap().check()
    }

    #[test]
    fn what_panics_is_refused_by_name() {
        let strip = |stop: u32| json!({"type": "Strip", "content": "a", "start": 0, "stop": stop});
        let special = |tokens: Value| {
            json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}], "pair": [],
                "special_tokens": tokens})
        };
        let merges = |prefix: &str, merge: Value| {
            let vocab = json!({"a": 0, "b": 1, "ab": 2});
            json!({"type": "BPE", "continuing_subword_prefix": prefix, "vocab": vocab, "merges": [merge]})
        };
        let both = json!({"type": "Sequence", "processors": [{"type": "BertProcessing"}, special(json!({"<s>": {}}))]});
        let deep = (0..40).fold(json!({"type": "NFC"}), |part, _| json!({"type": "Sequence", "normalizers": [part]}));
        for (part, value, message) in [
            ("decoder", strip(1), "decoder: Strip with `stop`"),
            ("decoder", json!({"type": "Sequence", "decoders": [strip(2)]}), "decoder: Strip with `stop`"),
            ("pre_tokenizer", json!({"type": "FixedLength", "length": 0}), "pre_tokenizer: FixedLength"),
            ("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="}), "is damaged"),
            ("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAEAAAAA"}), "is damaged"),
            ("normalizer", deep, "nested more than 32 deep"),
            ("post_processor", special(json!({})), "post_processor: special_tokens has no \"<s>\""),
            ("post_processor", both, "a Sequence with two processors"),
            ("model", merges("####", json!(["a", "b"])), "model: merge 0 does not continue with \"####\""),
            ("model", merges("\u{80}", json!("a \u{20AC}\u{20AC}")), "model: merge 0"),
            ("model", merges(&"#".repeat(257), json!("a b")), "continuing_subword_prefix has more than 256 bytes"),
            ("model", merges("", json!("ab ab")), "model: merge 0 gives a token that is not in the vocabulary"),
        ] {
            let found = checked(part, value).unwrap_err();
            assert!(found.contains(message), "{message}: {found}");
        }
        for (part, value) in [
            ("decoder", strip(0)),
            ("post_processor", special(json!({"<s>": {}}))),
            ("model", merges("", json!("a b"))),
            ("model", merges("", json!(["a", "b"]))),
            ("model", json!({"type": "Unigram", "vocab": [["a", 0.5]]})),
            ("normalizer", Value::Null),
        ] {
            assert_eq!(checked(part, value.clone()), Ok(()), "{part} {value}");
        }
    }

    #[test]
    fn what_fills_the_memory_is_refused_with_the_limit() {
        let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
        let times = |n: usize, list: &str, part: Value| json!({"type": "Sequence", list: vec![part; n]});
        for (part, value) in [
            ("normalizer", times(40, "normalizers", replace("a", "aa"))),
            ("normalizer", times(40, "normalizers", replace("", "a"))),
            ("normalizer", replace("a", &"a".repeat(5000))),
            ("normalizer", json!({"type": "Prepend", "prepend": "a".repeat(5000)})),
            ("normalizer", times(40, "normalizers", json!({"type": "ByteLevel"}))),
            ("pre_tokenizer", times(40, "pretokenizers", json!({"type": "ByteLevel", "add_prefix_space": false}))),
            ("decoder", times(40, "decoders", replace("a", "aa"))),
        ] {
            let found = checked(part, value).unwrap_err();
            assert!(found.contains("at most 4096 times"), "{found}");
        }
        let usual = times(40, "normalizers", replace("aa", "a"));
        assert_eq!(checked("normalizer", usual), Ok(()));
        let together = json!({"normalizer": times(8, "normalizers", replace("a", "aa")),
            "pre_tokenizer": times(8, "pretokenizers", json!({"type": "ByteLevel"}))});
        assert!(
            serde_json::from_value::<Parts>(together).unwrap().check().is_err(),
            "what one makes the next one takes"
        );
    }
}
