//! Byte vocabularies ordered by rank: `tekken.json`, and the text files of tiktoken.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde_json::{Value, json};
use tokenizers::AddedToken;

use super::merges::Merge;

/// How tiktoken splits texts; its files do not say.
const PATTERN: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|",
    r"\s+(?!\S)|\s+"
);
/// Longer tokens are not pieces of words.
const MAX_TOKEN: usize = 1024;
/// Maximum number of special tokens and of tokens.
const MAX_IDS: u64 = 1 << 24;

/// A tokenizer without its added tokens, and the added tokens.
pub(super) struct Ranked {
    pub(super) json: Value,
    pub(super) added: Vec<AddedToken>,
}

/// The tokenizer of a `tekken.json`: special tokens first, then byte tokens by rank.
///
/// # Errors
/// Names the entry that is missing or wrong.
pub(super) fn tekken(file: &Value) -> Result<Ranked, String> {
    let config = &file["config"];
    let pattern = config["pattern"].as_str().ok_or("config: no text `pattern`")?;
    let specials = tekken_specials(file)?;
    let reserved = specials.len();
    let vocab = file["vocab"].as_array().ok_or("no list `vocab`")?;
    let most = match config["default_vocab_size"].as_u64() {
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(reserved),
        None => vocab.len(),
    };
    let mut tokens = Vec::new();
    for (at, entry) in vocab.iter().take(most).enumerate() {
        let bytes = entry["token_bytes"].as_str().and_then(base64);
        tokens.push(bytes.ok_or_else(|| format!("vocab: entry {at} has no `token_bytes` in base64"))?);
    }
    let ranks = tokens.into_iter().enumerate().map(|(rank, token)| (token, rank as u64)).collect();
    let (mut ids, merges) = spelled(&ranks, reserved as u64)?;
    let first = (0..).zip(&specials).map(|(id, token)| (token.clone(), id));
    ids.extend(first);
    let added = specials.into_iter().map(|token| AddedToken::from(token, true)).collect();
    Ok(Ranked { json: bytes_tokenizer(&ids, &merges, pattern), added })
}

/// The special tokens by id, with generated names for those without one.
fn tekken_specials(file: &Value) -> Result<Vec<String>, String> {
    let listed = file["special_tokens"].as_array().ok_or(
        "no list `special_tokens`, which old files lack; save the tokenizer with transformers and compile that \
         directory",
    )?;
    let mut specials = Vec::new();
    for entry in listed {
        let token = entry["rank"].as_u64().zip(entry["token_str"].as_str());
        specials.push(token.ok_or("special_tokens: an entry has no `rank` or no `token_str`")?);
    }
    specials.sort_unstable();
    if specials.iter().zip(0..).any(|((rank, _), at)| *rank != at) {
        return Err("special_tokens: ranks are not 0, 1, 2 and so on".into());
    }
    let mut names: Vec<String> = specials.into_iter().map(|(_, name)| name.to_string()).collect();
    let wanted = file["config"]["default_num_special_tokens"].as_u64().unwrap_or(names.len() as u64);
    if wanted > MAX_IDS || wanted < names.len() as u64 {
        return Err(format!("config: default_num_special_tokens is {wanted} for {} special tokens", names.len()));
    }
    for id in names.len() as u64..wanted {
        names.push(format!("<SPECIAL_{id}>"));
    }
    Ok(names)
}

/// The tokenizer of a tiktoken file (lines of base64 and rank), followed by special tokens.
///
/// # Errors
/// Names the invalid line.
pub(super) fn tiktoken(text: &str, specials: &[String]) -> Result<Ranked, String> {
    let ranks = tiktoken_ranks(text)?;
    let (ids, merges) = spelled(&ranks, 0)?;
    let added = specials.iter().map(|token| AddedToken::from(token.clone(), true).normalized(false)).collect();
    Ok(Ranked { json: bytes_tokenizer(&ids, &merges, PATTERN), added })
}

