//! The parts of `tokenizer.json` that differ between byte-level tokenizers and those of SentencePiece.

use std::collections::HashMap;

use gristmill_graph::text::MergeOrder;
use serde_json::{Map, Value as Json, json};

use super::entries::{Entries, is_spaces};
use super::table::{Pre, Step};
use crate::error::CompileError;
use crate::gguf::value::Value;
use crate::weights::error::shown;

/// How SentencePiece writes a space.
const SPACE: &str = "\u{2581}";

/// Pairs of tokens to merge, in order of priority.
type Merges = Vec<(String, String)>;

/// The model of a byte-level tokenizer.
pub(super) fn of_bytes(entries: &Entries<'_>, ignore_merges: bool) -> Result<Json, CompileError> {
    let vocabulary = Vec::from_iter(entries.tokens.iter().map(|t| (*t).to_string()));
    let merges = listed(entries, &vocabulary)?
        .ok_or_else(|| entries.fault("has no metadata `tokenizer.ggml.merges`, which a BPE tokenizer needs"))?;
    Ok(model(&vocabulary, &merges, json!({"ignore_merges": ignore_merges, "fuse_unk": false, "byte_fallback": false})))
}

/// The model of a SentencePiece tokenizer.
pub(super) fn of_pieces(entries: &Entries<'_>, order: MergeOrder) -> Result<Json, CompileError> {
    let respelled = |token: &&str| if is_spaces(token) { SPACE.repeat(token.len()) } else { (*token).to_string() };
    let vocabulary: Vec<String> = entries.tokens.iter().map(respelled).collect();
    let merges = match listed(entries, &vocabulary)? {
        Some(merges) => merges,
        None => {
            let ranks = match order {
                MergeOrder::Positions => (0..vocabulary.len()).map(|id| -(id as f64)).collect(),
                MergeOrder::Scores => entries.numbers("scores", Value::as_f64)?.ok_or_else(|| {
                    entries.fault("has neither metadata `tokenizer.ggml.merges` nor `tokenizer.ggml.scores`")
                })?,
            };
            implied(&vocabulary, &ranks)
        }
    };
    let unknown = entries.id("unknown_token_id")?.map_or(0, |id| id as usize);
    let bytes = (0..=255u8).all(|b| entries.ids.contains_key(format!("<0x{b:02X}>").as_str()));
    let settings =
        json!({"ignore_merges": false, "fuse_unk": true, "byte_fallback": bytes, "unk_token": vocabulary.get(unknown)});
    Ok(model(&vocabulary, &merges, settings))
}

fn model(vocabulary: &[String], merges: &[(String, String)], settings: Json) -> Json {
    let ids: Map<String, Json> = vocabulary.iter().enumerate().map(|(id, t)| (t.clone(), Json::from(id))).collect();
    let mut model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "vocab": ids, "merges": merges.iter().map(|(a, b)| json!([a, b])).collect::<Vec<Json>>(),
    });
    if let (Some(all), Json::Object(settings)) = (model.as_object_mut(), settings) {
        all.extend(settings);
    }
    model
}

/// The merges that the file lists, if any.
fn listed(entries: &Entries<'_>, vocabulary: &[String]) -> Result<Option<Merges>, CompileError> {
    let Some(lines) = entries.texts("merges")? else { return Ok(None) };
    let known: HashMap<&str, usize> = vocabulary.iter().enumerate().map(|(id, t)| (t.as_str(), id)).collect();
    let pair = |(number, line): (usize, &&str)| {
        let fault =
            |why: String| entries.fault(format!("merge {number} of `tokenizer.ggml.merges`, `{}`, {why}", shown(line)));
        // The first token may start with a space.
        let gap = line.char_indices().skip(1).find(|(_, c)| *c == ' ');
        let Some((gap, _)) = gap else { return Err(fault("is not two tokens separated by a space".into())) };
        let (a, b) = (&line[..gap], &line[gap + 1..]);
        let whole = format!("{a}{b}");
        match [a, b, &whole].into_iter().find(|token| !known.contains_key(token)) {
            Some(missing) => Err(fault(format!("needs `{}`, which is not a token", shown(missing)))),
            None => Ok((a.to_string(), b.to_string())),
        }
    };
    lines.iter().enumerate().map(pair).collect::<Result<Merges, _>>().map(Some)
}

/// The merges that a vocabulary implies: every way to split a token into two others, ordered by the rank of the result,
/// highest first (`generate_merges` of transformers 5).
fn implied(vocabulary: &[String], ranks: &[f64]) -> Merges {
    struct Merge<'a> {
        rank: f64,
        parts: (&'a str, &'a str),
        /// Lengths of both halves, in characters.
        lengths: (usize, usize),
    }
    let ids: HashMap<&str, usize> = vocabulary.iter().enumerate().map(|(id, t)| (t.as_str(), id)).collect();
    let mut all: Vec<Merge<'_>> = Vec::new();
    for (token, rank) in vocabulary.iter().zip(ranks) {
        let length = token.chars().count();
        let mut cuts: Vec<((usize, usize), Merge<'_>)> = Vec::new();
        for (n, (at, _)) in token.char_indices().enumerate().skip(1) {
            let parts = token.split_at(at);
            if let (Some(a), Some(b)) = (ids.get(parts.0), ids.get(parts.1)) {
                cuts.push(((*a, *b), Merge { rank: *rank, parts, lengths: (n, length - n) }));
            }
        }
        cuts.sort_by_key(|(ids, _)| *ids);
        all.extend(cuts.into_iter().map(|(_, merge)| merge));
    }
    all.sort_by(|a, b| b.rank.total_cmp(&a.rank).then(b.lengths.cmp(&a.lengths)));
    all.into_iter().map(|merge| (merge.parts.0.to_string(), merge.parts.1.to_string())).collect()
}

/// The steps around the model of a byte-level tokenizer.
pub(super) fn around_bytes(pre: &Pre) -> Json {
    let words = pre.steps.iter().any(|step| matches!(step, Step::Words));
    let split = |step: &Step| match step {
        Step::Split(pattern) => {
            Some(json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}))
        }
        Step::Digits => Some(json!({"type": "Digits", "individual_digits": true})),
        // Part of the byte-level step that follows.
        Step::Words => None,
    };
    let bytes =
        |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let steps: Vec<Json> = pre.steps.iter().filter_map(split).chain([bytes(words)]).collect();
    json!({
        "normalizer": null, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "decoder": bytes(true),
    })
}

/// The steps around the model of a SentencePiece tokenizer. With `space`, each piece of text between special tokens
/// gets a leading space, which decoding removes.
pub(super) fn around_pieces(space: bool) -> Json {
    let replace = |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let prepend = space.then(|| json!({"type": "Prepend", "prepend": SPACE}));
    let normalizers: Vec<Json> = prepend.into_iter().chain([replace(" ", SPACE)]).collect();
    let strip = space.then(|| json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    let decoders = [replace(SPACE, " "), json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    let decoders: Vec<Json> = decoders.into_iter().chain(strip).collect();
    json!({
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null,
        "decoder": {"type": "Sequence", "decoders": decoders},
    })
}
