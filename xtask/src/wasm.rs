//! Compiles Rust to WebAssembly, and generates its JavaScript bindings.
//!
//! wasm-opt is not used. With version 132, `-Oz` makes this module 15 % smaller, but 12 % larger after gzip (186
//! instead of 166 kB), and the best selection of passes saves 1 % of the download. Of the compiler's levels, `z` gives
//! the smallest download (`s` 184 kB, `3` 214 kB).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::command::{Outcome, run};
use crate::metadata::Crate;
use crate::place::{Place, at, copy, list, write};
use crate::toolchain::{TARGET, Toolchain};

/// The build profile in the workspace's Cargo.toml.
const PROFILE: &str = "web";
/// The library names of the runtime's packages.
const NAMES: [&str; 2] = ["gristmill_web", "gristmill_template_web"];
/// The folder for the bindings of chat templates, in the folder of the runtime's bindings.
const TEMPLATE: &str = "template";

/// Compiles packages with additional compiler flags. Returns the modules as the linker wrote them.
pub(crate) fn compile<const N: usize>(
    place: &Place,
    toolchain: &Toolchain,
    crates: &[Crate],
    packages: [&str; N],
    flags: &[&str],
) -> Outcome<[PathBuf; N]> {
    let mut command = toolchain.cargo();
    command.current_dir(&place.root).args(["build", "--locked", "--lib", "--profile", PROFILE]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    toolchain.for_target(&mut command);
    command.arg("--target-dir").arg(&place.target);
    let mut all = remaps(place, toolchain, crates);
    all.extend(flags.iter().map(|flag| flag.to_string()));
    command.env("CARGO_ENCODED_RUSTFLAGS", all.join("\u{1f}"));
    // The module must not depend on previous builds.
    command.env("CARGO_INCREMENTAL", "0");
    run(&mut command, "compiling to WebAssembly")?;
    // The file name that rustc gives to a library.
    let file = |package: &str| format!("{}.wasm", package.replace('-', "_"));
    let modules = packages.map(|package| place.target.join(TARGET).join(PROFILE).join(file(package)));
    match modules.iter().find(|module| !module.is_file()) {
        None => Ok(modules),
        Some(missing) => Err(format!("{}: not written by cargo", missing.display())),
    }
}

/// Panic messages contain paths of source files. They must not depend on this machine, because the same sources must
/// give the same bytes everywhere.
fn remaps(place: &Place, toolchain: &Toolchain, crates: &[Crate]) -> Vec<String> {
    // Registries unpack into a folder that is named after the registry.
    let registries: BTreeSet<&Path> = crates.iter().filter_map(|c| c.folder.parent()).collect();
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec![remap(&place.root, "gristmill")];
    flags.extend(registries.into_iter().map(|folder| remap(folder, "crates")));
    let library = toolchain.library_sources();
    // On Debian this is a link; the compiler sees either path.
    flags.extend(library.canonicalize().ok().map(|folder| remap(&folder, "library")));
    flags.push(remap(&library, "library"));
    flags
}

/// Generates JavaScript, types, and the matching module into `runtime/web/pkg`.
///
/// The generator and the library have the same version: both are pinned in the workspace, and share a crate that cargo
/// allows only once.
pub(crate) fn bind(place: &Place, [runtime, template]: &[PathBuf; 2]) -> Outcome {
    let folder = place.bindings();
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|e| at(&folder, &e))?;
    }
    generate(runtime, &folder, Names::Dropped)?;
    let folder = folder.join(TEMPLATE);
    generate(template, &folder, Names::Dropped)?;
    let module = folder.join(format!("{}_bg.wasm", NAMES[1]));
    let bytes = fs::read(&module).map_err(|e| at(&module, &e))?;
    write(&folder.join("module.js"), format!("export default \"{}\";\n", as_text(&bytes)))?;
    write(&folder.join("module.d.ts"), "declare const module: string;\nexport default module;\n")
}

/// Encodes bytes as characters from `#` on, only one of which needs an escape. As a string in a script, the module for
/// chat templates is available synchronously, in every bundler and in Node.js. It compresses to 8 % more than the
/// module itself, compared with 31 % for base64 (see `decode` in `ts/text/template_engine.ts`).
fn as_text(bytes: &[u8]) -> String {
    let text = bytes.iter().map(|byte| char::from_u32(u32::from(*byte) + 35).unwrap_or_default());
    text.collect::<String>().replace('\\', "\\\\")
}

/// Whether to keep the names of functions: browsers should not download them, but they tell where a module's size comes
/// from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Kept,
    Dropped,
}

/// Generates the bindings of one module.
pub(crate) fn generate(module: &Path, folder: &Path, names: Names) -> Outcome {
    let mut bindgen = Bindgen::new();
    let dropped = names == Names::Dropped;
    let generated =
        bindgen.input_path(module).omit_default_module_path(false).web(true).and_then(|b| {
            b.typescript(true).remove_name_section(dropped).remove_producers_section(true).generate(folder)
        });
    generated.map_err(|e| format!("wasm-bindgen: {e:#}"))
}

/// Copies the module into the result.
pub(crate) fn place(place: &Place) -> Outcome {
    let modules: Vec<PathBuf> =
        list(&place.bindings())?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "wasm")).collect();
    let [module] = modules.as_slice() else {
        return Err(format!("{}: expected one .wasm file, found {}", place.bindings().display(), modules.len()));
    };
    copy(module, &place.stage.join(format!("{}_bg.wasm", NAMES[0])))
}
