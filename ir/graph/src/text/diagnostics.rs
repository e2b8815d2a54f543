//! Errors with a place in a text, and how they are shown.
//!
//! Formulas are slices of the files that they were read from, so that the address of a text determines its place. The
//! parser carries no spans, and thus no wrong ones.

use std::fmt;

/// One problem in an architecture, block or policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The name of the file in the library: `llama.ron`, `blocks/norm.ron`; empty if no text is at fault.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line of text at fault.
    pub source: String,
    /// The number of characters of it that are at fault; at least 1.
    pub width: usize,
    /// The node path of the statement, `layers.3.q`; empty outside statements.
    pub path: String,
    /// The message.
    pub message: String,
    /// Notes, such as the place in a block.
    pub notes: Vec<String>,
    /// A hint: the nearest valid name, or what was expected.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        if !self.file.is_empty() {
            writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
            let (text, column) = excerpt(&self.source, self.column);
            let room = text.chars().count().saturating_sub(column - 1).max(1);
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{number} | {text}")?;
            writeln!(f, "{gutter} | {}{}", " ".repeat(column - 1), "^".repeat(self.width.clamp(1, room)))?;
        }
        if !self.path.is_empty() {
            writeln!(f, "{gutter} = in {}", self.path)?;
        }
        for note in &self.notes {
            writeln!(f, "{gutter} = note: {note}")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "{gutter} = help: {hint}")?;
        }
        Ok(())
    }
}

/// The part of a long line around `column`, and the column in it.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 120;
    const BEFORE: usize = 60;
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.to_string(), column.max(1));
    }
    let start = column.saturating_sub(BEFORE).min(length - WIDTH);
    let mut text: String = line.chars().skip(start).take(WIDTH).collect();
    let mut column = column.saturating_sub(start).max(1);
    if start > 0 {
        text.insert_str(0, "...");
        column += 3;
    }
    if start + WIDTH < length {
        text.push_str("...");
    }
    (text, column)
}

/// All problems that were found, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// A single problem without a text.
    pub fn general(message: impl Into<String>, hint: Option<String>) -> Self {
        Diagnostics(vec![Diagnostic {
            file: String::new(),
            line: 0,
            column: 1,
            source: String::new(),
            width: 1,
            path: String::new(),
            message: message.into(),
            notes: Vec::new(),
            hint,
        }])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The texts that contain slices.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources<'a> {
    files: Vec<(&'a str, &'a str)>,
}

/// A place in a text.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) source: String,
    pub(super) width: usize,
}

impl<'a> Sources<'a> {
    pub(super) fn add(&mut self, name: &'a str, text: &'a str) {
        self.files.push((name, text));
    }

    /// The place of `slice`, if it is a part of one of the texts.
    pub(super) fn place(&self, slice: &str) -> Option<Place<'a>> {
        let at = slice.as_ptr() as usize;
        let (file, text) = self.files.iter().find(|(_, text)| {
            let start = text.as_ptr() as usize;
            at >= start && at + slice.len() <= start + text.len()
        })?;
        let offset = at - text.as_ptr() as usize;
        let before = text.get(..offset)?;
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line_text = text[line_start..].lines().next().unwrap_or_default();
        let first = slice.lines().next().unwrap_or_default();
        Some(Place {
            file,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            source: line_text.replace('\t', " "),
            width: first.chars().count().max(1),
        })
    }

    /// `file:line:column` of a slice.
    pub(super) fn show(&self, slice: &str) -> String {
        self.place(slice).map(|p| format!("{}:{}:{}", p.file, p.line, p.column)).unwrap_or_default()
    }

    /// A diagnostic at `slice`.
    pub(super) fn diagnostic(&self, slice: &str, message: impl Into<String>) -> Diagnostic {
        let place = self.place(slice);
        let (file, line, column, source, width) = match place {
            Some(p) => (p.file.to_string(), p.line, p.column, p.source, p.width),
            None => (String::new(), 0, 1, String::new(), 1),
        };
        Diagnostic {
            file,
            line,
            column,
            source,
            width,
            path: String::new(),
            message: message.into(),
            notes: Vec::new(),
            hint: None,
        }
    }

    /// The diagnostic for text that is not valid RON, or not of the expected form.
    pub(super) fn syntax(&self, name: &str, text: &str, error: &ron::error::SpannedError) -> Diagnostic {
        let at = error.span.start;
        let source = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default().replace('\t', " ");
        let room = source.chars().count().saturating_sub(at.col.saturating_sub(1)).max(1);
        let width = if error.span.end.line == at.line { error.span.end.col.saturating_sub(at.col) } else { 1 };
        let hint = match &error.code {
            ron::Error::NoSuchStructField { expected, found, .. }
            | ron::Error::NoSuchEnumVariant { expected, found, .. } => nearest_hint(found, expected.iter().copied()),
            _ => None,
        };
        Diagnostic {
            file: name.to_string(),
            line: at.line,
            column: at.col.max(1),
            source,
            width: width.clamp(1, room),
            path: String::new(),
            message: match &error.code {
                ron::Error::ExceededRecursionLimit => "this is nested too deeply".to_string(),
                other => other.to_string(),
            },
            notes: Vec::new(),
            hint,
        }
    }
}

/// The form in which names are compared.
const MAX_CANDIDATES: usize = 1_000;
const MAX_NAMES_LENGTH: usize = 400;

/// The valid name that is most similar to `name`, if it is similar enough.
pub fn nearest<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Jaro-Winkler forgives too much where there are few letters.
    let short = name.chars().count() < 4;
    let mut best: Option<(f64, &str)> = None;
    // Each comparison takes as long as both names together, and a stranger may have many.
    for candidate in valid.into_iter().filter(|c| name.len() + c.len() < MAX_NAMES_LENGTH).take(MAX_CANDIDATES) {
        let edits = strsim::normalized_damerau_levenshtein(name, candidate);
        let score = if short { edits } else { edits.max(strsim::jaro_winkler(name, candidate) - 0.2) };
        if score >= 0.5 && best.is_none_or(|(s, _)| score > s) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, n)| n)
}

/// `did you mean ...?`, if a valid name is similar.
pub(super) fn nearest_hint<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(name, valid).map(|n| format!("did you mean `{n}`?"))
}
