//! Exit codes and error messages.

use std::fmt;
use std::io;
use std::path::Path;

use gristmill_bundle::Error as BundleError;
use gristmill_compiler::CompileError;
use gristmill_runtime::Error as RuntimeError;
use gristmill_runtime::tokenizer::Error as TokenizerError;

/// Exit codes. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Done = 0,
    /// `verify` or `check` found a problem.
    No = 1,
    /// Invalid usage or input.
    Wrong = 2,
    /// Usage and input are valid, but the environment lacks something (an adapter, memory, a working device), or
    /// gristmill has detected a bug of its own.
    Lacking = 3,
    /// A Rust panic: a bug that gristmill did not detect itself.
    Bug = 101,
    /// Stopped by Ctrl-C; the code that shells use for it.
    Interrupted = 130,
}

/// Why a command failed. Its text is printed on stderr after `error: `.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// The message, which may have several lines. Empty if everything was printed already.
    pub(crate) message: String,
    /// Whether the content of a bundle is damaged.
    pub(crate) damage: bool,
}

/// The result of a command: an exit code, or a failure.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into(), damage: false }
    }

    /// A failure because of invalid usage or input.
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::new(Exit::Wrong, message)
    }

    /// A failure because the environment lacks something.
    pub(crate) fn lacking(message: impl Into<String>) -> Self {
        Self::new(Exit::Lacking, message)
    }

    /// A failure to read or write a file.
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
        match error {
            CompileError::Internal(_) => Self::lacking(error.to_string()),
            CompileError::Weights(weights) if weights.disk_full => Self::lacking(weights.to_string()),
            CompileError::Bundle(bundle) => bundle.into(),
            other => Self::wrong(other.to_string()),
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Full { .. } => Self::lacking(error.to_string()),
            BundleError::Interrupted => Self::new(Exit::Interrupted, ""),
            _ => Failure { damage: error.is_damage(), ..Self::wrong(error.to_string()) },
        }
    }
}

impl From<TokenizerError> for Failure {
    fn from(error: TokenizerError) -> Self {
        RuntimeError::from(error).into()
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Bundle(bundle) => bundle.into(),
            RuntimeError::NoAdapter(_)
            | RuntimeError::Limit { .. }
            | RuntimeError::OutOfMemory { .. }
            | RuntimeError::DeviceLost(_)
            | RuntimeError::Device { .. } => Self::lacking(error.to_string()),
            other => Self::wrong(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_told_from_wrong_input() {
        let bug = Failure::from(CompileError::Internal("operation `x` of node y has no inlined form".into()));
        assert_eq!(bug.exit, Exit::Lacking);
        let text = "internal error: operation `x` of node y has no inlined form (this is a bug)";
        assert_eq!(bug.message, text);
        assert_eq!(Failure::from(CompileError::Config("z".into())).exit, Exit::Wrong);
    }
}
