//! The compiler as one function: from a model directory and options to a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use gristmill_bundle as bundle;
use gristmill_graph::text::{self, Usage};
use gristmill_graph::{DType, Model, StateKind, verify};

use crate::codegen::context::{Memory, state_memory};
use crate::codegen::states::{self, PREFILL_CHUNK};
use crate::emit;
use crate::entries::{self, EntryPlan};
use crate::error::CompileError;
use crate::hf::missing::missing;
use crate::hf::quantized;
use crate::hf::unused::{Findings, unused};
use crate::hf::{self, dir::ModelDir};
use crate::options::{CompileOptions, Progress};
use crate::precision;
use crate::prepare::{Prepared, prepare, split};
use crate::profile::CAPACITY;
use crate::profile::{self, Language, Profile};
use crate::rewrite::RewriteReport;
use crate::rows;
use crate::size::size;
use crate::source::Source;
use crate::tasks;
use crate::weights::{self, Checkpoint, WeightReport};

/// The maximum number of tokens of a session if neither the model nor the caller sets a lower one.
const DEFAULT_CONTEXT: u32 = 4096;

/// The file with the rewrite reports (`inspect --rewrites`): JSON, by target and entry.
pub const REWRITES_FILE: &str = "rewrites.json";

/// The result of a compilation.
#[derive(Debug)]
pub struct CompileReport {
    /// Whether a browser is among the targets.
    pub browser: bool,
    /// Sizes and quantization errors of the weights.
    pub weights: WeightReport,
    /// Rewrite reports, by target and entry.
    pub rewrites: BTreeMap<String, BTreeMap<String, RewriteReport>>,
    /// Number of distinct kernels, by target.
    pub kernels: BTreeMap<String, usize>,
    /// Number of dispatches of each entry of the first target.
    pub dispatches: BTreeMap<String, usize>,
    /// The texts passed to [`Progress::warning`], in order.
    pub warnings: Vec<String>,
}

struct WeightProgress<'a>(&'a dyn Progress);

impl weights::Progress for WeightProgress<'_> {
    fn tick(&self, done: u64, total: u64, _what: &str) {
        self.0.bytes(done, total);
    }
}

/// The warnings so far.
struct Said<'a> {
    progress: &'a dyn Progress,
    warnings: Vec<String>,
}

impl Said<'_> {
    fn warning(&mut self, text: String) {
        self.progress.warning(&text);
        self.warnings.push(text);
    }

    /// Warns of weight files that are not read.
    fn others(&mut self, checkpoint: &Checkpoint) {
        let others = checkpoint.unread_files();
        if !others.is_empty() {
            let (read, are) = (checkpoint.shown_files(), if others.len() == 1 { "is" } else { "are" });
            self.warning(format!(
                "{} {are} not read; the weights are those of {read}",
                weights::files::listed(&others)
            ));
        }
    }

    /// Reports what the architecture does not read.
    fn unused(&mut self, found: Findings, options: &CompileOptions) -> Result<(), CompileError> {
        found.warnings.into_iter().for_each(|text| self.warning(text));
        if !found.faults.is_empty() && !options.allow_unused {
            return Err(CompileError::Unused(found.faults));
        }
        found.faults.into_iter().for_each(|text| self.warning(text));
        Ok(())
    }
}

/// Compiles `model_dir` into a bundle at `out`. The bundle appears there only once it is complete.
///
/// # Errors
/// See [`CompileError`]. Nothing is then left at `out`.
pub fn compile(
    model_dir: &Path,
    out: &Path,
    options: &CompileOptions,
    progress: &dyn Progress,
) -> Result<CompileReport, CompileError> {
    compile_from(|| hf::dir::source(model_dir), || bundle::DirSink::create(out), options, progress)
}

