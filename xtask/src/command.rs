//! Runs other programs.

use std::process::{Command, Stdio};

/// The result of a task; the error is a message for the user.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// Prints a line of progress or an error on stderr.
pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Runs a program to its end. Its output goes to stderr; stdout is for results.
pub(crate) fn run(command: &mut Command, what: &str) -> Outcome {
    let status = command.stdout(std::io::stderr()).status().map_err(|e| cannot_start(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status}); see its messages above")) }
}

/// Runs a program and returns its stdout.
pub(crate) fn output(command: &mut Command, what: &str) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| cannot_start(command, &e))?;
    if !output.status.success() {
        return Err(format!("{what} failed ({}); see its messages above", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{what} printed text that is not UTF-8"))
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    let remedy = match program.as_ref() {
        "mdbook" => "; install it with `cargo install mdbook --locked`",
        name if name.contains("npm") => "; install Node.js 20 or newer, which brings npm",
        _ => "",
    };
    format!("`{program}` cannot be started: {error}{remedy}")
}
