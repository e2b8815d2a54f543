//! The steps of layers.

use std::process::Command;

use crate::command::{Outcome, say};
use crate::place::Place;
use crate::toolchain::{Choice, cargo};
use crate::{compiler, fuzz, js, web};

/// A step of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Build the browser runtime; `twice` compares the bytes of two builds.
    Runtime { twice: bool },
    /// Build the compiler as WebAssembly.
    Compiler,
    /// Install the packages in the package-lock.json of a folder.
    Packages(&'static str),
    /// Build the Chromium that runs on lavapipe, where possible.
    Lavapipe,
    /// Search for inputs that make readers fail.
    Fuzz,
    /// Run a program in the repository.
    Run { what: &'static str, program: Program, arguments: Vec<String> },
}

/// A program to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The cargo that runs this program.
    Cargo,
    /// Node.js.
    Node,
}

impl Step {
    /// Runs cargo with these arguments.
    pub(super) fn cargo(what: &'static str, arguments: &[&str]) -> Self {
        Step::Run { what, program: Program::Cargo, arguments: arguments.iter().map(ToString::to_string).collect() }
    }

    /// Runs Node.js with these arguments.
    pub(super) fn node(what: &'static str, arguments: &[&str]) -> Self {
        Step::Run { what, program: Program::Node, arguments: arguments.iter().map(ToString::to_string).collect() }
    }

    /// Runs test programs by name. With `-p`, dependencies would be built again with other features.
    pub(super) fn programs(what: &'static str, more: &[&str], names: &[&str]) -> Self {
        let names = names.iter().flat_map(|name| ["--test", name]);
        Self::cargo(
            what,
            &["test", "--locked"].into_iter().chain(more.iter().copied()).chain(names).collect::<Vec<_>>(),
        )
    }

    /// Runs modules of the suite.
    pub(super) fn suite(what: &'static str, modules: &[&str]) -> Self {
        let filters: Vec<String> = modules.iter().map(|module| format!("{module}::")).collect();
        let begin = ["test", "--locked", "--test", "suite", "--"];
        Self::cargo(what, &begin.into_iter().chain(filters.iter().map(String::as_str)).collect::<Vec<_>>())
    }

    /// The name.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Step::Runtime { twice: false } => "runtime for browsers",
            Step::Runtime { twice: true } => "runtime, the same twice",
            Step::Compiler => "compiler as WebAssembly",
            Step::Packages(folder) => folder,
            Step::Lavapipe => "Chromium on lavapipe",
            Step::Fuzz => "fuzzing",
            Step::Run { what, .. } => what,
        }
    }

    /// The command that runs this step alone.
    pub(super) fn shown(&self) -> String {
        match self {
            Step::Runtime { twice: false } => "cargo xtask web".into(),
            Step::Runtime { twice: true } => "cargo xtask web --check-deterministic".into(),
            Step::Compiler => "cargo xtask compiler".into(),
            Step::Packages(folder) => format!("npm ci --prefix {folder}"),
            Step::Lavapipe => "tests/browser/lavapipe.sh".into(),
            Step::Fuzz => "cargo xtask fuzz".into(),
            Step::Run { program, arguments, .. } => {
                let program = match program {
                    Program::Cargo => "cargo",
                    Program::Node => "node",
                };
                let quoted = |word: &String| match word.contains(['^', '|', ' ']) {
                    true => format!("'{word}'"),
                    false => word.clone(),
                };
                format!("{program} {}", arguments.iter().map(quoted).collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// Runs the step.
    pub(super) fn take(&self, place: &Place) -> Outcome {
        match self {
            Step::Runtime { twice } => web::build(place, Choice::Auto, *twice)?.gate(),
            Step::Compiler => compiler::build(place, Choice::Auto),
            Step::Packages(folder) => js::install(&place.root.join(folder)),
            Step::Lavapipe => {
                let made = Command::new(place.root.join("tests/browser/lavapipe.sh")).status();
                if !made.is_ok_and(|status| status.success()) {
                    say("there is no Chromium on lavapipe, so Chromium runs all cases on SwiftShader: 20 minutes more");
                }
                Ok(())
            }
            Step::Fuzz => fuzz::fuzz(place, &fuzz::FuzzArgs::usual()),
            Step::Run { program, arguments, .. } => {
                let mut command = match program {
                    Program::Cargo => cargo(place),
                    Program::Node => Command::new("node"),
                };
                let status = command.current_dir(&place.root).args(arguments).status();
                match status.map_err(|e| format!("{}: {e}", self.shown()))? {
                    status if status.success() => Ok(()),
                    status => Err(format!("`{}` failed ({status}); its messages are above", self.shown())),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_they_are_typed() {
        assert_eq!(Step::suite("", &["tidy", "ctc"]).shown(), "cargo test --locked --test suite -- tidy:: ctc::");
        assert_eq!(Step::programs("", &["--lib"], &["gpu"]).shown(), "cargo test --locked --lib --test gpu");
        assert_eq!(Step::node("", &["run.mjs", "--only", "^(S|E)/"]).shown(), "node run.mjs --only '^(S|E)/'");
    }
}
