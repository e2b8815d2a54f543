//! Progress bars: drawn on a terminal, silent in a pipe.

#[cfg(feature = "download")]
use std::cell::Cell;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use gristmill_compiler::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::note;

/// Shows on stderr what the compiler is doing, and times it. It disappears when dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// The start of each stage.
    stages: RefCell<Vec<(String, Instant)>>,
}

impl Bar {
    /// A bar that draws if stderr is a terminal.
    pub(crate) fn new() -> Self {
        Bar { bar: on_terminal(), stages: RefCell::default() }
    }

    /// The wall time of each stage, in order. The last one ends now.
    pub(crate) fn finish(self) -> Vec<(String, Duration)> {
        let mut end = Instant::now();
        let mut times: Vec<(String, Duration)> = Vec::new();
        for (name, begin) in self.stages.take().into_iter().rev() {
            times.push((name, end.duration_since(begin)));
            end = begin;
        }
        times.reverse();
        times
    }
}

fn on_terminal() -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(spinner());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// The template is constant, so it either always parses or never; the fallback keeps the constructor infallible.
fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn gauge() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {wide_bar} {bytes} of {total_bytes} ({bytes_per_sec}) [{elapsed}]")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn stage(&self, name: &str) {
        self.stages.borrow_mut().push((name.to_string(), Instant::now()));
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

/// Shows the progress of downloading several files. It disappears when dropped.
#[cfg(feature = "download")]
pub(crate) struct Download {
    bar: ProgressBar,
    /// Bytes of the files before the current one.
    before: Cell<u64>,
    files: Cell<u64>,
    received: Cell<u64>,
    /// Bytes received when the current file began.
    mark: Cell<u64>,
}

#[cfg(feature = "download")]
impl Download {
    /// A bar that draws if stderr is a terminal.
    pub(crate) fn new() -> Self {
        let zero = || Cell::new(0);
        Download { bar: on_terminal(), before: zero(), files: zero(), received: zero(), mark: zero() }
    }

    /// Adds bytes to the expected total.
    pub(crate) fn expect(&self, bytes: u64) {
        let template = "{spinner} {msg} {wide_bar} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)";
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_length(self.before.get() + bytes);
    }

    /// Begins a file.
    pub(crate) fn begin(&self, name: &str) {
        self.bar.set_message(name.to_string());
        self.mark.set(self.received.get());
    }

    /// Counts bytes of the file that were present before.
    pub(crate) fn has(&self, bytes: u64) {
        self.bar.set_position(self.before.get() + bytes);
        // They say nothing about the rate.
        self.bar.reset_eta();
    }

    /// Counts received bytes.
    pub(crate) fn came(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.received.set(self.received.get() + bytes);
    }

    /// Ends the file.
    pub(crate) fn end(&self) {
        self.before.set(self.bar.position());
        if self.received.get() > self.mark.get() {
            self.files.set(self.files.get() + 1);
        }
    }

    /// Number of files of which something was received.
    pub(crate) fn files(&self) -> u64 {
        self.files.get()
    }

    /// Bytes received in total.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Prints a message without disturbing the bar.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }
}

#[cfg(feature = "download")]
impl Drop for Download {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
