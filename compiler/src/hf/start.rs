//! The start tokens of a decoder after an encoder, and the choices that callers have among them.

use std::collections::BTreeMap;

use gristmill_bundle::Choice;
use serde_json::Value;

/// Choices by name, with the table in `generation_config.json` that holds their tokens, and the default word. These are
/// the tables in the configurations of speech models in transformers. (If nothing names a task, transformers omits that
/// token. Published settings do name one, and these models were trained with one.)
const CHOICES: [(&str, &str, Option<&str>); 2] =
    [("language", "lang_to_id", None), ("task", "task_to_id", Some("transcribe"))];

/// Start tokens, and the choices among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Start {
    /// The tokens.
    pub(crate) tokens: Vec<u32>,
    /// The positions that callers can choose.
    pub(crate) choices: Vec<Choice>,
}

/// The start tokens: `decoder_start_token_id`, a token per choice, the tokens that `forced_decoder_ids` puts after
/// these, and `no_timestamps_token_id`. They come from the generation settings or, except for tables, from the config.
/// A forced token at the position of a choice is its default. Forced tokens end at the first position that is left to
/// the caller.
pub(crate) fn start(generation: &Value, config: &Value) -> Start {
    let find = |key: &str| [&generation[key], &config[key]].into_iter().find(|v| !v.is_null());
    let Some(first) = find("decoder_start_token_id").and_then(id) else { return Start::default() };
    let named = CHOICES.iter().any(|(name, ..)| generation[name].is_string());
    let forced = find("forced_decoder_ids").filter(|_| !named).map(forced).unwrap_or_default();
    let mut start = Start { tokens: vec![first], choices: Vec::new() };
    for (name, table, usual) in CHOICES {
        let values = words(&generation[table]);
        let Some(least) = values.values().min().copied() else { continue };
        let place = start.tokens.len();
        let own = generation[name].as_str().map(word).filter(|w| values.contains_key(*w));
        let token = forced.get(place - 1).copied().flatten();
        let by_token = || values.iter().find(|(_, id)| Some(**id) == token).map(|(word, _)| word.as_str());
        let default = own.or_else(by_token).or(usual.filter(|w| values.contains_key(*w))).map(str::to_string);
        start.tokens.push(default.as_ref().map_or(least, |word| values[word]));
        start.choices.push(Choice { name: name.to_string(), place: place as u32, values, default });
    }
    let rest = forced.get(start.tokens.len() - 1..).unwrap_or_default();
    start.tokens.extend(rest.iter().map_while(|token| *token));
    if let Some(last) = id(&generation["no_timestamps_token_id"]).filter(|id| start.tokens.last() != Some(id)) {
        start.tokens.push(last);
    }
    start
}

/// A token id.
pub(super) fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// The tokens at positions 1, 2, .. up to the first gap; `None` for a position that is left open.
fn forced(pairs: &Value) -> Vec<Option<u32>> {
    let mut tokens = Vec::new();
    for pair in pairs.as_array().into_iter().flatten() {
        if pair[0].as_u64() != Some(tokens.len() as u64 + 1) {
            break;
        }
        tokens.push(id(&pair[1]));
    }
    tokens
}

/// Tokens by word.
fn words(table: &Value) -> BTreeMap<String, u32> {
    let pairs = table.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((word(key).to_string(), id(value)?))).collect()
}

/// A word without the delimiters of a special token.
fn word(key: &str) -> &str {
    key.trim_start_matches("<|").trim_end_matches("|>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn published(forced: Value) -> Value {
        json!({
            "decoder_start_token_id": 50258, "no_timestamps_token_id": 50363, "forced_decoder_ids": forced,
            "lang_to_id": {"<|en|>": 50259, "<|de|>": 50261}, "task_to_id": {"transcribe": 50359, "translate": 50358},
        })
    }

    fn defaults(start: &Start) -> Vec<(&str, u32, Option<&str>)> {
        start.choices.iter().map(|c| (c.name.as_str(), c.place, c.default.as_deref())).collect()
    }

    #[test]
    fn languages_and_tasks_have_their_places() {
        let asked = [("language", 1, None), ("task", 2, Some("transcribe"))];
        for forced in [json!(null), json!([[1, null], [2, 50359]]), json!([])] {
            let found = start(&published(forced), &Value::Null);
            assert_eq!(found.tokens, [50258, 50259, 50359, 50363]);
            assert_eq!(defaults(&found), asked);
            assert_eq!(found.choices[0].values, BTreeMap::from([("de".into(), 50261), ("en".into(), 50259)]));
        }
    }

    #[test]
    fn what_is_forced_or_named_is_the_default() {
        let old = json!({"forced_decoder_ids": [[1, 50261], [2, 50358], [3, 50363]]});
        let found = start(&published(Value::Null), &old);
        assert_eq!(found.tokens, [50258, 50261, 50358, 50363]);
        assert_eq!(defaults(&found), [("language", 1, Some("de")), ("task", 2, Some("translate"))]);
        let mut named = published(json!([[1, 50261], [2, 50358]]));
        named["language"] = "<|en|>".into();
        assert_eq!(defaults(&start(&named, &old)), [("language", 1, Some("en")), ("task", 2, Some("transcribe"))]);
    }

    #[test]
    fn models_of_one_language_have_nothing_to_choose() {
        let own = json!({
            "decoder_start_token_id": 50257, "no_timestamps_token_id": 50362, "forced_decoder_ids": [[1, 50362]]
        });
        let found = start(&own, &Value::Null);
        assert_eq!((found.tokens, found.choices), (vec![50257, 50362], vec![]));
        let plain = json!({"decoder_start_token_id": 2, "forced_decoder_ids": [[1, 5], [2, null], [3, 7]]});
        assert_eq!(start(&Value::Null, &plain).tokens, [2, 5]);
        assert_eq!(start(&Value::Null, &json!({})), Start::default());
    }
}
