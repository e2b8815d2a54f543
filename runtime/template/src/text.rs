//! String methods.

use crate::budget::Budget;
use crate::fault::{Res, fail, type_error};
use crate::platform::{lower, upper};
use crate::unicode::{is_alpha, is_decimal, is_digit, is_numeric, is_printable, is_space, push_title};
use crate::value::{Args, Dict, Str, Value};

/// All of them except `format` and `format_map`, which need the interpreter.
pub(crate) const METHODS: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// Methods that change the case of letters.
const CASE: [&str; 6] = ["capitalize", "casefold", "lower", "upper", "swapcase", "title"];

/// Calls a method. `items` are the items of `join`'s argument.
pub(crate) fn call(budget: &Budget, text: &Str, method: &str, args: Args) -> Res<Value> {
    let s = &*text.text;
    // A letter may become three, and a byte three bytes.
    budget.text(s.len())?;
    if CASE.contains(&method) || method.starts_with("is") {
        budget.letters(s)?;
    }
    let like = |out: String| Ok(Value::like(out, text));
    match method {
        "capitalize" => none(method, args).and_then(|()| like(capitalize(s))),
        "casefold" => none(method, args).and_then(|()| like(casefold(s))),
        "lower" => none(method, args).and_then(|()| like(lower(s))),
        "upper" => none(method, args).and_then(|()| like(upper(s))),
        "swapcase" => none(method, args).and_then(|()| like(swapcase(s))),
        "title" => none(method, args).and_then(|()| like(title(s))),
        "center" | "ljust" | "rjust" => justify(budget, text, method, args),
        "zfill" => zfill(budget, text, args),
        "count" | "find" | "index" | "rfind" | "rindex" => search(s, method, args),
        "startswith" | "endswith" => ends(s, method, args),
        "expandtabs" => expand_tabs(budget, text, args),
        "strip" | "lstrip" | "rstrip" => strip(text, method, args),
        "partition" | "rpartition" => partition(text, method, args),
        "removeprefix" | "removesuffix" => {
            let part = one_text(method, args)?;
            let cut = if method == "removeprefix" { s.strip_prefix(&*part.text) } else { s.strip_suffix(&*part.text) };
            like(cut.unwrap_or(s).to_string())
        }
        "replace" => {
            let mut args = args.bind(method, &["old", "new", "count"])?;
            let (old, new) = (need_text(method, args.need(0)?)?, need_text(method, args.need(1)?)?);
            like(replace(budget, s, &old.text, &new.text, args.int(2, -1)?)?)
        }
        "split" | "rsplit" => split(budget, text, method, args),
        "splitlines" => {
            let keep = args.bind(method, &["keepends"])?.take(0).is_some_and(|v| crate::ops::truth(&v));
            budget.items(s.len() / 8)?;
            Value::list(lines(s, keep).into_iter().map(|l| Value::like(l, text)).collect())
        }
        "translate" => translate(budget, text, args),
        "maketrans" => make_table(args),
        "encode" => fail("str.encode is not supported: bytes have no place in a prompt"),
        _ => none(method, args).map(|()| Value::Bool(is(s, method))),
    }
}

fn none(method: &str, args: Args) -> Res<()> {
    match args.pos.is_empty() && args.named.is_empty() {
        true => Ok(()),
        false => {
            type_error(&format!("str.{method}() takes no arguments ({} given)", args.pos.len() + args.named.len()))
        }
    }
}

fn need_text(method: &str, value: Value) -> Res<Str> {
    match value {
        Value::Str(s) => Ok(s),
        other => type_error(&format!("{method}() argument must be str, not {}", other.type_name())),
    }
}

fn one_text(method: &str, args: Args) -> Res<Str> {
    need_text(method, args.bind(method, &["text"])?.need(0)?)
}

pub(crate) fn capitalize(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars();
    if let Some(first) = chars.next() {
        push_title(&mut out, first);
    }
    out + &lower_after(s, chars.as_str())
}

/// Lower case of the rest of a string. Whether a sigma is final depends on what precedes it.
fn lower_after(whole: &str, rest: &str) -> String {
    if !rest.contains('Σ') {
        return lower(rest);
    }
    let first = &whole[..whole.len() - rest.len()];
    lower(whole)[lower(first).len()..].to_string()
}

/// The lower case of a sigma depends on the letters around it; a hundred on each side suffice.
fn small_sigma(s: &str, at: usize) -> String {
    const AROUND: usize = 100;
    let start = s[..at].char_indices().rev().nth(AROUND - 1).map_or(0, |(i, _)| i);
    let end = s[at..].char_indices().nth(AROUND + 1).map_or(s.len(), |(i, _)| at + i);
    lower_after(&s[start..end], &s[at..end]).chars().take(1).collect()
}

