//! The remedy for a model that is not in the cache.

use super::environment;
use super::name::Name;

/// The remedy for a model that is not in the cache.
pub(super) fn remedy(name: &Name<'_>) -> String {
    let revision = name.revision.map_or(String::new(), |revision| format!(" --revision {revision}"));
    let file = name.file.map_or(String::new(), |file| format!(" {file}"));
    let by_hand = format!("download it with `hf download {name}{file}{revision}`");
    match environment::offline() {
        _ if cfg!(not(feature = "download")) => {
            format!("{by_hand}, or build gristmill with the feature `download`")
        }
        Some(variable) => format!("{by_hand}, or unset {variable}, so that gristmill downloads it"),
        None => format!("{by_hand}, or run this command again when the server can be reached"),
    }
}
