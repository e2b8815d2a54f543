//! Builds the tokenizer of a SentencePiece model, like `SpmConverter.build_tokenizer_from_spm_proto` of transformers.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::merges;
use super::ranks::to_base64;
use super::sentencepiece::{Algorithm, Model, Role};
use super::settings::Token;

/// Control tokens and user-defined pieces, as added tokens.
pub(super) fn added(model: &Model) -> Vec<Token> {
    let wanted = model.pieces.iter().filter(|p| matches!(p.role, Role::Control | Role::UserDefined));
    let token = |content: &str, special| Token { normalized: Some(false), ..Token::new(content, special) };
    wanted.map(|p| token(&p.text, p.role == Role::Control)).collect()
}

/// The precompiled character map in base64, if there is one.
pub(super) fn charsmap(model: &Model) -> Option<String> {
    (!model.charsmap.is_empty()).then(|| to_base64(&model.charsmap))
}

/// The complete tokenizer without added tokens. `renamed` are pieces that `added_tokens_decoder` renames.
///
/// # Errors
/// If the model's algorithm is not supported by tokenizers.
pub(super) fn tokenizer(model: &Model, renamed: &BTreeMap<u64, String>, legacy: bool) -> Result<Value, String> {
    let names = names(model, renamed);
    let users: Vec<&str> = (names.iter().zip(&model.pieces))
        .filter(|(_, piece)| piece.role == Role::UserDefined)
        .map(|(name, _)| name.as_str())
        .collect();
    let part = match model.algorithm {
        Algorithm::Unigram => {
            let scores: Vec<Value> = model.pieces.iter().map(|p| json!([p.text, f64::from(p.score)])).collect();
            json!({"type": "Unigram", "unk_id": model.ids[0], "byte_fallback": model.byte_fallback, "vocab": scores})
        }
        Algorithm::Bpe => bpe(model, &names, !users.is_empty())?,
        Algorithm::Word | Algorithm::Char => {
            return Err("a model of whole words or of characters, which tokenizer.json cannot represent".into());
        }
    };
    Ok(json!({
        "version": "1.0",
        "normalizer": normalizer(model, legacy),
        "pre_tokenizer": pre_tokenizer(model, users, legacy),
        "post_processor": null,
        "decoder": decoder(model),
        "model": part,
    }))
}

/// The texts of the pieces. A piece is not renamed to the text of another one.
fn names(model: &Model, renamed: &BTreeMap<u64, String>) -> Vec<String> {
    let own = |at: usize| &model.pieces[at].text;
    if model.algorithm != Algorithm::Bpe || renamed.is_empty() {
        return (0..model.pieces.len()).map(|at| own(at).clone()).collect();
    }
    let kept: std::collections::HashSet<&str> =
        (0..model.pieces.len()).filter(|at| !renamed.contains_key(&(*at as u64))).map(|at| own(at).as_str()).collect();
    let name = |at: usize| renamed.get(&(at as u64)).filter(|n| !kept.contains(n.as_str())).unwrap_or(own(at)).clone();
    (0..model.pieces.len()).map(name).collect()
}

fn bpe(model: &Model, names: &[String], users: bool) -> Result<Value, String> {
    let ids: BTreeMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    let normal: HashMap<&str, (f32, u32)> = (names.iter().zip(&model.pieces).zip(0..))
        .filter(|((_, piece), _)| piece.role == Role::Normal)
        .map(|((name, piece), id)| (name.as_str(), (piece.score, id)))
        .collect();
    Ok(json!({
        "type": "BPE", "unk_token": model.names[0], "fuse_unk": true, "byte_fallback": model.byte_fallback,
        "ignore_merges": users, "vocab": ids, "merges": merges::of_scores(&normal)?,
    }))
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

fn normalizer(model: &Model, legacy: bool) -> Value {
    let mut all = Vec::new();
    if let Some(map) = charsmap(model) {
        all.push(json!({"type": "Precompiled", "precompiled_charsmap": map}));
    }
    if model.remove_extra_whitespaces {
        all.push(replace(json!({"Regex": r"\A +| +\z"}), ""));
        all.push(replace(json!({"Regex": " {2,}"}), " "));
    }
    if model.escape_whitespaces {
        all.push(replace(json!({"String": " "}), "▁"));
    }
    if model.add_dummy_prefix && legacy {
        all.push(replace(json!({"Regex": r"\A▁"}), "▁▁"));
    }
    json!({"type": "Sequence", "normalizers": all})
}

fn pre_tokenizer(model: &Model, mut users: Vec<&str>, legacy: bool) -> Value {
    let mut all = Vec::new();
    if model.add_dummy_prefix {
        let scheme = if legacy { "always" } else { "first" };
        all.push(json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false}));
    }
    if !users.is_empty() {
        users.sort_by_key(|name| std::cmp::Reverse(name.chars().count()));
        let pattern: Vec<String> = users.into_iter().map(escape).collect();
        let pattern = json!({"Regex": pattern.join("|")});
        all.push(json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false}));
    }
    if all.is_empty() { Value::Null } else { json!({"type": "Sequence", "pretokenizers": all}) }
}

/// A regular expression that matches a text literally.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str(r"\n"),
            '\r' => escaped.push_str(r"\r"),
            '\t' => escaped.push_str(r"\t"),
            _ => {
                if r"\^$.|?*+()[]{}-/".contains(c) {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
        }
    }
    escaped
}

fn decoder(model: &Model) -> Value {
    let mut all = vec![replace(json!({"String": "▁"}), " ")];
    if model.byte_fallback {
        all.push(json!({"type": "ByteFallback"}));
    }
    if model.add_dummy_prefix {
        all.push(json!({"type": "Fuse"}));
        all.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    } else if model.byte_fallback {
        all.push(json!({"type": "Fuse"}));
    }
    json!({"type": "Sequence", "decoders": all})
}
