//! `wordwrap`: breaks lines like Python's module `textwrap`.

use crate::budget::Budget;
use crate::fault::{Res, fail};
use crate::ops;
use crate::text;
use crate::unicode::{is_alpha, is_decimal, is_numeric, is_space};
use crate::value::{Args, Str, Value};

/// `value | wordwrap(..)`.
pub(super) fn wrap(budget: &Budget, value: &Str, args: Args) -> Res<Value> {
    let mut args = args.bind("wordwrap", &["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let width = args.int(0, 79)?;
    let long = args.take(1).is_none_or(|v| ops::truth(&v));
    let between = match args.take(2) {
        None | Some(Value::None) => "\n".into(),
        Some(Value::Str(s)) => s.text,
        Some(other) => return fail(format!("AttributeError: '{}' object has no attribute 'join'", other.type_name())),
    };
    let hyphens = args.take(3).is_none_or(|v| ops::truth(&v));
    let mut lines = Vec::new();
    for paragraph in text::lines(&value.text, false) {
        let before = lines.len();
        budget.text(paragraph.len().saturating_mul(5))?;
        let Ok(width @ 1..) = usize::try_from(width) else {
            return fail(format!("ValueError: invalid width {width} (must be > 0)"));
        };
        let chars: Vec<char> = paragraph.chars().collect();
        paragraph_lines(&chars, width, long, hyphens, &mut lines);
        // An empty paragraph is an empty line.
        if lines.len() == before {
            lines.push(String::new());
        }
    }
    let bytes: usize = lines.iter().map(|line| line.len() + between.len()).sum();
    budget.text(bytes)?;
    Ok(Value::str(lines.join(&between)))
}

/// Fills lines with chunks.
fn paragraph_lines(chars: &[char], width: usize, long: bool, hyphens: bool, lines: &mut Vec<String>) {
    let blank = |chunk: &[char]| chunk.iter().all(|c| is_space(*c));
    let mut chunks = chunks(chars, hyphens);
    chunks.reverse();
    let first = lines.len();
    while let Some(next) = chunks.last() {
        // Space at the start of a line is dropped, except at the start of the paragraph.
        if lines.len() > first && blank(next) {
            chunks.pop();
        }
        let mut line: Vec<&[char]> = Vec::new();
        let mut length = 0;
        while let Some(chunk) = chunks.pop_if(|chunk| length + chunk.len() <= width) {
            length += chunk.len();
            line.push(chunk);
        }
        if let Some(chunk) = chunks.last_mut().filter(|chunk| chunk.len() > width) {
            if long {
                let mut end = width - length;
                // Breaks after the last hyphen that follows something.
                if hyphens
                    && let Some(hyphen) = chunk[..end].iter().rposition(|c| *c == '-')
                    && chunk[..hyphen].iter().any(|c| *c != '-')
                {
                    end = hyphen + 1;
                }
                let (head, tail) = chunk.split_at(end);
                line.push(head);
                *chunk = tail;
            } else if line.is_empty() {
                line.extend(chunks.pop());
            }
        }
        line.pop_if(|chunk| blank(chunk));
        if !line.is_empty() {
            lines.push(line.concat().iter().collect());
        }
    }
}

fn is_gap(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// `\w` in Python.
fn is_word(c: char) -> bool {
    c == '_' || is_alpha(c) || is_numeric(c)
}

fn is_letter(c: char) -> bool {
    is_word(c) && !is_decimal(c)
}

/// Characters that may precede a dash.
fn is_punct(c: char) -> bool {
    is_word(c) || "!\"'&.,?".contains(c)
}

/// Whether a dash between words starts here: at least two hyphens, followed by a word.
fn is_dash(chars: &[char], at: usize) -> bool {
    let count = chars[at..].iter().take_while(|c| **c == '-').count();
    count >= 2 && chars.get(at + count).is_some_and(|c| is_word(*c))
}

/// The pieces after which a line may break: words, parts of hyphenated words, dashes between words, and gaps.
fn chunks(chars: &[char], hyphens: bool) -> Vec<&[char]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < chars.len() {
        let gap = is_gap(chars[start]);
        let end = if gap || !hyphens {
            let run = chars[start..].iter().take_while(|c| is_gap(**c) == gap).count();
            start + run
        } else if start > 0 && is_punct(chars[start - 1]) && is_dash(chars, start) {
            start + chars[start..].iter().take_while(|c| **c == '-').count()
        } else {
            word_end(chars, start)
        };
        chunks.push(&chars[start..end]);
        start = end;
    }
    chunks
}

/// The end of a word, or of its part up to a hyphen between letters.
fn word_end(chars: &[char], start: usize) -> usize {
    let letter = |at: usize| chars.get(at).is_some_and(|c| is_letter(*c));
    let hyphen = |at: usize| chars.get(at) == Some(&'-');
    for at in start + 1..chars.len() {
        if is_gap(chars[at]) || is_punct(chars[at - 1]) && is_dash(chars, at) {
            return at;
        }
        if hyphen(at) {
            let before = at >= 2 && letter(at - 2) && letter(at - 1)
                || at >= 3 && letter(at - 3) && hyphen(at - 2) && is_punct(chars[at - 1]);
            let behind = letter(at + 1) && (letter(at + 2) || hyphen(at + 2) && letter(at + 3));
            if before && behind {
                return at + 1;
            }
        }
    }
    chars.len()
}