/// The tokens and ranks of a tiktoken file.
pub(super) fn tiktoken_ranks(text: &str) -> Result<HashMap<Vec<u8>, u64>, String> {
    let mut ranks = HashMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let entry = line.split_once(' ').and_then(|(token, rank)| Some((base64(token)?, rank.parse().ok()?)));
        let (token, rank) = entry.ok_or_else(|| format!("line {}: expected a token in base64 and a rank", at + 1))?;
        ranks.insert(token, rank);
    }
    Ok(ranks)
}

/// Tokens in the alphabet of byte-level tokenizers, and their merges by rank: all splits into two known tokens.
fn spelled(ranks: &HashMap<Vec<u8>, u64>, offset: u64) -> Result<(BTreeMap<String, u32>, Vec<Merge>), String> {
    #[expect(clippy::disallowed_methods, reason = "they are sorted next")]
    let mut sorted: Vec<(&Vec<u8>, u64)> = ranks.iter().map(|(token, rank)| (token, *rank)).collect();
    sorted.sort_unstable_by_key(|(_, rank)| *rank);
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        return Err(format!("two tokens have the rank {}", pair[0].1));
    }
    let (mut ids, mut merges) = (BTreeMap::new(), Vec::new());
    for (token, rank) in sorted {
        if token.len() > MAX_TOKEN {
            return Err(format!("the token of rank {rank} is longer than {MAX_TOKEN} bytes"));
        }
        let id = rank.checked_add(offset).filter(|id| *id < MAX_IDS).and_then(|id| u32::try_from(id).ok());
        ids.insert(spell(token), id.ok_or_else(|| format!("rank {rank} is too large"))?);
        let mut cuts: Vec<(u64, u64, usize)> = (1..token.len())
            .filter_map(|at| Some((*ranks.get(&token[..at])?, *ranks.get(&token[at..])?, at)))
            .collect();
        cuts.sort_unstable();
        merges.extend(cuts.into_iter().map(|(_, _, at)| (spell(&token[..at]), spell(&token[at..]))));
    }
    Ok((ids, merges))
}

/// Bytes as the printable characters of byte-level tokenizers.
fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| spelled_byte(*byte)).collect()
}

fn spelled_byte(byte: u8) -> char {
    let printable = |b: u8| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !printable(*b)).count();
    char::from_u32(256 + before as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn bytes_tokenizer(ids: &BTreeMap<String, u32>, merges: &[Merge], pattern: &str) -> Value {
    json!({
        "version": "1.0",
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "ignore_merges": true, "vocab": ids, "merges": merges},
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes base64; `None` if the text is not valid base64.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|c| *c == digit)? as u32;
        (bits, held) = (bits << 6 | value, held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

/// Encodes bytes as base64.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]);
            let _ = write!(text, "{}", if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for text in ["", "a", "ab", "abc", "abcd", "\u{FF}\u{0}x"] {
            assert_eq!(base64(&to_base64(text.as_bytes())).unwrap(), text.as_bytes());
        }
        assert_eq!(to_base64(b"ab"), "YWI=");
        assert_eq!(base64("a!"), None);
    }

    #[test]
    fn a_rank_is_of_one_token() {
        let ranks = |text: &str| spelled(&tiktoken_ranks(text).expect("tokens and ranks"), 0);
        let (ids, merges) = ranks("YQ== 0\nYg== 1\nYWI= 2\n").expect("three tokens");
        assert_eq!((ids["ab"], merges), (2, vec![("a".to_string(), "b".to_string())]));
        assert_eq!(ranks("YQ== 0\nYg== 1\nYWI= 1\n").unwrap_err(), "two tokens have the rank 1");
    }

    #[test]
    fn bytes_are_spelled_as_elsewhere() {
        assert_eq!(spell(b" a\n\xC2\xAD\xFF"), "ĠaĊÂŃÿ");
    }
}
