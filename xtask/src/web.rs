//! `cargo xtask web`: builds the browser runtime and the page.

use std::time::Instant;

use clap::Args;

use crate::command::{Outcome, say};
use crate::place::Place;
use crate::sizes::Sizes;
use crate::toolchain::{Choice, Toolchain};
use crate::{js, licences, metadata, sizes, twice, wasm};

/// `cargo xtask web`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask web                        then run `cargo build` to embed the result in gristmill
  cargo xtask web --toolchain debian     use Debian's compiler instead of rustup's
  cargo xtask web --check-deterministic  also build in a copy of the sources and compare

It needs the Rust target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`) or the
Debian packages rustc-web, cargo-web, rust-web-src and lld, and npm. It prints the download size, and
fails if that exceeds the budget.")]
pub(crate) struct WebArgs {
    /// Toolchain for WebAssembly; auto uses the active one if it has the target, else Debian's
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Choice::Auto)]
    toolchain: Choice,
    /// Build the WebAssembly again from a copy of the sources, and compare the bytes
    #[arg(long)]
    check_deterministic: bool,
}

/// Builds the runtime, and prints what browsers download.
pub(crate) fn web(place: &Place, args: &WebArgs) -> Outcome {
    let sizes = build(place, args.toolchain, args.check_deterministic)?;
    print!("{}", sizes.report());
    sizes.gate()
}

/// Builds everything into a folder that replaces the content of `dist` at the very end.
pub(crate) fn build(place: &Place, choice: Choice, check_deterministic: bool) -> Outcome<Sizes> {
    let begin = Instant::now();
    js::check_entries(place)?;
    let toolchain = Toolchain::find(choice)?;
    say(&format!("compiling to WebAssembly with {}", toolchain.name));
    let crates = metadata::crates(place, &toolchain, &metadata::PACKAGES)?;
    let compiled = wasm::compile(place, &toolchain, &crates, metadata::PACKAGES, &[])?;
    if check_deterministic {
        twice::check(place, &toolchain, &compiled)?;
    }
    say("generating its JavaScript");
    wasm::bind(place, &compiled)?;
    js::install(&place.web)?;
    place.clear_stage()?;
    wasm::place(place)?;
    say("bundling JavaScript");
    let bundled = js::bundle(place)?;
    js::declare_types(place)?;
    js::copy_page(place)?;
    js::bundle_service_worker(place, &bundled)?;
    licences::write_all(place, &crates, &bundled)?;
    let sizes = sizes::measure(place, &bundled)?;
    place.publish()?;
    say(&format!("runtime/web/dist is ready after {:.1} s", begin.elapsed().as_secs_f64()));
    Ok(sizes)
}
