//! What ends a template, and the limits that bound its work.

use std::fmt;

/// Most steps of a rendering: nodes evaluated, items visited, blocks of text touched.
pub const MAX_STEPS: u64 = 10_000_000;
/// Most bytes of all texts and lists that a rendering makes.
pub const MAX_BYTES: u64 = 512 << 20;
/// Most bytes of one text.
pub const MAX_TEXT: usize = 32 << 20;
/// Deepest nesting of an expression, of statements, and of values.
pub const MAX_NESTING: u32 = 200;
/// Deepest nesting of evaluations: expressions, blocks and macros together.
pub(crate) const MAX_DEPTH: u32 = 800;

/// Why a template cannot be parsed or rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The template itself is at fault.
    Template,
    /// The template refuses what it is given, by `raise_exception`.
    Raised,
    /// What the template is given is at fault.
    Input,
    /// A limit on work is reached.
    Limit,
}

/// An error of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Who is at fault.
    pub kind: Kind,
    /// The file of the template; empty if the input is at fault.
    pub file: String,
    /// The line, from 1; 0 if there is none.
    pub line: u32,
    /// What is wrong.
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

/// An error before it is known where it happened.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// 0 where it is not known yet.
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

/// An error of the template.
pub(crate) fn fail<T>(message: impl Into<String>) -> Res<T> {
    Err(Box::new(Fault { kind: Kind::Template, line: 0, message: message.into() }))
}

/// An error with the name of Python's exception in front, as people know it.
pub(crate) fn type_error<T>(message: &str) -> Res<T> {
    fail(["TypeError: ", message].concat())
}

pub(crate) fn limit<T>(what: &str, most: u64, unit: &str) -> Res<T> {
    let message = [what, " more than ", &most.to_string(), unit, ", the limit for chat templates"].concat();
    Err(Box::new(Fault { kind: Kind::Limit, line: 0, message }))
}