/// Like [`compile()`], from any source into any sink. The sink is opened only once the model is known to be compilable,
/// so a model that cannot be compiled leaves the target untouched.
///
/// Reads no clock, and no files besides those that the options name. Threads are used where they can be created.
/// Compiled to WebAssembly, the same function therefore writes the same bytes.
///
/// # Errors
/// See [`CompileError`]. The sink is then dropped unfinished.
pub fn compile_from<S: bundle::Sink + 'static>(
    source: impl FnOnce() -> Result<Arc<dyn Source>, CompileError>,
    sink: impl FnOnce() -> Result<S, bundle::Error>,
    options: &CompileOptions,
    progress: &dyn Progress,
) -> Result<CompileReport, CompileError> {
    progress.stage("reading");
    let profiles = target_profiles(options)?;
    let mut dir = ModelDir::read(source()?)?;
    let tokenizer = dir.tokenizer()?;
    let chat = dir.chat_template(tokenizer.as_ref())?;
    let checkpoint = dir.checkpoint()?;
    let mut said = Said { progress, warnings: Vec::new() };
    dir.warnings.iter().for_each(|text| said.warning(text.clone()));
    let told = dir.warnings.len();
    quantized::check(&dir.config, &checkpoint)?.into_iter().for_each(|text| said.warning(text));
    said.others(&checkpoint);
    let (mut model, usage, architecture) = bind(&mut dir, &checkpoint, options)?;
    let context = context(&model, options)?;
    states::keep_small_windows(&mut model, context);
    dir.warnings[told..].iter().for_each(|text| said.warning(text.clone()));
    said.unused(unused(&dir.config, &checkpoint, &usage, &architecture)?, options)?;
    let precisions = precision::PrecisionSelector::new(options, &model)?;
    check_verified(&model, "the bound model")?;
    let rows = rows::of_inputs(&model);
    if let Some(tokenizer) = &tokenizer {
        rows::check(&model, &rows, tokenizer)?;
    }

    progress.stage("preparing");
    let prepared = prepare(model, options.narrow, &|usage| precisions.choose(usage))?;
    let prepared = split(prepared, binding_limit(&profiles, options))?;
    check_verified(&prepared.model, "the prepared model")?;

    let entries = entries::entry_plans(&prepared.model);
    let manifest = manifest(&dir, &prepared, &entries, &profiles, &rows, options)?;
    let cpu = profiles.iter().find(|p| p.language == Language::Wasm);
    let mut writer = bundle::BundleWriter::new(sink()?);
    let mut rewrites = BTreeMap::new();
    let mut kernels = BTreeMap::new();
    let mut dispatches = BTreeMap::new();
    // Files that several targets share are named by their hash.
    let mut shared = BTreeSet::new();
    for profile in &profiles {
        progress.stage(&format!("kernels for {}", profile.name));
        let of = entries::Source { prepared: &prepared, kv: options.kv, entries: &entries, manifest: &manifest };
        let emitted = emit::emit(&of, profile, cpu)?;
        kernels.insert(profile.name.clone(), emitted.programs.kernels.len());
        if dispatches.is_empty() {
            dispatches = emitted.programs.programs.iter().map(|(name, p)| (name.clone(), p.steps.len())).collect();
        }
        writer.add_programs(&profile.name, &emitted.programs)?;
        for (path, content) in emitted.files.iter().filter(|(path, _)| !shared.contains(*path)) {
            writer.add(path, content)?;
        }
        shared.extend(emitted.files.into_keys());
        rewrites.insert(profile.name.clone(), emitted.rewrites);
    }
    add_json(&mut writer, bundle::GRAPH, &prepared.model)?;
    add_json(&mut writer, REWRITES_FILE, &rewrites)?;
    let companions = dir.companions()?;
    for (name, content) in &companions {
        writer.add(name, content)?;
    }
    let mut companions: Vec<String> = companions.into_iter().map(|(name, _)| name).collect();
    if let Some(content) = chat {
        writer.add(hf::template::FILE, content.as_bytes())?;
    }
    if let Some(tokenizer) = tokenizer {
        writer.add(hf::tokenizer::FILE, &tokenizer.json)?;
        companions.push(hf::tokenizer::FILE.to_string());
    }
    let lacking = missing(&prepared.model, &manifest, &companions, dir.is_gguf());
    lacking.iter().for_each(|text| progress.note(text));
    if profiles.iter().any(|p| p.browser) {
        for file in &options.page {
            writer.add(&file.path, &file.content)?;
        }
    }

    progress.stage("weights");
    let written = weights::write(&checkpoint, &prepared, &writer, &WeightProgress(progress))?;
    writer.adopt_weights(written.weights);

    progress.stage("finishing");
    writer.finish(manifest)?;
    Ok(CompileReport {
        browser: profiles.iter().any(|p| p.browser),
        weights: written.report,
        rewrites,
        kernels,
        dispatches,
        warnings: said.warnings,
    })
}

/// The requested profiles, in a fixed order.
fn target_profiles(options: &CompileOptions) -> Result<Vec<Profile>, CompileError> {
    let mut profiles = profile::targets(&options.targets)?;
    for limits in profiles.iter_mut().filter(|p| p.language == Language::Wgsl).map(|p| &mut p.limits) {
        limits.binding_bytes = options.binding_bytes.unwrap_or(limits.binding_bytes);
        limits.storage_buffers = options.storage_buffers.unwrap_or(limits.storage_buffers);
    }
    Ok(profiles)
}

