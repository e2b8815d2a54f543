//! Errors of templates, and the limits on their work.

use std::fmt;

/// Maximum number of steps of a rendering: evaluated nodes, visited items, and blocks of text touched.
pub const MAX_STEPS: u64 = 10_000_000;
/// Maximum number of bytes of all strings and lists that a rendering creates.
pub const MAX_BYTES: u64 = 512 << 20;
/// Maximum number of bytes of one string.
pub const MAX_TEXT: usize = 32 << 20;
/// Maximum nesting of expressions, statements and values.
pub const MAX_NESTING: u32 = 200;
/// Maximum nesting of evaluations: expressions, blocks and macros together.
pub(crate) const MAX_DEPTH: u32 = 800;

/// The cause of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The template is invalid or fails.
    Template,
    /// The template rejects its input with `raise_exception`.
    Raised,
    /// The input is invalid.
    Input,
    /// A limit was reached.
    Limit,
}

/// An error in parsing or rendering a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The cause.
    pub kind: Kind,
    /// The file of the template; empty if the input is invalid.
    pub file: String,
    /// The line, counted from 1; 0 if there is none.
    pub line: u32,
    /// The message.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// An error whose location is not known yet.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// 0 if not known yet.
    pub(crate) line: u32,
    pub(crate) message: String,
}

pub(crate) type Res<T> = Result<T, Box<Fault>>;

impl Fault {
    #[expect(clippy::boxed_local, reason = "faults travel in boxes, and this ends their way")]
    pub(crate) fn at(self: Box<Self>, file: &str, line: u32) -> Error {
        let line = if self.line > 0 { self.line } else { line };
        Error { kind: self.kind, file: file.to_string(), line, message: self.message }
    }
}

/// A template error.
pub(crate) fn fail<T>(message: impl Into<String>) -> Res<T> {
    Err(Box::new(Fault { kind: Kind::Template, line: 0, message: message.into() }))
}

/// An error that starts with the name of Python's exception.
pub(crate) fn type_error<T>(message: &str) -> Res<T> {
    fail(["TypeError: ", message].concat())
}

pub(crate) fn limit<T>(what: &str, most: u64, unit: &str) -> Res<T> {
    let message = [what, " more than ", &most.to_string(), unit, ", the limit for chat templates"].concat();
    Err(Box::new(Fault { kind: Kind::Limit, line: 0, message }))
}