fn casefold(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            'ς' => out.push('σ'),
            'ſ' => out.push('s'),
            'ẛ' => out.push('ṡ'),
            'ϐ' => out.push('β'),
            'ϑ' => out.push('θ'),
            'ϕ' => out.push('φ'),
            'ϖ' => out.push('π'),
            'ϰ' => out.push('κ'),
            'ϱ' => out.push('ρ'),
            'ϵ' => out.push('ε'),
            'µ' => out.push('μ'),
            'ͅ' => out.push('ι'),
            c => {
                let small = lower(c.encode_utf8(&mut [0; 4]));
                let large = upper(&small);
                // Characters with a longer upper case are compared by that.
                out.push_str(&if large.chars().count() > 1 { lower(&large) } else { small });
            }
        }
    }
    out
}

fn swapcase(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for (at, c) in s.char_indices() {
        if c.is_uppercase() {
            // With the surrounding letters, because of final sigmas.
            if c == 'Σ' { out.push_str(&small_sigma(s, at)) } else { out.push_str(&lower(c.encode_utf8(&mut [0; 4]))) }
        } else if c.is_lowercase() {
            out.push_str(&upper(c.encode_utf8(&mut [0; 4])));
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that have a case.
fn is_cased(c: char) -> bool {
    c.is_lowercase()
        || c.is_uppercase()
        || matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | '\u{1f88}'..='\u{1f8f}')
        || matches!(c, '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for (at, c) in s.char_indices() {
        match (inside, c) {
            (false, _) => push_title(&mut out, c),
            (true, 'Σ') => out.push_str(&small_sigma(s, at)),
            (true, _) => out.push_str(&lower(c.encode_utf8(&mut [0; 4]))),
        }
        inside = is_cased(c);
    }
    out
}

/// Predicates such as `isalpha`.
pub(crate) fn is(s: &str, method: &str) -> bool {
    let all = |test: fn(char) -> bool| !s.is_empty() && s.chars().all(test);
    match method {
        "isalnum" => all(|c| is_alpha(c) || is_numeric(c)),
        "isalpha" => all(is_alpha),
        "isascii" => s.is_ascii(),
        "isdecimal" => all(is_decimal),
        "isdigit" => all(is_digit),
        "isnumeric" => all(is_numeric),
        "isspace" => all(is_space),
        "isprintable" => s.chars().all(is_printable),
        "islower" => s.chars().any(char::is_lowercase) && !s.chars().any(|c| is_cased(c) && !c.is_lowercase()),
        "isupper" => s.chars().any(char::is_uppercase) && !s.chars().any(|c| is_cased(c) && !c.is_uppercase()),
        "isidentifier" => {
            let begins = s.chars().next().is_some_and(|c| c == '_' || is_alpha(c));
            begins
                && s.chars().all(|c| c == '_' || is_alpha(c) || is_decimal(c) || (!c.is_ascii() && c.is_alphanumeric()))
        }
        _ => is_title(s),
    }
}

fn is_title(s: &str) -> bool {
    let (mut inside, mut any) = (false, false);
    for c in s.chars() {
        let upper = is_cased(c) && !c.is_lowercase();
        if inside && upper || !inside && c.is_lowercase() {
            return false;
        }
        inside = is_cased(c);
        any |= inside;
    }
    any
}

fn justify(budget: &Budget, text: &Str, method: &str, args: Args) -> Res<Value> {
    let mut args = args.bind(method, &["width", "fillchar"])?;
    let width = args.need(0)?.index()?;
    let fill = match args.take(1) {
        None => " ".into(),
        Some(value) => need_text(method, value)?.text,
    };
    if fill.chars().count() != 1 {
        return type_error("The fill character must be exactly one character long");
    }
    let missing = width.saturating_sub(text.text.chars().count() as i64).max(0);
    let missing = usize::try_from(missing).unwrap_or(usize::MAX);
    budget.text(missing.saturating_mul(fill.len()).saturating_add(text.text.len()))?;
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // As in CPython: an odd space goes to the left if the width is odd.
        _ => missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1),
    };
    Ok(Value::like([&*fill.repeat(left), &*text.text, &*fill.repeat(missing - left)].concat(), text))
}

