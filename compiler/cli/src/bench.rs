//! `gristmill bench`.

use std::time::Instant;

use gristmill_bundle::{Bundle, EntryRole, Manifest};
use gristmill_compiler::Progress;
use gristmill_graph::{Model, Op};
use gristmill_runtime::blocking;
use gristmill_runtime::decode_loop::NEXT_TOKEN;
use gristmill_runtime::embedding::Embedder;
use gristmill_runtime::generate::Options;
use gristmill_runtime::gpu::entry_work;
use serde_json::{Value, json};

use crate::args::BenchArgs;
use crate::backend::{self, Loaded};
use crate::failure::{Exit, Failure, Outcome};
use crate::locate::{COMPACT, Purpose, bundle_for};
use crate::output::{Align, Table, bytes, emit, emit_json};
use crate::progress::Bar;

/// The defaults.
const PROMPT_TOKENS: u32 = 128;
const NEW_TOKENS: u32 = 64;
const TEXTS: [u32; 3] = [16, 64, 128];

/// Measures a model that generates or embeds text.
pub(crate) fn bench(args: &BenchArgs) -> Outcome {
    let dir = bundle_for(&args.model, &args.flags, COMPACT, Purpose::Here)?;
    let has = |m: &Manifest, role| m.entries.iter().any(|e| e.role == role);
    let manifest = Bundle::open(&dir)?.manifest().clone();
    let generates = has(&manifest, EntryRole::Prefill) && has(&manifest, EntryRole::Decode);
    if !generates && !has(&manifest, EntryRole::Embed) {
        return Err(Failure::wrong("this model neither generates nor embeds text, so `bench` cannot measure it"));
    }
    let lengths = if generates { Some(lengths(args, &manifest)?) } else { None };
    let texts = texts(args, &manifest)?;
    let mut loaded = backend::load(&dir, &args.backend)?;
    let report = match lengths {
        Some((prompt, new)) => generation(args, &mut loaded, prompt, new)?,
        None => embedding(args, &mut loaded, &texts)?,
    };
    if args.json {
        emit_json(&json_of(args, &loaded, &report))?
    } else {
        emit(&table_of(&report))?
    }
    Ok(Exit::Done)
}

/// One measured quantity.
struct Measure {
    /// Its key in JSON and name in the table.
    name: &'static str,
    unit: &'static str,
    /// Tokens per run.
    tokens: u32,
    values: Vec<f64>,
}

impl Measure {
    fn median(&self) -> f64 {
        let n = self.values.len();
        // The values were sorted on construction.
        if n % 2 == 1 { self.values[n / 2] } else { (self.values[n / 2 - 1] + self.values[n / 2]) / 2.0 }
    }

    fn new(name: &'static str, unit: &'static str, tokens: u32, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Measure { name, unit, tokens, values }
    }
}

/// The work of a call of the measured entry.
#[derive(Clone, Copy)]
struct Work {
    dispatches: usize,
    weight_bytes: u64,
}

struct Report {
    measures: Vec<Measure>,
    /// `None` on the reference backend, which has no dispatches.
    work: Option<Work>,
    /// Bytes of weights read per second while decoding.
    bytes_per_second: Option<f64>,
}

/// The lengths of prompt and text: the requested ones, or what fits into the context.
fn lengths(args: &BenchArgs, manifest: &Manifest) -> Outcome<(u32, u32)> {
    let most = manifest.model.max_context;
    let new = args.new_tokens.unwrap_or(NEW_TOKENS.min(most / 2).max(2));
    let prompt = args.prompt_tokens.unwrap_or(PROMPT_TOKENS.min(most.saturating_sub(new)).max(1));
    // The last token is never fed back, so it needs no place in the context.
    if u64::from(prompt) + u64::from(new) > u64::from(most) + 1 {
        return Err(Failure::wrong(format!(
            "{prompt} and {new} tokens do not fit into a context of {most}; lower --prompt-tokens or --new-tokens"
        )));
    }
    Ok((prompt, new))
}

/// The lengths of texts: the requested ones, or what the model accepts.
fn texts(args: &BenchArgs, manifest: &Manifest) -> Outcome<Vec<u32>> {
    let most = manifest.symbols.iter().find(|s| s.name == "T").map_or(u32::MAX, |s| s.max);
    if let Some(long) = args.tokens.iter().find(|n| **n > most) {
        return Err(Failure::wrong(format!("--tokens {long}: this model takes at most {most}")));
    }
    if !args.tokens.is_empty() {
        return Ok(args.tokens.clone());
    }
    let mut fitting: Vec<u32> = TEXTS.iter().map(|n| (*n).min(most)).collect();
    fitting.dedup();
    Ok(fitting)
}

/// Ids that every vocabulary has. Speed does not depend on them.
fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|i| 1 + i * 7 % 50).collect()
}

fn generation(args: &BenchArgs, loaded: &mut Loaded, prompt: u32, new: u32) -> Outcome<Report> {
    let options = Options { max_new_tokens: new, ignore_eos: true, ..Options::default() };
    let (bar, begin) = (Bar::new(), Instant::now());
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    let mut decode_tokens = 0;
    for run in 0..=args.runs {
        bar.stage(&stage(run, args.runs));
        let mut clock = || begin.elapsed().as_secs_f64();
        let (backend, manifest) = (loaded.backend.as_mut(), loaded.bundle.manifest());
        let done = blocking::generate(backend, manifest, &ids(prompt), &options, &mut clock, &mut |_| None)?;
        if run > 0 {
            prefill.push(f64::from(done.stats.prompt_tokens) / done.stats.prefill_seconds.max(1e-9));
            decode.push(f64::from(done.stats.decode_calls) / done.stats.decode_seconds.max(1e-9));
            decode_tokens = done.stats.decode_calls;
        }
    }
    let decode = Measure::new("decode", "tokens/s", decode_tokens, decode);
    let work = work(loaded, EntryRole::Decode)?;
    let rate = decode.median();
    Ok(Report {
        measures: vec![Measure::new("prefill", "tokens/s", prompt, prefill), decode],
        bytes_per_second: work.map(|w| w.weight_bytes as f64 * rate),
        work,
    })
}

