//! Embeds what `cargo xtask web` built, if it did: the page and the runtime for browsers become a part of the program.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

/// Files that lie at the root of a bundle; all others lie in `runtime/`.
const AT_ROOT: [&str; 2] = ["index.html", "sw.js"];
/// Written by every build of the page, not for visitors.
const STAMP: &str = "sizes.json";
/// What the page is built from, below the root of the workspace.
const SOURCES: [&str; 6] = [
    "runtime/web/src",
    "runtime/web/ts",
    "runtime/web/page",
    "runtime/core/src",
    "runtime/bundle/src",
    "runtime/template",
];

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let dist = root.join("runtime/web/dist");
    let sources: Vec<PathBuf> = SOURCES.iter().map(|s| root.join(s)).filter(|p| p.exists()).collect();
    println!("cargo::rerun-if-changed=build.rs");
    for path in sources.iter().chain([&dist]).filter(|p| p.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    warn_if_old(&dist, &sources);

    let mut text = String::from("static FILES: &[(&str, &[u8])] = &[\n");
    for path in files(&dist) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = if AT_ROOT.contains(&name.as_str()) { name } else { format!("runtime/{name}") };
        let path = path.canonicalize().unwrap_or(path);
        let _ = writeln!(text, "    ({place:?}, include_bytes!({:?})),", path.display().to_string());
    }
    text.push_str("];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("page.rs");
    fs::write(&out, text).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
}

/// The files that visitors load, sorted. Type declarations (a folder) stay out.
fn files(dist: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dist) else { return Vec::new() };
    let shown = |p: &PathBuf| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        p.is_file() && !name.starts_with('.') && name != STAMP
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(shown).collect();
    files.sort();
    files
}

/// A page that is older than its sources works, but surprises who just changed them.
fn warn_if_old(dist: &Path, sources: &[PathBuf]) {
    let Some(built) = modified(&dist.join(STAMP)) else { return };
    if sources.iter().filter_map(|s| newest(s)).any(|time| time > built) {
        println!(
            "cargo::warning=runtime/web/dist is older than its sources, and gristmill will carry it as it is; \
             `cargo xtask web` builds it anew"
        );
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// When the newest file at or below a path was changed.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return modified(path);
    }
    fs::read_dir(path).ok()?.flatten().filter_map(|e| newest(&e.path())).max()
}
