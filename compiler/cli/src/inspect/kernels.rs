//! `inspect --kernels` and `inspect --shader NAME`.

use std::collections::BTreeMap;

use gristmill_bundle::{Bundle, Kernel, Program, Programs};
use serde_json::json;

use super::view::View;
use crate::failure::{Failure, Outcome};
use crate::output::{Align, Table, note};

/// How often each kernel runs in each entry.
fn uses(programs: &Programs) -> BTreeMap<&str, Vec<u64>> {
    let count = |program: &Program| {
        let mut n = vec![0; programs.kernels.len()];
        for dispatch in program.steps.iter().flat_map(|s| &s.dispatches) {
            n[dispatch.kernel as usize] += 1;
        }
        n
    };
    programs.programs.iter().map(|(name, program)| (name.as_str(), count(program))).collect()
}

/// All kernels of a target.
pub(super) fn view(programs: &Programs, target: &str) -> View {
    let uses = uses(programs);
    let mut columns = vec![("kernel", Align::Left), ("variants", Align::Left)];
    columns.extend(uses.keys().map(|k| (*k, Align::Right)));
    let mut table = Table::new(&columns);
    let mut items = Vec::new();
    for (i, kernel) in programs.kernels.iter().enumerate() {
        let mut cells = vec![kernel.name.clone(), variants(kernel)];
        cells.extend(uses.values().map(|n| if n[i] == 0 { "-".to_string() } else { n[i].to_string() }));
        table.row(cells);
        let per_entry: BTreeMap<&str, u64> = uses.iter().map(|(k, n)| (*k, n[i])).collect();
        let files: Vec<_> = kernel.variants.iter().map(|v| json!({ "requires": v.requires, "file": v.file })).collect();
        items.push(json!({ "name": kernel.name, "variants": files, "dispatches": per_entry }));
    }
    let names: Vec<&str> = programs.fallbacks.iter().map(|k| k.name.as_str()).collect();
    let fallbacks = match names.len() {
        0 => String::new(),
        n => format!(
            "\n{n} fallback kernels (WebAssembly) for steps that some adapters cannot run: {}\n\
             --shader {FALLBACK}NAME prints one of them.\n",
            names.join(", ")
        ),
    };
    let text = format!(
        "{} kernels for {target}; numbers are dispatches per call of an entry.\n\n{}{fallbacks}",
        items.len(),
        table.render(0)
    );
    View { text, json: json!({ "target": target, "kernels": items, "fallbacks": names }) }
}

/// Prefix for fallback kernels, whose names often equal those of other kernels.
const FALLBACK: &str = "fallback:";

fn variants(kernel: &Kernel) -> String {
    let name = |needs: &[String]| if needs.is_empty() { "plain".to_string() } else { needs.join("+") };
    kernel.variants.iter().map(|v| name(&v.requires)).collect::<Vec<_>>().join(", ")
}

/// The text of one kernel, in its best variant. In a module it is one function of many.
pub(super) fn shader(bundle: &Bundle, programs: &Programs, name: &str, target: &str) -> Outcome<View> {
    let (kernels, fallback) = match name.strip_prefix(FALLBACK) {
        Some(_) => (&programs.fallbacks, true),
        None => (&programs.kernels, false),
    };
    let plain = name.strip_prefix(FALLBACK).unwrap_or(name);
    let Some(position) = kernels.iter().position(|k| k.name == plain) else {
        return Err(unknown(kernels, plain, target));
    };
    let kernel = &kernels[position];
    let mut text = String::new();
    let mut items = Vec::new();
    for variant in &kernel.variants {
        let (language, content) = if variant.file.ends_with(".wasm") {
            let module = bundle.read(&variant.file)?;
            let function = gristmill_wasm::text(&module, Some(plain))
                .map_err(|e| Failure::wrong(format!("{}: {e}; compile the model again", variant.file)))?;
            ("wat", format!("{}{function}", head(programs, position, fallback)))
        } else {
            ("wgsl", bundle.read_text(&variant.file)?)
        };
        if text.is_empty() {
            text.clone_from(&content);
        }
        items.push(json!({ "requires": variant.requires, "file": variant.file, language: content }));
    }
    if items.len() > 1 {
        note(&format!("{name}: variant 1 of {} ({}); --json gives all", items.len(), variants(kernel)));
    }
    Ok(View { text, json: json!({ "kernel": name, "target": target, "variants": items }) })
}

/// A description of a kernel at its first use, because functions of a module have no comments.
fn head(programs: &Programs, position: usize, fallback: bool) -> String {
    let mut steps = programs.programs.values().flat_map(|p| &p.steps);
    let first = steps.find_map(|step| {
        let dispatches = if fallback { &step.fallback } else { &step.dispatches };
        dispatches.iter().find(|d| d.kernel as usize == position).map(|d| (&step.nodes, &d.grid))
    });
    first.map(|(nodes, grid)| format!(";; {nodes}, over a grid of {grid}\n")).unwrap_or_default()
}

fn unknown(kernels: &[Kernel], name: &str, target: &str) -> Failure {
    let mut near: Vec<(f64, &str)> = kernels
        .iter()
        .map(|k| (strsim::jaro_winkler(&k.name, name), k.name.as_str()))
        .filter(|(score, _)| *score > 0.7)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<String> = near.iter().take(3).map(|(_, n)| format!("`{n}`")).collect();
    let hint = if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(" or ")) };
    Failure::wrong(format!("no kernel `{name}` for {target}{hint} (`--kernels` lists them)"))
}
