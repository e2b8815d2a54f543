//! Output to stdout and stderr, and plain-text tables.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, Outcome};

/// Writes to stdout and flushes. If the reader is gone (`| head`), the command ends quietly and successfully.
pub(crate) fn emit(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    let text = if out.is_terminal() { harmless(text) } else { Cow::Borrowed(text) };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Done, "")),
        Err(e) => Err(Failure::wrong(format!("stdout: {e}"))),
    }
}

/// Writes a message to stderr, limited to a screenful. A closed stderr is ignored.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", harmless(&screen(line)));
}

/// Draws block characters on stderr, white on black whatever the colours of the terminal are.
pub(crate) fn draw(blocks: &str) {
    let mut out = io::stderr().lock();
    let (on, off) = if out.is_terminal() { ("\u{1b}[97;40m", "\u{1b}[0m") } else { ("", "") };
    for line in blocks.lines() {
        let _ = writeln!(out, "{on}{line}{off}");
    }
}

/// Limits a message to a screenful: it may list thousands of names, and names may be long.
fn screen(text: &str) -> String {
    const LINES: usize = 60;
    const CHARACTERS: usize = 1_000;
    let cut = |line: &str| match line.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}.. ({} more bytes)", &line[..at], line.len() - at),
        None => line.to_string(),
    };
    let mut lines: Vec<String> = text.lines().take(LINES).map(cut).collect();
    let more = text.lines().skip(LINES).count();
    if more > 0 {
        lines.push(format!("... and {more} more lines"));
    }
    lines.join("\n")
}

/// Removes control characters that affect a terminal. Names of files, tensors and tokens are not trusted, and neither
/// is the text that a model writes.
fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if harmful(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Writes a JSON document and a line break to stdout.
pub(crate) fn emit_json(value: &serde_json::Value) -> Outcome<()> {
    emit(&format!("{value:#}\n"))
}

/// The alignment of a column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

/// Rows of cells, printed with two spaces between columns.
pub(crate) struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose first row is `head`.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        Table {
            align: columns.iter().map(|(_, a)| *a).collect(),
            rows: vec![columns.iter().map(|(h, _)| h.to_string()).collect()],
        }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.align.len(), String::new());
        self.rows.push(cells);
    }

    /// The lines, each indented by `indent` spaces and without trailing spaces.
    pub(crate) fn render(&self, indent: usize) -> String {
        let mut widths = vec![0; self.align.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.align) {
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A number of bytes with a unit: `512 B`, `3.2 KiB`, `1.5 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A count with thousands separators: `260,032`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The directory of a file, also for a bare file name.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fit_on_a_screen() {
        assert_eq!(screen("error: a\n  help: b"), "error: a\n  help: b");
        assert_eq!(screen(&"é".repeat(1_001)), format!("{}.. (2 more bytes)", "é".repeat(1_000)));
        let long = "line\n".repeat(1_000_000);
        assert!(screen(&long).len() < 400 && screen(&long).ends_with("line\n... and 999940 more lines"));
    }

    #[test]
    fn tables_align() {
        let mut t = Table::new(&[("tensor", Align::Left), ("bytes", Align::Right)]);
        t.row(["a".to_string(), "12".to_string()]);
        t.row(["longer name".to_string()]);
        assert_eq!(t.render(1), " tensor       bytes\n a               12\n longer name\n");
    }

    #[test]
    fn nothing_controls_the_terminal() {
        assert_eq!(harmless("a\tb\nc é"), "a\tb\nc é");
        assert_eq!(harmless("\u{1b}[2Ja\u{7}\u{9b}1m\r"), "\\u{1b}[2Ja\\u{7}\\u{9b}1m\\r");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
        assert_eq!(count(7), "7");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }
}
