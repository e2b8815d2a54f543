//! Formulas as tokens.

/// A token kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tok {
    Int(i64),
    Float(f64),
    /// `'text'`.
    Text,
    Name,
    /// An operator, a bracket or a separator.
    Sign(&'static str),
    End,
}

/// A token and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) tok: Tok,
    pub(super) text: &'a str,
}

/// A problem with a piece of a formula.
#[derive(Debug)]
pub(super) struct FormulaError<'a> {
    pub(super) at: &'a str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl<'a> FormulaError<'a> {
    pub(super) fn new(at: &'a str, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }
}

/// Longest first, so that the first match is the right one.
const SIGNS: [&str; 27] = [
    "...", "??", "//", "==", "!=", "<=", ">=", "::", "(", ")", "[", "]", ",", ":", ".", "+", "-", "*", "/", "%", "^",
    "<", ">", "=", "?", "{", "}",
];

/// More tokens than any readable formula has; keeps recursion over formulas shallow.
const MAX_TOKENS: usize = 600;

/// Splits `text`; the last token is [`Tok::End`] with an empty slice at the end of the text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, FormulaError<'_>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let (tok, len) = if c.is_ascii_digit() {
            number(rest)?
        } else if c.is_ascii_alphabetic() || c == '_' {
            (Tok::Name, rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()))
        } else if c == '\'' {
            match rest[1..].find('\'') {
                Some(end) => (Tok::Text, end + 2),
                None => return Err(FormulaError::new(rest, "this text has no closing quote")),
            }
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            (Tok::Sign(sign), sign.len())
        } else {
            let mut error = FormulaError::new(&rest[..c.len_utf8()], format!("unexpected character `{c}`"));
            error.hint = match c {
                '&' => Some("write `and`".into()),
                '|' => Some("write `or`".into()),
                '!' => Some("write `not`".into()),
                '@' => Some("write `matmul(a, b)`".into()),
                _ => None,
            };
            return Err(error);
        };
        all.push(Token { tok, text: &rest[..len] });
        if all.len() > MAX_TOKENS {
            let message = format!("this formula has more than {MAX_TOKENS} tokens; split it into named parts");
            return Err(FormulaError::new(&rest[..len], message));
        }
        at += len;
    }
    all.push(Token { tok: Tok::End, text: &text[text.len()..] });
    Ok(all)
}

/// A number at the start of `rest`: `12`, `0.5`, `1e-6`, `3.4e38`. A range such as `1...` is not a float.
fn number(rest: &str) -> Result<(Tok, usize), FormulaError<'_>> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut len = digits(0);
    let mut float = false;
    if bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        float = true;
        len += 1 + digits(len + 1);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits((len + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            float = true;
            len += 1 + sign + exponent;
        }
    }
    let text = &rest[..len];
    let tok = if float {
        text.parse().ok().filter(|v: &f64| v.is_finite()).map(Tok::Float)
    } else {
        text.parse().ok().map(Tok::Int)
    };
    tok.map(|t| (t, len)).ok_or_else(|| FormulaError::new(text, "this number is too large"))
}
