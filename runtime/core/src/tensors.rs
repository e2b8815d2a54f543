//! Runs entries on tensors.

use std::collections::BTreeMap;

use gristmill_bundle::{Entry, EntryRole, Manifest};

use crate::backend::{Backend, Request, Tensor, Tensors, run as call};
use crate::call::{bind_symbols, find_entry, names, separate_encoder, symbol};
use crate::decode_loop::{DecodeLoop, NEXT_TOKEN, token_input};
use crate::error::Error;
use crate::gather::gather;
use crate::sample::{BEGINS, asks_for_begin, begins};

/// What to run, and what to compute besides its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorRun {
    /// The entry; by default, the first one that takes all given inputs.
    pub entry: Option<String>,
    /// Also decodes this many tokens greedily: `greedy.tokens` i32 `[B, N]` and `greedy.logits` f32 `[B, N,
    /// vocabulary]`. The decoder of an encoder-decoder model starts with [`TensorRun::start`].
    pub greedy: Option<u32>,
    /// The start tokens of such a decoder; if empty, those of the model.
    pub start: Vec<u32>,
    /// Whether to return intermediate values (taps) as further outputs.
    pub taps: bool,
}

/// The entry to run on these inputs.
///
/// # Errors
/// If no entry takes these inputs, there is no entry with the requested name, or it has no taps.
pub fn choose_entry<'m>(manifest: &'m Manifest, inputs: &Tensors, run: &TensorRun) -> Result<&'m Entry, Error> {
    let entry = match &run.entry {
        Some(name) => &manifest.entries[find_entry(manifest, name)?],
        None => {
            let name_of = |i: &u32| &manifest.inputs[*i as usize].name;
            let takes = |e: &&Entry| inputs.keys().all(|n| e.inputs.iter().any(|i| name_of(i) == n));
            // Of several entries that take these, the one that needs nothing else.
            let given = |i: &u32| manifest.inputs[*i as usize].default.is_some() || inputs.contains_key(name_of(i));
            let suffices = |e: &&Entry| takes(e) && e.inputs.iter().all(given);
            let mut candidates = manifest.entries.iter().filter(|e| e.role == EntryRole::Tensors);
            let found = candidates.clone().find(suffices).or_else(|| candidates.clone().find(takes));
            found.ok_or_else(|| {
                let known =
                    candidates.by_ref().map(|e| format!("`{}` ({})", e.name, names(e.inputs.iter().map(name_of))));
                let known: Vec<String> = known.collect();
                let given = names(inputs.keys());
                Error::Unsupported(format!("no entry takes {given}; the bundle has {}", known.join(", ")))
            })?
        }
    };
    if !run.taps || entry.role == EntryRole::Taps {
        return Ok(entry);
    }
    let name = format!("{}.taps", entry.name);
    manifest.entry(&name).filter(|e| e.role == EntryRole::Taps).ok_or_else(|| {
        Error::Unsupported(format!("this bundle has no intermediate values for `{}` (no entry `{name}`)", entry.name))
    })
}

/// Runs an entry once and returns all its outputs; also decodes tokens if `run.greedy` is set.
///
/// While it decodes, inputs such as `attention_mask` and `position_ids` continue as the manifest declares, so that
/// left-padded batches work. End tokens do not end decoding.
///
/// # Errors
/// See [`choose_entry`]; also if the inputs do not fit into the context, or a call fails.
pub async fn run_tensors(
    backend: &mut dyn Backend,
    manifest: &Manifest,
    inputs: &Tensors,
    run: &TensorRun,
) -> Result<Tensors, Error> {
    let entry = choose_entry(manifest, inputs, run)?;
    if !manifest.states.is_empty() {
        let symbols = bind_symbols(manifest, entry, inputs, 0, Some(manifest.model.max_context), None)?;
        let value = |name| symbol(manifest, &symbols, name).unwrap_or(1);
        backend.begin(value("B"), context(manifest, u64::from(value("T")))?).await?;
    }
    let request = Request::new(&entry.name, inputs, 0);
    let mut outputs = call(backend, &request, &[]).await?;
    if let Some(n) = run.greedy {
        outputs.extend(greedy(backend, manifest, prompt(manifest, inputs, &run.start)?, n).await?);
    }
    Ok(outputs)
}

