//! What layers do, one thing after the other.

use std::process::Command;

use crate::command::{Outcome, say};
use crate::place::Place;
use crate::toolchain::{Choice, cargo};
use crate::{compiler, fuzz, js, web};

/// A step of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Build the runtime for browsers, `twice` to compare the bytes.
    Runtime { twice: bool },
    /// Build the compiler as WebAssembly.
    Compiler,
    /// Install what the package-lock.json of a folder names.
    Packages(&'static str),
    /// Make the Chromium that computes on lavapipe, where that can be done.
    Lavapipe,
    /// Look for inputs at which readers fail.
    Fuzz,
    /// Run a program in the repository.
    Run { what: &'static str, program: Program, arguments: Vec<String> },
}

/// A program to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The cargo that runs this one.
    Cargo,
    /// Node.js.
    Node,
}

impl Step {
    /// cargo with these arguments.
    pub(super) fn cargo(what: &'static str, arguments: &[&str]) -> Self {
        Step::Run { what, program: Program::Cargo, arguments: arguments.iter().map(ToString::to_string).collect() }
    }

    /// Node.js with these arguments.
    pub(super) fn node(what: &'static str, arguments: &[&str]) -> Self {
        Step::Run { what, program: Program::Node, arguments: arguments.iter().map(ToString::to_string).collect() }
    }

    /// Programs of tests, by their names. With `-p` dependencies would have other features and be built once more.
    pub(super) fn programs(what: &'static str, more: &[&str], names: &[&str]) -> Self {
        let names = names.iter().flat_map(|name| ["--test", name]);
        Self::cargo(
            what,
            &["test", "--locked"].into_iter().chain(more.iter().copied()).chain(names).collect::<Vec<_>>(),
        )
    }

    /// Modules of the suite.
    pub(super) fn suite(what: &'static str, modules: &[&str]) -> Self {
        let filters: Vec<String> = modules.iter().map(|module| format!("{module}::")).collect();
        let begin = ["test", "--locked", "--test", "suite", "--"];
        Self::cargo(what, &begin.into_iter().chain(filters.iter().map(String::as_str)).collect::<Vec<_>>())
    }

    /// Its name.
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

    /// The command that does the same alone.
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

    /// Takes it.
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
