//! What JavaScript wants to know of a bundle, as JSON. The shapes are those of `ts/runtime.ts`.

use gristmill_bundle::{Elem, EntryRole, Manifest, Size, shard_path};
use serde_json::{Value, json};

/// Model, entries, and what is needed to load weights.
pub(crate) fn describe(manifest: &Manifest) -> Value {
    let model = &manifest.model;
    let entries: Vec<Value> = manifest.entries.iter().map(|e| entry(manifest, e)).collect();
    json!({
        "name": model.name,
        "architecture": model.architecture,
        "precision": model.precision,
        "parameters": model.parameters,
        "weightBytes": manifest.weight_bytes(),
        "maxContext": model.max_context,
        "bos": model.bos_token_id,
        "profiles": manifest.profiles,
        "entries": entries,
    })
}

fn entry(manifest: &Manifest, entry: &gristmill_bundle::Entry) -> Value {
    let shape = |shape: &[Size]| shape.iter().map(|s| s.0.clone()).collect::<Vec<_>>();
    let elem = |elem: Elem| if elem == Elem::I32 { "i32" } else { "f32" };
    let inputs = entry.inputs.iter().map(|i| &manifest.inputs[*i as usize]);
    let inputs: Vec<Value> = inputs
        .map(|i| {
            json!({ "name": i.name, "elem": elem(i.elem), "shape": shape(&i.shape), "optional": i.default.is_some() })
        })
        .collect();
    let outputs: Vec<Value> = entry
        .outputs
        .iter()
        .map(|o| json!({ "name": o.name, "elem": elem(o.elem), "shape": shape(&o.shape) }))
        .collect();
    let role = serde_json::to_value(entry.role).unwrap_or_default();
    json!({ "name": entry.name, "role": role, "inputs": inputs, "outputs": outputs })
}

/// Shards as files, the stretches of tensors in each, and the tensors.
pub(crate) fn weights(manifest: &Manifest) -> Value {
    let shards: Vec<Value> = manifest
        .shards
        .iter()
        .map(|s| json!({ "path": shard_path(&s.sha256), "bytes": s.bytes, "sha256": s.sha256 }))
        .collect();
    let piece = |p: &gristmill_bundle::Piece| json!({ "tensor": p.tensor, "offset": p.offset, "begin": p.range.start, "end": p.range.end });
    let pieces: Vec<Vec<Value>> = manifest.pieces().iter().map(|all| all.iter().map(piece).collect()).collect();
    let tensors: Vec<Value> = manifest
        .tensors
        .iter()
        .map(|t| json!({ "label": format!("tensor `{}` ({})", t.name, t.precision), "bytes": t.bytes }))
        .collect();
    json!({ "shards": shards, "pieces": pieces, "tensors": tensors })
}

/// The roles whose kernels are compiled while weights are on their way: those of what the model is for.
pub(crate) fn first_roles(manifest: &Manifest) -> Vec<EntryRole> {
    let has = |role: EntryRole| manifest.entries.iter().any(|e| e.role == role);
    let mut roles = Vec::new();
    if has(EntryRole::Decode) {
        roles.extend([EntryRole::Prefill, EntryRole::Decode]);
    }
    if has(EntryRole::Embed) {
        roles.push(EntryRole::Embed);
    }
    roles
}
