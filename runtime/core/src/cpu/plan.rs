//! The linear memory that a bundle needs, before any of its weights is read.

use gristmill_bundle::{Elem, Entry, EntryRole, Manifest, Program, Programs};

use super::space::{ADDRESS_SPACE, GUARD, PAGE};
use crate::call::{Session, eval_shape, invalid};
use crate::error::Error;
use crate::gpu::{elements, state_bytes};

/// Bytes in linear memory, rounded as the allocator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// All weights.
    pub weights: u64,
    /// States of one row of the largest length.
    pub states: u64,
    /// States of one row with space for one chunk of a prompt, which is the minimum.
    pub least_states: u64,
    /// Inputs, outputs and intermediate values of a chunk of a prompt.
    pub scratch: u64,
}

impl Plan {
    /// The initial size of the memory in bytes, if the module and its workers need `base`. If the longest context does
    /// not fit, the size for the shortest one; longer contexts grow the memory.
    ///
    /// # Errors
    /// [`Error::Limit`] if not even the shortest context fits into `limit` bytes.
    pub fn reserve(&self, base: u64, limit: u64) -> Result<u64, Error> {
        let limit = limit.min(ADDRESS_SPACE);
        let total =
            |states: u64| [GUARD, self.weights, states, self.scratch].into_iter().fold(base, u64::saturating_add);
        let pages = |bytes: u64| bytes.next_multiple_of(PAGE).min(limit);
        if total(self.states) <= limit {
            return Ok(pages(total(self.states)));
        }
        let least = total(self.least_states);
        if least <= limit {
            return Ok(pages(least));
        }
        Err(Error::Limit {
            what: format!(
                "this bundle (weights {}, caches of a short text {}, intermediate values {})",
                self.weights, self.least_states, self.scratch
            ),
            needed: least,
            limit,
            name: "bytes of linear memory",
            adapter: "WebAssembly".to_string(),
            remedy: "compile with a lower --precision or a smaller --max-context, or use WebGPU".to_string(),
        })
    }
}

/// The memory for the tensors, states and main entries of a bundle.
///
/// # Errors
/// If a size cannot be evaluated.
pub fn plan(manifest: &Manifest, programs: &Programs) -> Result<Plan, Error> {
    let (chunk, context) = (manifest.model.prefill_chunk, manifest.model.max_context);
    let states = |capacity: u32| -> Result<u64, Error> {
        let session = Session::new(1, capacity.max(1));
        let bytes = manifest.states.iter().map(|s| state_bytes(manifest, s, &session));
        Ok(bytes.collect::<Result<Vec<_>, _>>()?.into_iter().map(block).fold(0, u64::saturating_add))
    };
    Ok(Plan {
        weights: manifest.tensors.iter().map(|t| block(t.bytes)).fold(0, u64::saturating_add),
        states: states(context)?,
        least_states: states(chunk.min(context))?,
        scratch: scratch(manifest, programs)?,
    })
}

/// A size as the allocator rounds it.
fn block(bytes: u64) -> u64 {
    bytes.max(1).checked_next_multiple_of(64).unwrap_or(u64::MAX)
}

/// Slots and inputs are shared by entries, outputs are not.
fn scratch(manifest: &Manifest, programs: &Programs) -> Result<u64, Error> {
    let main = |e: &&Entry| !matches!(e.role, EntryRole::Tensors | EntryRole::Taps);
    let any = |e: &&Entry| e.role != EntryRole::Taps;
    let mut entries: Vec<&Entry> = manifest.entries.iter().filter(main).collect();
    if entries.is_empty() {
        entries = manifest.entries.iter().filter(any).collect();
    }
    let mut slots: Vec<u64> = Vec::new();
    let mut inputs = vec![0u64; manifest.inputs.len()];
    let mut outputs = 0u64;
    for entry in entries {
        let symbols = chunk_symbols(manifest, entry);
        for (i, bytes) in slot_bytes(manifest, programs.programs.get(&entry.name), &symbols)?.into_iter().enumerate() {
            slots.resize(slots.len().max(i + 1), 0);
            slots[i] = slots[i].max(bytes);
        }
        for i in &entry.inputs {
            let shape = eval_shape(manifest, &manifest.inputs[*i as usize].shape, &symbols)?;
            inputs[*i as usize] = inputs[*i as usize].max(block(elements(&shape).saturating_mul(4)));
        }
        for output in &entry.outputs {
            let shape = eval_shape(manifest, &output.shape, &symbols)?;
            outputs = outputs.saturating_add(block(elements(&shape).saturating_mul(size_of(output.elem))));
        }
    }
    Ok(slots.into_iter().chain(inputs).chain([outputs]).fold(0, u64::saturating_add))
}

fn size_of(elem: Elem) -> u64 {
    match elem {
        Elem::F16 => 2,
        Elem::F32 | Elem::I32 => 4,
    }
}

/// The symbols of a call with a chunk of one text, in a session as long as the chunk. Longer sessions only need more
/// memory for states.
fn chunk_symbols(manifest: &Manifest, entry: &Entry) -> Vec<u32> {
    let model = &manifest.model;
    let tokens = model.prefill_chunk.min(model.max_context).max(1);
    let value = |s: &gristmill_bundle::Symbol| {
        let wish = match s.name.as_str() {
            "T" | "C" => tokens,
            "P" => 0,
            _ => s.min,
        };
        entry.bind.get(&s.name).copied().unwrap_or(wish.clamp(s.min, s.max))
    };
    manifest.symbols.iter().map(value).collect()
}

fn slot_bytes(manifest: &Manifest, program: Option<&Program>, symbols: &[u32]) -> Result<Vec<u64>, Error> {
    let names = manifest.symbol_names();
    let slots = program.map(|p| p.slots.as_slice()).unwrap_or_default();
    let bytes =
        |s: &gristmill_bundle::Size| s.resolve(&names).and_then(|e| e.eval(symbols)).map(block).map_err(invalid);
    slots.iter().map(bytes).collect()
}
