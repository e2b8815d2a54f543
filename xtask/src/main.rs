//! The task runner of the repository, for what `cargo build` cannot do.

mod book;
mod command;
#[cfg(test)]
mod commands;
mod compiler;
mod demo;
mod fuzz;
mod js;
mod licences;
mod links;
mod metadata;
mod package;
mod parts;
mod place;
mod runtime;
mod sizes;
mod test;
mod toolchain;
mod tools;
mod twice;
mod wasm;
mod web;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use command::say;
use place::Place;
use toolchain::Choice;

/// Build and test tasks of this repository beyond those of cargo
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything, compile a model and serve it to browsers: start here
    Demo(demo::DemoArgs),
    /// Run the tests, in layers
    Test(test::TestArgs),
    /// Build the runtime for browsers into runtime/web/dist
    Web(web::WebArgs),
    /// Build the compiler as WebAssembly into compiler/web/pkg
    Compiler(CompilerArgs),
    /// Package all crates that are published, and check their files and sizes
    Package(package::PackageArgs),
    /// Print the licences of everything that is compiled into the program, for its archives
    Licences(licences::LicencesArgs),
    /// Build the documentation as a site, with mdBook
    Book(book::BookArgs),
    /// Fuzz the readers: find inputs that panic, hang or use too much memory
    Fuzz(fuzz::FuzzArgs),
}

/// `cargo xtask compiler`.
#[derive(Debug, Args)]
#[command(after_help = "\
No page loads it yet; a test compiles a model with it in Node.js. It needs the same tools as
`cargo xtask web`, except npm. It prints the size of the module by crate.")]
struct CompilerArgs {
    /// Toolchain for WebAssembly; auto uses the active one if it has the target, else Debian's
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Choice::Auto)]
    toolchain: Choice,
}

fn main() -> ExitCode {
    if fuzz::is_compiler() {
        // The compiler has printed the error.
        return fuzz::compile().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let done = match Cli::parse().task {
        Task::Demo(args) => Place::of_this_repository().and_then(|place| demo::demo(&place, &args)),
        Task::Test(args) => Place::of_this_repository().and_then(|place| test::test(&place, &args)),
        Task::Web(args) => Place::of_this_repository().and_then(|place| web::web(&place, &args)),
        Task::Compiler(args) => Place::of_this_repository().and_then(|place| compiler::build(&place, args.toolchain)),
        Task::Package(args) => Place::of_this_repository().and_then(|place| package::package(&place, &args)),
        Task::Licences(args) => Place::of_this_repository().and_then(|place| licences::print(&place, &args)),
        Task::Book(args) => Place::of_this_repository().and_then(|place| book::book(&place, &args)),
        Task::Fuzz(args) => Place::of_this_repository().and_then(|place| fuzz::fuzz(&place, &args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&format!("error: {message}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::commands::{Command, commands, current_documents, examples, lines_of, refusal};
    use super::*;

    /// What `cargo xtask`, or `cargo demo`, says to a command; nothing to other commands of cargo.
    fn refused(command: &Command) -> Option<String> {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let words = match words[..] {
            ["cargo", "xtask", ..] => command.words[1..].to_vec(),
            ["cargo", "demo", ..] => [&["xtask".to_string()], &command.words[1..]].concat(),
            _ => return None,
        };
        refusal(Cli::command(), &Command { words, ..command.clone() })
    }

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn documents_name_tasks_that_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut checked = 0;
        for page in current_documents(&root) {
            for command in commands(&place::read(&page).expect("a page")) {
                checked += usize::from(command.words[0] == "cargo");
                assert_eq!(refused(&command), None, "{}:{}", page.display(), command.line);
            }
        }
        assert!(checked > 30, "{checked} commands: the test does not see them");
        for line in ["cargo xtask tests", "cargo xtask test quick", "cargo demo --wan", "cargo xtask fuzz --minutes x"]
        {
            assert!(refused(&lines_of(1, line, true)[0]).is_some(), "{line}");
        }
    }

    #[test]
    fn help_texts_name_tasks_that_exist() {
        let found = examples(&Cli::command());
        assert!(found.len() > 10, "{} examples: the test does not see them", found.len());
        for command in found {
            assert_eq!(refused(&command), None, "{}", command.words.join(" "));
        }
    }
}
