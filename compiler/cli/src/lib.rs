//! The `gristmill` command line: words in, exit code out. Each command has a file of its name.
//!
//! It is a library so that what reads files of strangers can be fuzzed ([`media`]).
//!
//! # Example
//!
//! Files are judged before they are used:
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

use clap::Parser;

use args::{Cli, Command};
use failure::{Exit, Outcome};

/// Bytes of stack: architectures from strangers may be deep, and systems give the first thread 1 to 8 MiB. What is not
/// touched costs nothing.
const STACK: usize = 512 << 20;
const THREAD_STACK: usize = 64 << 20;

/// Does what the words of the command line say.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    interrupt::install();
    // What threads compile may be as deep as what the first one does. Nobody has asked for threads before.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(THREAD_STACK).build_global();
    let command = std::sync::Arc::new(command);
    let own = command.clone();
    match std::thread::Builder::new().name("main".into()).stack_size(STACK).spawn(move || exit_code(&own)) {
        Ok(thread) => thread.join().unwrap_or_else(|_| ExitCode::from(Exit::Bug as u8)),
        // Where memory is limited, the stack that there is must do.
        Err(_) => exit_code(&command),
    }
}

fn exit_code(command: &Command) -> ExitCode {
    let exit = run_healing(command).unwrap_or_else(|failure| {
        let message = failure.to_string();
        // Diagnostics of architecture files come with the word already.
        if message.starts_with("error") {
            output::note(message.trim_end());
        } else if !message.is_empty() {
            output::note(&format!("error: {message}"));
        }
        failure.exit
    });
    // Whatever failed because of a signal: its exit code is the one that counts.
    interrupt::wait_if_ending();
    ExitCode::from(exit as u8)
}

/// Runs a command; once more if a bundle of the cache was damaged, which is found before anything is written.
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
