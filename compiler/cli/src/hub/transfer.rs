//! Downloads one file into the cache. Partial downloads are kept and resumed.

use std::io::Read;
use std::time::Duration;

use super::blobs::{Blob, Partial};
use super::cache::Repository;
use super::hash::Hash;
use super::listing::Remote;
use super::name::Name;
use super::refusal::refusal;
use super::server::{Meta, Reply, Server, escaped};
use super::trouble::Trouble;
use crate::failure::{Failure, Outcome};
use crate::output::bytes;
use crate::progress::Download;

/// Number of attempts in a row without progress before giving up.
const ATTEMPTS: u32 = 5;
/// The wait after the first failed attempt; it doubles each time.
const WAIT: Duration = Duration::from_millis(250);

/// The download of a file.
pub(super) struct Transfer<'a> {
    /// The source.
    pub(super) server: &'a Server,
    /// The destination.
    pub(super) repository: &'a Repository<'a>,
    /// The revision.
    pub(super) commit: &'a str,
    /// The file.
    pub(super) file: &'a Remote,
    /// The progress bar.
    pub(super) bar: &'a Download,
}

/// The result of an attempt that has not failed for good.
enum Attempt {
    Whole,
    Cut(String),
}

impl Transfer<'_> {
    /// Downloads the file and links it into the snapshot.
    pub(super) fn run(&self) -> Result<(), Trouble> {
        let path = &self.file.path;
        let endpoint = self.server.endpoint();
        let url = format!(
            "{endpoint}/{}/resolve/{}/{}",
            self.repository.name,
            escaped(self.commit, b""),
            escaped(path, b"/")
        );
        let meta = self.meta(&url)?;
        let known = self.file.hash.as_ref().map(|hash| hash.digits().to_string());
        let etag = meta.etag.clone().or(known);
        let Some(blob) = etag.as_deref().and_then(|etag| Blob::of(self.repository, etag)) else {
            return Err(self.broken("sent no ETag").into());
        };
        let _lock = blob.lock(|| self.bar.say(&format!("waiting for another process that is downloading {path}")))?;
        let fresh = !blob.path.is_file();
        if fresh {
            self.fill(&blob, &url, meta)?;
        } else {
            self.bar.has(self.file.size.unwrap_or_default());
        }
        let folders = path.matches('/').count();
        // From `snapshots/COMMIT` to the folder of the model.
        blob.link(&self.repository.snapshot(self.commit).join(path), folders + 2, fresh)?;
        Ok(())
    }

    fn meta(&self, url: &str) -> Result<Meta, Trouble> {
        self.server.meta(url)?.map_err(|reply| self.refused(&reply))
    }

    fn refused(&self, reply: &Reply) -> Trouble {
        refusal(self.server, &self.name(), &format!("{}/{}", self.repository.name, self.file.path), reply)
    }

    fn name(&self) -> Name<'_> {
        Name { revision: Some(self.commit), ..self.repository.name }
    }

    /// Downloads all of a blob, with as many attempts as make progress.
    fn fill(&self, blob: &Blob, url: &str, mut meta: Meta) -> Result<(), Trouble> {
        let size = self.file.size.or(meta.size);
        let hash = self.file.hash.clone().or_else(|| meta.etag.as_deref().and_then(Hash::content));
        let mut partial = blob.partial(hash.as_ref(), size)?;
        let mut resumed = partial.length() > 0;
        let (mut attempts, mut wait) = (1, WAIT);
        loop {
            let before = partial.length();
            self.bar.has(before);
            let end = match self.attempt(&mut partial, &meta, hash.as_ref(), size) {
                Err(Trouble::Down(why)) => Attempt::Cut(why),
                other => other?,
            };
            let Attempt::Cut(why) = end else {
                if self.is_right(&mut partial, hash.as_ref(), size) {
                    return partial.finish(blob).map_err(Trouble::from);
                }
                if !resumed {
                    partial.remove()?;
                    return Err(self.damaged(hash.as_ref()).into());
                }
                // The partial file may have belonged to another file, or have had holes.
                self.bar.say(&format!("{}: the partial download does not match; downloading it again", self.file.path));
                partial.restart(hash.as_ref(), size)?;
                resumed = false;
                continue;
            };
            if partial.length() > before {
                (attempts, wait) = (0, WAIT);
            }
            if attempts == ATTEMPTS {
                return Err(self.cut(&partial, size, &why).into());
            }
            std::thread::sleep(wait);
            (attempts, wait) = (attempts + 1, wait * 2);
            // Addresses of large files expire.
            if let Ok(fresh) = self.meta(url) {
                meta = fresh;
            }
        }
    }

    /// Requests the missing part and appends it.
    fn attempt(
        &self,
        partial: &mut Partial,
        meta: &Meta,
        hash: Option<&Hash>,
        size: Option<u64>,
    ) -> Result<Attempt, Trouble> {
        if size == Some(partial.length()) {
            return Ok(Attempt::Whole);
        }
        let from = partial.length();
        let reply = self.server.get(&meta.url, from)?;
        match (reply.status, reply.first_byte()) {
            (206, Some(first)) if first == from => {}
            (200, _) if from == 0 => {}
            // Servers may ignore the requested range, or have fewer bytes than that.
            (200, _) => partial.restart(hash, size)?,
            (206 | 416, _) => {
                partial.restart(hash, size)?;
                return Ok(Attempt::Cut("the server sent the wrong range of bytes".into()));
            }
            _ => return Err(self.refused(&reply)),
        }
        let mut reader = reply.reader();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) if size.is_some_and(|size| partial.length() < size) => {
                    return Ok(Attempt::Cut("the connection ended".into()));
                }
                Ok(0) => return Ok(Attempt::Whole),
                Ok(n) if size.is_some_and(|size| partial.length() + n as u64 > size) => {
                    partial.restart(hash, size)?;
                    return Err(self.broken("sent more bytes than the file has").into());
                }
                Ok(n) => {
                    partial.write(&buffer[..n])?;
                    self.bar.came(n as u64);
                }
                Err(e) => return Ok(Attempt::Cut(e.to_string())),
            }
        }
    }

    fn is_right(&self, partial: &mut Partial, hash: Option<&Hash>, size: Option<u64>) -> bool {
        let fits = size.is_none_or(|size| size == partial.length());
        match (hash, partial.digits()) {
            (Some(hash), Some(digits)) => fits && hash.digits() == digits,
            _ => fits,
        }
    }

    fn damaged(&self, hash: Option<&Hash>) -> Failure {
        let kind = hash.map_or("length", Hash::kind);
        self.fault(&format!(
            "has another {kind} than {} says: the download was damaged and is discarded; try again, and check the \
             proxy (HTTPS_PROXY)",
            self.server.endpoint()
        ))
    }

    fn broken(&self, what: &str) -> Failure {
        self.fault(&format!("{} {what}; check that HF_ENDPOINT is a Hub", self.server.endpoint()))
    }

    fn cut(&self, partial: &Partial, size: Option<u64>, why: &str) -> Failure {
        let of = size.map_or(String::new(), |size| format!(" of {}", bytes(size)));
        self.fault(&format!(
            "the download stopped after {}{of} ({why}); the same command resumes it",
            bytes(partial.length())
        ))
    }

    fn fault(&self, what: &str) -> Failure {
        Failure::lacking(format!("{}/{}: {what}", self.repository.name, self.file.path))
    }
}

/// Like [`Transfer::run`]. An interruption in the middle of a download is no reason to fall back to an older revision.
pub(super) fn transfer(transfer: &Transfer<'_>) -> Outcome<()> {
    match transfer.run() {
        Ok(()) => Ok(()),
        Err(Trouble::Down(why)) => Err(transfer.fault(&format!("{why}; the same command resumes the download"))),
        Err(Trouble::Refused(failure) | Trouble::Failed(failure)) => Err(failure),
    }
}
