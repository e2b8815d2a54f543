//! The task runner of the repository: what building takes besides `cargo build`.

mod book;
mod command;
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

/// Tasks of the repository that cargo alone does not know.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything, compile a model, and serve it to browsers: the first command to try
    Demo(demo::DemoArgs),
    /// Run the tests, in layers
    Test(test::TestArgs),
    /// Build the runtime for browsers into runtime/web/dist
    Web(web::WebArgs),
    /// Build the compiler as WebAssembly into compiler/web/pkg
    Compiler(CompilerArgs),
    /// Make the packages of all crates that are published, and check their files and sizes
    Package(package::PackageArgs),
    /// Print the licences of all that is compiled into the program, for its archives
    Licences(licences::LicencesArgs),
    /// Make a site of the documentation, by mdBook
    Book(book::BookArgs),
    /// Look for inputs at which a reader panics, hangs or takes too much memory
    Fuzz(fuzz::FuzzArgs),
}

/// `cargo xtask compiler`.
#[derive(Debug, Args)]
#[command(after_help = "\
No page loads it yet; a test compiles a model with it in Node.js. It needs what `cargo xtask web` needs, but for
npm. The size of the module is printed, by the crates that its functions come from.")]
struct CompilerArgs {
    /// Who compiles to WebAssembly; auto takes the active toolchain if it has the target, else Debian's
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Choice::Auto)]
    toolchain: Choice,
}

fn main() -> ExitCode {
    if fuzz::is_compiler() {
        // What is wrong, the compiler has said.
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