fn zfill(budget: &Budget, text: &Str, args: Args) -> Res<Value> {
    let width = args.bind("zfill", &["width"])?.need(0)?.index()?;
    let s = &*text.text;
    let missing = usize::try_from(width.saturating_sub(s.chars().count() as i64).max(0)).unwrap_or(usize::MAX);
    budget.text(missing.saturating_add(s.len()))?;
    let (sign, digits) = s.split_at(usize::from(s.starts_with(['+', '-'])));
    Ok(Value::like([sign, &"0".repeat(missing), digits].concat(), text))
}

/// The substring selected by `start` and `end`, and the number of characters before it; `None` if they cross.
fn window(s: &str, start: Option<Value>, end: Option<Value>) -> Res<Option<(&str, usize)>> {
    let count = s.chars().count() as i64;
    let bound = |value: Option<Value>, default: i64| match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => value.index().map(|i| if i < 0 { i.saturating_add(count).max(0) } else { i }),
    };
    let (start, end) = (bound(start, 0)?, bound(end, count)?.min(count));
    if start > end {
        return Ok(None);
    }
    let byte = |at: i64| s.char_indices().nth(at as usize).map_or(s.len(), |(byte, _)| byte);
    Ok(Some((&s[byte(start)..byte(end)], start as usize)))
}

fn search(s: &str, method: &str, args: Args) -> Res<Value> {
    let mut args = args.bind(method, &["sub", "start", "end"])?;
    let part = need_text(method, args.need(0)?)?;
    let window = window(s, args.take(1), args.take(2))?;
    if method == "count" {
        let count = window.map_or(0, |(s, _)| match part.text.is_empty() {
            true => s.chars().count() + 1,
            false => s.matches(&*part.text).count(),
        });
        return Ok(count.into());
    }
    let found = window.and_then(|(s, before)| {
        let byte = if method.starts_with('r') { s.rfind(&*part.text) } else { s.find(&*part.text) }?;
        Some(before + s[..byte].chars().count())
    });
    match found {
        Some(at) => Ok(at.into()),
        None if method.ends_with("index") => fail("ValueError: substring not found"),
        None => Ok(Value::Int(-1)),
    }
}

fn ends(s: &str, method: &str, args: Args) -> Res<Value> {
    let mut args = args.bind(method, &["prefix", "start", "end"])?;
    let wanted = args.need(0)?;
    let window = window(s, args.take(1), args.take(2))?;
    let matches = |part: &Value| match part {
        Value::Str(part) => Ok(window.is_some_and(|(s, _)| match method {
            "startswith" => s.starts_with(&*part.text),
            _ => s.ends_with(&*part.text),
        })),
        other => {
            let name = other.type_name();
            type_error(&format!("{method} first arg must be str or a tuple of str, not {name}"))
        }
    };
    if let Value::Tuple(seq) = &wanted {
        for part in &seq.items {
            if matches(part)? {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    matches(&wanted).map(Value::Bool)
}

fn expand_tabs(budget: &Budget, text: &Str, args: Args) -> Res<Value> {
    let size = args.bind("expandtabs", &["tabsize"])?.int(0, 8)?;
    let size = usize::try_from(size.max(0)).unwrap_or(usize::MAX);
    let tabs = text.text.matches('\t').count();
    budget.text(tabs.saturating_mul(size).saturating_add(text.text.len()))?;
    let (mut out, mut column) = (String::new(), 0);
    for c in text.text.chars() {
        if c == '\t' {
            let spaces = if size == 0 { 0 } else { size - column % size };
            out.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            out.push(c);
            column = if c == '\n' || c == '\r' { 0 } else { column + 1 };
        }
    }
    Ok(Value::like(out, text))
}

/// `strip(chars)`; `None` strips whitespace.
pub(crate) fn trim<'a>(s: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let cut = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let s = if left { s.trim_start_matches(cut) } else { s };
    if right { s.trim_end_matches(cut) } else { s }
}

fn strip(text: &Str, method: &str, args: Args) -> Res<Value> {
    let chars = match args.bind(method, &["chars"])?.take(0) {
        None | Some(Value::None) => None,
        Some(value) => Some(need_text(method, value)?.text),
    };
    let cut = trim(&text.text, chars.as_deref(), method != "rstrip", method != "lstrip");
    if cut.len() == text.text.len() {
        return Ok(Value::Str(text.clone()));
    }
    Ok(Value::like(cut, text))
}

fn partition(text: &Str, method: &str, args: Args) -> Res<Value> {
    let mark = one_text(method, args)?.text;
    if mark.is_empty() {
        return fail("ValueError: empty separator");
    }
    let s = &*text.text;
    let parts = match (method, if method == "partition" { s.split_once(&*mark) } else { s.rsplit_once(&*mark) }) {
        (_, Some((before, after))) => [before, &mark, after],
        ("partition", None) => [s, "", ""],
        (_, None) => ["", "", s],
    };
    Value::tuple(parts.into_iter().map(|p| Value::like(p, text)).collect())
}

/// `replace(old, new, count)`; a negative count replaces all occurrences.
pub(crate) fn replace(budget: &Budget, s: &str, old: &str, new: &str, count: i64) -> Res<String> {
    let count = if count < 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) };
    let found = if old.is_empty() { s.chars().count() + 1 } else { s.matches(old).count() }.min(count);
    budget.text(s.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(s.replacen(old, new, found))
}

fn split(budget: &Budget, text: &Str, method: &str, args: Args) -> Res<Value> {
    let mut args = args.bind(method, &["sep", "maxsplit"])?;
    let mark = match args.take(0) {
        None | Some(Value::None) => None,
        Some(value) => Some(need_text(method, value)?.text),
    };
    let most = args.int(1, -1)?;
    let most = if most < 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) };
    let s = &*text.text;
    budget.items(s.len() / 2)?;
    let from_right = method == "rsplit";
    let parts: Vec<&str> = match mark.as_deref() {
        Some("") => return fail("ValueError: empty separator"),
        Some(mark) if from_right => {
            let mut parts: Vec<&str> = s.rsplitn(most.saturating_add(1), mark).collect();
            parts.reverse();
            parts
        }
        Some(mark) => s.splitn(most.saturating_add(1), mark).collect(),
        None if from_right => words_from_right(s, most),
        None => words(s, most),
    };
    Value::list(parts.into_iter().map(|p| Value::like(p, text)).collect())
}

