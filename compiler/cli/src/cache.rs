//! `gristmill cache`.

use std::path::Path;
use std::time::SystemTime;

use gristmill_bundle::Bundle;
use serde_json::json;

use crate::args::{CacheArgs, CacheCommand};
use crate::cached;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Align, Table, bytes, emit, emit_json, note};

/// Lists, verifies or removes cached bundles.
pub(crate) fn cache(args: &CacheArgs) -> Outcome {
    let root = cached::root()?;
    let found = cached::all(&root)?;
    match &args.command {
        CacheCommand::List { json } => list(&root, &found, *json),
        CacheCommand::Verify => verify(&found),
        CacheCommand::Clean { damaged } => clean(&found, *damaged),
    }
}

fn list(root: &Path, found: &[cached::Kept], as_json: bool) -> Outcome {
    let models = found.iter().map(|kept| Bundle::open(&kept.path).map(|b| b.manifest().model.clone()));
    if as_json {
        let bundles: Vec<serde_json::Value> = found
            .iter()
            .zip(models)
            .map(|(kept, model)| {
                let fault = model.as_ref().err().map(ToString::to_string);
                let (name, precision) = model.ok().map(|m| (m.name, m.precision)).unzip();
                json!({ "path": kept.path, "bytes": kept.bytes, "model": name, "precision": precision, "fault": fault })
            })
            .collect();
        emit_json(&json!({ "root": root, "bundles": bundles }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("precision", Align::Left),
        ("size", Align::Right),
        ("made", Align::Right),
        ("folder", Align::Left),
    ]);
    for (kept, model) in found.iter().zip(models) {
        let (name, precision) = model.map_or(("?".into(), "damaged".into()), |m| (m.name, m.precision));
        let folder = kept.path.strip_prefix(root).unwrap_or(&kept.path).display().to_string();
        table.row([name, precision, bytes(kept.bytes), age(kept.made), folder]);
    }
    if !found.is_empty() {
        emit(&table.render(0))?;
    }
    let total = found.iter().map(|kept| kept.bytes).sum();
    note(&format!("{}: {} in {}", root.display(), bytes(total), number(found.len())));
    Ok(Exit::Done)
}

fn verify(found: &[cached::Kept]) -> Outcome {
    let mut damaged = 0;
    for kept in found {
        match kept.check() {
            Ok(()) => note(&format!("ok       {}", kept.path.display())),
            Err(error) => {
                damaged += 1;
                note(&format!("damaged  {}: {error}", kept.path.display()));
            }
        }
    }
    match damaged {
        0 => Ok(Exit::Done),
        _ => Err(Failure::new(Exit::No, "`gristmill cache clean --damaged` removes the damaged bundles")),
    }
}

fn clean(found: &[cached::Kept], only_damaged: bool) -> Outcome {
    let (mut freed, mut removed) = (0, 0);
    for kept in found {
        if only_damaged && kept.check().is_ok() {
            continue;
        }
        if Bundle::open(&kept.path).is_ok() {
            gristmill_bundle::remove_unused(&kept.path);
        } else {
            gristmill_bundle::move_away(&kept.path).map_err(|e| Failure::io(&kept.path, &e))?;
        }
        if kept.path.exists() {
            note(&format!("in use   {}", kept.path.display()));
            continue;
        }
        // Removes the folder too, if this was its last bundle.
        if let Some(place) = kept.path.parent() {
            if place.read_dir().is_ok_and(|mut entries| entries.all(|e| e.is_ok_and(|e| e.file_name() == cached::TURN)))
            {
                let _ = std::fs::remove_file(place.join(cached::TURN));
            }
            let _ = std::fs::remove_dir(place);
        }
        (freed, removed) = (freed + kept.bytes, removed + 1);
    }
    note(&format!("removed {}, {}", number(removed), bytes(freed)));
    Ok(Exit::Done)
}

fn number(bundles: usize) -> String {
    if bundles == 1 { "1 bundle".into() } else { format!("{bundles} bundles") }
}

/// The age in words.
fn age(made: Option<SystemTime>) -> String {
    let Some(seconds) = made.and_then(|t| t.elapsed().ok()).map(|t| t.as_secs()) else { return "?".into() };
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