/// The smallest binding limit of the targets, in bytes: all targets share the weights.
fn binding_limit(profiles: &[Profile], options: &CompileOptions) -> u64 {
    let least = profiles.iter().map(|p| p.limits.binding_bytes).min().unwrap_or(u64::MAX);
    options.binding_bytes.unwrap_or(least)
}

/// Binds the architecture to the config and the tensors of the directory. Returns the model, what it reads, and the
/// name of the architecture file.
fn bind(
    dir: &mut ModelDir,
    checkpoint: &Checkpoint,
    options: &CompileOptions,
) -> Result<(Model, Usage, String), CompileError> {
    let mut library = crate::library::library();
    let file = match &options.arch {
        Some(path) => {
            let text =
                bundle::files::read_text(path, bundle::files::MAX_TEXT).map_err(|e| CompileError::io(path, &e))?;
            let name = path.file_name().map_or_else(|| "model.ron".into(), |n| n.to_string_lossy().into_owned());
            library = library.with_file(&name, &text);
            name
        }
        None => dir.architecture_file(&library)?,
    };
    let tensors = checkpoint.tensors();
    dir.choose_class(&library, &file, &tensors)?;
    let bound = text::bind_with_usage(&library, &file, dir.settings(), Some(&tensors));
    let (model, usage) = bound.or_else(|mut found| {
        if let Some(packed) = quantized::explain(checkpoint)? {
            return Err(packed);
        }
        // To the binder, a tensor that cannot be a weight is missing.
        for problem in &mut found.0 {
            let quoted = |name: &String| problem.message.contains(&format!("`{name}`"));
            let unusable = checkpoint.skipped().iter().filter(|(name, _)| quoted(name));
            problem.notes.extend(unusable.map(|(name, why)| format!("the files have `{name}`, but it {why}")));
        }
        Err(CompileError::Architecture(found))
    })?;
    Ok((model, usage, file))
}

fn check_verified(model: &Model, what: &str) -> Result<(), CompileError> {
    verify(model).map_err(|faults| CompileError::Internal(format!("{what}: {}", faults.join("; "))))
}

fn add_json(writer: &mut bundle::BundleWriter, path: &str, value: &impl serde::Serialize) -> Result<(), CompileError> {
    let text = serde_json::to_vec(value).map_err(|e| CompileError::Internal(format!("{path}: {e}")))?;
    Ok(writer.add(path, &text)?)
}

fn sizes(shape: &[gristmill_graph::Dim]) -> Vec<bundle::Size> {
    shape.iter().map(size).collect()
}

fn elem(dtype: DType) -> bundle::Elem {
    match dtype {
        DType::F32 => bundle::Elem::F32,
        DType::I32 | DType::Bool => bundle::Elem::I32,
    }
}

/// The manifest without files, tensors and shards, which the writer adds.
fn manifest(
    dir: &ModelDir,
    prepared: &Prepared,
    entries: &[EntryPlan],
    profiles: &[Profile],
    rows: &[Option<u32>],
    options: &CompileOptions,
) -> Result<bundle::Manifest, CompileError> {
    let model = &prepared.model;
    let max_context = context(model, options)?;
    let limit = |v: i64| u32::try_from(v.max(0)).unwrap_or(u32::MAX);
    let mut symbols: Vec<bundle::Symbol> = model
        .symbols
        .iter()
        .map(|s| bundle::Symbol { name: s.name.clone(), min: limit(s.min), max: limit(s.max) })
        .collect();
    let start = hf::start::start(&dir.generation, &dir.config);
    symbols.push(bundle::Symbol { name: CAPACITY.into(), min: 1, max: u32::MAX });
    Ok(bundle::Manifest {
        format: bundle::FORMAT,
        generator: format!("gristmill {}", env!("CARGO_PKG_VERSION")),
        model: bundle::ModelInfo {
            name: dir.name.clone(),
            architecture: model.architecture.clone(),
            precision: precision::describe(options, model),
            parameters: model.weights.iter().map(|w| w.shape.iter().product::<u64>()).sum(),
            max_context,
            prefill_chunk: PREFILL_CHUNK.min(max_context),
            eos_token_ids: dir.eos_token_ids(),
            decoder_start_tokens: start.tokens,
            choices: start.choices,
            embedding: crate::embedding::embedding(dir, model, max_context)?,
        },
        symbols,
        inputs: model.inputs.iter().zip(rows).map(|(i, rows)| input(i, *rows)).collect(),
        states: (0..model.states.len()).map(|i| state(model, i as u32, options)).collect(),
        entries: entries.iter().map(|plan| entry(dir, model, plan, entries)).collect::<Result<_, _>>()?,
        tensors: Vec::new(),
        shards: Vec::new(),
        components: Vec::new(),
        files: BTreeMap::new(),
        profiles: profiles.iter().map(|p| p.name.clone()).collect(),
    })
}

