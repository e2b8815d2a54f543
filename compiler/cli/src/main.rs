//! The `gristmill` binary: words in, exit code out. Each command has a file of its name.

mod adapters;
mod args;
mod backend;
mod bench;
mod check;
mod compare;
mod compile;
mod failure;
mod hub;
mod inspect;
mod locate;
mod new;
mod output;
mod page;
mod progress;
mod run;
mod sampling;
mod serve;
mod tensors;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Compile(args) => compile::compile(&args),
        Command::New(args) => new::new(&args),
        Command::Check(args) => check::check(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Run(args) => run::run(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Adapters(args) => adapters::adapters(&args),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        let message = failure.to_string();
        // Diagnostics of architecture files come with the word already.
        if message.starts_with("error") {
            output::note(message.trim_end());
        } else if !message.is_empty() {
            output::note(&format!("error: {message}"));
        }
        failure.exit
    });
    ExitCode::from(exit as u8)
}
