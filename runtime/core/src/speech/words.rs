//! Groups tokens into words.

use std::ops::Range;

use crate::error::Error;

/// Languages that put no spaces between words.
const SPACELESS: [&str; 6] = ["ja", "lo", "my", "th", "yue", "zh"];
/// Punctuation that belongs to the next word, and to the previous one.
const OPENING: &str = "\"'“¡¿([{-";
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、";
const ASCII: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/// The replacement character, for bytes that are not a complete character.
const BROKEN: char = '\u{FFFD}';

/// A word and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The text, with the space before it if there is one.
    pub(crate) text: String,
    pub(crate) tokens: Range<usize>,
}

/// Groups the tokens of a text, none of which is a special one: `_combine_tokens_into_words` of transformers.
/// `language`: its code, if it is known.
pub(crate) fn words(
    tokens: &[u32],
    language: Option<&str>,
    decode: &dyn Fn(&[u32]) -> Result<String, Error>,
) -> Result<Vec<Word>, Error> {
    let characters = split(tokens, decode)?;
    let mut words = match language {
        Some(language) if SPACELESS.contains(&language) => characters,
        _ => join(characters),
    };
    attach_opening(&mut words);
    attach_closing(&mut words);
    words.retain(|word| !word.text.is_empty());
    Ok(words)
}

/// The shortest sequences of tokens that are complete characters.
fn split(tokens: &[u32], decode: &dyn Fn(&[u32]) -> Result<String, Error>) -> Result<Vec<Word>, Error> {
    let whole: Vec<char> = decode(tokens)?.chars().collect();
    let (mut words, mut from, mut done) = (Vec::new(), 0, 0);
    for to in 1..=tokens.len() {
        let text = decode(&tokens[from..to])?;
        let broken = text.chars().position(|c| c == BROKEN);
        // If the complete text has a replacement character there, the character itself is meant.
        if broken.is_none_or(|at| whole.get(done + at).is_none_or(|c| *c == BROKEN)) {
            done += text.chars().count();
            words.push(Word { text, tokens: from..to });
            from = to;
        }
    }
    Ok(words)
}

/// A word begins at a space or a punctuation mark.
fn join(parts: Vec<Word>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for part in parts {
        let begins = part.text.starts_with(' ') || ASCII.contains(part.text.trim());
        match words.last_mut().filter(|_| !begins) {
            Some(word) => {
                word.text.push_str(&part.text);
                word.tokens.end = part.tokens.end;
            }
            None => words.push(part),
        }
    }
    words
}

/// Attaches marks to the next word. Attached ones become empty.
fn attach_opening(words: &mut [Word]) {
    let mut to = words.len().saturating_sub(1);
    for at in (0..to).rev() {
        if words[at].text.starts_with(' ') && OPENING.contains(words[at].text.trim()) {
            let mark = std::mem::take(&mut words[at]);
            words[to].text.insert_str(0, &mark.text);
            words[to].tokens.start = mark.tokens.start;
        } else {
            to = at;
        }
    }
}

/// Attaches marks to the previous word. Attached ones become empty.
fn attach_closing(words: &mut [Word]) {
    let mut to = 0;
    for at in 1..words.len() {
        if !words[to].text.ends_with(' ') && CLOSING.contains(words[at].text.as_str()) {
            let mark = std::mem::take(&mut words[at]);
            words[to].text.push_str(&mark.text);
            words[to].tokens.end = words[to].tokens.end.max(mark.tokens.end);
        } else {
            to = at;
        }
    }
}

impl Default for Word {
    fn default() -> Self {
        Word { text: String::new(), tokens: 0..0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each token is a byte, or stands for one of these texts.
    fn grouped(parts: &[&str], language: Option<&str>) -> Vec<(String, Range<usize>)> {
        let decode = |ids: &[u32]| {
            let bytes: Vec<u8> = ids
                .iter()
                .flat_map(|id| match id.checked_sub(1000) {
                    Some(part) => parts[part as usize].as_bytes().to_vec(),
                    None => vec![*id as u8],
                })
                .collect();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let ids: Vec<u32> = parts
            .iter()
            .enumerate()
            .flat_map(|(i, part)| match part.strip_prefix("bytes:") {
                Some(bytes) => bytes.bytes().map(u32::from).collect(),
                None => vec![1000 + i as u32],
            })
            .collect();
        words(&ids, language, &decode).unwrap().into_iter().map(|w| (w.text, w.tokens)).collect()
    }

    fn texts(parts: &[&str], language: Option<&str>) -> Vec<String> {
        grouped(parts, language).into_iter().map(|w| w.0).collect()
    }

    #[test]
    fn words_are_what_spaces_divide() {
        // Expectations are the results of `_combine_tokens_into_words` of transformers.
        let parts = [" And", " so", ",", " my", " fell", "ow", " \"", "Amer", "icans", ".\"", " Ask", "-", "not", "!"];
        let expected = [" And", " so,", " my", " fellow", " \"Americans.\"", " Ask", "-not!"];
        assert_eq!(texts(&parts, Some("en")), expected);
        assert_eq!(grouped(&parts, Some("en"))[4].1, 6..10);
        assert_eq!(texts(&[" (", "a", ")", " ", "b", " -", " c"], None), [" (a)", " b", " - c"]);
        assert_eq!(texts(&["a"], None), ["a"]);
        assert_eq!(texts(&[], None), [""; 0]);
    }

    #[test]
    fn languages_without_spaces_have_characters() {
        assert_eq!(texts(&["今日", "は", "。", "いい"], Some("ja")), ["今日", "は。", "いい"]);
        assert_eq!(texts(&["今日", "は", "。", "いい"], Some("en")), ["今日は。いい"]);
        assert_eq!(texts(&["bytes:é€", "x"], Some("zh")), ["é", "€", "x"], "characters are never broken");
        assert_eq!(texts(&["a\u{FFFD}", "b"], Some("zh")), ["a\u{FFFD}", "b"]);
    }
}