/// The longest session, in tokens: what the caller asks for, within the limit of the model.
fn context(model: &Model, options: &CompileOptions) -> Result<u32, CompileError> {
    let own = model.symbols.iter().find(|s| s.name == "P").map(|s| u32::try_from(s.max).unwrap_or(u32::MAX));
    match (options.max_context, own) {
        (Some(0), _) => Err(CompileError::Options("--max-context must be at least 1".into())),
        (Some(asked), Some(own)) if asked > own => {
            Err(CompileError::Options(format!("--max-context {asked} exceeds the model's limit of {own} tokens")))
        }
        (Some(asked), _) => Ok(asked),
        (None, own) => Ok(own.unwrap_or(DEFAULT_CONTEXT).min(DEFAULT_CONTEXT)),
    }
}

fn input(input: &gristmill_graph::Input, below: Option<u32>) -> bundle::Input {
    use gristmill_graph::{Advance, InputDefault};
    bundle::Input {
        name: input.name.clone(),
        elem: elem(input.dtype),
        shape: sizes(&input.shape),
        default: input.default.as_ref().map(|d| match d {
            InputDefault::Value(v) => bundle::InputDefault::Value(*v),
            InputDefault::Positions => bundle::InputDefault::Positions,
        }),
        advance: input.advance.as_ref().map(|a| match a {
            Advance::Token => bundle::Advance::Token,
            Advance::Increment => bundle::Advance::Increment,
            Advance::Append(v) => bundle::Advance::Append(*v),
        }),
        below,
    }
}

fn state(model: &Model, index: u32, options: &CompileOptions) -> bundle::State {
    let state = &model.states[index as usize];
    let kind = match state.kind {
        StateKind::Appended { axis, .. } => bundle::StateKind::Appended { axis, ring: states::ring(state) },
        StateKind::Overwritten => bundle::StateKind::Overwritten,
        StateKind::Kept => bundle::StateKind::Kept,
    };
    let elem = match state_memory(model, index, options.kv) {
        Memory::F16x2 => bundle::Elem::F16,
        _ => bundle::Elem::F32,
    };
    bundle::State { name: state.name.clone(), elem, shape: states::shape(state), kind }
}

fn entry(dir: &ModelDir, model: &Model, plan: &EntryPlan, all: &[EntryPlan]) -> Result<bundle::Entry, CompileError> {
    use gristmill_graph::{EntryRole, Op};
    let declared = &model.entries[plan.entry];
    let graph = model.entry_graph(declared, plan.taps);
    let mut inputs: Vec<u32> =
        graph.nodes.iter().filter_map(|n| if let Op::Input(i) = n.op { Some(i) } else { None }).collect();
    inputs.sort_unstable();
    inputs.dedup();
    let states: BTreeSet<u32> = graph.nodes.iter().filter_map(|n| n.op.state()).collect();
    let bound = |(name, value): (&String, &i64)| match u32::try_from(*value) {
        Ok(value) => Ok((name.clone(), value)),
        Err(_) => {
            Err(CompileError::Internal(format!("entry {}: `{name}` is {value}, which is not a valid size", plan.name)))
        }
    };
    Ok(bundle::Entry {
        name: plan.name.clone(),
        role: match declared.role {
            _ if plan.taps => bundle::EntryRole::Taps,
            EntryRole::Tensors => bundle::EntryRole::Tensors,
            EntryRole::Encode => bundle::EntryRole::Encode,
            EntryRole::Prefill => bundle::EntryRole::Prefill,
            EntryRole::Decode => bundle::EntryRole::Decode,
            EntryRole::Embed => bundle::EntryRole::Embed,
        },
        bind: model.bound_by(declared).iter().map(bound).collect::<Result<_, _>>()?,
        inputs,
        outputs: plan
            .outputs
            .iter()
            .map(|name| {
                let node = graph.node(graph.outputs[name]);
                bundle::Output { name: name.clone(), elem: elem(node.dtype), shape: sizes(&node.shape) }
            })
            .collect(),
        states: states.into_iter().collect(),
        components: model.components_of(&graph),
        task: match &declared.task {
            Some(task) if !plan.taps => tasks::task(dir, model, task, plan, all)?,
            _ => None,
        },
    })
}
