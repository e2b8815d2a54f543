//! The server's description of a model: its commit and its files.

use gristmill_bundle::is_clean_path;
use serde_json::Value;

use super::hash::Hash;
use super::name::{MAIN, Name};
use super::refusal::refusal;
use super::server::{Server, escaped};
use super::trouble::Trouble;
use crate::failure::Failure;

/// A revision on the server.
pub(super) struct Listing {
    /// The commit.
    pub(super) commit: String,
    /// Its files.
    pub(super) files: Vec<Remote>,
}

/// A file on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// Its path within the model.
    pub(super) path: String,
    /// Its length in bytes, if the server states it.
    pub(super) size: Option<u64>,
    /// Its hash, if the server states it.
    pub(super) hash: Option<Hash>,
}

impl Listing {
    /// Requests the listing of the requested revision.
    pub(super) fn of(server: &Server, name: &Name<'_>) -> Result<Self, Trouble> {
        let (endpoint, revision) = (server.endpoint(), name.revision.unwrap_or(MAIN));
        let model = format!("{endpoint}/api/models/{name}");
        let reply = server.get(&format!("{model}/revision/{}?blobs=true", escaped(revision, b"")), 0)?;
        if reply.status == 404 && reply.header("x-error-code").is_none() && server.get(&model, 0)?.status == 200 {
            return Err(Trouble::Refused(Failure::wrong(format!(
                "{name}: {endpoint} has no revision {revision}; choose a branch, tag or commit of \
                 {endpoint}/{name}/commits/main"
            ))));
        }
        if reply.status != 200 {
            return Err(refusal(server, name, name.name, &reply));
        }
        let text = reply.bytes().map_err(|e| Trouble::Down(format!("{endpoint} closed the connection ({e})")))?;
        Listing::read(&text).ok_or_else(|| {
            Trouble::Failed(Failure::lacking(format!(
                "{name}: {endpoint} did not return a list of files; check that HF_ENDPOINT is a Hub"
            )))
        })
    }

    /// Parses a listing; `None` if it is malformed.
    fn read(text: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(text).ok()?;
        let commit = json["sha"].as_str()?;
        if commit.len() < 7 || commit.len() > 64 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let file = |entry: &Value| -> Option<Remote> {
            // Other paths could lead anywhere on this machine, and no model needs them.
            let path = entry["rfilename"].as_str().filter(|path| is_clean_path(path))?;
            let large = &entry["lfs"];
            let hash = match large["sha256"].as_str() {
                Some(text) => Hash::content(text),
                None if large.is_null() => entry["blobId"].as_str().and_then(Hash::git),
                None => None,
            };
            let size = large["size"].as_u64().or_else(|| entry["size"].as_u64());
            Some(Remote { path: path.to_string(), size, hash })
        };
        let files = json["siblings"].as_array()?.iter().filter_map(file).collect();
        Some(Listing { commit: commit.to_string(), files })
    }

    /// The file with this path.
    pub(super) fn file(&self, path: &str) -> Option<&Remote> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Names of the files in a folder, or in the top folder if its name is empty.
    pub(super) fn names_in(&self, folder: &str) -> Vec<String> {
        let inside = |file: &Remote| {
            let rest = match folder {
                "" => file.path.as_str(),
                _ => file.path.strip_prefix(folder)?.strip_prefix('/')?,
            };
            (!rest.contains('/')).then(|| rest.to_string())
        };
        self.files.iter().filter_map(inside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_left_out() {
        let text = r#"{"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": [
            {"rfilename": "../x.json"}, {"rfilename": "/etc/x.json"}, {"rfilename": "a/../../x.json"},
            {"rfilename": "1_Pooling/config.json", "size": 3, "blobId": "0123456789abcdef0123456789abcdef01234567"},
            {"rfilename": "m.safetensors", "size": 5, "blobId": "0123456789abcdef0123456789abcdef01234567",
             "lfs": {"size": 7, "sha256": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}}]}"#;
        let listing = Listing::read(text.as_bytes()).unwrap();
        assert_eq!(
            (listing.names_in(""), listing.names_in("1_Pooling")),
            (vec!["m.safetensors".into()], vec!["config.json".into()])
        );
        let large = listing.file("m.safetensors").unwrap();
        assert!(large.size == Some(7) && large.hash.as_ref().is_some_and(|h| h.kind() == "SHA-256"));
        assert_eq!(listing.file("1_Pooling/config.json").unwrap().hash.as_ref().unwrap().kind(), "git hash");
        assert!(Listing::read(br#"{"sha": "../../x", "siblings": []}"#).is_none());
        assert!(Listing::read(b"<html>").is_none());
    }
}
