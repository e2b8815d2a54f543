//! HTML escaping.

use crate::budget::Budget;
use crate::fault::Res;
use crate::value::Str;

/// Escapes a string, unless it is marked as safe.
pub(crate) fn escape(budget: &Budget, text: &Str) -> Res<String> {
    if text.safe {
        return Ok(text.text.to_string());
    }
    force(budget, &text.text)
}

/// Replaces characters with a meaning in HTML by entities.
pub(crate) fn force(budget: &Budget, text: &str) -> Res<String> {
    budget.text(text.len().saturating_mul(2))?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '>' => out.push_str("&gt;"),
            '<' => out.push_str("&lt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// `Markup.striptags`: removes comments and tags, collapses whitespace, and decodes entities.
pub(crate) fn strip_tags(budget: &Budget, text: &str) -> Res<String> {
    budget.text(text.len())?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start..];
        let end = match tag.strip_prefix("<!--") {
            Some(comment) => comment.find("-->").map(|at| at + 7),
            None => tag.find('>').map(|at| at + 1),
        };
        let Some(end) = end else { break };
        out.push_str(&rest[..start]);
        rest = &tag[end..];
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split(crate::unicode::is_space).filter(|w| !w.is_empty()).collect();
    Ok(unescape(&words.join(" ")))
}

/// Decodes the entities that `escape` writes, a few others, and numeric ones.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|b| b == b';');
        let found = end.and_then(|end| {
            let name = &rest[1..end];
            let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
            match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                "nbsp" => Some('\u{a0}'),
                "raquo" => Some('»'),
                "laquo" => Some('«'),
                _ => match name.strip_prefix('#')? {
                    hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
                    digits => number(digits, 10),
                },
            }
        });
        match (found, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
