//! The `gristmill` command line. Each command has a module of its own.
//!
//! It is a library so that tests can use the definition of the command line ([`command`]) and fuzz the readers of
//! untrusted files ([`media`]).
//!
//! # Example
//!
//! Files are checked before they are used:
//!
//! ```
//! let image = gristmill::media::image(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/person-detector/cat.png").as_ref());
//! assert!(image.is_ok());
//! let error = gristmill::media::image(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").as_ref()).unwrap_err();
//! assert!(error.contains("Cargo.toml"), "{error}");
//! ```

#[cfg(feature = "run")]
mod adapters;
mod args;
#[cfg(feature = "run")]
mod backend;
#[cfg(feature = "run")]
mod bench;
mod cache;
mod cached;
mod check;
#[cfg(feature = "run")]
mod compare;
mod compile;
mod failure;
mod hub;
mod inspect;
mod interrupt;
mod locate;
#[cfg(feature = "run")]
pub mod media;
mod new;
mod output;
mod page;
mod progress;
#[cfg(feature = "run")]
mod run;
#[cfg(feature = "run")]
mod sampling;
mod serve;
#[cfg(feature = "run")]
mod tensors;
#[cfg(feature = "run")]
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use failure::{Exit, Outcome};

/// Stack size in bytes. Architectures from others may be nested deeply, and systems give the first thread only 1 to 8
/// MiB. Unused stack costs nothing.
const STACK: usize = 512 << 20;
const THREAD_STACK: usize = 64 << 20;

/// The definition of the command line: its subcommands, flags and help texts. Nothing is parsed or run.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments of the process, runs the command, and returns its exit code (`gristmill --help` lists them).
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    interrupt::install();
    // Threads of the pool compile code that may be nested as deeply. Nothing has started the pool yet.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(THREAD_STACK).build_global();
    let command = std::sync::Arc::new(command);
    let own = command.clone();
    match std::thread::Builder::new().name("main".into()).stack_size(STACK).spawn(move || exit_code(&own)) {
        Ok(thread) => thread.join().unwrap_or_else(|_| ExitCode::from(Exit::Bug as u8)),
        // Where memory is limited, the existing stack has to suffice.
        Err(_) => exit_code(&command),
    }
}

fn exit_code(command: &Command) -> ExitCode {
    let exit = run_healing(command).unwrap_or_else(|failure| {
        let message = failure.to_string();
        // Diagnostics of architecture files already start with this word.
        if message.starts_with("error") {
            output::note(message.trim_end());
        } else if !message.is_empty() {
            output::note(&format!("error: {message}"));
        }
        failure.exit
    });
    // If a signal caused the failure, its exit code is the one to return.
    interrupt::wait_if_ending();
    ExitCode::from(exit as u8)
}

/// Runs a command. Runs it again if a cached bundle was damaged, which is detected before anything is written.
fn run_healing(command: &Command) -> Outcome {
    match run(command) {
        Err(failure) if failure.damage && cached::distrust(&failure.message) => run(command),
        outcome => outcome,
    }
}

fn run(command: &Command) -> Outcome {
    match command {
        Command::Compile(args) => compile::compile(args),
        Command::New(args) => new::new(args),
        Command::Check(args) => check::check(args),
        Command::Inspect(args) => inspect::inspect(args),
        Command::Serve(args) => serve::serve(args),
        Command::Cache(args) => cache::cache(args),
        #[cfg(feature = "run")]
        Command::Run(args) => run::run(args),
        #[cfg(feature = "run")]
        Command::Verify(args) => verify::verify(args),
        #[cfg(feature = "run")]
        Command::Bench(args) => bench::bench(args),
        #[cfg(feature = "run")]
        Command::Adapters(args) => adapters::adapters(args),
        #[cfg(not(feature = "run"))]
        Command::Run(_) | Command::Verify(_) | Command::Bench(_) | Command::Adapters(_) => {
            let message = "this gristmill cannot run models: it was built without the feature `run`, as `cargo demo` \
                           builds it; build it with `cargo build --release --bin gristmill`";
            Err(failure::Failure::lacking(message))
        }
    }
}
