//! Sentences about what is not read.

/// Most names of a list that are written out.
const MAX_LISTED: usize = 8;

/// Sentences about what is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What may matter.
    pub warnings: Vec<String>,
    /// What makes the results wrong.
    pub faults: Vec<String>,
}

/// `a, b, c`, or the first of them and how many more there are.
pub(super) fn list(names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().collect();
    let more = names.len().saturating_sub(MAX_LISTED);
    names.truncate(MAX_LISTED);
    let text = names.join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}
