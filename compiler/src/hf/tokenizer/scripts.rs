//! The scripts of characters according to the tokenizers library, for the page. The library splits texts where the
//! script changes. Its table is older than that of browsers and not public, so it is reconstructed from its behavior.

use std::sync::LazyLock;

use serde_json::{Value, json};
use tokenizers::pre_tokenizers::unicode_scripts::UnicodeScripts;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// The type of pre-tokenizer that needs the table.
const KIND: &str = "UnicodeScripts";
/// Characters per query; the library takes quadratic time.
const TOGETHER: usize = 1 << 6;

/// First and last character of each range of one script, and the number of the script. All other characters may appear
/// in any script.
static TABLE: LazyLock<Vec<[u32; 3]>> = LazyLock::new(table);

/// Adds the table to every part that needs it.
pub(super) fn add(part: &mut Value) {
    if part["type"] == KIND {
        part["scripts"] = json!(*TABLE);
    }
    part.get_mut("pretokenizers").and_then(Value::as_array_mut).into_iter().flatten().for_each(add);
}

/// Where the pieces of a text start; empty if all its characters may appear in any script.
fn pieces(text: &[char]) -> Vec<usize> {
    let mut whole = PreTokenizedString::from(text.iter().collect::<String>());
    // This cannot fail. If it did, there would be no splits, and the tests would show it.
    let _ = UnicodeScripts::new().pre_tokenize(&mut whole);
    let splits = whole.get_splits(OffsetReferential::Original, OffsetType::Char);
    splits.into_iter().map(|(_, (start, _), _)| start).collect()
}

/// For each character but the first, whether the text is split before it.
fn cuts(text: &[char]) -> Vec<bool> {
    let mut cut = vec![false; text.len()];
    for start in pieces(text) {
        cut[start] = start > 0;
    }
    cut
}

/// Whether each character belongs to a different script than `from`.
fn differs(from: char, from_all: &[char]) -> Vec<bool> {
    let of_some = |some: &[char]| {
        let pairs: Vec<char> = some.iter().flat_map(|c| [from, *c]).collect();
        cuts(&pairs).into_iter().skip(1).step_by(2).collect::<Vec<bool>>()
    };
    from_all.chunks(TOGETHER).flat_map(of_some).collect()
}

fn table() -> Vec<[u32; 3]> {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let all = all.chunks(256).filter(|block| !pieces(block).is_empty()).flatten().copied().collect::<Vec<char>>();
    // A character that differs from neither Latin nor Han may appear in any script.
    let known = differs('a', &all).into_iter().zip(differs('\u{6F22}', &all)).map(|(a, b)| a || b);
    let known: Vec<char> = all.iter().zip(known).filter(|(_, known)| *known).map(|(c, _)| *c).collect();
    let mut stretches: Vec<(char, char)> = Vec::new();
    for (at, (c, cut)) in known.iter().zip(differs_from_last(&known)).enumerate() {
        match stretches.last_mut() {
            Some((_, last)) if !cut && follows(known[at - 1], *c) => *last = *c,
            _ => stretches.push((*c, *c)),
        }
    }
    let firsts: Vec<char> = stretches.iter().map(|(first, _)| *first).collect();
    let mut numbers = vec![0; firsts.len()];
    let mut number = 0;
    while let Some(at) = numbers.iter().position(|n| *n == 0) {
        number += 1;
        for (n, differs) in numbers.iter_mut().zip(differs(firsts[at], &firsts)) {
            if !differs {
                *n = number;
            }
        }
    }
    stretches.into_iter().zip(numbers).map(|((first, last), n)| [first.into(), last.into(), n]).collect()
}

/// For each character, whether it belongs to a different script than the one before it.
fn differs_from_last(known: &[char]) -> Vec<bool> {
    let mut found = Vec::with_capacity(known.len());
    for at in (0..known.len()).step_by(TOGETHER) {
        let before = at.saturating_sub(1);
        let end = known.len().min(at + TOGETHER);
        found.extend(cuts(&known[before..end]).into_iter().skip(at - before));
    }
    found
}

fn follows(a: char, b: char) -> bool {
    u32::from(a) + 1 == u32::from(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(c: char) -> u32 {
        let c = u32::from(c);
        TABLE.iter().find(|[first, last, _]| (*first..=*last).contains(&c)).map_or(0, |[.., number]| *number)
    }

    #[test]
    fn only_what_needs_them_is_changed() {
        for part in [json!(null), json!({"type": "Sequence", "pretokenizers": [{"type": "Digits"}]})] {
            let mut changed = part.clone();
            add(&mut changed);
            assert_eq!(changed, part);
        }
        let mut part = json!({"type": "Sequence", "pretokenizers": [{"type": KIND}]});
        add(&mut part);
        assert_eq!(part["pretokenizers"][0]["scripts"].as_array().map(Vec::len), Some(TABLE.len()));
    }

    #[test]
    fn scripts_are_those_of_the_library() {
        assert!(TABLE.is_sorted() && TABLE.len() > 500, "{}", TABLE.len());
        let same =
            ["az\u{E9}", "\u{6F22}\u{3042}\u{30AB}\u{30FC}", "\u{431}\u{42F}", "0.-\u{1F600}", "\u{AC00}\u{1112}"];
        let numbers = same.map(|text| {
            let all: Vec<u32> = text.chars().map(script).collect();
            assert!(all.iter().all(|n| *n == all[0] && *n > 0), "{text}: {all:?}");
            all[0]
        });
        for (at, number) in numbers.iter().enumerate() {
            assert!(!numbers[..at].contains(number), "{numbers:?}");
        }
        assert_eq!([' ', '\u{378}', char::MAX].map(script), [0; 3], "of any script");
    }
}
