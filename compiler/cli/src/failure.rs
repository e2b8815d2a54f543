//! How a command ends: exit codes and error texts.

use std::fmt;
use std::io;
use std::path::Path;

use gristmill_compiler::CompileError;
use gristmill_runtime::Error as RuntimeError;

/// The exit codes of the program. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// The answer of `verify` or `check` is no.
    No = 1,
    /// Wrong use or wrong input.
    Wrong = 2,
    /// The environment lacks something: an adapter, memory, a device that stays.
    Lacking = 3,
    /// A bug of gristmill, as a Rust panic would report it.
    Bug = 101,
    /// Stopped by Ctrl-C, as shells report it.
    Interrupted = 130,
}

/// Why a command did not do what it was asked to do. The text ends up on stderr behind `error: `.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// For people; may have several lines. Empty if everything was said already.
    pub(crate) message: String,
}

/// What commands give back: the exit code, or what went wrong.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    /// Wrong use or wrong input.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Wrong, message: message.into() }
    }

    /// The environment lacks something.
    pub(crate) fn lacking(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Lacking, message: message.into() }
    }

    /// A file cannot be read or written.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::wrong(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<CompileError> for Failure {
    fn from(error: CompileError) -> Self {
        let exit = if matches!(error, CompileError::Internal(_)) { Exit::Bug } else { Exit::Wrong };
        Failure { exit, message: error.to_string() }
    }
}

impl From<gristmill_bundle::Error> for Failure {
    fn from(error: gristmill_bundle::Error) -> Self {
        Self::wrong(error.to_string())
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        let exit = match &error {
            RuntimeError::NoAdapter(_)
            | RuntimeError::Limit { .. }
            | RuntimeError::OutOfMemory { .. }
            | RuntimeError::DeviceLost(_)
            | RuntimeError::Device { .. } => Exit::Lacking,
            _ => Exit::Wrong,
        };
        Failure { exit, message: error.to_string() }
    }
}
