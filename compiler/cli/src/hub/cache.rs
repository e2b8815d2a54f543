//! The cache of the Hub on this machine, in its documented layout: `models--ORG--NAME` with `refs/REVISION`, which
//! contains a commit, and `snapshots/COMMIT`, whose files are links into `blobs`.

use std::path::{Path, PathBuf};

use gristmill_compiler::gguf;
use gristmill_compiler::hf::adapter::SETTINGS as ADAPTER;
use gristmill_compiler::weights::files::{self, Found};
use gristmill_compiler::weights::index;

use super::environment;
use super::name::{MAIN, Name, is_commit};
use super::remedy::remedy;
use crate::failure::{Failure, Outcome};

/// The extension of weight files.
const SAFETENSORS: &str = ".safetensors";

/// The folder of one model in the cache.
pub(super) struct Repository<'a> {
    /// The model and the requested revision.
    pub(super) name: Name<'a>,
    /// `models--ORG--NAME`, which need not exist.
    pub(super) path: PathBuf,
}

/// A cached revision.
pub(super) struct Snapshot {
    /// The commit.
    pub(super) commit: String,
    /// What it was found by, for messages.
    pub(super) by: String,
    /// Its directory, or a GGUF file in it.
    pub(super) path: PathBuf,
}

impl<'a> Repository<'a> {
    /// The folder of a model, existing or not.
    pub(super) fn of(name: Name<'a>) -> Outcome<Self> {
        let path = environment::cache()?.join(name.folder());
        Ok(Repository { name, path })
    }

