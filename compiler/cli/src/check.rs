//! `gristmill check`.

use gristmill_bundle::files;
use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::hf::json;
use gristmill_compiler::hf::unused::unused;
use gristmill_compiler::library;
use gristmill_compiler::profile;
use gristmill_compiler::weights::Checkpoint;
use gristmill_graph::Model;
use gristmill_graph::text::{Diagnostics, Policy, Usage, bind, bind_with_usage, check as check_text};

use crate::args::CheckArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::hub;
use crate::output::{emit, note};

/// Checks an architecture file (together with the shipped files that it extends and uses), a precision policy, or a
/// target profile. Prints all errors on stderr.
pub(crate) fn check(args: &CheckArgs) -> Outcome {
    let text = files::read_text(&args.file, files::MAX_TEXT).map_err(|e| Failure::io(&args.file, &e))?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let shown = args.file.display();
    if is_a("Profile", &text) {
        if let Err(found) = profile::parse(&name, &text) {
            return Ok(report(&found));
        }
        emit(&format!("{shown}: no errors in this target profile\n"))?;
        return Ok(Exit::Done);
    }
    if is_a("Policy", &text) {
        if let Err(found) = Policy::parse(&name, &text) {
            return Ok(report(&found));
        }
        emit(&format!("{shown}: no errors in this precision policy\n"))?;
        return Ok(Exit::Done);
    }
    let library = library::library().with_file(name.clone(), text);
    if let Some(path) = &args.model {
        let dir = ModelDir::open(&hub::locate(path, None)?)?;
        let checkpoint = dir.checkpoint()?;
        return match bind_with_usage(&library, &name, dir.settings(), Some(&checkpoint.tensors())) {
            Ok((model, usage)) => match read(&dir, &checkpoint, &usage, &name)? {
                Exit::Done => bound(&shown.to_string(), Ok(model)),
                other => Ok(other),
            },
            Err(found) => Ok(report(&found)),
        };
    }
    let Some(path) = &args.config else {
        if let Err(found) = check_text(&library, &name) {
            return Ok(report(&found));
        }
        emit(&format!(
            "{shown}: no errors; add --config config.json or --model MODEL_DIR to check the graph as well\n"
        ))?;
        return Ok(Exit::Done);
    };
    let config = json::read(path)?.ok_or_else(|| Failure::wrong(format!("{}: not found", path.display())))?;
    bound(&shown.to_string(), bind(&library, &name, &config, None))
}

/// Reports what the architecture does not read from a model directory. Exits with 1 if that would change the results.
fn read(dir: &ModelDir, checkpoint: &Checkpoint, usage: &Usage, name: &str) -> Outcome {
    let found = unused(&dir.config, checkpoint, usage, name)?;
    found.warnings.iter().for_each(|text| note(&format!("warning: {text}")));
    found.faults.iter().for_each(|text| note(&format!("error: {text}")));
    let n = found.faults.len();
    if n == 0 {
        return Ok(Exit::Done);
    }
    note(&format!("\n{n} error{}", if n == 1 { "" } else { "s" }));
    Ok(Exit::No)
}

/// Reports the result of binding.
fn bound(shown: &str, result: Result<Model, Diagnostics>) -> Outcome {
    match result {
        Ok(model) => {
            emit(&format!("{shown}: no errors; {}\n", summary(&model)))?;
            Ok(Exit::Done)
        }
        Err(found) => Ok(report(&found)),
    }
}

/// Whether the file starts with this word.
fn is_a(what: &str, text: &str) -> bool {
    let code = text.lines().map(str::trim_start).find(|l| !l.is_empty() && !l.starts_with("//"));
    code.is_some_and(|l| l.starts_with(what))
}

fn report(found: &Diagnostics) -> Exit {
    note(found.to_string().trim_end());
    let n = found.0.len();
    note(&format!("\n{n} error{}", if n == 1 { "" } else { "s" }));
    Exit::No
}

fn summary(model: &Model) -> String {
    let entries: Vec<&str> = model.entries.iter().map(|e| e.name.as_str()).collect();
    let weights: u64 = model.weights.iter().map(|w| w.shape.iter().product::<u64>()).sum();
    format!(
        "{} nodes in {} regions, {} tensors with {} weights, {} states, entries {}",
        model.graph.nodes.len(),
        model.graph.regions.len(),
        model.weights.len(),
        crate::output::count(weights),
        model.states.len(),
        entries.join(", ")
    )
}
