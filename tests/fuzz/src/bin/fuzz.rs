//! A fuzz target under libFuzzer: `GRISTMILL_FUZZ=NAME fuzz [LIBFUZZER FLAGS] [CORPUS..]`. `cargo xtask fuzz` builds it
//! with coverage and runs it. The name `list` lists all targets.

#![no_main]

use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

use gristmill_fuzz::{TARGETS, Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();
/// Message and location of the last panic.
static SAID: Mutex<String> = Mutex::new(String::new());

#[expect(clippy::disallowed_methods, reason = "the engine would go on, and nothing is unfinished")]
fn begin() {
    // libFuzzer's own hook ends the program and prints a message even for panics that are caught.
    std::panic::set_hook(Box::new(|panic| {
        let said = format!("{panic}\n{}", Backtrace::force_capture());
        *SAID.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }));
    let name = std::env::var("GRISTMILL_FUZZ").unwrap_or_default();
    if name == "list" {
        for target in TARGETS {
            let places: Vec<String> = target.places().iter().map(|p| p.display().to_string()).collect();
            println!("{}\t{}\t{}", target.name, target.most, places.join("\t"));
        }
        std::process::exit(0);
    }
    let Some(found) = target(&name) else {
        eprintln!("GRISTMILL_FUZZ is `{name}`, and there is no such target");
        std::process::exit(2);
    };
    let _ = TARGET.set(found);
}

fuzz_target!(
    init: begin(),
    |data: &[u8]| {
        let Some(target) = TARGET.get() else { return };
        if catch_unwind(AssertUnwindSafe(|| target.run(data))).is_err() {
            eprintln!("{}", SAID.lock().unwrap_or_else(PoisonError::into_inner));
            std::process::abort();
        }
    }
);
