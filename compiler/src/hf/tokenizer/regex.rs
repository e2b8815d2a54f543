//! Translates regular expressions of tokenizers, which are written for Oniguruma, into ones that mean the same to both
//! engines that run them: fancy-regex natively, and JavaScript's (with the flag `u`) in the page. Constructs without an
//! equivalent are rejected.
//!
//! The dialects differ as follows. `\s`, `\d`, `\w` and `\b` follow Unicode in Oniguruma but not in JavaScript. `^` and
//! `$` match at line breaks. `.` matches anything but a line feed. JavaScript lacks `(?i:..)`, possessive quantifiers
//! and atomic groups; an atomic group becomes `(?=(?<a1>..))\k<a1>`.

use std::fmt::Write as _;

/// Maximum nesting of groups.
const MAX_DEPTH: usize = 64;
/// Maximum length of the result in bytes.
const MAX_LENGTH: usize = 1 << 20;

const SPACE: &str = r"\p{White_Space}";
const DIGIT: &str = r"\p{Nd}";
const WORD: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}";
/// What `\w` also matches in Oniguruma, outside of classes.
const WORD_BESIDES: &str = "²³¹¼½¾";

/// General categories of Unicode.
const CATEGORIES: [&str; 36] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Cn", "Co",
];
/// Long names of categories and other properties, with the name that both engines know.
const PROPERTIES: [(&str, &str); 22] = [
    ("letter", "L"),
    ("mark", "M"),
    ("number", "N"),
    ("punctuation", "P"),
    ("symbol", "S"),
    ("separator", "Z"),
    ("uppercaseletter", "Lu"),
    ("lowercaseletter", "Ll"),
    ("decimalnumber", "Nd"),
    ("alphabetic", "Alphabetic"),
    ("alpha", "Alphabetic"),
    ("uppercase", "Uppercase"),
    ("upper", "Uppercase"),
    ("lowercase", "Lowercase"),
    ("lower", "Lowercase"),
    ("whitespace", "White_Space"),
    ("space", "White_Space"),
    ("digit", "Nd"),
    ("ideographic", "Ideographic"),
    ("emoji", "Emoji"),
    ("math", "Math"),
    ("dash", "Dash"),
];
/// Scripts.
const SCRIPTS: [&str; 30] = [
    "Arabic",
    "Armenian",
    "Bengali",
    "Bopomofo",
    "Common",
    "Cyrillic",
    "Devanagari",
    "Ethiopic",
    "Georgian",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Inherited",
    "Kannada",
    "Katakana",
    "Khmer",
    "Lao",
    "Latin",
    "Malayalam",
    "Mongolian",
    "Myanmar",
    "Sinhala",
    "Tamil",
    "Telugu",
    "Thai",
    "Tibetan",
];
/// POSIX classes.
const POSIX: [(&str, &str); 8] = [
    ("alpha", r"\p{Alphabetic}"),
    ("digit", DIGIT),
    ("alnum", r"\p{Alphabetic}\p{Nd}"),
    ("upper", r"\p{Uppercase}"),
    ("lower", r"\p{Lowercase}"),
    ("space", SPACE),
    ("punct", r"\p{P}\p{S}"),
    ("word", WORD),
];

