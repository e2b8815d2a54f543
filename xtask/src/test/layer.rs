//! The content of the layers.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::needs::Need;
use super::step::Step;
use crate::demo::PROGRAM;

/// A layer of tests, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Layer {
    /// Format, lints, and the tests of the IR, the compiler, the backends and the bundle
    Fast,
    /// Whole models on all devices of this machine, and the command line
    Goldens,
    /// The runtime for browsers and the compiler as WebAssembly, in Node.js
    Web,
    /// Bundles in real browsers
    Browsers,
    /// What takes hours: every profile, fuzzing, slow browsers, the same bytes twice, peers
    Nightly,
}

/// Test programs of crates that need no adapter.
const UNITS: &[&str] = &[
    "bad_architectures",
    "hostile",
    "interp",
    "kernels",
    "legalize",
    "print",
    "quant",
    "round_trip",
    "simplify",
    "tasks",
    "weight_memory",
];
/// Test programs that run on the devices of this machine.
const DEVICES: &[&str] = &["cli", "gpu", "wasm"];
/// Modules of the suite by layer.
const FAST: &[&str] = &[
    "ctc",
    "doc_commands",
    "goldens_reference",
    "images",
    "imports",
    "links",
    "release",
    "tidy",
    "tidy_matches",
    "wasm_kernels",
];
const GOLDENS: &[&str] = &[
    "audio",
    "bundles",
    "compared",
    "convolution",
    "entries",
    "fuzz",
    "goldens_backends",
    "hybrid",
    "image_prompts",
    "plan",
    "precision",
    "quantized",
    "sampling",
    "several_kernels",
    "shaders",
    "sizes",
    "split",
    "states",
    "wasm_models",
];
const WEB: &[&str] = &["dawn", "javascript", "web_compiler", "web_text"];

impl Layer {
    /// The requested layers, in order; all but nightly if none was requested.
    pub(crate) fn chosen(asked: &[Layer]) -> Vec<Layer> {
        let wanted = |layer: &Layer| if asked.is_empty() { *layer != Layer::Nightly } else { asked.contains(layer) };
        Layer::value_variants().iter().copied().filter(wanted).collect()
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Layer::Fast => "fast",
            Layer::Goldens => "goldens",
            Layer::Web => "web",
            Layer::Browsers => "browsers",
            Layer::Nightly => "nightly",
        }
    }

    /// A one-line description.
    fn what(self) -> &'static str {
        match self {
            Layer::Fast => "format, lints, IR, compiler, backends, bundle",
            Layer::Goldens => "whole models on all devices of this machine, and the command line",
            Layer::Web => "the runtime for browsers and the compiler as WebAssembly, in Node.js",
            Layer::Browsers => "bundles in six kinds of browsers, the package in Node.js, Bun, Deno and bundlers",
            Layer::Nightly => {
                "every profile with every model, fuzzing, all cases on SwiftShader, the same bytes twice, peers"
            }
        }
    }

    /// The time in minutes on two cores, with dependencies compiled.
    fn minutes(self) -> u32 {
        match self {
            Layer::Fast => 5,
            Layer::Goldens => 12,
            Layer::Web => 5,
            Layer::Browsers => 14,
            Layer::Nightly => 120,
        }
    }

    /// What must be installed on the machine.
    pub(super) fn needs(self) -> &'static [Need] {
        match self {
            Layer::Fast => &[Need::Rust, Need::Format, Need::Clippy],
            Layer::Goldens => &[Need::Rust, Need::Web, Need::Adapter],
            Layer::Web => &[Need::Rust, Need::Web, Need::Dawn],
            Layer::Browsers => &[Need::Rust, Need::Web, Need::Adapter, Need::Browsers],
            Layer::Nightly => &[Need::Rust, Need::Web, Need::Adapter, Need::Browsers, Need::Cpp, Need::Python],
        }
    }

    /// The steps, in order.
    pub(super) fn steps(self) -> Vec<Step> {
        match self {
            Layer::Fast => vec![
                Step::cargo("format", &["fmt", "--check"]),
                Step::cargo("lints", &lints(&["--workspace", "--all-targets"])),
                // As built by `cargo demo`.
                Step::cargo("lints without the feature run", &lints(&PROGRAM)),
                Step::programs("tests of crates", &["--lib"], UNITS),
                Step::suite("tests across crates", FAST),
            ],
            Layer::Goldens => vec![
                Step::Runtime { twice: false },
                Step::programs("devices and command line", &[], DEVICES),
                Step::suite("whole models", GOLDENS),
                Step::cargo("examples in documentation", &["test", "--locked", "--doc"]),
            ],
            Layer::Web => vec![
                Step::Runtime { twice: false },
                Step::Compiler,
                Step::Packages("tests/dawn"),
                Step::Packages("tests/browser"),
                Step::Packages("tests/packages"),
                Step::suite("JavaScript", WEB),
                Step::node("the package declared", &["tests/packages/run.mjs", "declared"]),
                Step::cargo("the task runner", &["test", "--locked", "--profile", "task", "--package", "xtask"]),
            ],
            Layer::Browsers => vec![
                Step::Runtime { twice: false },
                Step::Packages("tests/browser"),
                Step::Lavapipe,
                Step::programs("browsers", &[], &["browsers"]),
                Step::Packages("tests/packages"),
                Step::node("the package in use", &["tests/packages/run.mjs", "servers", "bundlers"]),
            ],
            Layer::Nightly => vec![
                Step::Runtime { twice: true },
                Step::cargo("bundles", &["test", "--locked", "--test", "browsers", "--", "--exact", "chromium"]),
                Step::node("memory over 200 loads", &["tests/browser/run.mjs", "--only", "memory/", "--all"]),
                Step::node("all cases on SwiftShader", &["tests/browser/run.mjs", "--browser", "chromium", "--all"]),
                Step::cargo("every profile", &["run", "--locked", "--release", "--example", "profiles"]),
                Step::Fuzz,
                Step::node("fuzzing the page", &["tests/fuzz/page.mjs", "--seconds", "300"]),
                Step::cargo("gristmill", &["build", "--locked", "--release", "--bin", "gristmill"]),
                Step::node("peers and a real model", &["tests/peers/setup.mjs"]),
                Step::node("peers measured", &["tests/peers/run.mjs", "--only", "^(S|E)/", "--passes", "1"]),
            ],
        }
    }

    /// The needs of these layers, without duplicates.
    pub(super) fn needs_of(layers: &[Layer]) -> Vec<Need> {
        let all: Vec<Need> = layers.iter().flat_map(|layer| layer.needs()).copied().collect();
        let first = |(at, need): &(usize, &Need)| !all[..*at].contains(need);
        all.iter().enumerate().filter(first).map(|(_, need)| *need).collect()
    }

    /// The announcement before these layers start: how long they take, what they need, and which layer is shorter.
    pub(super) fn announced(layers: &[Layer]) -> String {
        let minutes: u32 = layers.iter().map(|layer| layer.minutes()).sum();
        let names: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
        let needs = Self::needs_of(layers);
        let needs: Vec<&str> = needs.iter().map(|need| need.name()).collect();
        let less = match layers {
            [Layer::Fast] => String::new(),
            _ => format!("; `cargo xtask test fast` takes {} and needs Rust alone", Layer::Fast.minutes()),
        };
        format!(
            "{}: about {minutes} minutes on two cores, 10 more where dependencies are not compiled yet; needs {}{less}",
            names.join(", "),
            needs.join(", ")
        )
    }

    /// A description of all layers: content, needs, time and steps.
    pub(super) fn list() -> String {
        let mut out = String::new();
        for layer in Layer::value_variants() {
            let needs: Vec<&str> = layer.needs().iter().map(|need| need.name()).collect();
            let _ = writeln!(out, "{}: {}", layer.name(), layer.what());
            let _ = writeln!(out, "  about {} minutes on two cores; needs {}", layer.minutes(), needs.join(", "));
            for step in layer.steps() {
                let _ = writeln!(out, "    {:<26} {}", step.what(), step.shown());
            }
        }
        out
    }
}