/// A capacity of at least `tokens` that the manifest allows.
fn context(manifest: &Manifest, tokens: u64) -> Result<u32, Error> {
    let max = manifest.model.max_context;
    let least = manifest.symbols.iter().find(|s| s.name == "C").map_or(1, |s| s.min);
    match u32::try_from(tokens) {
        Ok(n) if n <= max => Ok(n.max(least)),
        _ => {
            let hint = " of this bundle: shorten the input or compile with a larger --max-context".to_string();
            Err(Error::Context { wanted: tokens, capacity: max, hint })
        }
    }
}

/// The inputs with which decoding begins: the given ones, except those of the decoder of an encoder-decoder model,
/// whose tokens are the expected text and not a prompt.
fn prompt(manifest: &Manifest, inputs: &Tensors, start: &[u32]) -> Result<Tensors, Error> {
    let mut inputs = inputs.clone();
    if separate_encoder(manifest).is_some() {
        let name = &token_input(manifest)?.name;
        let rows = inputs.remove(name).and_then(|t| t.shape.first().copied()).unwrap_or(1);
        if !start.is_empty() {
            let ids: Vec<i32> = start.iter().map(|t| *t as i32).collect();
            inputs.insert(name.clone(), Tensor::i32([rows, start.len()], ids.repeat(rows)));
        }
    }
    Ok(inputs)
}