/// The equivalent expression for both engines.
///
/// # Errors
/// Names the construct that has no equivalent.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut parser = Parser { chars: pattern.chars().collect(), at: 0, atomic: 0, depth: 0 };
    let translated = parser.alternatives(false)?;
    if parser.peek().is_some() {
        return Err("an unmatched closing parenthesis".into());
    }
    if translated.len() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} bytes"));
    }
    Ok(translated)
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    /// Number of atomic groups so far.
    atomic: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    /// Consumes `text` if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    /// Everything up to a closing parenthesis or the end.
    fn alternatives(&mut self, fold: bool) -> Result<String, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("groups nested deeper than {MAX_DEPTH}"));
        }
        let fold = self.eat("(?i)") || fold;
        let mut out = String::new();
        loop {
            match self.peek() {
                None | Some(')') => break,
                Some('|') => {
                    self.at += 1;
                    out.push('|');
                }
                Some(_) => out.push_str(&self.term(fold)?),
            }
            if out.len() > MAX_LENGTH {
                return Err(format!("longer than {MAX_LENGTH} bytes"));
            }
        }
        self.depth -= 1;
        Ok(out)
    }

    /// An atom and its quantifier.
    fn term(&mut self, fold: bool) -> Result<String, String> {
        let atom = self.atom(fold)?;
        let Some(mut times) = self.quantifier()? else { return Ok(atom) };
        let counted = times.starts_with('{');
        if self.eat("?") {
            if counted && !times.contains(',') {
                return Err(format!("`{times}?`, which is not a lazy quantifier"));
            }
            times.push('?');
        } else if self.eat("+") {
            if counted {
                // In Oniguruma this is not possessive, but a nested repetition.
                return Ok(format!("(?:{atom}{times})+"));
            }
            let repeated = format!("{atom}{times}");
            return self.closed(&repeated);
        }
        if self.quantifier()?.is_some() {
            return Err("a quantifier of a quantifier".into());
        }
        Ok(format!("{atom}{times}"))
    }

    /// An atomic group.
    fn closed(&mut self, inner: &str) -> Result<String, String> {
        self.atomic += 1;
        let name = self.atomic;
        Ok(format!(r"(?:(?=(?<a{name}>{inner}))\k<a{name}>)"))
    }

    fn quantifier(&mut self) -> Result<Option<String>, String> {
        match self.peek() {
            Some(c @ ('?' | '*' | '+')) => {
                self.at += 1;
                Ok(Some(c.to_string()))
            }
            Some('{') => self.interval(),
            _ => Ok(None),
        }
    }

    /// `{n}`, `{n,}`, `{,m}` or `{n,m}`; any other brace is a literal.
    fn interval(&mut self) -> Result<Option<String>, String> {
        let Some(length) = self.chars[self.at..].iter().position(|c| *c == '}') else { return Ok(None) };
        let inner: String = self.chars[self.at + 1..self.at + length].iter().collect();
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= 1000 && text.len() < 5);
        let times = match inner.split_once(',') {
            None => number(&inner).map(|n| format!("{{{n}}}")),
            Some(("", most)) => number(most).map(|m| format!("{{0,{m}}}")),
            Some((least, "")) => number(least).map(|n| format!("{{{n},}}")),
            Some((least, most)) => number(least).zip(number(most)).map(|(n, m)| format!("{{{n},{m}}}")),
        };
        let Some(times) = times else {
            let digits = !inner.is_empty() && inner.chars().all(|c| c.is_ascii_digit() || c == ',') && inner != ",";
            return if digits { Err(format!("the quantifier {{{inner}}}")) } else { Ok(None) };
        };
        self.at += length + 1;
        Ok(Some(times))
    }

    fn atom(&mut self, fold: bool) -> Result<String, String> {
        Ok(match self.next() {
            Some('.') => r"[^\n]".into(),
            Some('^') => r"(?:(?<![^\n]))".into(),
            Some('$') => r"(?:(?![^\n]))".into(),
            Some('(') => self.group(fold)?,
            Some('[') => self.class(fold)?,
            Some('\\') => self.escape(fold)?,
            Some('*' | '+' | '?') => return Err("a quantifier without an operand".into()),
            Some(c) => literal(c, fold),
            None => String::new(),
        })
    }

    fn group(&mut self, fold: bool) -> Result<String, String> {
        let (open, folded) = if self.eat("?:") {
            ("(?:", fold)
        } else if self.eat("?i:") {
            ("(?:", true)
        } else if self.eat("?-i:") {
            ("(?:", false)
        } else if self.eat("?=") {
            ("(?:(?=", fold)
        } else if self.eat("?!") {
            ("(?:(?!", fold)
        } else if self.eat("?<=") {
            ("(?:(?<=", fold)
        } else if self.eat("?<!") {
            ("(?:(?<!", fold)
        } else if self.eat("?>") {
            ("", fold)
        } else if self.peek() == Some('?') {
            let begin: String = self.chars[self.at..].iter().take(4).collect();
            if !self.eat("?<") {
                return Err(format!("the group `({begin}..`"));
            }
            // Names of groups are dropped: nothing refers to them.
            while !matches!(self.next(), None | Some('>')) {}
            ("(?:", fold)
        } else {
            ("(?:", fold)
        };
        let inner = self.alternatives(folded)?;
        if !self.eat(")") {
            return Err("an unclosed parenthesis".into());
        }
        if open.is_empty() {
            return self.closed(&inner);
        }
        let close = if open.len() > 3 { "))" } else { ")" };
        Ok(format!("{open}{inner}{close}"))
    }

    /// The construct after a backslash outside of a class.
    fn escape(&mut self, fold: bool) -> Result<String, String> {
        let word = || format!("[{WORD}{WORD_BESIDES}]");
        Ok(match self.peek() {
            Some('w') => self.taken(&word()),
            Some('W') => self.taken(&format!("[^{WORD}{WORD_BESIDES}]")),
            Some('b') => {
                let w = word();
                self.taken(&format!("(?:(?<={w})(?!{w})|(?<!{w})(?={w}))"))
            }
            Some('B') => {
                let w = word();
                self.taken(&format!("(?:(?<={w})(?={w})|(?<!{w})(?!{w}))"))
            }
            Some('A') => self.taken("(?:^)"),
            Some('z') => self.taken("(?:$)"),
            Some('Z') => self.taken(r"(?:(?=\n?$))"),
            Some('R') => {
                self.at += 1;
                self.closed(r"\r\n|[\n-\r\x85\u2028\u2029]")?
            }
            Some('N') => self.taken(r"[^\n]"),
            _ => match self.escaped()? {
                Escaped::Char(c) => literal(c, fold),
                Escaped::Set(set, false) if set.starts_with(r"\p{") && set.matches(r"\p").count() == 1 => set,
                Escaped::Set(set, negated) => format!("[{}{set}]", if negated { "^" } else { "" }),
            },
        })
    }

    fn taken(&mut self, text: &str) -> String {
        self.at += 1;
        text.to_string()
    }

    /// The construct after a backslash, inside or outside of a class.
    fn escaped(&mut self) -> Result<Escaped, String> {
        let c = self.next().ok_or("a backslash at the end")?;
        let set = |text: &str, negated| Ok(Escaped::Set(text.to_string(), negated));
        match c {
            't' => Ok(Escaped::Char('\t')),
            'n' => Ok(Escaped::Char('\n')),
            'r' => Ok(Escaped::Char('\r')),
            'f' => Ok(Escaped::Char('\u{C}')),
            'v' => Ok(Escaped::Char('\u{B}')),
            'a' => Ok(Escaped::Char('\u{7}')),
            'e' => Ok(Escaped::Char('\u{1B}')),
            's' => set(SPACE, false),
            'S' => set(r"\P{White_Space}", false),
            'd' => set(DIGIT, false),
            'D' => set(r"\P{Nd}", false),
            'w' => set(WORD, false),
            'W' => set(WORD, true),
            'h' => set("0-9A-Fa-f", false),
            'H' => set("0-9A-Fa-f", true),
            'p' | 'P' => self.property(c == 'P'),
            'x' | 'u' => self.code_point(c),
            _ if !c.is_ascii_alphanumeric() => Ok(Escaped::Char(c)),
            _ => Err(format!("`\\{c}`")),
        }
    }

    fn code_point(&mut self, kind: char) -> Result<Escaped, String> {
        let digits = |parser: &mut Parser, most: usize| {
            let all: String =
                parser.chars[parser.at..].iter().take(most).take_while(|c| c.is_ascii_hexdigit()).collect();
            parser.at += all.len();
            all
        };
        let number = if kind == 'x' && self.eat("{") {
            let number = digits(self, 8);
            if !self.eat("}") {
                return Err("`\\x{` without an end".into());
            }
            number
        } else {
            digits(self, if kind == 'x' { 2 } else { 4 })
        };
        let value = u32::from_str_radix(&number, 16).ok();
        // Above ASCII, two digits denote a byte of a character.
        let value = value.filter(|v| *v < 0x80 || number.len() != 2);
        value.and_then(char::from_u32).map(Escaped::Char).ok_or_else(|| format!("`\\{kind}{number}`"))
    }

    fn property(&mut self, negated: bool) -> Result<Escaped, String> {
        if !self.eat("{") {
            let short = self.next().map(String::from).unwrap_or_default();
            return property(&short, negated);
        }
        let negated = self.eat("^") != negated;
        let mut name = String::new();
        loop {
            match self.next() {
                Some('}') => return property(&name, negated),
                Some(c) => name.push(c),
                None => return Err("`\\p{` without an end".into()),
            }
        }
    }

    /// A class in brackets.
    fn class(&mut self, fold: bool) -> Result<String, String> {
        let negated = self.eat("^");
        let inner = self.items(fold)?;
        if inner.is_empty() {
            return Err("an empty class".into());
        }
        Ok(format!("[{}{inner}]", if negated { "^" } else { "" }))
    }

    /// The items of a class up to its closing bracket.
    fn items(&mut self, fold: bool) -> Result<String, String> {
        let mut out = String::new();
        let mut first = true;
        loop {
            if self.eat("&&") {
                return Err("`&&` in a class".into());
            }
            let item = match self.next() {
                None => return Err("an unclosed bracket".into()),
                Some(']') if !first => return Ok(out),
                Some('[') if self.eat(":") => Escaped::Set(self.posix()?, false),
                Some('[') if self.eat("^") => return Err("a negated class in a class".into()),
                Some('[') => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(format!("classes nested deeper than {MAX_DEPTH}"));
                    }
                    let inner = Escaped::Set(self.items(fold)?, false);
                    self.depth -= 1;
                    inner
                }
                Some('\\') => self.escaped()?,
                Some(c) => Escaped::Char(c),
            };
            first = false;
            match item {
                Escaped::Set(set, false) if fold && cased(&set) => return Err(format!("`{set}` without case")),
                Escaped::Set(set, false) => out.push_str(&set),
                Escaped::Set(..) => return Err("a negated class in a class".into()),
                Escaped::Char(from) => {
                    let to = self.range_end()?;
                    range(&mut out, from, to.unwrap_or(from), fold)?;
                }
            }
        }
    }

    /// The end of a range, if one starts here.
    fn range_end(&mut self) -> Result<Option<char>, String> {
        let closes = self.chars.get(self.at + 1) == Some(&']');
        if self.peek() != Some('-') || closes {
            return Ok(None);
        }
        self.at += 1;
        match self.next() {
            Some('\\') => match self.escaped()? {
                Escaped::Char(c) => Ok(Some(c)),
                Escaped::Set(..) => Err("a range that ends with a class".into()),
            },
            Some('[') => Err("a range that ends with a class".into()),
            Some(c) => Ok(Some(c)),
            None => Err("an unclosed bracket".into()),
        }
    }

    fn posix(&mut self) -> Result<String, String> {
        let negated = self.eat("^");
        for (name, set) in POSIX {
            if self.eat(&format!("{name}:]")) {
                return match set.strip_prefix(r"\p").filter(|rest| negated && !rest.contains('\\')) {
                    Some(rest) => Ok(format!(r"\P{rest}")),
                    None if negated => Err(format!("`[:^{name}:]`")),
                    None => Ok(set.to_string()),
                };
            }
        }
        Err("an unknown class `[:..:]`".into())
    }
}

