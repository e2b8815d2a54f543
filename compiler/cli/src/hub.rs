//! Models by their name on the Hugging Face Hub, as far as they are in its cache on this machine.
//!
//! The layout is the documented one: `models--ORG--NAME` with `refs/REVISION`, which holds a commit, and
//! `snapshots/COMMIT`, whose files are links into `blobs`. Nothing is downloaded.

use std::path::{Path, PathBuf};

use gristmill_compiler::gguf::is_gguf;

use crate::failure::{Failure, Outcome};
use crate::output::note;

/// The revision that counts if none is named.
const MAIN: &str = "main";

/// Where a model is: `model` itself if it exists, else the snapshot of the Hub model `org/name` or `org/name@REVISION`
/// in the cache, which is said on stderr. What is neither comes back as it is, so that whoever opens it says what it
/// should be.
pub(crate) fn locate(model: &Path, revision: Option<&str>) -> Outcome<PathBuf> {
    let found = find(model, revision)?;
    if let Some(text) = &found.note {
        note(text);
    }
    Ok(found.path)
}

/// A model on this machine.
pub(crate) struct Found {
    /// A directory, or a GGUF file.
    pub(crate) path: PathBuf,
    /// Which revision it is, for people; none for a path that was given as such.
    pub(crate) note: Option<String>,
}

/// As [`locate`], without a word.
pub(crate) fn find(model: &Path, revision: Option<&str>) -> Outcome<Found> {
    let name = model.to_str().filter(|_| !model.exists()).and_then(Name::parse);
    let Some(name) = name else {
        return match revision {
            Some(_) => Err(Failure::wrong(format!(
                "{}: is not the name of a model on the Hub (org/name), which --revision is for",
                model.display()
            ))),
            None => Ok(Found { path: only_gguf(model)?, note: None }),
        };
    };
    let cache = cache()?;
    let repository = cache.join(name.folder());
    let revision = match (name.revision, revision) {
        (Some(a), Some(b)) if a != b => {
            return Err(Failure::wrong(format!("two revisions are named: {a} and {b}; name one")));
        }
        (a, b) => a.or(b),
    };
    if !repository.is_dir() {
        return Err(Failure::wrong(format!(
            "{name}: there is no such file or directory, and no such model in the Hub cache ({}); download it with \
             `hf download {name}`",
            repository.display()
        )));
    }
    let (commit, what) = snapshot(&name, &repository, revision)?;
    let path = repository.join("snapshots").join(&commit);
    check_complete(&name, &path)?;
    let text = format!("{name}: revision {commit} ({what}) in {}", path.display());
    Ok(Found { path: only_gguf(&path)?, note: Some(text) })
}

/// `org/name@revision`.
struct Name<'a> {
    name: &'a str,
    revision: Option<&'a str>,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<'a> Name<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, revision) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        // The rules of the Hub for names.
        let plain = |part: &str| {
            !part.is_empty()
                && part.len() <= 96
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !part.starts_with(['.', '-'])
                && !part.ends_with(['.', '-'])
                && !part.contains("..")
                && !part.contains("--")
        };
        let (org, model) = name.split_once('/')?;
        let is_name = plain(org) && plain(model) && revision.is_none_or(is_revision);
        is_name.then_some(Name { name, revision })
    }

    fn folder(&self) -> String {
        format!("models--{}", self.name.replace('/', "--"))
    }
}

/// A commit, a tag, or a branch, which may have slashes in it.
fn is_revision(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    text.len() <= 200 && text.split('/').all(plain)
}

