//! Handles Ctrl-C and other signals that end the program.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::failure::Exit;
use crate::output::note;

/// What the first signal does instead of ending the program.
static FIRST: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

static ENDING: AtomicBool = AtomicBool::new(false);

/// From here on, a signal removes unfinished files before it ends the program.
pub(crate) fn install() {
    let failed = |what: &str, e: &dyn Display| {
        note(&format!("warning: {what} will end gristmill without cleaning up: {e}"));
    };
    if let Err(e) = ctrlc::set_handler(signalled) {
        failed("Ctrl-C", &e);
    }
    #[cfg(unix)]
    match signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]) {
        Ok(mut signals) => {
            std::thread::spawn(move || signals.forever().for_each(|_| signalled()));
        }
        Err(e) => failed("SIGTERM", &e),
    }
}

fn signalled() {
    let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match first {
        Some(action) => action(),
        None => end(),
    }
}

/// Ends the program as a signal does.
#[expect(clippy::disallowed_methods, reason = "what is unfinished is removed before")]
pub(crate) fn end() -> ! {
    ENDING.store(true, Ordering::SeqCst);
    gristmill_bundle::abandon();
    std::process::exit(Exit::Interrupted as i32)
}

/// If [`end`] is in progress, waits for the program to end.
pub(crate) fn wait_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Makes the first signal run `action` on a thread of its own instead of ending the program.
pub(crate) fn first(action: impl FnOnce() + Send + 'static) {
    *FIRST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
}
