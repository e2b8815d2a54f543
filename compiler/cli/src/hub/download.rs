//! Downloads into the cache what a compilation needs of a revision.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use gristmill_compiler::weights::files::Found;
use gristmill_compiler::weights::index;

use super::blobs::write_reference;
use super::cache::{Repository, Snapshot};
use super::choose::{self, Kind, MODULES, join};
use super::listing::Listing;
use super::name::{MAIN, is_commit};
use super::server::Server;
use super::transfer::{Transfer, transfer};
use super::trouble::Trouble;
use crate::failure::{Failure, Outcome};
use crate::output::bytes;
use crate::progress::Download;

/// Asks the server for the revision and downloads what is missing. The commit of the branch or tag is recorded last, so
/// that an interrupted download leaves the older revision in use.
pub(super) fn download(repository: &Repository<'_>) -> Result<Snapshot, Trouble> {
    let server = Server::of_environment()?;
    let listing = Listing::of(&server, &repository.name)?;
    let snapshot = repository.snapshot(&listing.commit);
    let job = Job {
        server: &server,
        repository,
        listing: &listing,
        snapshot: &snapshot,
        bar: Download::new(),
        said: Cell::new(false),
    };
    let path = job.run()?;
    job.report();
    let asked = repository.name.revision.unwrap_or(MAIN);
    if !(is_commit(asked) && listing.commit.starts_with(asked)) {
        write_reference(&repository.reference(asked), &listing.commit)?;
    }
    Ok(Snapshot { commit: listing.commit, by: asked.to_string(), path })
}

struct Job<'a> {
    server: &'a Server,
    repository: &'a Repository<'a>,
    listing: &'a Listing,
    snapshot: &'a Path,
    bar: Download,
    /// Whether the user was told about the download.
    said: Cell<bool>,
}

impl Job<'_> {
    /// The model: a directory, or a GGUF file.
    fn run(&self) -> Outcome<PathBuf> {
        let has = |file: &str| gristmill_compiler::gguf::parts(&self.snapshot.join(file)).iter().all(|p| p.is_file());
        match choose::kind(&self.repository.name, self.listing, has)? {
            Kind::Gguf(files) => {
                self.fetch(&files)?;
                Ok(files.first().map_or_else(|| self.snapshot.to_path_buf(), |file| self.snapshot.join(file)))
            }
            Kind::Adapter => {
                self.fetch(&choose::small(self.listing, ""))?;
                Ok(self.snapshot.to_path_buf())
            }
            Kind::Directory => {
                self.directory()?;
                Ok(self.snapshot.to_path_buf())
            }
        }
    }

    /// Small files come first: they tell which others are needed.
    fn directory(&self) -> Outcome<()> {
        let name = &self.repository.name;
        let in_root = self.listing.file("config.json").is_some();
        if in_root {
            // Nothing is downloaded if the model cannot be compiled.
            choose::weights(name, self.listing, "")?;
        }
        self.fetch(&choose::small(self.listing, ""))?;
        let modules = std::fs::read(self.snapshot.join(MODULES)).unwrap_or_default();
        let folders = choose::folders(&modules, self.listing);
        for folder in &folders {
            self.fetch(&choose::small(self.listing, folder))?;
        }
        let main = if in_root { "" } else { folders.first().map_or("", String::as_str) };
        for folder in folders.iter().filter(|folder| *folder != main) {
            // Most modules have no weights.
            if let Ok(found) = choose::weights(name, self.listing, folder) {
                self.weights(folder, &found)?;
            }
        }
        self.weights(main, &choose::weights(name, self.listing, main)?)
    }

    /// The weights in a folder of the model.
    fn weights(&self, folder: &str, found: &Found) -> Outcome<()> {
        let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files: Vec<String> = match found {
            Found::Single(path) => vec![file(path)],
            Found::Sharded(path) => {
                let path = self.snapshot.join(join(folder, &file(path)));
                index::read(&path).map_err(|e| Failure::wrong(e.to_string()))?.into_keys().collect()
            }
        };
        let files: Vec<String> = files.iter().map(|file| join(folder, file)).collect();
        self.fetch(&files)
    }

    /// Downloads the files that are missing.
    fn fetch(&self, files: &[String]) -> Outcome<()> {
        let mut missing = Vec::new();
        for path in files.iter().filter(|path| !self.snapshot.join(path).is_file()) {
            let Some(file) = self.listing.file(path) else {
                return Err(Failure::wrong(format!(
                    "{name}: its index names {path}, which is missing on {}; report this to the model's authors",
                    self.server.endpoint(),
                    name = self.repository.name
                )));
            };
            missing.push(file);
        }
        if missing.is_empty() {
            return Ok(());
        }
        if !self.said.replace(true) {
            self.bar.say(&format!("downloading {} into {}", self.repository.name, self.snapshot.display()));
        }
        self.bar.expect(missing.iter().filter_map(|file| file.size).sum());
        for file in missing {
            self.bar.begin(&file.path);
            let (server, repository, commit) = (self.server, self.repository, self.listing.commit.as_str());
            transfer(&Transfer { server, repository, commit, file, bar: &self.bar })?;
            self.bar.end();
        }
        Ok(())
    }

    /// Prints how much was downloaded.
    fn report(&self) {
        if self.bar.files() > 0 {
            let files = if self.bar.files() == 1 { "file" } else { "files" };
            self.bar.say(&format!("downloaded {} {files}, {}", self.bar.files(), bytes(self.bar.received())));
        }
    }
}
