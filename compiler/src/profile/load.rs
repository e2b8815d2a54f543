//! Loads profiles by name and by path.

use std::path::Path;

use gristmill_bundle::files;
use gristmill_graph::text::{Diagnostics, at_field, nearest, read_record};

use super::check::check;
use super::fields::Profile;
use crate::error::CompileError;

/// The shipped profiles, by name.
const SHIPPED: [(&str, &str); 6] = [
    ("chrome", include_str!("../../profiles/chrome.ron")),
    ("edge", include_str!("../../profiles/edge.ron")),
    ("firefox", include_str!("../../profiles/firefox.ron")),
    ("safari", include_str!("../../profiles/safari.ron")),
    ("native", include_str!("../../profiles/native.ron")),
    ("wasm", include_str!("../../profiles/wasm.ron")),
];

/// The name for all shipped profiles.
const ALL: &str = "all";

/// Names of the shipped profiles, in compilation order.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// Reads a shipped profile.
///
/// # Errors
/// If `name` is not a shipped profile (the message lists them), or its file is invalid.
pub fn shipped(name: &str) -> Result<Profile, String> {
    let text = SHIPPED.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
    let text = text.ok_or_else(|| {
        let near = nearest(name, shipped_names()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let known = shipped_names().collect::<Vec<_>>().join(", ");
        format!("unknown target `{name}`; {near}expected all, the path of a profile FILE.ron, or one of: {known}")
    })?;
    parse(&format!("profiles/{name}.ron"), text).map_err(|e| e.to_string())
}

/// Parses a profile; `name` is the file name for diagnostics.
///
/// # Errors
/// All problems at once: invalid RON, unknown names, and numbers that no kernel could be built with.
pub fn parse(name: &str, text: &str) -> Result<Profile, Diagnostics> {
    let profile: Profile = read_record(name, text)?;
    let faults = check(&profile);
    if faults.is_empty() {
        return Ok(profile);
    }
    let mut all: Vec<_> =
        faults.into_iter().map(|fault| at_field(name, text, &fault.field, fault.message, fault.hint)).collect();
    all.sort_by_key(|d| (d.line, d.column));
    Err(Diagnostics(all))
}

/// Whether a target is the path of a profile file rather than a name.
pub fn is_path(target: &str) -> bool {
    target.ends_with(".ron")
}

/// Reads the profile in a file.
///
/// # Errors
/// If the file cannot be read; see also [`parse`].
pub fn read(path: &Path) -> Result<Profile, CompileError> {
    let text = files::read_text(path, files::MAX_TEXT).map_err(|e| CompileError::io(path, &e))?;
    parse(&path.display().to_string(), &text).map_err(CompileError::Profile)
}

/// The profiles for these targets: names of shipped ones, `all`, and paths of files. An empty list means all shipped
/// ones. Shipped profiles come first.
///
/// # Errors
/// If a name is unknown, a file is invalid, or two profiles have the same name: programs are stored by name.
pub fn targets(asked: &[String]) -> Result<Vec<Profile>, CompileError> {
    let (paths, names): (Vec<&String>, Vec<&String>) = asked.iter().partition(|target| is_path(target));
    if let Some(name) = names.iter().find(|name| **name != ALL && !shipped_names().any(|known| known == **name)) {
        return Err(CompileError::Options(shipped(name).err().unwrap_or_default()));
    }
    let all = asked.is_empty() || names.iter().any(|name| *name == ALL);
    let mut found: Vec<Profile> = Vec::new();
    for name in shipped_names().filter(|known| all || names.iter().any(|name| name == known)) {
        found.push(shipped(name).map_err(CompileError::Internal)?);
    }
    for path in paths {
        let profile = read(Path::new(path))?;
        if found.iter().any(|other| other.name == profile.name) {
            return Err(CompileError::Options(format!(
                "--target {path}: another target has the same name, `{0}`; rename the profile, or remove the other \
                 target",
                profile.name
            )));
        }
        found.push(profile);
    }
    Ok(found)
}