/// What an escape stands for.
enum Escaped {
    Char(char),
    /// The content of a class, and whether it is negated.
    Set(String, bool),
}

/// A property, under the name that both engines know.
fn property(name: &str, negated: bool) -> Result<Escaped, String> {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | ' ' | '-')).collect::<String>().to_lowercase();
    let category = CATEGORIES.iter().find(|c| c.to_lowercase() == plain).map(|c| (*c).to_string());
    let known = || PROPERTIES.iter().find(|(n, _)| *n == plain).map(|(_, c)| (*c).to_string());
    let script = || SCRIPTS.iter().find(|s| s.to_lowercase() == plain).map(|s| format!("Script={s}"));
    let found = category.or_else(known).or_else(script).ok_or_else(|| format!("`\\p{{{name}}}`"))?;
    Ok(Escaped::Set(format!("\\{}{{{found}}}", if negated { 'P' } else { 'p' }), false))
}

/// Whether case folding changes a set.
fn cased(set: &str) -> bool {
    ["{Lu}", "{Ll}", "{Lt}", "{Uppercase}", "{Lowercase}", "0-9A-Fa-f"].iter().any(|part| set.contains(part))
}

/// A literal character outside of a class.
fn literal(c: char, fold: bool) -> String {
    let all = variants(c, fold);
    if all.len() > 1 {
        let mut out = String::from("[");
        all.into_iter().for_each(|v| inside(&mut out, v));
        return out + "]";
    }
    match c {
        '\n' => r"\n".into(),
        '\r' => r"\r".into(),
        '\t' => r"\t".into(),
        _ if r"^$\.*+?()[]{}|".contains(c) => format!("\\{c}"),
        _ => c.to_string(),
    }
}

