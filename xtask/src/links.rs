// Finds links in Markdown, in the forms that this repository uses. Included by `cargo xtask book` and by the test that
// follows all links (tests/tests/suite/links.rs).

use std::ops::Range;

/// A link or an image: `[text](target)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The line on which it ends, counted from 1.
    pub(crate) line: usize,
    /// The range of the text, including the brackets.
    pub(crate) text: Range<usize>,
    /// The range of the target, without the parentheses.
    pub(crate) target: Range<usize>,
}

/// All links in a text, except in code.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let mut opened = Vec::new();
    for (line, start, content) in prose(text) {
        let bytes = content.as_bytes();
        if content.trim().is_empty() {
            opened.clear(); // a link does not go beyond its paragraph
        }
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'`' => at = code_end(content, at),
                b'[' => opened.push(start + at),
                b']' => {
                    let open = opened.pop();
                    let rest = content[at..].strip_prefix("](").and_then(|rest| Some((rest, rest.find(')')?)));
                    if let (Some(open), Some((_, length))) = (open, rest) {
                        let target = start + at + 2..start + at + 2 + length;
                        found.push(Link { line, text: open..start + at + 1, target });
                        at += 2 + length;
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
    found
}

/// The lines outside of fenced code: line number (counted from 1), position in the text, content.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut start = 0;
    let mut fence: Option<&str> = None;
    text.split_inclusive('\n').enumerate().filter_map(move |(n, line)| {
        let here = start;
        start += line.len();
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => return Some((n + 1, here, line)),
            _ => {}
        }
        None
    })
}

/// The position of the last byte of the code span that starts at `at`; of its backticks, if the span is not closed.
fn code_end(line: &str, at: usize) -> usize {
    let ticks = line[at..].len() - line[at..].trim_start_matches('`').len();
    let after = at + ticks;
    let mut from = after;
    while let Some(found) = line[from..].find(&line[at..after]) {
        let begin = from + found;
        let length = line[begin..].len() - line[begin..].trim_start_matches('`').len();
        if length == ticks {
            return begin + ticks - 1;
        }
        from = begin + length;
    }
    after - 1
}
