//! Names of models on the Hub.

use std::fmt;

/// The default revision.
pub(super) const MAIN: &str = "main";

/// `org/name`, `org/name@revision`, or `org/name/file.gguf@revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// `org/name`.
    pub(super) name: &'a str,
    /// A GGUF file in the repository, if one is named.
    pub(super) file: Option<&'a str>,
    /// The text after the `@`.
    pub(super) revision: Option<&'a str>,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<'a> Name<'a> {
    /// Parses a name; `None` if the text is not one.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
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
        let (org, rest) = path.split_once('/')?;
        let (model, file) = match rest.split_once('/') {
            Some((model, file)) => (model, Some(file)),
            None => (rest, None),
        };
        let is_file = |file: &str| file.ends_with(".gguf") && gristmill_bundle::is_clean_path(file);
        let is_name = plain(org) && plain(model) && file.is_none_or(is_file) && revision.is_none_or(is_revision);
        is_name.then(|| Name { name: &path[..org.len() + 1 + model.len()], file, revision })
    }

    /// The folder of the model in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.name.replace('/', "--"))
    }
}

/// Whether a text is a valid commit, tag, or branch (which may contain slashes).
pub(super) fn is_revision(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    text.len() <= 200 && text.split('/').all(plain)
}

/// Whether a text is a commit, or a prefix of one.
pub(super) fn is_commit(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_hub() {
        let parsed = |text| Name::parse(text).map(|n| (n.name, n.file, n.revision));
        assert_eq!(parsed("org/name"), Some(("org/name", None, None)));
        assert_eq!(parsed("org/na.me-1@v1/x"), Some(("org/na.me-1", None, Some("v1/x"))));
        assert_eq!(parsed("org/name/q/a.gguf@v1"), Some(("org/name", Some("q/a.gguf"), Some("v1"))));
        for wrong in [
            "name",
            "a/b/c",
            "../name",
            "org/..",
            "/name",
            "org/",
            "org/name@",
            "org/name@../x",
            "o--g/name",
            "./x",
            "org/name/../x.gguf",
            "org/name//x.gguf",
            "org/name/x.safetensors",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn commits_are_told_from_branches() {
        assert!(is_commit("0123456") && is_commit(&"a".repeat(40)));
        assert!(!is_commit("main") && !is_commit("012345") && !is_commit(&"a".repeat(41)));
    }
}
