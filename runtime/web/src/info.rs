//! Information about a bundle for JavaScript, as JSON. The types are declared in `ts/runtime.ts`.

use std::collections::BTreeSet;

use gristmill_bundle::{Binding, Elem, Entry, EntryRole, Manifest, Programs, Size, shard_path};
use gristmill_runtime::capabilities::{capabilities, task_info};
use gristmill_runtime::embedding::Embedder;
use serde_json::{Value, json};

/// The model, its entries, and what is needed to load weights.
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
        "embedding": embedding(manifest),
        "profiles": manifest.profiles,
        "components": components(manifest),
        "entries": entries,
        "tasks": capabilities(manifest),
    })
}

/// How texts become embeddings; null for models that do not embed texts.
fn embedding(manifest: &Manifest) -> Value {
    let Ok(embedder) = Embedder::of(manifest) else { return Value::Null };
    let settings = manifest.model.embedding.as_ref();
    json!({
        "maxTokens": embedder.max_tokens(),
        "prompts": settings.map(|s| s.prompts.clone()).unwrap_or_default(),
        "defaultPrompt": settings.and_then(|s| s.default_prompt.clone()),
        "leavesOutPrompt": embedder.leaves_out_prompt(),
        "similarity": settings.map(|s| s.similarity).unwrap_or_default(),
    })
}

/// The components of the model: names, and bytes of their weights.
fn components(manifest: &Manifest) -> Vec<Value> {
    let all = manifest.components.iter().zip(manifest.component_spans());
    all.map(|(c, span)| json!({ "name": c.name, "bytes": span.bytes.end - span.bytes.start })).collect()
}

fn entry(manifest: &Manifest, entry: &Entry) -> Value {
    let shape = |shape: &[Size]| shape.iter().map(Size::to_string).collect::<Vec<_>>();
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
    let task = entry.task.as_ref().map(|task| task_info(manifest, task));
    let components: Vec<_> = entry.components.iter().map(|c| manifest.components[*c as usize].name.as_str()).collect();
    json!({
        "name": entry.name, "role": role, "inputs": inputs, "outputs": outputs, "components": components, "task": task,
    })
}

/// Shards as files, the ranges of tensors in each, and the tensors.
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

/// The roles whose kernels are compiled while weights are loading: those of the model's main task.
pub(crate) fn first_roles(manifest: &Manifest) -> Vec<EntryRole> {
    let has = |role: EntryRole| manifest.entries.iter().any(|e| e.role == role);
    let mut roles = Vec::new();
    if has(EntryRole::Decode) {
        roles.extend([EntryRole::Encode, EntryRole::Prefill, EntryRole::Decode]);
    }
    if has(EntryRole::Embed) {
        roles.push(EntryRole::Embed);
    }
    roles
}

/// The cost of a call of the model's main entry: a token of text, a text to embed, or otherwise the first entry.
/// `tokens` is the number of tokens per call (null: as many as it is given).
pub(crate) fn cost(manifest: &Manifest, programs: &Programs) -> Value {
    let by_role = |role: EntryRole| manifest.entries.iter().find(|e| e.role == role);
    let main = by_role(EntryRole::Decode).or(by_role(EntryRole::Embed)).or(manifest.entries.first());
    let program = main.and_then(|e| programs.programs.get(&e.name));
    let steps = program.map(|p| p.steps.as_slice()).unwrap_or_default();
    let mut bound = BTreeSet::new();
    steps.iter().for_each(|s| bound.extend(s.bound()));
    let tensor = |b: &Binding| match b {
        Binding::Tensor(t) => Some(&manifest.tensors[*t as usize]),
        _ => None,
    };
    let tensors: Vec<_> = bound.iter().filter_map(tensor).collect();
    let bytes: u64 = tensors.iter().map(|t| t.bytes).sum();
    // Only matrices are multiplied once per token.
    let matrices = tensors.iter().filter(|t| t.shape.len() == 2);
    let weights: u64 = matrices.map(|t| t.shape.iter().product::<u64>()).sum();
    let tokens = main.filter(|e| e.role == EntryRole::Decode).map(|_| 1);
    let dispatches: usize = steps.iter().map(|s| s.dispatches.len()).sum();
    json!({ "steps": dispatches, "bytes": bytes, "weights": weights, "tokens": tokens })
}
