//! From Rust to WebAssembly, and the JavaScript that belongs to it.
//!
//! wasm-opt has no part in it. Measured with version 132 on this runtime: `-Oz` makes the module 15 % smaller, but what
//! gzip makes of it 12 % larger (166 to 186 kB), and the best choice of passes saves 1 % of the download. Of the compiler's
//! levels `z` gives the smallest download (`s` 184 kB, `3` 214 kB).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::command::{Outcome, run};
use crate::metadata::{Crate, PACKAGE};
use crate::place::{Place, at, copy, list};
use crate::toolchain::{TARGET, Toolchain};

/// Profile in the workspace's Cargo.toml.
const PROFILE: &str = "web";
/// The library of the package, as rustc calls it.
const NAME: &str = "gristmill_web";

/// Compiles the package and gives the module as the linker left it.
pub(crate) fn compile(place: &Place, toolchain: &Toolchain, crates: &[Crate]) -> Outcome<PathBuf> {
    let mut command = toolchain.cargo();
    command.current_dir(&place.root).args(["build", "--locked", "--lib", "--package", PACKAGE, "--profile", PROFILE]);
    toolchain.for_target(&mut command);
    command.arg("--target-dir").arg(&place.target);
    command.env("CARGO_ENCODED_RUSTFLAGS", remaps(place, toolchain, crates).join("\u{1f}"));
    // A changed file gives the same module whether or not there was a build before.
    command.env("CARGO_INCREMENTAL", "0");
    run(&mut command, "compiling to WebAssembly")?;
    let module = place.target.join(TARGET).join(PROFILE).join(format!("{NAME}.wasm"));
    if module.is_file() { Ok(module) } else { Err(format!("{}: cargo did not write it", module.display())) }
}

/// Panic messages name source files. They must not tell where this machine keeps them, because the same sources are to
/// give the same bytes everywhere.
fn remaps(place: &Place, toolchain: &Toolchain, crates: &[Crate]) -> Vec<String> {
    // The folder that registries unpack into is named after the registry.
    let registries: BTreeSet<&Path> = crates.iter().filter_map(|c| c.folder.parent()).collect();
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![remap(&place.root, "gristmill")];
    flags.extend(registries.into_iter().map(|folder| remap(folder, "crates")));
    let library = toolchain.library_sources();
    // Debian has a link there; the compiler sees either path.
    flags.extend(library.canonicalize().ok().map(|folder| remap(&folder, "library")));
    flags.push(remap(&library, "library"));
    flags
}

/// Generates JavaScript, its types, and the module that goes with them, into `runtime/web/pkg`.
///
/// The generator and the library are of one version: both are pinned in the workspace, and share a crate that cargo
/// allows only once.
pub(crate) fn bind(place: &Place, module: &Path) -> Outcome {
    let folder = place.bindings();
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| at(&folder, &e))?;
    }
    let mut bindgen = Bindgen::new();
    let generated =
        bindgen.input_path(module).omit_default_module_path(false).web(true).and_then(|b| {
            b.typescript(true).remove_name_section(true).remove_producers_section(true).generate(&folder)
        });
    generated.map_err(|e| format!("wasm-bindgen: {e:#}"))
}

/// Puts the module into the result.
pub(crate) fn place(place: &Place) -> Outcome {
    let modules: Vec<PathBuf> =
        list(&place.bindings())?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "wasm")).collect();
    let [module] = modules.as_slice() else {
        return Err(format!("{}: expected one .wasm file, found {}", place.bindings().display(), modules.len()));
    };
    copy(module, &place.stage.join(format!("{NAME}_bg.wasm")))
}
