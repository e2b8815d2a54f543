//! Runs the tests that are written in TypeScript and JavaScript, so that one command runs all tests. Browser tests are
//! in `tests/browsers`.

use std::process::Command;

use gristmill_tests::goldens::root;

/// Runs a program in a folder of the repository. Shows its output if it fails.
fn passes(folder: &str, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let output = command.current_dir(root().join(folder)).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}; tests/setup.sh installs what the tests need"));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{program} {}: {text}", arguments.join(" "));
}

#[test]
fn the_runtime_for_browsers() {
    // Installed by `cargo xtask web`.
    passes("runtime/web", "node", &["test/run.mjs"]);
}

#[test]
fn types() {
    // The last project is code of a user; it sees the declarations that `cargo xtask web` has written.
    for project in [".", "test", "test/public"] {
        passes("runtime/web", "node", &["node_modules/typescript/bin/tsc", "--noEmit", "--project", project]);
    }
}

#[test]
fn the_server_of_the_browser_tests() {
    passes("tests/browser", "node", &["--test", "server.test.mjs"]);
}
