//! `cargo xtask compiler`: builds the compiler as WebAssembly, which no page loads yet.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use crate::command::{Outcome, say};
use crate::metadata;
use crate::parts;
use crate::place::{Place, at, write};
use crate::sizes::Size;
use crate::toolchain::{Choice, Toolchain};
use crate::wasm::{self, Names};

const PACKAGE: &str = "gristmill-compiler-web";
/// The file name of the module that the bindings expect.
const MODULE: &str = "gristmill_compiler_web_bg.wasm";

/// Symbol names with type parameters, so that a sort of nodes is not attributed to the standard library.
const NAMES: &str = "-Csymbol-mangling-version=v0";

/// Builds the module with its bindings into `compiler/web/pkg`, and prints its size by crate.
pub(crate) fn build(place: &Place, choice: Choice) -> Outcome {
    let begin = Instant::now();
    let toolchain = Toolchain::find(choice)?;
    say(&format!("compiling to WebAssembly with {}", toolchain.name));
    let crates = metadata::crates(place, &toolchain, &[PACKAGE])?;
    let [compiled] = wasm::compile(place, &toolchain, &crates, [PACKAGE], &[NAMES])?;
    say("generating its JavaScript");
    let result = place.root.join("compiler/web/pkg");
    let named = place.target.join("compiler-with-names");
    for (folder, names) in [(&named, Names::Kept), (&result, Names::Dropped)] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|e| at(folder, &e))?;
        }
        wasm::generate(&compiled, folder, names)?;
    }
    // Node.js needs the nearest package.json to know that scripts are modules.
    write(&result.join("package.json"), "{\"type\": \"module\"}\n")?;
    let read = |path: PathBuf| fs::read(&path).map_err(|e| at(&path, &e));
    let size = Size::of(&read(result.join(MODULE))?)?;
    print!("{}", parts::report(&parts::parts(&read(named.join(MODULE))?)?, size)?);
    say(&format!("compiler/web/pkg is ready after {:.1} s", begin.elapsed().as_secs_f64()));
    Ok(())
}
