//! Merges for vocabularies that have none: every way to split a token into two others.

use std::collections::{BTreeMap, HashMap};

/// Longer tokens are not pieces of words.
const MAX_CHARS: usize = 1024;

/// The two halves of a merge.
pub(crate) type Merge = (String, String);

/// All merges of a vocabulary, ordered by the id of the merged token and then by the length of the left half, like
/// `generate_merges` of transformers.
///
/// # Errors
/// If a token is longer than any piece of a word.
pub(crate) fn of_ids(vocab: &BTreeMap<String, u32>) -> Result<Vec<Merge>, String> {
    let mut tokens: Vec<(&String, u32)> = vocab.iter().map(|(token, id)| (token, *id)).collect();
    tokens.sort_by_key(|(_, id)| *id);
    let mut merges = Vec::new();
    for (token, _) in tokens {
        merges.extend(cuts(token)?.filter(|(a, b)| vocab.contains_key(*a) && vocab.contains_key(*b)).map(owned));
    }
    Ok(merges)
}

/// Merges of scored tokens: higher scores first, then smaller ids.
///
/// # Errors
/// If a token is longer than any piece of a word.
pub(crate) fn of_scores(tokens: &HashMap<&str, (f32, u32)>) -> Result<Vec<Merge>, String> {
    let mut ranked = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "they are sorted next")]
    let mut sorted: Vec<(&str, (f32, u32))> = tokens.iter().map(|(token, rank)| (*token, *rank)).collect();
    sorted.sort_by_key(|(_, (_, id))| *id);
    for (token, (score, id)) in sorted {
        let known = cuts(token)?.filter(|(a, b)| tokens.contains_key(a) && tokens.contains_key(b));
        ranked.extend(known.map(|(a, b)| (-score, id, a, b)));
    }
    ranked.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2, x.3).cmp(&(y.1, y.2, y.3))));
    Ok(ranked.into_iter().map(|(_, _, a, b)| owned((a, b))).collect())
}

fn owned((a, b): (&str, &str)) -> Merge {
    (a.to_string(), b.to_string())
}

/// All ways to split a token between two characters, from the left.
fn cuts(token: &str) -> Result<impl Iterator<Item = (&str, &str)>, String> {
    if token.chars().count() > MAX_CHARS {
        let begin: String = token.chars().take(20).collect();
        return Err(format!("the token that begins with {begin:?} is longer than {MAX_CHARS} characters"));
    }
    Ok(token.char_indices().skip(1).map(|(at, _)| token.split_at(at)))
}
