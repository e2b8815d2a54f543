//! The task runner of the repository: what building takes besides `cargo build`.

mod command;
mod compiler;
mod fuzz;
mod js;
mod licences;
mod metadata;
mod ops;
mod parts;
mod place;
mod sizes;
mod toolchain;
mod twice;
mod wasm;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use command::{Outcome, say};
use place::Place;
use toolchain::{Choice, Toolchain};

/// Tasks of the repository that cargo alone does not know.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the runtime for browsers into runtime/web/dist
    Web(WebArgs),
    /// Build the compiler as WebAssembly into compiler/web/pkg
    Compiler(CompilerArgs),
    /// Write models/OPS.md and models/FORMATS.md, references of operations and of formats of weights, from the sources
    Ops,
    /// Look for inputs at which a reader panics, hangs or takes too much memory
    Fuzz(fuzz::FuzzArgs),
}

/// `cargo xtask web`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask web                        then `cargo build` again: gristmill carries the result
  cargo xtask web --toolchain debian     with Debian's compiler instead of rustup's
  cargo xtask web --check-deterministic  also build in a copy of the sources and compare

It needs Rust's wasm32-unknown-unknown target (`rustup target add wasm32-unknown-unknown`), or Debian's
packages rustc-web, cargo-web, rust-web-src and lld; and npm, for the JavaScript part. The download
size is printed, and gated.")]
struct WebArgs {
    /// Who compiles to WebAssembly; auto takes the active toolchain if it has the target, else Debian's
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Choice::Auto)]
    toolchain: Choice,
    /// Build the WebAssembly a second time, in a copy of the sources elsewhere, and compare the bytes
    #[arg(long)]
    check_deterministic: bool,
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
        Task::Web(args) => web(&args),
        Task::Compiler(args) => Place::of_this_repository().and_then(|place| compiler::build(&place, args.toolchain)),
        Task::Fuzz(args) => Place::of_this_repository().and_then(|place| fuzz::fuzz(&place, &args)),
        Task::Ops => Place::of_this_repository().and_then(|place| ops::write_reference(&place)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&format!("error: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Builds everything into a folder aside, which takes the place of `dist` at the very end.
fn web(args: &WebArgs) -> Outcome {
    let begin = Instant::now();
    let place = Place::of_this_repository()?;
    js::check_entries(&place)?;
    let toolchain = Toolchain::find(args.toolchain)?;
    say(&format!("compiling to WebAssembly with {}", toolchain.name));
    let crates = metadata::crates(&place, &toolchain, &metadata::PACKAGES)?;
    let compiled = wasm::compile(&place, &toolchain, &crates, metadata::PACKAGES, &[])?;
    if args.check_deterministic {
        twice::check(&place, &toolchain, &compiled)?;
    }
    say("generating the JavaScript that belongs to it");
    wasm::bind(&place, &compiled)?;
    js::install(&place)?;
    place.clear_stage()?;
    wasm::place(&place)?;
    say("bundling JavaScript");
    let bundled = js::bundle(&place)?;
    js::declare_types(&place)?;
    js::copy_page(&place)?;
    js::bundle_service_worker(&place, &bundled)?;
    licences::write_all(&place, &crates, &bundled)?;
    let sizes = sizes::measure(&place, &bundled)?;
    place.publish()?;
    print!("{}", sizes.report());
    say(&format!("runtime/web/dist is ready after {:.1} s", begin.elapsed().as_secs_f64()));
    sizes.gate()
}