fn words(s: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = s.trim_start_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest.trim_end_matches(is_space));
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

fn words_from_right(s: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = s.trim_end_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest.trim_start_matches(is_space));
            break;
        }
        let space = rest.char_indices().rev().find(|(_, c)| is_space(*c));
        let start = space.map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts.reverse();
    parts
}

/// `splitlines`, which knows many line breaks.
pub(crate) fn lines(s: &str, keep: bool) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = s;
    while !rest.is_empty() {
        let ends =
            |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let Some(end) = rest.find(ends) else {
            out.push(rest);
            break;
        };
        let mark =
            if rest[end..].starts_with("\r\n") { 2 } else { rest[end..].chars().next().map_or(1, char::len_utf8) };
        out.push(&rest[..if keep { end + mark } else { end }]);
        rest = &rest[end + mark..];
    }
    out
}

fn translate(budget: &Budget, text: &Str, args: Args) -> Res<Value> {
    let Value::Dict(table) = args.bind("translate", &["table"])?.need(0)? else {
        return type_error("translate() wants a dict");
    };
    let mut out = String::new();
    for c in text.text.chars() {
        match table.get(&Value::Int(i64::from(c as u32)))? {
            None => out.push(c),
            Some(Value::None) => {}
            Some(Value::Str(s)) => {
                budget.text(s.text.len())?;
                out.push_str(&s.text);
            }
            Some(other) => match other.as_int().and_then(|i| char::from_u32(u32::try_from(i).ok()?)) {
                Some(c) => out.push(c),
                None => return type_error("character mapping must return integer, None or str"),
            },
        }
    }
    Ok(Value::like(out, text))
}

fn make_table(args: Args) -> Res<Value> {
    let mut args = args.bind("maketrans", &["x", "y", "z"])?;
    let code = |c: char| Value::Int(i64::from(c as u32));
    let mut table = Dict::default();
    match (args.need(0)?, args.take(1)) {
        (Value::Dict(dict), None) => {
            for (key, value) in &dict.entries {
                let key = match key {
                    Value::Str(s) if s.text.chars().count() == 1 => s.text.chars().next().map_or(Value::None, code),
                    Value::Str(_) => return fail("ValueError: string keys in translate table must be of length 1"),
                    other => other.clone(),
                };
                table.insert(key, value.clone())?;
            }
        }
        (Value::Str(from), Some(Value::Str(to))) => {
            if from.text.chars().count() != to.text.chars().count() {
                return fail("ValueError: the first two maketrans arguments must have equal length");
            }
            for (a, b) in from.text.chars().zip(to.text.chars()) {
                table.insert(code(a), code(b))?;
            }
            if let Some(Value::Str(gone)) = args.take(2) {
                for c in gone.text.chars() {
                    table.insert(code(c), Value::None)?;
                }
            }
        }
        _ => return type_error("maketrans() wants a dict, or two or three texts"),
    }
    Ok(Value::Dict(std::rc::Rc::new(table)))
}
