//! Models on the Hugging Face Hub, by name: read from its cache on this machine, and downloaded into it.

mod cache;
mod environment;
mod name;
mod remedy;

#[cfg(feature = "download")]
mod blobs;
#[cfg(feature = "download")]
mod choose;
#[cfg(feature = "download")]
mod download;
#[cfg(feature = "download")]
mod hash;
#[cfg(feature = "download")]
mod listing;
#[cfg(feature = "download")]
mod refusal;
#[cfg(feature = "download")]
mod server;
#[cfg(feature = "download")]
mod token;
#[cfg(feature = "download")]
mod transfer;
#[cfg(feature = "download")]
mod trouble;

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::output::note;

use cache::{Repository, Snapshot};
use name::{Name, is_revision};

/// The path of a model: `model` itself if it exists, else the snapshot of the Hub model `org/name` or
/// `org/name@REVISION` in the cache. Downloads what is missing, and prints the snapshot on stderr. Anything that is
/// neither is returned as it is, for its reader to report.
pub(crate) fn locate(model: &Path, revision: Option<&str>) -> Outcome<PathBuf> {
    let name = model.to_str().filter(|_| !model.exists()).and_then(Name::parse);
    let Some(name) = name else {
        return match revision {
            Some(_) => Err(Failure::wrong(format!(
                "{}: --revision needs the name of a model on the Hub (org/name)",
                model.display()
            ))),
            None => in_directory(model),
        };
    };
    let revision = match (name.revision, revision) {
        (Some(a), Some(b)) if a != b => {
            return Err(Failure::wrong(format!("two revisions were given, {a} and {b}; remove one")));
        }
        (a, b) => a.or(b),
    };
    if let Some(asked) = revision.filter(|r| !is_revision(r)) {
        return Err(Failure::wrong(format!("--revision {asked}: not a branch, tag or commit")));
    }
    let repository = Repository::of(Name { revision, ..name })?;
    let Snapshot { commit, by, path } = match repository.settled() {
        Some(snapshot) => snapshot,
        None => newest(&repository)?,
    };
    note(&format!("{name}: revision {commit} ({by}) in {}", path.display()));
    Ok(path)
}

/// The requested revision as it is on the server. Without one, the revision in the cache, if there is one.
#[cfg(feature = "download")]
fn newest(repository: &Repository<'_>) -> Outcome<Snapshot> {
    use trouble::Trouble;

    if environment::offline().is_some() {
        return repository.find();
    }
    let trouble = match download::download(repository) {
        Ok(snapshot) => return Ok(snapshot),
        Err(trouble) => trouble,
    };
    match (trouble, repository.find()) {
        (Trouble::Refused(failure), Ok(_)) => Err(Failure {
            message: format!("{}. HF_HUB_OFFLINE=1 uses the revision in the cache", failure.message),
            ..failure
        }),
        (Trouble::Failed(failure) | Trouble::Refused(failure), _) => Err(failure),
        (Trouble::Down(why), Ok(snapshot)) => {
            note(&format!("note: {why}; using the revision in the cache, which may not be the newest"));
            Ok(snapshot)
        }
        (Trouble::Down(why), Err(cached)) => Err(Failure::lacking(format!(
            "{why}; check the network, HF_ENDPOINT, HTTPS_PROXY and SSL_CERT_FILE\n  {cached}"
        ))),
    }
}

#[cfg(not(feature = "download"))]
fn newest(repository: &Repository<'_>) -> Outcome<Snapshot> {
    repository.find()
}

/// The only GGUF model in a directory that is not a model directory; otherwise `path` itself.
fn in_directory(path: &Path) -> Outcome<PathBuf> {
    match path.is_dir() && !path.join("config.json").is_file() && !path.join(gristmill_bundle::MANIFEST).is_file() {
        true => cache::only_gguf(path),
        false => Ok(path.to_path_buf()),
    }
}
