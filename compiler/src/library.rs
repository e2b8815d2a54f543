//! The architectures, blocks and precision policies that ship with the compiler.

use gristmill_graph::dtype::Precision;
use gristmill_graph::text::{Diagnostics, Library, Policy};
use gristmill_models::{FILES, file};

/// The folder of policies in the library.
const POLICIES: &str = "precision/";

/// The shipped files. Add an author's own file with [`Library::with_file`].
pub fn library() -> Library {
    Library { files: FILES.iter().map(|(name, text)| ((*name).to_string(), (*text).to_string())).collect() }
}

/// The precision policy called `name`: a precision for all weights (`f32`, `q4.g64`), or the name of a file in
/// `models/precision` without its suffix (`mixed`). `None` if there is no such policy.
///
/// # Errors
/// If the file of that name is invalid.
pub fn named_policy(name: &str) -> Result<Option<Policy>, Diagnostics> {
    if let Ok(precision) = name.parse::<Precision>() {
        return Ok(Some(Policy::uniform(precision)));
    }
    let path = format!("{POLICIES}{name}.ron");
    file(&path).map(|text| Policy::parse(&path, text)).transpose()
}

/// The names that [`named_policy`] accepts besides plain precisions, sorted.
pub fn policy_names() -> Vec<&'static str> {
    FILES.iter().filter_map(|(name, _)| name.strip_prefix(POLICIES)?.strip_suffix(".ron")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_graph::text::check;

    #[test]
    fn everything_that_ships_is_valid() {
        let library = library();
        for name in library.architectures() {
            if let Err(d) = check(&library, name) {
                panic!("{d}");
            }
            assert!(!library.classes(name).is_empty(), "{name} is for no class");
        }
        for name in policy_names() {
            assert!(named_policy(name).unwrap().is_some(), "{name}");
        }
        assert!(named_policy("q4.g64").unwrap().is_some());
        assert!(named_policy("nonsense").unwrap().is_none());
    }
}
