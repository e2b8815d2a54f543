//! Checks that builds are reproducible: the same sources give the same module, wherever they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, output, say};
use crate::metadata::{self, PACKAGES};
use crate::place::{Place, at, copy};
use crate::toolchain::Toolchain;
use crate::wasm;

/// Compiles a copy of the sources in a folder whose path has a different length, and compares the result with `first`.
pub(crate) fn check(place: &Place, toolchain: &Toolchain, first: &[PathBuf; 2]) -> Outcome {
    let root = place.target.join("copy of the sources");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(|e| at(&root, &e))?;
    }
    say(&format!("compiling again in {}", root.display()));
    let listed = output(
        Command::new("git").current_dir(&place.root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]),
        "git ls-files",
    )?;
    let files = listed.split('\0').filter(|f| !f.is_empty()).map(PathBuf::from);
    for file in files.filter(|f| place.root.join(f).is_file()) {
        copy(&place.root.join(&file), &root.join(&file))?;
    }
    let copied = Place::below(&root);
    let second = wasm::compile(&copied, toolchain, &metadata::crates(&copied, toolchain, &PACKAGES)?, PACKAGES, &[])?;
    let read = |path: &Path| fs::read(path).map_err(|e| at(path, &e));
    for (first, second) in first.iter().zip(&second) {
        let (one, other) = (read(first)?, read(second)?);
        if one != other {
            let place = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
            return Err(format!(
                "{} and {} differ from byte {place} on: something in them depends on the path of the sources",
                first.display(),
                second.display()
            ));
        }
        say(&format!("both modules are identical ({} bytes)", one.len()));
    }
    fs::remove_dir_all(&root).map_err(|e| at(&root, &e))
}
