//! `cargo xtask test`: the tests, in layers.

mod layer;
mod needs;
mod run;
mod step;
mod table;

use std::env;

use clap::Args;

use crate::command::{Outcome, say};
use crate::place::Place;

use layer::Layer;
use table::Table;

/// `cargo xtask test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                 all layers but nightly: what a change must pass
  cargo xtask test fast            while you write
  cargo xtask test web browsers    after a change of the page or its runtime
  cargo xtask test --list          what the layers hold, need and take

It says what is missing, and how to install it, before it builds anything; tests/setup.sh installs it.
A layer builds all that its tests read. The first failure ends it, and a table of times comes last.
docs/testing.md shows how to run a single test.")]
pub(crate) struct TestArgs {
    /// Layers; otherwise all but nightly
    #[arg(value_name = "LAYER", value_enum)]
    layers: Vec<Layer>,
    /// Show what the layers hold, need and take, and run nothing
    #[arg(long)]
    list: bool,
    /// Go on after a failure
    #[arg(long)]
    no_fail_fast: bool,
}

/// Runs layers, the shortest first.
pub(crate) fn test(place: &Place, args: &TestArgs) -> Outcome {
    if args.list {
        print!("{}", Layer::list());
        return Ok(());
    }
    let layers = Layer::chosen(&args.layers);
    say(&Layer::announced(&layers));
    let missing = needs::missing(&Layer::needs_of(&layers), &env::var_os("PATH").unwrap_or_default());
    if !missing.is_empty() {
        return Err(format!(
            "this is missing:\n  - {}\non Debian and its relatives, tests/setup.sh (as root) installs all that a layer needs \
             besides Rust",
            missing.join("\n  - ")
        ));
    }
    let mut table = Table::default();
    let done = run::run_all(place, &layers, args.no_fail_fast, &mut table);
    print!("{table}");
    done
}
