//! Settings from the environment variables of the Hub's own client.

use std::path::PathBuf;

use crate::failure::{Failure, Outcome};

/// The value of a variable, unless it is empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|v| v.trim().to_string()).filter(|v| !v.is_empty())
}

/// The first variable that forbids requests, if any does.
pub(super) fn offline() -> Option<&'static str> {
    let yes = |name: &&str| variable(name).is_some_and(|v| ["1", "ON", "YES", "TRUE"].contains(&&*v.to_uppercase()));
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(yes)
}

/// `HF_HUB_CACHE`, or `hub` in [`home`].
pub(super) fn cache() -> Outcome<PathBuf> {
    path("HF_HUB_CACHE")
        .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| home().map(|p| p.join("hub")))
        .ok_or_else(|| Failure::lacking("no directory for the Hub cache: set HF_HOME or HOME"))
}

/// `HF_HOME`, `XDG_CACHE_HOME/huggingface` or `~/.cache/huggingface`.
pub(super) fn home() -> Option<PathBuf> {
    path("HF_HOME")
        .or_else(|| path("XDG_CACHE_HOME").map(|p| p.join("huggingface")))
        .or_else(|| user().map(|p| p.join(".cache/huggingface")))
}

/// The path in a variable; `~` is the home directory.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)?;
    match path.strip_prefix("~") {
        Ok(rest) => Some(user()?.join(rest)),
        Err(_) => Some(path),
    }
}

fn user() -> Option<PathBuf> {
    std::env::home_dir().filter(|p| !p.as_os_str().is_empty())
}
