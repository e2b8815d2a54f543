//! The hashes that the Hub identifies files by: SHA-256 for large files, git's object id for small ones.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The expected hash of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256 of the content.
    Content(String),
    /// SHA-1 of a header with the length, followed by the content.
    Git(String),
}

impl Hash {
    /// The hash in an entry of a listing.
    pub(super) fn content(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Hash::Content(text.to_lowercase()))
    }

    /// The hash for a git object id.
    pub(super) fn git(text: &str) -> Option<Self> {
        is_hex(text, 40).then(|| Hash::Git(text.to_lowercase()))
    }

    /// The name of the hash function.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Hash::Content(_) => "SHA-256",
            Hash::Git(_) => "git hash",
        }
    }

    /// The hash in hexadecimal.
    pub(super) fn digits(&self) -> &str {
        match self {
            Hash::Content(text) | Hash::Git(text) => text,
        }
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Hashes a file while it is downloaded.
pub(super) enum Hasher {
    /// For [`Hash::Content`].
    Content(Sha256),
    /// For [`Hash::Git`].
    Git(Sha1),
    /// No hash to compare with.
    None,
}

impl Hasher {
    /// For a file of `size` bytes.
    pub(super) fn new(hash: Option<&Hash>, size: Option<u64>) -> Self {
        match (hash, size) {
            (Some(Hash::Content(_)), _) => Hasher::Content(Sha256::new()),
            (Some(Hash::Git(_)), Some(size)) => Hasher::Git(Sha1::new_with_prefix(format!("blob {size}\0"))),
            (Some(Hash::Git(_)) | None, _) => Hasher::None,
        }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Content(hasher) => hasher.update(bytes),
            Hasher::Git(hasher) => hasher.update(bytes),
            Hasher::None => {}
        }
    }

    /// The hash in hexadecimal, if there is one to compare with.
    pub(super) fn digits(self) -> Option<String> {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
        match self {
            Hasher::Content(hasher) => Some(hex(&hasher.finalize())),
            Hasher::Git(hasher) => Some(hex(&hasher.finalize())),
            Hasher::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        let of = |hash: Option<Hash>| {
            let mut hasher = Hasher::new(hash.as_ref(), Some(6));
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            (hasher.digits(), hash.map(|h| h.digits().to_string()))
        };
        let (made, known) = of(Hash::git("ce013625030ba8dba906f756967f9e9ca394464a"));
        assert_eq!(made, known);
        let (made, known) = of(Hash::content("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"));
        assert_eq!(made, known);
        assert_eq!((Hash::git("x"), Hash::content("ab")), (None, None));
    }
}
