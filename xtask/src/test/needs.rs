//! Checks what layers need on the machine, before anything is built.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::toolchain::{Choice, Toolchain};
use crate::tools;

/// Something that must be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A Rust version that compiles the workspace.
    Rust,
    /// `cargo fmt`.
    Format,
    /// `cargo clippy`.
    Clippy,
    /// The tools of `cargo xtask web`.
    Web,
    /// A driver for Vulkan, Metal or DirectX 12.
    Adapter,
    /// A driver that works with Chromium's shader compiler.
    Dawn,
    /// Chromium, Firefox and WebKitGTK.
    Browsers,
    /// A C++ compiler, for libFuzzer.
    Cpp,
    /// Python with pip, for the peers.
    Python,
}

/// Usual paths of programs and drivers.
const CHROMIUM: &[&str] = &["/usr/bin/chromium", "/usr/bin/google-chrome", "/usr/bin/chromium-browser"];
const FIREFOX: &[&str] = &["/usr/bin/firefox-esr", "/usr/bin/firefox"];
const WEBKIT: &[&str] = &["/usr/bin/WebKitWebDriver"];
const SCREEN: &[&str] = &["/usr/bin/Xvfb"];
const SWIFTSHADER: &[&str] = &["/usr/lib/chromium/vk_swiftshader_icd.json"];
const DRIVERS: &[&str] = &["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

impl Need {
    /// The name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Need::Rust => "Rust",
            Need::Format => "rustfmt",
            Need::Clippy => "clippy",
            Need::Web => "Node.js and Rust for WebAssembly",
            Need::Adapter => "a WebGPU adapter (a software driver will do)",
            Need::Dawn => "a driver for Dawn",
            Need::Browsers => "Chromium, Firefox and WebKitGTK",
            Need::Cpp => "a C++ compiler",
            Need::Python => "Python with pip",
        }
    }

    /// What is missing, and how to install it.
    fn missing(self, path: &OsStr) -> Vec<String> {
        match self {
            Need::Rust => tools::rust(path),
            Need::Format => component("fmt", "rustfmt"),
            Need::Clippy => component("clippy", "clippy"),
            Need::Web => tools::web(path, Toolchain::find(Choice::Auto).map(|toolchain| toolchain.name)),
            // Other systems come with one.
            Need::Adapter if !cfg!(target_os = "linux") => Vec::new(),
            Need::Adapter => driver(named("VK_DRIVER_FILES"), DRIVERS),
            Need::Dawn => {
                file("VK_DRIVER_FILES", SWIFTSHADER, "a Vulkan driver for Dawn: Debian's package chromium-common")
            }
            Need::Browsers => [
                file("CHROMIUM", CHROMIUM, "Chromium: Debian's package chromium"),
                file("FIREFOX", FIREFOX, "Firefox: Debian's package firefox-esr"),
                file("WEBKIT_DRIVER", WEBKIT, "WebKitGTK: Debian's packages webkit2gtk-driver and gir1.2-webkit2-4.1"),
                file("", SCREEN, "a screen for WebKitGTK: Debian's package xvfb"),
            ]
            .concat(),
            Need::Cpp => program(path, "c++", "a C++ compiler: Debian's package g++"),
            Need::Python => program(path, "python3", "Python: Debian's packages python3 and python3-pip"),
        }
    }
}

/// Everything that is missing, with programs looked up on this search path.
pub(super) fn missing(needs: &[Need], path: &OsStr) -> Vec<String> {
    needs.iter().flat_map(|need| need.missing(path)).collect()
}

/// Checks a Rust component that is a cargo subcommand.
fn component(command: &str, name: &str) -> Vec<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let found = cargo.args([command, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let missing = !found.is_ok_and(|status| status.success());
    missing.then(|| format!("{name}: run `rustup component add {name}`")).into_iter().collect()
}

fn program(path: &OsStr, name: &str, what: &str) -> Vec<String> {
    tools::find(path, name).is_none().then(|| what.to_string()).into_iter().collect()
}

/// The value of a variable, if it is set.
fn named(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Checks for a file: the one that a variable names, or one of the usual paths.
fn file(variable: &str, usual: &[&str], what: &str) -> Vec<String> {
    let own = named(variable);
    let found = own.iter().map(String::as_str).chain(usual.iter().copied()).any(|place| Path::new(place).exists());
    let or = if variable.is_empty() { String::new() } else { format!(", or set {variable}") };
    (!found).then(|| format!("{what}{or}")).into_iter().collect()
}

/// Checks for a Vulkan driver in one of these folders, or the named one.
fn driver(named: Option<String>, folders: &[&str]) -> Vec<String> {
    let is_there = |folder: &&str| Path::new(folder).read_dir().is_ok_and(|mut files| files.next().is_some());
    let found = named.is_some() || folders.iter().any(is_there);
    (!found)
        .then(|| "a Vulkan driver: Debian's packages mesa-vulkan-drivers and libvulkan1".to_string())
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_to_install() {
        let nowhere = tempfile::TempDir::new().expect("a folder");
        let path = nowhere.path().as_os_str();
        let said = missing(&[Need::Rust, Need::Format], path);
        assert!(said.len() == 1 && said[0].contains("rustup.rs"), "the rest comes with cargo: {said:?}");
        let said = missing(&[Need::Web, Need::Cpp, Need::Python], path).join("\n");
        for part in ["Node.js 20 or newer", "npm, which", "package g++", "python3-pip"] {
            assert_eq!(said.matches(part).count(), 1, "{part} in {said}");
        }
    }

    #[test]
    fn files_may_be_elsewhere() {
        let here = env!("CARGO_MANIFEST_DIR");
        assert_eq!(file("", &["/nowhere/at/all", here], "it"), [""; 0]);
        assert_eq!(file("GRISTMILL_NO_SUCH_VARIABLE", &["/nowhere"], "it"), ["it, or set GRISTMILL_NO_SUCH_VARIABLE"]);
        assert_eq!(driver(None, &["/nowhere", here]), [""; 0]);
        assert_eq!(driver(Some("x.json".into()), &[]), [""; 0]);
        assert!(driver(None, &["/nowhere"])[0].contains("mesa-vulkan-drivers"));
    }
}
