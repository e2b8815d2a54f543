//! The sizes of buffers in a typical call: one row, the longest session, and as many tokens as generation and embedding
//! process at once. They determine which steps get fallback kernels, and which of these an adapter will need.

use crate::manifest::{Binding, Elem, Entry, EntryRole, Manifest, Program};
use crate::size::{Size, SizeError};

/// The values of all symbols for a typical call of `entry` in a session of `capacity` tokens. Symbols of the
/// architecture have their smallest value.
pub fn ordinary(manifest: &Manifest, entry: &Entry, capacity: u32) -> Vec<u32> {
    let whole = entry.role == EntryRole::Embed;
    let stretch = if whole { capacity } else { manifest.model.prefill_chunk.min(capacity) };
    let stretch = entry.bind.get("T").copied().unwrap_or(stretch.max(1));
    let value = |s: &crate::manifest::Symbol| {
        let wish = match s.name.as_str() {
            "T" => stretch,
            "P" => capacity.saturating_sub(stretch),
            "C" => capacity,
            _ => s.min,
        };
        entry.bind.get(&s.name).copied().unwrap_or(wish.clamp(s.min, s.max))
    };
    manifest.symbols.iter().map(value).collect()
}

/// The size in bytes of a buffer of `entry`, whose program is `program`, for these symbol values. Manifest and program
/// must be valid.
///
/// # Errors
/// If a size overflows, is negative, or divides by zero.
pub fn bytes(
    manifest: &Manifest,
    (entry, program): (&Entry, &Program),
    binding: Binding,
    symbols: &[u32],
) -> Result<u64, SizeError> {
    let names = manifest.symbol_names();
    // States have space for the largest values of the architecture's symbols.
    let own = |name: &str| !matches!(name, "B" | "T" | "P" | "C");
    let spacious = manifest.symbols.iter().zip(symbols).map(|(s, value)| if own(&s.name) { s.max } else { *value });
    let spacious: Vec<u32> = if matches!(binding, Binding::State(_)) { spacious.collect() } else { symbols.to_vec() };
    let symbols = spacious.as_slice();
    let eval = |size: &Size| size.resolve(&names)?.eval(symbols);
    let buffer = |elem: Elem, shape: &[Size]| {
        let width = if elem == Elem::F16 { 2 } else { 4 };
        shape.iter().try_fold(width, |bytes: u64, n| Ok(bytes.saturating_mul(eval(n)?)))
    };
    match binding {
        Binding::Tensor(i) => Ok(manifest.tensors.get(i as usize).map_or(0, |t| t.bytes)),
        Binding::Slot(i) => program.slots.get(i as usize).map_or(Ok(0), eval),
        Binding::State(i) => manifest.states.get(i as usize).map_or(Ok(0), |s| buffer(s.elem, &s.shape)),
        Binding::Input(i) => manifest.inputs.get(i as usize).map_or(Ok(0), |n| buffer(n.elem, &n.shape)),
        Binding::Output(i) => entry.outputs.get(i as usize).map_or(Ok(0), |o| buffer(o.elem, &o.shape)),
    }
}