/// A character and, under case folding, its equivalents.
fn variants(c: char, fold: bool) -> Vec<char> {
    let mut all = vec![c];
    if !fold {
        return all;
    }
    let single = |mut it: Box<dyn Iterator<Item = char>>| it.next().filter(|_| it.next().is_none());
    all.extend(single(Box::new(c.to_lowercase())));
    all.extend(single(Box::new(c.to_uppercase())));
    match c {
        's' | 'S' => all.push('ſ'),
        'k' | 'K' => all.push('\u{212A}'),
        'å' | 'Å' => all.push('\u{212B}'),
        _ => {}
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Writes a range of a class.
fn range(out: &mut String, from: char, to: char, fold: bool) -> Result<(), String> {
    if from > to {
        return Err(format!("the range {from}-{to}, whose end is before its start"));
    }
    if from == to {
        variants(from, fold).into_iter().for_each(|c| inside(out, c));
        return Ok(());
    }
    if fold && !to.is_ascii() {
        return Err(format!("the range {from}-{to} without case"));
    }
    inside(out, from);
    out.push('-');
    inside(out, to);
    if fold {
        let same = (from..=to).flat_map(|c| variants(c, true)).filter(|c| !(from..=to).contains(c));
        let mut same: Vec<char> = same.collect();
        same.sort_unstable();
        same.dedup();
        same.into_iter().for_each(|c| inside(out, c));
    }
    Ok(())
}

/// Writes a character of a class.
fn inside(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str(r"\n"),
        '\r' => out.push_str(r"\r"),
        '\t' => out.push_str(r"\t"),
        '&' | '~' => {
            let _ = write!(out, r"\x{:02X}", u32::from(c));
        }
        _ => {
            if r"\]^[-".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_the_same_on_both_sides() {
        for (from, to) in [
            (r"\s+(?!\S)|\s+", r"\p{White_Space}+(?:(?![\P{White_Space}]))|\p{White_Space}+"),
            (r"(?i:'s|'t)", r"(?:'[Ssſ]|'[Tt])"),
            (r"(?i)ab|[c-e]", r"[Aa][Bb]|[c-eCDE]"),
            (r"[^\r\n\p{L}\p{N}]?+\p{L}+", r"(?:(?=(?<a1>[^\r\n\p{L}\p{N}]?))\k<a1>)\p{L}+"),
            (r"\p{N}{1,3}| ?[^\s\p{L}]++[\r\n]*", r"\p{N}{1,3}| ?(?:(?=(?<a1>[^\p{White_Space}\p{L}]+))\k<a1>)[\r\n]*"),
            (r"\A +| +\z", "(?:^) +| +(?:$)"),
            ("a|^.$", r"a|(?:(?<![^\n]))[^\n](?:(?![^\n]))"),
            (r"\p{Han}[\p{^L}&~\-\]a-]", r"\p{Script=Han}[\P{L}\x26\x7E\-\]a\-]"),
            ("[[:punct:]x]{,2}|{a", r"[\p{P}\p{S}x]{0,2}|\{a"),
            (r"\p{N}{1,3}+", r"(?:\p{N}{1,3})+"),
            (r"(a)(?<n>b)\u0041\x{42}/", "(?:a)(?:b)AB/"),
        ] {
            assert_eq!(translate(from).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        for (from, what) in [
            (r"a&&(", "unclosed"),
            (r"[a&&b]", "`&&`"),
            (r"(a)\1", r"`\1`"),
            (r"\Ka", r"`\K`"),
            (r"a{2}?", "`{2}?`"),
            (r"a**", "quantifier of a quantifier"),
            ("(?m:a)", "(?m:"),
            (r"\p{Nope}", r"`\p{Nope}`"),
            ("a)", "unmatched"),
            ("[a", "unclosed"),
            (r"[\W]", "negated class"),
            (&"(".repeat(10_000), "deeper than 64"),
            ("a{9999}", "{9999}"),
        ] {
            let found = translate(from).unwrap_err();
            assert!(found.contains(what), "{from}: {found}");
        }
    }
}