/// `HF_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub` or `~/.cache/huggingface/hub`, as the Hub's own client has it.
fn cache() -> Outcome<PathBuf> {
    let home = || std::env::home_dir().filter(|p| !p.as_os_str().is_empty());
    let from = |name: &str| {
        let path = std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)?;
        match path.strip_prefix("~") {
            Ok(rest) => Some(home()?.join(rest)),
            Err(_) => Some(path),
        }
    };
    from("HF_HUB_CACHE")
        .or_else(|| from("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| from("HF_HOME").map(|p| p.join("hub")))
        .or_else(|| from("XDG_CACHE_HOME").map(|p| p.join("huggingface/hub")))
        .or_else(|| home().map(|p| p.join(".cache/huggingface/hub")))
        .ok_or_else(|| Failure::lacking("there is no place for the cache of the Hub; set HF_HOME or HOME"))
}

/// The commit of a revision, and what it was found by.
fn snapshot(name: &Name<'_>, repository: &Path, revision: Option<&str>) -> Outcome<(String, String)> {
    let snapshots = snapshots(&repository.join("snapshots"));
    let asked = revision.unwrap_or(MAIN);
    if !is_revision(asked) {
        return Err(Failure::wrong(format!("--revision {asked}: is no branch, tag or commit")));
    }
    if let Some(commit) = commit(&repository.join("refs").join(asked))? {
        if snapshots.contains(&commit) {
            return Ok((commit, asked.to_string()));
        }
        return Err(Failure::wrong(format!(
            "{name}: {asked} is revision {commit}, which is not in {}; download it with `hf download {name} --revision {asked}`",
            repository.join("snapshots").display()
        )));
    }
    let begins = |commit: &&String| *commit == asked || asked.len() >= 7 && commit.starts_with(asked);
    let candidates: Vec<&String> = match revision {
        Some(_) => snapshots.iter().filter(begins).collect(),
        None => snapshots.iter().collect(),
    };
    match candidates.as_slice() {
        [commit] if revision.is_some() => Ok(((*commit).clone(), "as asked for".into())),
        [commit] => Ok(((*commit).clone(), "the only one there is".into())),
        _ => Err(none_or_several(name, repository, revision, &snapshots)),
    }
}

fn none_or_several(name: &Name<'_>, repository: &Path, revision: Option<&str>, snapshots: &[String]) -> Failure {
    let place = repository.display();
    Failure::wrong(match (revision, snapshots) {
        (_, []) => format!("{name}: {place} has no snapshot; download the model with `hf download {name}`"),
        (None, all) => format!(
            "{name}: {place} has no refs/{MAIN}, and {} snapshots: {}; choose one with --revision",
            all.len(),
            all.join(", ")
        ),
        (Some(asked), all) => format!(
            "{name}: {place} has no revision {asked}, but {}; download it with `hf download {name} --revision {asked}`",
            all.join(", ")
        ),
    })
}

/// Names of the snapshots, sorted.
fn snapshots(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|e| e.path().is_dir());
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// What a file of `refs` holds.
fn commit(path: &Path) -> Outcome<Option<String>> {
    /// Commits have 40 letters.
    const LONGEST: u64 = 1 << 10;
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() <= LONGEST => {}
        _ => return Ok(None),
    }
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io(path, &e))?;
    let commit = text.trim();
    match !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => Ok(Some(commit.to_string())),
        false => Err(Failure::wrong(format!("{}: does not hold a commit", path.display()))),
    }
}

/// A download that was broken off leaves links to nothing, or only some of the files.
fn check_complete(name: &Name<'_>, snapshot: &Path) -> Outcome<()> {
    let files: Vec<PathBuf> = std::fs::read_dir(snapshot).into_iter().flatten().flatten().map(|e| e.path()).collect();
    let lacks = |what: String| {
        let remedy = format!("download the rest with `hf download {name}`");
        Err(Failure::wrong(format!("{name}: the snapshot {} {what}; {remedy}", snapshot.display())))
    };
    if let Some(broken) = files.iter().find(|p| !p.exists()) {
        let file = broken.file_name().unwrap_or_default().to_string_lossy();
        return lacks(format!("is incomplete: {file} leads to no file"));
    }
    let has = |extension: &str| files.iter().any(|p| p.extension().is_some_and(|e| e == extension));
    let has_config = files.iter().any(|p| p.file_name().is_some_and(|n| n == "config.json"));
    match (has_config, has("safetensors"), has("gguf")) {
        (true, true, _) | (_, _, true) => Ok(()),
        (false, _, false) => lacks("has no config.json".into()),
        (true, false, false) => lacks("has no weights (*.safetensors)".into()),
    }
}

/// The only GGUF model in a directory that is no model directory; else `path` as it is.
fn only_gguf(path: &Path) -> Outcome<PathBuf> {
    if !path.is_dir() || path.join("config.json").is_file() || path.join(gristmill_bundle::MANIFEST).is_file() {
        return Ok(path.to_path_buf());
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    let mut models: Vec<PathBuf> =
        entries.filter(|p| is_gguf(p) && !gristmill_compiler::gguf::is_later_part(p)).collect();
    models.sort();
    match models.as_slice() {
        [] => Ok(path.to_path_buf()),
        [one] => Ok(one.clone()),
        several => {
            let names: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
            Err(Failure::wrong(format!("{}: has several models; name one of {}", path.display(), names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_hub() {
        let parsed = |text| Name::parse(text).map(|n| (n.name.to_string(), n.revision.map(str::to_string)));
        assert_eq!(parsed("org/name"), Some(("org/name".into(), None)));
        assert_eq!(parsed("org/na.me-1@v1/x"), Some(("org/na.me-1".into(), Some("v1/x".into()))));
        for wrong in
            ["name", "a/b/c", "../name", "org/..", "/name", "org/", "org/name@", "org/name@../x", "o--g/name", "./x"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
