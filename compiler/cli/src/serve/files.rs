//! Maps URL paths to files of the bundle, and to no others.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gristmill_bundle::is_clean_path;
use tokio::fs::File;

/// The files below a directory.
pub(super) struct Files {
    root: PathBuf,
}

/// An open file.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) length: u64,
    /// The value of the `Content-Type` header.
    pub(super) kind: &'static str,
    /// Whether its name is a hash of its content, so that it never changes.
    pub(super) immutable: bool,
    /// An ETag that changes with the content.
    pub(super) tag: String,
    pub(super) modified: Option<SystemTime>,
}

impl Files {
    pub(super) fn below(root: &Path) -> io::Result<Self> {
        Ok(Files { root: root.canonicalize()? })
    }

    /// Opens the file for a URL path; `None` if it is not a file of the bundle.
    pub(super) async fn find(&self, url_path: &str) -> Option<Found> {
        let name = file_name(url_path)?;
        // Links may lead out of the directory, whatever the path looks like.
        let path = tokio::fs::canonicalize(self.root.join(&name)).await.ok()?;
        if !path.starts_with(&self.root) {
            return None;
        }
        // Opening a pipe would wait for a writer.
        tokio::fs::metadata(&path).await.ok().filter(Metadata::is_file)?;
        let file = File::open(&path).await.ok()?;
        let about = file.metadata().await.ok().filter(Metadata::is_file)?;
        Some(Found {
            length: about.len(),
            kind: kind(&name),
            immutable: is_shard(&name),
            tag: tag(&about),
            modified: about.modified().ok(),
            file,
        })
    }
}

/// The path in the bundle: decoded, and without `..` or other ways out.
fn file_name(url_path: &str) -> Option<String> {
    let mut name = decode(url_path.strip_prefix('/')?)?;
    if name.is_empty() || name.ends_with('/') {
        name.push_str("index.html");
    }
    // Hidden files are left over from tools, and not part of a bundle.
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    (is_clean_path(&name) && !hidden).then_some(name)
}

/// Decodes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// `weights/<sha256>.bin`.
fn is_shard(name: &str) -> bool {
    let hash = name.strip_prefix("weights/").and_then(|n| n.strip_suffix(".bin"));
    hash.is_some_and(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The content type. Browsers reject scripts and modules with any other; WGSL has none of its own.
fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "wgsl" | "txt" | "md" | "jinja" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/vnd.microsoft.icon",
        _ => "application/octet-stream",
    }
}

fn tag(about: &Metadata) -> String {
    let time = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
    format!("\"{:x}-{time:x}\"", about.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_bundle() {
        let name = |path: &str| file_name(path);
        assert_eq!(name("/").as_deref(), Some("index.html"));
        assert_eq!(name("/a/").as_deref(), Some("a/index.html"));
        assert_eq!(name("/shaders/a%20b.wgsl").as_deref(), Some("shaders/a b.wgsl"));
        for out in [
            "",
            "a",
            "//a",
            "/a//b",
            "/../a",
            "/a/../b",
            "/%2e%2e/a",
            "/a%2f..%2fb",
            "/..%5ca",
            "/a%00",
            "/%",
            "/%zz",
            "/%ff",
            "/.git/config",
            "/a/.b",
            "/c:/a",
            "/./a",
            "*",
        ] {
            assert_eq!(name(out), None, "{out}");
        }
    }

    #[test]
    fn the_files_of_the_page_have_their_types() {
        assert_eq!(kind("runtime/manifest.webmanifest"), "application/manifest+json");
        assert_eq!(kind("runtime/icon.svg"), "image/svg+xml");
        assert_eq!(kind("runtime/icon-192.png"), "image/png");
        assert_eq!(kind("manifest.json"), "application/json");
    }

    #[test]
    fn names_of_shards_say_their_content() {
        assert!(is_shard(&format!("weights/{}.bin", "0a".repeat(32))));
        for other in ["weights/x.bin", "manifest.json", "weights/index.bin"] {
            assert!(!is_shard(other), "{other}");
        }
        assert!(!is_shard(&format!("other/{}.bin", "0a".repeat(32))));
    }
}
