//! Messages about settings and tensors that are not read.

/// Maximum number of names that a list spells out.
const MAX_LISTED: usize = 8;

/// Messages about settings and tensors that are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Those that may matter.
    pub warnings: Vec<String>,
    /// Those that make the results wrong.
    pub faults: Vec<String>,
}

/// `a, b, c`, or the first of them and the number of the others.
pub(super) fn list(names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().collect();
    let more = names.len().saturating_sub(MAX_LISTED);
    names.truncate(MAX_LISTED);
    let text = names.join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}
