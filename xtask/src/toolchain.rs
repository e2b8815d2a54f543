//! Selects the toolchain for WebAssembly: the active one if it has the target, else Debian's packages, which provide
//! the sources of the standard library instead of a compiled target.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::command::{Outcome, output};
use crate::place::Place;

/// The target triple.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Where Debian's packages are installed, whatever PATH says.
const DEBIAN: &str = "/usr/bin";

/// The requested toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// The active one if it has the target, else Debian's.
    Auto,
    /// The active one, with the target installed by rustup.
    Rustup,
    /// Debian's.
    Debian,
}

/// A toolchain that can compile to the target.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// Name and version, for messages.
    pub(crate) name: String,
    cargo: PathBuf,
    rustc: PathBuf,
    /// The folder of the compiler and its standard library.
    pub(crate) sysroot: PathBuf,
    /// The linker, if the compiler has to be told; the standard library is then compiled as well.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// The requested toolchain, or what to install.
    pub(crate) fn find(choice: Choice) -> Outcome<Self> {
        const PACKAGES: &str = "apt install rustc-web cargo-web rust-web-src lld-19";
        let remedies = format!("run `rustup target add {TARGET}`; on Debian, `{PACKAGES}` (as root) works too");
        match choice {
            Choice::Rustup => Self::active().map_err(|why| format!("{why}: run `rustup target add {TARGET}`")),
            Choice::Debian => Self::debian().map_err(|why| format!("{why}: run `{PACKAGES}` as root")),
            Choice::Auto => Self::active().or_else(|no_active| {
                Self::debian().map_err(|no_debian| {
                    format!("no Rust compiler for {TARGET}: {no_active}, and {no_debian}; {remedies}")
                })
            }),
        }
    }

    /// The toolchain that runs this program.
    fn active() -> Outcome<Self> {
        let program = |variable: &str, default: &str| std::env::var_os(variable).map_or(default.into(), PathBuf::from);
        let mut found = Toolchain {
            name: String::new(),
            cargo: program("CARGO", "cargo"),
            rustc: program("RUSTC", "rustc"),
            sysroot: PathBuf::new(),
            linker: None,
        };
        found.describe("the active toolchain")?;
        if found.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            Ok(found)
        } else {
            Err(format!("the active toolchain ({}) lacks {TARGET}", found.sysroot.display()))
        }
    }

    /// Debian's packages rustc-web, cargo-web, rust-web-src and lld.
    fn debian() -> Outcome<Self> {
        let (cargo, rustc) = (Path::new(DEBIAN).join("cargo"), Path::new(DEBIAN).join("rustc"));
        for program in [&cargo, &rustc] {
            if !program.is_file() {
                return Err(format!("Debian's compiler is missing ({})", program.display()));
            }
        }
        let linker = wasm_linker().ok_or_else(|| format!("the linker is missing ({DEBIAN}/wasm-ld-*)"))?;
        let mut found = Toolchain { name: String::new(), cargo, rustc, sysroot: PathBuf::new(), linker: Some(linker) };
        found.describe("Debian's toolchain")?;
        if found.library_sources().join("std/Cargo.toml").is_file() {
            Ok(found)
        } else {
            Err(format!("the sources of the standard library are missing ({})", found.library_sources().display()))
        }
    }

    fn describe(&mut self, who: &str) -> Outcome {
        let version = output(self.compiler().arg("--version"), "rustc --version")?;
        self.name = format!("{who}, {}", version.trim());
        self.sysroot = output(self.compiler().args(["--print", "sysroot"]), "rustc --print sysroot")?.trim().into();
        Ok(())
    }

    /// The folder of the standard library's sources, if they are installed.
    pub(crate) fn library_sources(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust/library")
    }

    fn compiler(&self) -> Command {
        let mut command = Command::new(&self.rustc);
        self.clean(&mut command);
        command
    }

    /// This toolchain's cargo, without the environment set by the cargo that runs this program.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        self.clean(&mut command);
        command
    }

    /// Adds the arguments and variables for a build.
    pub(crate) fn for_target(&self, command: &mut Command) {
        command.args(["--target", TARGET]);
        if let Some(linker) = &self.linker {
            // Debian does not compile the target. Its packages are meant for this use of unstable features.
            command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }

    fn clean(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(leaks) {
                command.env_remove(&name);
            }
        }
        if self.linker.is_some() {
            // Variables that select rustup's toolchains, and the libraries of the other compiler.
            for name in ["RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "LD_LIBRARY_PATH"] {
                command.env_remove(name);
            }
            command.env("RUSTC", &self.rustc);
        }
    }
}

/// Cargo of the active toolchain, for builds that share their results with builds by the user.
pub(crate) fn cargo(place: &Place) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&place.root);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_our_package)) {
        command.env_remove(name);
    }
    command
}

/// Whether a variable describes the package that cargo runs. Build scripts of dependencies read such variables, and
/// would run again.
fn is_of_our_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
        || ["CARGO_CRATE_NAME", "CARGO_BIN_NAME"].contains(&name)
}

/// Whether a variable describes the build that runs this program, and would affect ours.
fn leaks(name: &str) -> bool {
    const CHOICES: [&str; 7] =
        ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTC_BOOTSTRAP", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    let of_a_build = ["CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PROFILE_"];
    is_of_our_package(name)
        || CHOICES.contains(&name)
        || of_a_build.iter().any(|prefix| name.starts_with(prefix))
        || name == "CARGO_ENCODED_RUSTFLAGS"
}

/// The newest of Debian's WebAssembly linkers: `wasm-ld-19`, `wasm-ld`.
fn wasm_linker() -> Option<PathBuf> {
    let names = std::fs::read_dir(DEBIAN).ok()?.flatten().filter_map(|e| e.file_name().into_string().ok());
    newest_linker(names).map(|name| Path::new(DEBIAN).join(name))
}

fn newest_linker(names: impl Iterator<Item = String>) -> Option<String> {
    let version = |name: &str| {
        name.strip_prefix("wasm-ld").and_then(|rest| match rest {
            "" => Some(0),
            _ => rest.strip_prefix('-')?.parse::<u32>().ok(),
        })
    };
    names.filter(|n| version(n).is_some()).max_by_key(|n| version(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_does_not_leak() {
        for name in ["CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_PKG_NAME"] {
            assert!(leaks(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_TERM_COLOR", "CARGO_HTTP_PROXY", "PATH", "RUSTUP_HOME"] {
            assert!(!leaks(name), "{name}");
        }
    }

    #[test]
    fn the_newest_linker_is_taken() {
        let newest = |names: &[&str]| newest_linker(names.iter().map(|n| n.to_string()));
        assert_eq!(newest(&["ld", "wasm-ld-9", "wasm-ld-19", "wasm-ld"]).as_deref(), Some("wasm-ld-19"));
        assert_eq!(newest(&["wasm-ld"]).as_deref(), Some("wasm-ld"));
        assert_eq!(newest(&["wasm-ld-x", "ld"]), None);
    }
}
