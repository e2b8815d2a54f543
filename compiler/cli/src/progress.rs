//! Progress of long work: a bar on a terminal, nothing in a pipe.

use std::io::IsTerminal;
use std::time::Duration;

use gristmill_compiler::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::note;

/// Shows what the compiler is doing on stderr. It disappears when dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that draws if stderr is a terminal.
    pub(crate) fn new() -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        Bar { bar }
    }
}

/// A constant template is either right or wrong for ever; the fallback keeps the constructor infallible.
fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn gauge() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {wide_bar} {bytes} of {total_bytes} ({bytes_per_sec}) [{elapsed}]")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn stage(&self, name: &str) {
        self.bar.unset_length();
        self.bar.set_style(spinner());
        self.bar.set_message(name.to_string());
    }

    fn bytes(&self, done: u64, total: u64) {
        if self.bar.length() != Some(total) {
            self.bar.set_style(gauge());
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn warning(&self, text: &str) {
        self.bar.suspend(|| note(&format!("warning: {text}")));
    }

    fn note(&self, text: &str) {
        self.bar.suspend(|| note(&format!("note: {text}")));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
