//! Embeds the page and the browser runtime into the program, if `cargo xtask web` has built them. Packages from a
//! registry always contain them.

#[path = "build/runtime.rs"]
mod runtime;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use runtime::{DIST, STAMP, State};

/// Files at the root of a bundle; all others are in `runtime/`.
const AT_ROOT: [&str; 2] = ["index.html", "sw.js"];

fn main() {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = package.join("../..");
    let is_repository = root.join("runtime/web/Cargo.toml").is_file();
    let dist = if is_repository { root.join(DIST) } else { package.join("dist") };
    assert!(
        is_repository || dist.join("gristmill.js").is_file(),
        "this package of gristmill was made without the runtime for browsers; `cargo xtask package` makes it with"
    );
    for path in ["build.rs", "build/runtime.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for path in runtime::sources(&root).iter().chain([&dist]).filter(|p| p.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    if is_repository && runtime::state(&root) == State::Old {
        // The program works, but whoever has just changed the runtime would be surprised.
        println!(
            "cargo::warning=runtime/web/dist is older than its sources, and gristmill will carry it as it is; \
             `cargo xtask web` builds it anew"
        );
    }

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

/// The files that browsers load, sorted. Type declarations (a folder) are left out.
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