async fn greedy(backend: &mut dyn Backend, manifest: &Manifest, inputs: Tensors, n: u32) -> Result<Tensors, Error> {
    const WANT: &[&str] = &[NEXT_TOKEN, "next_logits"];
    let mut decode_loop = DecodeLoop::new(manifest, inputs)?;
    let (rows, n) = (decode_loop.batch() as usize, n as usize);
    let tokens_in_total = u64::from(decode_loop.prompt_tokens()) + (n as u64).saturating_sub(1);
    backend.begin(decode_loop.batch(), context(manifest, tokens_in_total)?).await?;
    let mut results = BTreeMap::new();
    while let Some(mut r) = decode_loop.next_chunk() {
        let encodes = decode_loop.encodes(&r);
        if !encodes && asks_for_begin(manifest) {
            r.inputs.insert(BEGINS.to_string(), begins(rows));
        }
        let want = if encodes { &[] } else { WANT };
        results = call(backend, &r, want).await?;
    }
    let missing = |name: &str| Error::Backend(format!("the backend returned no `{name}` for some rows"));
    // Per row, one step after the other.
    let (mut tokens, mut logits) = (vec![Vec::with_capacity(n); rows], vec![Vec::new(); rows]);
    let mut vocabulary = 0;
    for step in 0..n {
        let chosen = results.get(WANT[0]).and_then(Tensor::as_i32).filter(|v| v.len() == rows);
        let chosen = chosen.ok_or_else(|| missing(WANT[0]))?;
        let scores = results.get(WANT[1]).and_then(Tensor::as_f32).filter(|v| v.len() % rows == 0);
        let scores = scores.ok_or_else(|| missing(WANT[1]))?;
        vocabulary = scores.len() / rows;
        for row in 0..rows {
            tokens[row].push(chosen[row]);
            logits[row].extend_from_slice(&scores[row * vocabulary..(row + 1) * vocabulary]);
        }
        if step + 1 < n {
            let chosen: Vec<u32> = chosen.iter().map(|t| *t as u32).collect();
            let r = decode_loop.next_token(&chosen)?;
            results = call(backend, &r, WANT).await?;
        }
    }
    Ok(gather([
        ("greedy.tokens".to_string(), Tensor::i32([rows, n], tokens.concat())),
        ("greedy.logits".to_string(), Tensor::f32([rows, n, vocabulary], logits.concat())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::run_all;
    use crate::blocking::{generate, run_tensors};
    use crate::generate::Options;
    use crate::testing::{ToyBackend, VOCAB};

    fn input(name: &str, rows: usize, values: &[i32]) -> (String, Tensor) {
        (name.to_string(), Tensor::i32([rows, values.len() / rows], values.to_vec()))
    }

    fn decode(prompt: &[u32]) -> Vec<i32> {
        let mut toy = ToyBackend::new();
        let manifest = toy.manifest.clone();
        let options = Options { max_new_tokens: 5, ignore_eos: true, ..Options::default() };
        let outcome = generate(&mut toy, &manifest, prompt, &options, &mut || 0.0, &mut |_| None).unwrap();
        outcome.tokens.iter().map(|t| *t as i32).collect()
    }

    #[test]
    fn a_left_padded_batch_decodes_as_its_rows_alone() {
        let inputs = BTreeMap::from([
            input("input_ids", 2, &[9, 9, 9, 4, 5, 6, 1, 2, 3, 4, 5, 6]),
            input("attention_mask", 2, &[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
            input("position_ids", 2, &[0, 0, 0, 0, 1, 2, 0, 1, 2, 3, 4, 5]),
        ]);
        let mut toy = ToyBackend::new();
        let manifest = toy.manifest.clone();
        let run = TensorRun { greedy: Some(5), ..TensorRun::default() };
        let out = run_tensors(&mut toy, &manifest, &inputs, &run).unwrap();
        assert_eq!(out.keys().collect::<Vec<_>>(), ["greedy.logits", "greedy.tokens", "logits"]);
        assert_eq!(out["logits"].shape, [2, 6, VOCAB]);
        let expect = [decode(&[4, 5, 6]), decode(&[1, 2, 3, 4, 5, 6])].concat();
        assert_eq!(out["greedy.tokens"], Tensor::i32([2, 5], expect));
        // The first decoded logits are those of the last prompt token.
        let (all, decoded) = (out["logits"].as_f32().unwrap(), out["greedy.logits"].as_f32().unwrap());
        assert_eq!(out["greedy.logits"].shape, [2, 5, VOCAB]);
        assert_eq!(decoded[..VOCAB], all[5 * VOCAB..6 * VOCAB]);
    }

    #[test]
    fn calls_that_overlap_are_those_alone() {
        let requests: Vec<Request> =
            (1..=5).map(|n| Request::new("forward", &BTreeMap::from([input("input_ids", 1, &[n, 2])]), 0)).collect();
        let mut toy = ToyBackend::new();
        let mut alone = Vec::new();
        for request in &requests {
            crate::blocking::begin(&mut toy, 1, 4).unwrap();
            alone.push(pollster::block_on(call(&mut toy, request, &[])).unwrap());
        }
        let mut fresh = ToyBackend::new();
        fresh.depth = 3;
        crate::blocking::begin(&mut fresh, 1, 4).unwrap();
        fresh.keeps_history = false;
        assert_eq!(pollster::block_on(run_all(&mut fresh, &requests, &[])).unwrap(), alone);
        let mut broken = requests;
        broken[3].entry = "encode".to_string();
        assert!(pollster::block_on(run_all(&mut fresh, &broken, &[])).is_err());
        assert!(pollster::block_on(fresh.finish()).is_err(), "nothing of a failed series is left over");
    }

    #[test]
    fn the_entry_is_found_from_the_inputs() {
        let mut toy = ToyBackend::new();
        let manifest = toy.manifest.clone();
        let mut fail =
            |inputs: Tensors, run: TensorRun| run_tensors(&mut toy, &manifest, &inputs, &run).unwrap_err().to_string();
        let ids = || BTreeMap::from([input("input_ids", 1, &[1, 2])]);
        let other = BTreeMap::from([input("pixels", 1, &[1, 2])]);
        assert_eq!(
            fail(other, TensorRun::default()),
            "no entry takes `pixels`; the bundle has `forward` (`input_ids`, `attention_mask`, `position_ids`)"
        );
        let taps = TensorRun { taps: true, ..TensorRun::default() };
        assert!(fail(ids(), taps).contains("no entry `forward.taps`"));
        let named = TensorRun { entry: Some("encode".into()), ..TensorRun::default() };
        assert!(fail(ids(), named).starts_with("no entry `encode`"));
        let long = TensorRun { greedy: Some(100), ..TensorRun::default() };
        assert!(fail(ids(), long).starts_with("101 tokens do not fit into a context of 64"));
    }
}
