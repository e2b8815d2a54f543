//! `gristmill adapters`.

use gristmill_runtime::native::list_adapters;
use serde_json::json;

use crate::args::AdaptersArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Align, Table, emit, emit_json};

/// Lists the adapters that `--adapter` accepts.
pub(crate) fn adapters(args: &AdaptersArgs) -> Outcome {
    let all = list_adapters();
    if args.json {
        let items: Vec<_> = all
            .iter()
            .map(
                |a| json!({ "name": a.name, "kind": a.kind, "api": a.api, "driver": a.driver, "features": a.features }),
            )
            .collect();
        emit_json(&json!({ "adapters": items }))?;
    }
    if all.is_empty() {
        return Err(Failure::lacking(
            "no graphics adapter found. Install the GPU's driver or a software one (Debian: apt install \
             mesa-vulkan-drivers), or use `--backend wasm`",
        ));
    }
    if !args.json {
        let mut table = Table::new(&[
            ("", Align::Right),
            ("adapter", Align::Left),
            ("kind", Align::Left),
            ("api", Align::Left),
            ("driver", Align::Left),
            ("features", Align::Left),
        ]);
        for (i, a) in all.into_iter().enumerate() {
            let features = a.features.join(", ");
            table.row([i.to_string(), a.name, a.kind.to_string(), a.api, a.driver, features]);
        }
        emit(&table.render(0))?;
    }
    Ok(Exit::Done)
}
