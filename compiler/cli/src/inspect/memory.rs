//! `inspect --memory`: the memory of a session with a batch of one, at the largest context.

use std::collections::BTreeMap;

use gristmill_bundle::{Elem, Entry, EntryRole, Manifest, Programs, Size};
use gristmill_compiler::profile;
use gristmill_runtime::cpu::PROFILE as WASM;
use gristmill_runtime::gpu::Limits;
use serde_json::json;

use super::states;
use super::view::View;
use crate::failure::{Failure, Outcome};
use crate::output::{Align, Table, bytes};

/// The memory of an entry, in bytes.
pub(super) struct EntryMemory {
    /// Name of the entry.
    pub(super) name: String,
    /// Whether it is used to generate text.
    pub(super) generates: bool,
    /// The assumed values of the symbols.
    pub(super) symbols: BTreeMap<String, u32>,
    /// The size of each scratch buffer in bytes.
    pub(super) slots: Vec<u64>,
    /// Bytes of inputs and outputs.
    pub(super) io: u64,
}

impl EntryMemory {
    /// Bytes of all scratch buffers.
    pub(super) fn scratch(&self) -> u64 {
        self.slots.iter().sum()
    }
}

/// The memory of a session, in bytes.
pub(super) struct Memory {
    /// Weights.
    pub(super) weights: u64,
    /// States (key and value caches), at the largest context.
    pub(super) states: u64,
    /// The kinds of states, in order of first appearance.
    kinds: Vec<states::Kinds>,
    /// Per entry.
    pub(super) entries: Vec<EntryMemory>,
    /// States and scratch buffers that some devices of the targets cannot bind: name and size.
    pub(super) too_large: Vec<(String, u64)>,
    /// The binding size that every device of the targets supports.
    pub(super) binding_bytes: u64,
}

impl Memory {
    fn note_if_large(&mut self, name: String, bytes: u64) {
        if bytes > self.binding_bytes {
            self.too_large.push((name, bytes));
        }
    }

    /// Weights, states, and the largest entry used to generate text, or the largest of all if the model does not
    /// generate.
    pub(super) fn peak(&self) -> u64 {
        let generates = self.entries.iter().any(|e| e.generates);
        let entries = self.entries.iter().filter(|e| e.generates || !generates);
        self.weights + self.states + entries.map(|e| e.scratch() + e.io).max().unwrap_or(0)
    }
}

fn elem_bytes(elem: Elem) -> u64 {
    match elem {
        Elem::F32 | Elem::I32 => 4,
        Elem::F16 => 2,
    }
}

fn generates(entry: &Entry) -> bool {
    matches!(entry.role, EntryRole::Prefill | EntryRole::Decode)
}

/// A batch of one (`B` = 1), the largest context, prompts in full chunks, and all other symbols at their maximum.
fn assumed(manifest: &Manifest, entry: Option<&Entry>) -> BTreeMap<String, u32> {
    let info = &manifest.model;
    let mut symbols: BTreeMap<String, u32> = manifest.symbols.iter().map(|s| (s.name.clone(), s.max)).collect();
    let mut set = |name: &str, value: u32| {
        if let Some(v) = symbols.get_mut(name) {
            *v = value;
        }
    };
    set("B", 1);
    set("C", info.max_context);
    let chunked = entry.is_some_and(generates);
    let bound = entry.and_then(|e| e.bind.get("T").copied());
    let new = bound.unwrap_or(if chunked { info.prefill_chunk } else { info.max_context });
    set("T", new);
    set("P", info.max_context.saturating_sub(new));
    for (name, value) in entry.iter().flat_map(|e| &e.bind) {
        symbols.insert(name.clone(), *value);
    }
    symbols
}

/// The binding size that every device of the bundle's targets supports. It is the guaranteed minimum: profiles may
/// state more, but they are not in the bundle.
fn binding_bytes(manifest: &Manifest) -> u64 {
    let of = |name: &String| match profile::shipped(name) {
        Ok(shipped) if name == WASM => shipped.limits.binding_bytes,
        _ => Limits::PORTABLE.largest_binding(),
    };
    manifest.profiles.iter().map(of).min().unwrap_or(u64::MAX)
}

fn size(text: &Size, symbols: &BTreeMap<String, u32>) -> Outcome<u64> {
    text.eval(symbols).map_err(|e| Failure::wrong(format!("manifest.json: {e}")))
}

fn buffer(shape: &[Size], elem: Elem, symbols: &BTreeMap<String, u32>) -> Outcome<u64> {
    shape.iter().try_fold(elem_bytes(elem), |n, d| Ok(n.saturating_mul(size(d, symbols)?)))
}