    /// The directory of a revision.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.path.join("snapshots").join(commit)
    }

    /// The cached snapshot of the requested revision, or of main.
    pub(super) fn find(&self) -> Outcome<Snapshot> {
        if !self.path.is_dir() {
            return Err(Failure::wrong(format!(
                "{}: no such file or directory, and no such model in the Hub cache ({}); {}",
                self.name,
                self.path.display(),
                remedy(&self.name)
            )));
        }
        let (commit, by) = self.commit()?;
        let path = self.whole(&commit)?;
        Ok(Snapshot { commit, by, path })
    }

    /// The snapshot of the requested revision, if that is a commit whose files are all cached, so that the server need
    /// not be asked.
    pub(super) fn settled(&self) -> Option<Snapshot> {
        let asked = self.name.revision?;
        if is_commit(asked) && !self.reference(asked).exists() { self.find().ok() } else { None }
    }

    /// The file that records the commit of a branch or tag.
    pub(super) fn reference(&self, revision: &str) -> PathBuf {
        self.path.join("refs").join(revision)
    }

    /// The requested commit, and what it was found by.
    fn commit(&self) -> Outcome<(String, String)> {
        let folder = self.path.join("snapshots");
        let mut snapshots = names_of(&folder);
        snapshots.retain(|name| folder.join(name).is_dir());
        let revision = self.name.revision;
        let asked = revision.unwrap_or(MAIN);
        if let Some(commit) = commit_in(&self.reference(asked))? {
            if snapshots.contains(&commit) {
                return Ok((commit, asked.to_string()));
            }
            return Err(Failure::wrong(format!(
                "{}: {asked} is revision {commit}, but {} does not have it; {}",
                self.name,
                folder.display(),
                remedy(&self.name)
            )));
        }
        let begins = |commit: &&String| *commit == asked || asked.len() >= 7 && commit.starts_with(asked);
        let candidates: Vec<&String> = match revision {
            Some(_) => snapshots.iter().filter(begins).collect(),
            None => snapshots.iter().collect(),
        };
        match candidates.as_slice() {
            [commit] if revision.is_some() => Ok(((*commit).clone(), "as requested".into())),
            [commit] => Ok(((*commit).clone(), "the only one".into())),
            _ => Err(self.none_or_several(&snapshots)),
        }
    }

    fn none_or_several(&self, snapshots: &[String]) -> Failure {
        let (name, place, remedy) = (&self.name, self.path.display(), remedy(&self.name));
        Failure::wrong(match (name.revision, snapshots) {
            (_, []) => format!("{name}: {place} has no snapshot; {remedy}"),
            (None, all) => format!(
                "{name}: {place} has no refs/{MAIN}, but {} snapshots: {}; choose one with --revision",
                all.len(),
                all.join(", ")
            ),
            (Some(asked), all) => format!("{name}: {place} has no revision {asked}, but {}; {remedy}", all.join(", ")),
        })
    }

    /// The model in the snapshot of a commit: its directory, or a GGUF file. Fails if it is incomplete: an interrupted
    /// download leaves broken links, or only some of the files.
    pub(super) fn whole(&self, commit: &str) -> Outcome<PathBuf> {
        let snapshot = self.snapshot(commit);
        if let Some(file) = self.name.file {
            return self.whole_gguf(&snapshot, file);
        }
        let names = names_of(&snapshot);
        let lacks = |what: String| self.lacks(&snapshot, &what);
        if let Some(broken) = names.iter().find(|name| !snapshot.join(name).exists()) {
            return Err(lacks(format!("is incomplete: the link {broken} is broken")));
        }
        let has = |file: &str| names.iter().any(|name| name == file);
        let ends = |folder: &Path, end: &str| names_of(folder).iter().any(|name| name.ends_with(end));
        let (modules, adapter) = (has("modules.json"), has(ADAPTER) && !has("config.json"));
        // Old directories of sentence-transformers have all other files in folders.
        let in_folder = || names.iter().any(|name| ends(&snapshot.join(name), SAFETENSORS));
        let weights = ends(&snapshot, SAFETENSORS) || modules && in_folder();
        match (has("config.json") || modules, weights, ends(&snapshot, ".gguf")) {
            (true, true, _) => {}
            (_, _, true) => return only_gguf(&snapshot),
            // The compiler rejects it and names the model that it modifies.
            _ if adapter => {}
            (false, _, false) => return Err(lacks("has no config.json".into())),
            (true, false, false) => return Err(lacks("has no weights (*.safetensors)".into())),
        }
        // The compiler reports errors in the index.
        if let Ok(Found::Sharded(path)) = files::choose(&snapshot, &names)
            && let Ok(shards) = index::read(&path)
            && let Some(missing) = shards.keys().find(|file| !snapshot.join(file).is_file())
        {
            return Err(lacks(format!("is incomplete: {missing} is missing")));
        }
        Ok(snapshot)
    }

    fn whole_gguf(&self, snapshot: &Path, file: &str) -> Outcome<PathBuf> {
        let path = snapshot.join(file);
        match gguf::parts(&path).iter().find(|part| !part.is_file()) {
            None => Ok(path),
            Some(missing) => {
                let missing = missing.strip_prefix(snapshot).unwrap_or(missing).display();
                Err(self.lacks(snapshot, &format!("has no {missing}")))
            }
        }
    }

    fn lacks(&self, snapshot: &Path, what: &str) -> Failure {
        let remedy = remedy(&self.name);
        Failure::wrong(format!("{}: the snapshot {} {what}; {remedy}", self.name, snapshot.display()))
    }
}

/// The names in a folder, sorted; empty if it does not exist.
pub(super) fn names_of(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The content of a file in `refs`.
fn commit_in(path: &Path) -> Outcome<Option<String>> {
    /// Commits have 40 digits.
    const LONGEST: u64 = 1 << 10;
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() <= LONGEST => {}
        _ => return Ok(None),
    }
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io(path, &e))?;
    let commit = text.trim();
    match !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => Ok(Some(commit.to_string())),
        false => Err(Failure::wrong(format!("{}: does not contain a commit hash", path.display()))),
    }
}

/// The only GGUF model in a directory; the directory itself if there is none.
pub(super) fn only_gguf(dir: &Path) -> Outcome<PathBuf> {
    let mut models: Vec<PathBuf> = names_of(dir).iter().map(|name| dir.join(name)).collect();
    models.retain(|path| gguf::is_gguf(path) && !gguf::is_later_part(path));
    match models.as_slice() {
        [] => Ok(dir.to_path_buf()),
        [one] => Ok(one.clone()),
        several => {
            let names: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
            Err(Failure::wrong(format!("{}: has several models; name one of {}", dir.display(), names.join(", "))))
        }
    }
}