/// The clippy command for these cargo arguments.
fn lints(of: &[&'static str]) -> Vec<&'static str> {
    [&["clippy", "--locked"], of, &["--", "-D", "warnings"]].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::place::{list, read};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// The names of test files and folders, without `.rs`.
    fn names(folder: &Path) -> BTreeSet<String> {
        let stem = |p: PathBuf| p.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_rust = |p: &PathBuf| p.extension().is_some_and(|e| e == "rs") || p.join("main.rs").is_file();
        list(folder).expect("a folder").into_iter().filter(is_rust).map(stem).collect()
    }

    /// The names in these lists, none of which may occur twice.
    fn once(lists: &[&[&str]]) -> BTreeSet<String> {
        let all: BTreeSet<String> = lists.concat().iter().map(ToString::to_string).collect();
        assert_eq!(all.len(), lists.concat().len(), "no test is in two layers: {lists:?}");
        all
    }

    #[test]
    fn every_program_of_tests_is_in_a_layer() {
        let manifest = read(&root().join("Cargo.toml")).expect("a file");
        let members = manifest.split("default-members = [").nth(1).expect("a list").split(']').next().expect("its end");
        let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
        assert!(members.contains(&"ir/graph") && members.contains(&"compiler/cli"), "{members:?}");
        let folders = members.iter().map(|member| root().join(member).join("tests")).filter(|folder| folder.is_dir());
        let mut found = BTreeSet::new();
        for name in folders.flat_map(|folder| names(&folder)) {
            assert!(found.insert(name.clone()), "two programs of tests have the name {name}");
        }
        assert_eq!(once(&[UNITS, DEVICES, &["browsers", "suite"]]), found);
    }

    #[test]
    fn every_module_of_the_suite_is_in_a_layer() {
        let mut found = names(&root().join("tests/tests/suite"));
        assert!(found.remove("main"));
        assert_eq!(once(&[FAST, GOLDENS, WEB]), found);
    }

    #[test]
    fn without_a_name_all_but_the_nightly_layer_run_in_order() {
        let usual = [Layer::Fast, Layer::Goldens, Layer::Web, Layer::Browsers];
        assert_eq!(Layer::chosen(&[]), usual);
        assert_eq!(Layer::chosen(&[Layer::Nightly, Layer::Fast]), [Layer::Fast, Layer::Nightly]);
        let said = Layer::announced(&usual);
        assert!(
            said.starts_with("fast, goldens, web, browsers: about 3")
                && said.contains("test fast` takes 5 and needs Rust alone"),
            "{said}"
        );
        assert!(!Layer::announced(&[Layer::Fast]).contains("test fast"));
    }
}