/// Evaluates all sizes.
pub(super) fn measure(manifest: &Manifest, programs: &Programs) -> Outcome<Memory> {
    let mut memory = Memory {
        weights: manifest.tensors.iter().map(|t| t.bytes).sum(),
        states: 0,
        kinds: Vec::new(),
        entries: Vec::new(),
        too_large: Vec::new(),
        binding_bytes: binding_bytes(manifest),
    };
    let symbols = assumed(manifest, None);
    for state in &manifest.states {
        let bytes = buffer(&state.shape, state.elem, &symbols)?;
        memory.states += bytes;
        states::add(&mut memory.kinds, state.kind, bytes);
        memory.note_if_large(format!("state {}", state.name), bytes);
    }
    for entry in &manifest.entries {
        let symbols = assumed(manifest, Some(entry));
        let Some(program) = programs.programs.get(&entry.name) else { continue };
        let slots = program.slots.iter().map(|s| size(s, &symbols)).collect::<Outcome<Vec<u64>>>()?;
        for (i, bytes) in slots.iter().enumerate() {
            memory.note_if_large(format!("scratch buffer {i} of {}", entry.name), *bytes);
        }
        let mut io = 0;
        for input in entry.inputs.iter().filter_map(|i| manifest.inputs.get(*i as usize)) {
            io += buffer(&input.shape, input.elem, &symbols)?;
        }
        for output in &entry.outputs {
            io += buffer(&output.shape, output.elem, &symbols)?;
        }
        memory.entries.push(EntryMemory { name: entry.name.clone(), generates: generates(entry), symbols, slots, io });
    }
    Ok(memory)
}

/// A warning about buffers that a device may reject at the largest context, with the remedy.
fn large(memory: &Memory) -> String {
    if memory.too_large.is_empty() {
        return String::new();
    }
    let list: Vec<String> = memory.too_large.iter().map(|(name, n)| format!("  {name}: {}\n", bytes(*n))).collect();
    format!(
        "\nSome devices bind no more than {} at once. These are larger at the full context; there a session must be \
         shorter (--max-context), or its cache smaller (--kv f16), unless the steps that use them have fallback kernels \
         (--kernels):\n{}",
        bytes(memory.binding_bytes),
        list.concat()
    )
}

/// Text and JSON.
pub(super) fn view(manifest: &Manifest, programs: &Programs) -> Outcome<View> {
    let memory = measure(manifest, programs)?;
    let context = manifest.model.max_context;
    let mut table = Table::new(&[
        ("entry", Align::Left),
        ("at", Align::Left),
        ("scratch buffers", Align::Right),
        ("scratch", Align::Right),
        ("inputs and outputs", Align::Right),
    ]);
    let mut entries = Vec::new();
    for e in &memory.entries {
        let at: Vec<String> = e.symbols.iter().map(|(k, v)| format!("{k}={v}")).collect();
        table.row([e.name.clone(), at.join(" "), e.slots.len().to_string(), bytes(e.scratch()), bytes(e.io)]);
        entries.push(json!({
            "entry": e.name, "symbols": e.symbols, "slots": e.slots, "scratch_bytes": e.scratch(), "io_bytes": e.io,
        }));
    }
    let text = format!(
        "One row, context of {context} tokens, prompt in chunks of {} tokens.\n\n\
         weights   {}\nstates    {}\npeak      {} (weights, states, and the largest entry; for models that generate, of prefill and decode)\n\n{}{}",
        manifest.model.prefill_chunk,
        bytes(memory.weights),
        bytes(memory.states),
        bytes(memory.peak()),
        states::table(&memory.kinds),
        table.render(0),
    ) + &large(&memory);
    let json = json!({
        "context": context,
        "batch": 1,
        "weights_bytes": memory.weights,
        "states_bytes": memory.states,
        "states": states::json(&memory.kinds),
        "peak_bytes": memory.peak(),
        "entries": entries,
        "binding_bytes": memory.binding_bytes,
        "too_large": memory.too_large.iter().map(|(name, n)| json!({ "name": name, "bytes": n })).collect::<Vec<_>>(),
    });
    Ok(View { text, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_devices_may_refuse_is_listed() {
        let mut memory = Memory {
            weights: 0,
            states: 0,
            kinds: Vec::new(),
            entries: Vec::new(),
            too_large: Vec::new(),
            binding_bytes: 128 << 20,
        };
        memory.note_if_large("state small".into(), 128 << 20);
        assert_eq!(large(&memory), "");
        memory.note_if_large("state key".into(), 256 << 20);
        let text = large(&memory);
        assert!(text.contains("128.0 MiB at once") && text.ends_with("  state key: 256.0 MiB\n"), "{text}");
    }
}
