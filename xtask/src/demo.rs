//! `cargo xtask demo`: from a clone to a page with a model.

mod model;
mod step;

use std::env;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::command::{Outcome, output, run, say};
use crate::place::Place;
use crate::runtime;
use crate::toolchain::{Choice, Toolchain, cargo};
use crate::{tools, web};

use model::{Kind, bundle_name, kind};
use step::{Step, plan, run_all};

/// The shipped model, relative to the root of the workspace.
const SHIPPED: &str = "examples/stories260K";
/// The folder for compiled bundles, relative to the root of the workspace.
const BUNDLES: &str = "target/demo";

/// `cargo xtask demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples (`cargo demo` is short for `cargo xtask demo`):
  cargo demo                                   the model in this repository
  cargo demo path/to/model --precision q4      a Hugging Face model directory, or a GGUF file
  cargo demo org/name                          a model on the Hugging Face Hub
  cargo demo --port 0                          any free port
  cargo demo --lan                             also for other devices on the network, with a QR code

It needs Rust with the target wasm32-unknown-unknown, Node.js and npm. If something is missing, it
prints how to install it before it builds anything. The first run takes about 5 minutes on two
cores, later ones seconds. The bundle stays in target/demo, for any static host. Ctrl-C ends the
server.")]
pub(crate) struct DemoArgs {
    /// Model directory, GGUF file, or org/name on the Hub [default: a small model in this repository]
    #[arg(value_name = "MODEL_DIR")]
    model: Option<PathBuf>,
    /// Port to serve on; 0 means any free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Also serve the network, and print a QR code of the address
    #[arg(long)]
    lan: bool,
    /// Precision of weights, as in `gristmill compile`
    #[arg(long, value_name = "P")]
    precision: Option<String>,
}

/// Runs all steps. Does not return once the server runs: the server replaces this process.
pub(crate) fn demo(place: &Place, args: &DemoArgs) -> Outcome {
    let model = args.model.clone().unwrap_or_else(|| place.root.join(SHIPPED));
    if kind(&model)? == Kind::Hub {
        say(&format!("{} is not on this machine, so it is looked up on the Hugging Face Hub", model.display()));
    }
    let steps = plan(runtime::state(&place.root));
    let bundle = place.root.join(BUNDLES).join(bundle_name(&model));
    let mut program = PathBuf::new();
    run_all(&steps, say, |step| match step {
        Step::Tools => check(&steps, args),
        Step::Runtime => web::build(place, Choice::Auto, false)?.gate(),
        Step::Gristmill => build(place).map(|built| program = built),
        Step::Compile => {
            let mut command = Command::new(&program);
            command.arg("compile").arg(&model).arg("--output").arg(&bundle);
            command.args(args.precision.iter().flat_map(|precision| ["--precision", precision]));
            run(&mut command, "gristmill compile")
        }
        Step::Serve => {
            say(&format!("the bundle is in {}, ready for any static host", bundle.display()));
            let mut command = Command::new(&program);
            command.arg("serve").arg(&bundle).args(["--port", &args.port.to_string()]);
            command.args(args.lan.then_some("--lan"));
            become_program(&mut command)
        }
    })
}

/// Checks that all tools for these steps are installed; lists everything that is missing.
fn check(steps: &[Step], args: &DemoArgs) -> Outcome {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut missing = tools::rust(&path);
    if steps.contains(&Step::Runtime) {
        missing.extend(tools::web(&path, Toolchain::find(Choice::Auto).map(|toolchain| toolchain.name)));
    }
    if let Err(e) = TcpListener::bind(("127.0.0.1", args.port)) {
        missing.push(format!("port {}: {e}; choose another with --port N, or any free one with --port 0", args.port));
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("this is missing:\n  - {}", missing.join("\n  - "))),
    }
}

/// Cargo arguments for the `gristmill` that the demo needs.
pub(crate) const PROGRAM: [&str; 6] =
    ["--package", "gristmill", "--bin=gristmill", "--no-default-features", "--features", "download"];

/// Builds `gristmill` with the current browser runtime inside; returns its path.
fn build(place: &Place) -> Outcome<PathBuf> {
    let mut cargo = cargo(place);
    // Without the feature `run`, which takes more than half of the build time: the page runs the model, not this
    // program. Dependencies with the same features are shared with the build of the README's quickstart.
    cargo.args(["build", "--locked", "--release"]).args(PROGRAM);
    let messages = output(cargo.arg("--message-format=json-render-diagnostics"), "cargo build")?;
    executable(&messages).ok_or_else(|| "cargo did not print the path of gristmill".to_string())
}

/// The path of the program, from cargo's messages (one JSON object per line).
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    messages
        .filter(|m| m["target"]["name"] == "gristmill")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Replaces this process with a program, so that signals reach it and nothing is left when it ends.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Outcome {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(format!("{} cannot be started: {error}", command.get_program().display()))
}

/// Runs a program to its end. Ctrl-C reaches both.
#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Outcome {
    run(command, "gristmill serve")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"gristmill","kind":["lib"]},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/x/other"}
{"reason":"compiler-artifact","target":{"name":"gristmill","kind":["bin"]},"executable":"/x/gristmill"}"#;
        assert_eq!(executable(messages), Some("/x/gristmill".into()));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn a_port_that_is_taken_is_said_at_the_beginning() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("an address").port();
        let args = DemoArgs { model: None, port, lan: false, precision: None };
        let said = check(&[Step::Tools], &args).expect_err("the port is taken");
        assert!(said.contains(&format!("port {port}: ")) && said.contains("--port 0"), "{said}");
        drop(taken);
        assert_eq!(check(&[Step::Tools], &args), Ok(()), "Rust is there, or this would not run");
    }
}