fn embedding(args: &BenchArgs, loaded: &mut Loaded, texts: &[u32]) -> Outcome<Report> {
    let manifest = loaded.bundle.manifest().clone();
    let embedder = Embedder::of(&manifest)?;
    let bar = Bar::new();
    let mut measures = Vec::new();
    for &tokens in texts {
        let request = embedder.request(&ids(tokens), 0);
        let mut values = Vec::new();
        for run in 0..=args.runs {
            bar.stage(&format!("{tokens} tokens, {}", stage(run, args.runs)));
            let begin = Instant::now();
            blocking::run(loaded.backend.as_mut(), &request.entry, &request.inputs, 0, &[embedder.output()])?;
            if run > 0 {
                values.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        measures.push(Measure::new("embed", "ms", tokens, values));
    }
    Ok(Report { measures, work: work(loaded, EntryRole::Embed)?, bytes_per_second: None })
}

fn stage(run: u32, runs: u32) -> String {
    if run == 0 { "warming up".to_string() } else { format!("run {run} of {runs}") }
}

/// Number of dispatches and bytes of weights per call of the entry with this role.
fn work(loaded: &Loaded, role: EntryRole) -> Outcome<Option<Work>> {
    let manifest = loaded.bundle.manifest();
    let (Some(profile), Some(entry)) = (&loaded.profile, manifest.entries.iter().find(|e| e.role == role)) else {
        return Ok(None);
    };
    let wanted = match entry.outputs.iter().find(|o| o.name == NEXT_TOKEN).or(entry.outputs.first()) {
        Some(output) => output.name.as_str(),
        None => return Ok(None),
    };
    let work = entry_work(manifest, &loaded.bundle.programs(profile)?, &entry.name, &[wanted])?;
    let tables = tables(&loaded.bundle)?;
    let read = |i: &u32| {
        let tensor = &manifest.tensors[*i as usize];
        // Parts of a split weight are named `weight[rows]`.
        let name = tensor.name.split('[').next().unwrap_or_default();
        match tensor.shape.first() {
            Some(rows) if tables.iter().any(|t| t == name) => tensor.bytes / (*rows).max(1),
            _ => tensor.bytes,
        }
    };
    Ok(Some(Work { dispatches: work.dispatches, weight_bytes: work.tensors.iter().map(read).sum() }))
}

/// Names of weights that are only used as lookup tables: a call reads one row per token.
fn tables(bundle: &Bundle) -> Outcome<Vec<String>> {
    let model: Model = serde_json::from_slice(&bundle.read("graph.json")?)
        .map_err(|e| Failure::wrong(format!("graph.json: {e}; compile the model again")))?;
    let nodes = &model.graph.nodes;
    let used_by = |index: usize| nodes.iter().filter(move |n| n.inputs.iter().any(|i| i.index() == index));
    let table = |index: usize| used_by(index).all(|n| n.op == Op::Gather) && used_by(index).next().is_some();
    let weights = nodes.iter().enumerate().filter_map(|(i, n)| {
        let Op::Weight(w) = n.op else { return None };
        model.weights.get(w as usize).filter(|_| table(i))
    });
    Ok(weights.map(|w| w.name.clone()).collect())
}

fn json_of(args: &BenchArgs, loaded: &Loaded, report: &Report) -> Value {
    let model = &loaded.bundle.manifest().model;
    let measures: Vec<Value> = report
        .measures
        .iter()
        .map(|m| {
            json!({
                "name": m.name, "unit": m.unit, "tokens": m.tokens, "median": m.median(),
                "min": m.values.first(), "max": m.values.last(),
            })
        })
        .collect();
    json!({
        "model": model.name, "precision": model.precision, "backend": loaded.backend.describe(),
        "profile": loaded.profile, "runs": args.runs, "measures": measures,
        "dispatches": report.work.map(|w| w.dispatches),
        "weight_bytes": report.work.map(|w| w.weight_bytes),
        "weight_bytes_per_second": report.bytes_per_second,
    })
}

fn table_of(report: &Report) -> String {
    let columns = [("", Align::Left), ("tokens", Align::Right), ("median", Align::Right), ("min", Align::Right)];
    let mut table = Table::new(&[&columns[..], &[("max", Align::Right), ("", Align::Left)]].concat());
    for m in &report.measures {
        let number = |v: f64| if v < 100.0 { format!("{v:.2}") } else { format!("{v:.0}") };
        let ends = [m.values.first(), m.values.last()].map(|v| number(v.copied().unwrap_or_default()));
        let [min, max] = ends;
        table.row([m.name.to_string(), m.tokens.to_string(), number(m.median()), min, max, m.unit.to_string()]);
    }
    let mut text = table.render(0);
    if let Some(work) = report.work {
        let rate = report.bytes_per_second.map(|r| format!(", {:.2} GB/s", r / 1e9)).unwrap_or_default();
        let per = if report.bytes_per_second.is_some() { "token" } else { "text" };
        let (dispatches, read) = (work.dispatches, bytes(work.weight_bytes));
        text.push_str(&format!("{dispatches} dispatches and {read} of weights per {per}{rate}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let median = |values: &[f64]| Measure::new("decode", "ms", 1, values.to_vec()).median();
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }
}
