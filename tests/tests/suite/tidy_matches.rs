//! A new operation must not fall into a match arm that was written for another one. In the compiler, a `match` whose
//! patterns name operations therefore has no catch-all arm. Where only one or two operations matter, `if let` says so.

use super::tidy::{is_product, sources};

/// A `match`: its first line, and its patterns with their guards.
struct Match {
    line: usize,
    patterns: Vec<String>,
}

/// The text with comments and quoted texts replaced by blanks; line breaks are kept.
fn without_texts(text: &str) -> Vec<char> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = chars.clone();
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let hashes = rest.iter().skip(1).take_while(|c| **c == '#').count();
        let length = match rest {
            ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
            ['"', ..] => quoted(rest, 0),
            ['r', ..] if rest.get(1 + hashes) == Some(&'"') && (i == 0 || !is_word(chars[i - 1])) => {
                1 + hashes + quoted(&rest[1 + hashes..], hashes)
            }
            // A character literal, not a lifetime.
            ['\'', '\\', _, '\'', ..] => 4,
            ['\'', _, '\'', ..] => 3,
            _ => {
                i += 1;
                continue;
            }
        };
        out[i..i + length].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        i += length;
    }
    out
}

/// The length of a quoted text that ends with a quote and `hashes` times `#`.
fn quoted(rest: &[char], hashes: usize) -> usize {
    let mut i = 1;
    while i < rest.len() {
        if rest[i] == '\\' && hashes == 0 {
            i += 1;
        } else if rest[i] == '"' && rest[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    rest.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Advances from `at` to where `end` holds outside of brackets and type arguments.
fn outside(text: &[char], mut at: usize, end: impl Fn(&[char]) -> bool) -> usize {
    let (mut brackets, mut angles) = (0usize, 0usize);
    while at < text.len() {
        if brackets == 0 && angles == 0 && end(&text[at..]) {
            return at;
        }
        match &text[at..] {
            [':', ':', '<', ..] => {
                angles += 1;
                at += 2;
            }
            ['-' | '=', '>', ..] => at += 1,
            ['<', ..] if angles > 0 => angles += 1,
            ['>', ..] if angles > 0 => angles -= 1,
            ['(' | '[' | '{', ..] => brackets += 1,
            [')' | ']' | '}', ..] => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    at
}

fn matches_of(text: &str) -> Vec<Match> {
    let text = without_texts(text);
    let mut found = Vec::new();
    for start in 0..text.len().saturating_sub(6) {
        let word = text[start..start + 5].iter().collect::<String>() == "match";
        if !word || is_word(text[start + 5]) || text[start + 5] == '!' || (start > 0 && is_word(text[start - 1])) {
            continue;
        }
        let line = 1 + text[..start].iter().filter(|c| **c == '\n').count();
        let mut at = outside(&text, start + 5, |t| t[0] == '{') + 1;
        let mut patterns = Vec::new();
        loop {
            while text.get(at).is_some_and(|c| c.is_whitespace() || *c == ',') {
                at += 1;
            }
            if text.get(at).is_none_or(|c| *c == '}') {
                break;
            }
            let arrow = outside(&text, at, |t| t.starts_with(&['=', '>']));
            let pattern: String = text[at..arrow].iter().collect();
            patterns.push(pattern.split_whitespace().collect::<Vec<_>>().join(" "));
            at = arrow + 2;
            while text.get(at).is_some_and(|c| c.is_whitespace()) {
                at += 1;
            }
            at = if text.get(at) == Some(&'{') {
                outside(&text, at + 1, |t| t[0] == '}') + 1
            } else {
                outside(&text, at, |t| matches!(t[0], ',' | '}'))
            };
        }
        found.push(Match { line, patterns });
    }
    found
}

/// Whether a pattern names an operation of the graph. Its guard does not count.
fn names_operation(pattern: &str) -> bool {
    let pattern = &pattern[..pattern.find(" if ").unwrap_or(pattern.len())];
    pattern.match_indices("Op::").any(|(at, _)| !pattern[..at].ends_with(is_word))
}

/// Whether a pattern matches anything.
fn takes_all(pattern: &str) -> bool {
    let chars: Vec<char> = pattern.chars().collect();
    let guard = outside(&chars, 0, |t| t.starts_with(&[' ', 'i', 'f', ' ']));
    if guard < chars.len() {
        return false;
    }
    let (mut at, mut parts) = (0, Vec::new());
    while at <= chars.len() {
        let end = outside(&chars, at, |t| t[0] == '|');
        parts.push(chars[at..end].iter().collect::<String>().trim().to_string());
        at = end + 1;
    }
    parts.iter().any(|part| {
        let part = part.trim_start_matches('&').trim_start_matches("ref ").trim_start_matches("mut ");
        if let Some(inner) = part.strip_prefix('(').and_then(|p| p.strip_suffix(')')) {
            return inner.split(',').map(str::trim).all(takes_all);
        }
        let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        part.starts_with(|c: char| small(c) && !c.is_ascii_digit())
            && part.chars().all(small)
            && !matches!(part, "true" | "false")
    })
}

/// The lines where a `match` over operations with a catch-all arm starts.
fn open_matches(text: &str) -> Vec<usize> {
    let open = |m: &Match| m.patterns.iter().any(|p| names_operation(p)) && m.patterns.iter().any(|p| takes_all(p));
    matches_of(text).into_iter().filter(open).map(|m| m.line).collect()
}

#[test]
fn no_operation_is_forgotten() {
    // Examples of what the rule finds, and of what it does not.
    let open = [
        "match op { Op::Softmax => 1, _ => 0 }",
        "match &node.op {\n Op::Cast(t) if fine(t) => { 1 }\n other => 0,\n}",
        "match (kind, op) { (Kind::A, Op::Select) => f::<Result<_, String>>(), (_, _) => 0 }",
        "match x { A => match op { Op::Gather | Op::TakeLast => 1, op => 0 }, B => 2 }",
        "match op.get() { Some(Op::Table(v)) => v.len(), Some(_) => 1, _ => 0 }",
        "match op { Op::Iota(_) | _ => 0 }",
    ];
    for text in open {
        assert_eq!(open_matches(text).len(), 1, "{text}");
    }
    let closed = [
        "match op { Op::Softmax => 1, Op::Gather => 0 }",
        "match op { Op::Softmax => 1, op if op.is_view() => 2, Op::Gather => 0 }",
        "match op { GroupOp::Add => 1, _ => 0 }",
        "match text { \"Op::Softmax => _\" => 1, _ => 0 } // match op { Op::Gather => 0, _ => 1 }",
        "match x { 'a' => Op::Gather, _ => { match y { Op::Cast(_) => 1, Op::Select => 2 } } }",
        "match r#\"Op::Cast\"# { x => 1 }",
        "match place { Place::Input(i) => i, _ if op == Op::Softmax => 1, _ => 0 }",
        "if let Op::Softmax = op { 1 } else { 0 }",
    ];
    for text in closed {
        assert_eq!(open_matches(text), [0usize; 0], "{text}");
    }
    let mut seen = 0;
    let mut found = Vec::new();
    for (path, text) in sources("rs").iter().filter(|(p, _)| p.starts_with("compiler") && is_product(p)) {
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        seen += matches_of(product).iter().filter(|m| m.patterns.iter().any(|p| names_operation(p))).count();
        found.extend(open_matches(product).iter().map(|line| format!("{}:{line}", path.display())));
    }
    assert!(seen >= 2, "no match over operations is left: does this test still read them?");
    assert!(
        found.is_empty(),
        "a new operation would fall into the last arm: name all, ask `Op::traits`, or use `if let`:\n{}",
        found.join("\n")
    );
}
