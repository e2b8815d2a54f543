//! `inspect` without flags: the bundle on one screen.

use std::collections::BTreeSet;

use gristmill_bundle::{Entry, EntryRole, Input, InputDefault, Manifest, Output, Programs, Size};
use gristmill_runtime::capabilities::{Capability, capabilities};
use gristmill_runtime::cpu::PROFILE;
use gristmill_runtime::gpu::{Admission, DeviceInfo, Limits, admit};
use gristmill_runtime::task::Kind;
use serde_json::json;

use super::view::View;
use super::{memory, weights};
use crate::failure::Outcome;
use crate::output::{Align, Table, bytes, count};

/// Text and JSON.
pub(super) fn view(manifest: &Manifest, programs: &Programs, target: &str) -> Outcome<View> {
    let (by_precision, total) = weights::sums(manifest)?;
    let memory = memory::measure(manifest, programs)?;
    let info = &manifest.model;
    let offloaded = on_any_adapter(manifest, programs, target);
    let dispatches = |entry: &str| {
        programs.programs.get(entry).map_or(0, |p| p.steps.iter().map(|s| s.dispatches.len()).sum::<usize>())
    };
    let text = format!(
        "{}: {}, {} weights at {}, {:.2} bits of payload and {:.2} bits stored per weight\n\
         can {}; context {} tokens, prompt in chunks of {}; written by {} (format {})\n\
         {} in {} weight files and {} others, for {}\n\
         \nInputs\n{}\nEntries ({target})\n{}{}\nWeights\n{}\nMemory of one row at {} tokens\n\
         \x20 weights {}, states {}, peak {}\n{}",
        info.name,
        info.architecture,
        count(info.parameters),
        info.precision,
        total.payload(),
        total.stored(),
        can(manifest),
        count(u64::from(info.max_context)),
        info.prefill_chunk,
        manifest.generator,
        manifest.format,
        bytes(
            manifest.shards.iter().map(|s| s.bytes).sum::<u64>()
                + manifest.files.values().map(|f| f.bytes).sum::<u64>()
        ),
        manifest.shards.len(),
        manifest.files.len(),
        manifest.profiles.join(", "),
        inputs(&manifest.inputs),
        entries(manifest, dispatches),
        components(manifest),
        weights::table(&by_precision, &total),
        count(u64::from(info.max_context)),
        bytes(memory.weights),
        bytes(memory.states),
        bytes(memory.peak()),
        lines(&offloaded),
    );
    let entries: Vec<_> = manifest
        .entries
        .iter()
        .map(|e| {
            json!({ "name": e.name, "role": e.role, "task": e.task, "outputs": e.outputs,
                    "dispatches": dispatches(&e.name), "components": component_names(manifest, e) })
        })
        .collect();
    let components: Vec<_> = manifest
        .components
        .iter()
        .zip(manifest.component_spans())
        .map(|(c, span)| {
            let bytes = span.bytes.end - span.bytes.start;
            json!({ "name": c.name, "tensors": c.tensors, "shards": c.shards, "bytes": bytes })
        })
        .collect();
    let json = json!({
        "model": info,
        "capabilities": capabilities(manifest),
        "generator": manifest.generator,
        "format": manifest.format,
        "targets": manifest.profiles,
        "target": target,
        "symbols": manifest.symbols,
        "inputs": manifest.inputs,
        "entries": entries,
        "components": components,
        "kernels": programs.kernels.len(),
        "offloaded": offloaded.offloaded.iter().map(|m| m.to_string()).collect::<Vec<_>>(),
        "weights": weights::sums_json(&by_precision, &total),
        "memory": { "weights_bytes": memory.weights, "states_bytes": memory.states, "peak_bytes": memory.peak() },
    });
    Ok(View { text, json })
}

/// The capabilities of the bundle, as text.
fn can(manifest: &Manifest) -> String {
    let names: Vec<&str> = capabilities(manifest).into_iter().map(Capability::name).collect();
    names.join(", ")
}

/// Which steps fall back to WebAssembly on an adapter with the guaranteed minimum limits.
fn on_any_adapter(manifest: &Manifest, programs: &Programs, target: &str) -> Admission {
    if target == PROFILE {
        return Admission::default();
    }
    let features = BTreeSet::new();
    let any = DeviceInfo { adapter: "an adapter".to_string(), limits: Limits::PORTABLE, features };
    // A bundle that no such adapter can run is meant for others.
    admit(manifest, programs, &any).unwrap_or_default()
}

fn lines(admission: &Admission) -> String {
    if admission.offloaded.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = admission.offloaded.iter().map(|m| format!("  {m}\n")).collect();
    format!("\nOn adapters with no more than the default limits of WebGPU\n{}", lines.concat())
}

fn shape(shape: &[Size]) -> String {
    format!("[{}]", shape.iter().map(Size::to_string).collect::<Vec<_>>().join(", "))
}

fn inputs(inputs: &[Input]) -> String {
    let mut table =
        Table::new(&[("name", Align::Left), ("type", Align::Left), ("shape", Align::Left), ("if absent", Align::Left)]);
    for input in inputs {
        let default = match input.default {
            None => "required".to_string(),
            Some(InputDefault::Value(v)) => format!("all {v}"),
            Some(InputDefault::Positions) => "positions".to_string(),
        };
        table.row([input.name.clone(), format!("{:?}", input.elem).to_lowercase(), shape(&input.shape), default]);
    }
    table.render(2)
}

fn entries(manifest: &Manifest, dispatches: impl Fn(&str) -> usize) -> String {
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("role", Align::Left),
        ("dispatches", Align::Right),
        ("outputs", Align::Left),
    ]);
    for entry in &manifest.entries {
        let task = entry.task.as_ref().map(|t| format!(", {}", Kind::of(&t.output).name())).unwrap_or_default();
        let role = format!("{:?}{task}", entry.role).to_lowercase();
        table.row([entry.name.clone(), role, dispatches(&entry.name).to_string(), outputs(&entry.outputs)]);
    }
    table.render(2)
}

fn component_names<'a>(manifest: &'a Manifest, entry: &Entry) -> Vec<&'a str> {
    let name = |c: &u32| manifest.components.get(*c as usize).map(|c| c.name.as_str());
    entry.components.iter().filter_map(name).collect()
}

/// The components of a model with several, and the entries that need them.
fn components(manifest: &Manifest) -> String {
    if manifest.components.len() < 2 {
        return String::new();
    }
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("tensors", Align::Right),
        ("files", Align::Right),
        ("bytes", Align::Right),
        ("needed by", Align::Left),
    ]);
    for (i, (c, span)) in manifest.components.iter().zip(manifest.component_spans()).enumerate() {
        let needs = |e: &&Entry| e.role != EntryRole::Taps && e.components.contains(&(i as u32));
        let users: Vec<&str> = manifest.entries.iter().filter(needs).map(|e| e.name.as_str()).collect();
        table.row([
            c.name.clone(),
            c.tensors.to_string(),
            c.shards.to_string(),
            bytes(span.bytes.end - span.bytes.start),
            users.join(", "),
        ]);
    }
    format!("\nComponents\n{}", table.render(2))
}

/// The first outputs; entries with taps have dozens.
fn outputs(outputs: &[Output]) -> String {
    const SHOWN: usize = 3;
    let mut text: Vec<String> = outputs.iter().take(SHOWN).map(|o| format!("{} {}", o.name, shape(&o.shape))).collect();
    if outputs.len() > SHOWN {
        text.push(format!("and {} more", outputs.len() - SHOWN));
    }
    text.join(", ")
}
