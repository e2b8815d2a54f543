//! `gristmill inspect`.

mod dot;
mod graph;
mod kernels;
mod memory;
mod overview;
mod rewrites;
mod states;
mod view;
mod weights;

use gristmill_bundle::{Bundle, Manifest, Programs};

use crate::args::InspectArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{emit, emit_json};

/// Opens the bundle and prints the requested view.
pub(crate) fn inspect(args: &InspectArgs) -> Outcome {
    let bundle = Bundle::open(&args.bundle)?;
    let target = target(bundle.manifest(), args.target.as_deref())?;
    let programs = || -> Outcome<Programs> { Ok(bundle.programs(&target)?) };
    let flags = &args.view;
    if args.dot {
        let wanted = dot::Wanted { entry: args.entry.as_deref(), layer: args.layer };
        emit(&dot::dot(bundle.manifest(), &graph::model(&bundle)?, &programs()?, &wanted)?)?;
        return Ok(Exit::Done);
    }
    let view = if flags.graph {
        graph::view(&bundle)?
    } else if flags.rewrites {
        rewrites::view(&bundle, &target)?
    } else if flags.memory {
        memory::view(bundle.manifest(), &programs()?)?
    } else if flags.kernels {
        kernels::view(&programs()?, &target)
    } else if flags.weights {
        weights::view(bundle.manifest())?
    } else if let Some(name) = &flags.shader {
        kernels::shader(&bundle, &programs()?, name, &target)?
    } else {
        overview::view(bundle.manifest(), &programs()?, &target)?
    };
    if args.json {
        emit_json(&view.json)?
    } else {
        emit(&view.text)?
    }
    Ok(Exit::Done)
}

/// The requested target, else `native`, else the first one.
fn target(manifest: &Manifest, wanted: Option<&str>) -> Outcome<String> {
    let has = |name: &str| manifest.profiles.iter().any(|p| p == name);
    match wanted {
        Some(name) if has(name) => Ok(name.to_string()),
        Some(name) => Err(Failure::wrong(format!(
            "this bundle has no target `{name}`, only {}; compile it again with --target {name}",
            manifest.profiles.join(", ")
        ))),
        None if has("native") => Ok("native".to_string()),
        None => manifest
            .profiles
            .first()
            .cloned()
            .ok_or_else(|| Failure::wrong("this bundle has no targets; compile it again with --target all")),
    }
}
