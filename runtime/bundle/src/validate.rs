//! Validates manifests and programs, so that later code cannot go out of range.
//!
//! - Names are unique and non-empty; counts and ranks are bounded.
//! - Paths are relative, without `..`, `.`, empty parts, backslashes or drive letters.
//! - Sizes are over the declared symbols; states depend on neither `T` nor `P`.
//! - Tensors are inside the weight stream, aligned, and do not overlap; each tensor and shard has one component. The
//!   stream has no more than they need.
//! - Every index of a program is in range; nothing read-only is written, nothing is bound twice and written.
//! - A fallback binds no other buffers than its step, and writes the same ones.

mod embedding;
mod task;

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::error::Error;
use crate::manifest::{Binding, Dispatch, Elem, Entry, FileInfo, Kernel, Manifest, Program, Programs, StateKind, Step};
use crate::order::order;
use crate::size::{Size, SizeOp};

/// The path of the manifest in a bundle.
pub const MANIFEST: &str = "manifest.json";
/// The path of the graph of a bundle, for checks and for readers; programs do not need it.
pub const GRAPH: &str = "graph.json";
/// The largest size of a manifest or program file, in bytes.
pub const MAX_JSON: u64 = 32 << 20;
/// The largest size of a file besides manifest, programs and weights, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// The folder of programs.
const PROGRAMS: &str = "programs/";
/// The largest size of a weight file, in bytes.
pub const MAX_SHARD: u64 = 32 << 20;

const MAX_SYMBOLS: usize = 32;
const MAX_RANK: usize = 8;
const MAX_NAME: usize = 500;
const MAX_BINDINGS: usize = 64;
/// The largest length of any list; real bundles stay far below.
const MAX_COUNT: usize = 1 << 20;
/// For what every buffer or step is compared with.
const MAX_STATES: usize = 2_000;
const MAX_INPUTS: usize = 256;
const MAX_SLOTS: usize = 20_000;
const MAX_STEPS: usize = 20_000;
/// The alignment of bindings that every WebGPU device supports, and the largest that any requires.
const TENSOR_ALIGN: u64 = 256;

/// Adds the file to errors.
struct Check<'a> {
    file: &'a str,
}

impl Check<'_> {
    fn fail<T>(&self, place: impl Display, fault: impl Display) -> Result<T, Error> {
        Err(Error::Invalid { file: self.file.to_string(), place: short(place), fault: fault.to_string() })
    }

    fn count(&self, place: &str, found: usize, most: usize) -> Result<(), Error> {
        if found <= most { Ok(()) } else { self.fail(place, format!("{found} elements; at most {most} are supported")) }
    }

    fn name<'n>(&self, place: &str, name: &'n str, seen: &mut BTreeSet<&'n str>) -> Result<(), Error> {
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return self.fail(place, format!("`{}` is not a valid name", short(name)));
        }
        if seen.insert(name) { Ok(()) } else { self.fail(place, format!("the name `{name}` occurs twice")) }
    }

    fn path(&self, place: &str, path: &str) -> Result<(), Error> {
        if is_clean_path(path) {
            return Ok(());
        }
        self.fail(place, format!("`{}` is not a clean relative path", short(path)))
    }

    fn shape(&self, place: &str, shape: &[Size], symbols: &[&str]) -> Result<(), Error> {
        self.count(place, shape.len(), MAX_RANK)?;
        shape.iter().try_for_each(|s| self.size(place, s, symbols))
    }

    fn size(&self, place: &str, size: &Size, symbols: &[&str]) -> Result<(), Error> {
        size.resolve(symbols).map(|_| ()).or_else(|e| self.fail(place, e))
    }

    fn info(&self, place: &str, info: &FileInfo) -> Result<(), Error> {
        let most = if place.starts_with(PROGRAMS) { MAX_JSON } else { MAX_FILE };
        if info.bytes > most {
            return self.fail(place, format!("{} bytes; at most {most} are supported", info.bytes));
        }
        self.hash(place, &info.sha256)
    }

    fn hash(&self, place: &str, hash: &str) -> Result<(), Error> {
        let good = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if good { Ok(()) } else { self.fail(place, format!("`{}` is not a lower-case SHA-256", short(hash))) }
    }
}

/// Shortens names for messages: those of a malicious bundle may be long.
fn short(text: impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// Whether a path stays inside the directory that it is joined to, on every operating system and in a URL.
pub fn is_clean_path(path: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p != "." && p != "..";
    let bad = |c: char| c.is_control() || matches!(c, '\\' | ':' | '?' | '#' | '%' | '*' | '"' | '<' | '>' | '|');
    path.len() <= MAX_NAME && !path.contains(bad) && path.split('/').all(part)
}

impl Manifest {
    /// Validates the manifest without reading files.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place of the first fault.
    pub fn validate(&self) -> Result<(), Error> {
        let check = Check { file: MANIFEST };
        if self.format != crate::FORMAT {
            return Err(Error::Format { found: u64::from(self.format) });
        }
        let symbols = self.check_symbols(&check)?;
        self.check_model(&check)?;
        self.check_inputs(&check, &symbols)?;
        self.check_states(&check, &symbols)?;
        self.check_entries(&check, &symbols)?;
        if let Some(fault) = self.embedding_fault() {
            return check.fail("model.embedding", fault);
        }
        self.check_tensors(&check)?;
        if let Some((place, fault)) = self.component_fault() {
            return check.fail(place, fault);
        }
        self.check_files(&check)
    }

    /// The names of the symbols, in the order of the uniform buffer.
    pub fn symbol_names(&self) -> Vec<&str> {
        self.symbols.iter().map(|s| s.name.as_str()).collect()
    }

    /// The entry with this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name)
    }

    /// The length of the weight stream in bytes, which does not overflow for valid manifests.
    pub fn weight_bytes(&self) -> u64 {
        self.shards.iter().map(|s| s.bytes).fold(0, u64::saturating_add)
    }

    fn check_symbols(&self, check: &Check<'_>) -> Result<Vec<&str>, Error> {
        check.count("symbols", self.symbols.len(), MAX_SYMBOLS)?;
        let mut seen = BTreeSet::new();
        for s in &self.symbols {
            let identifier = s.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !s.name.starts_with(|c: char| c.is_ascii_digit());
            check.name("symbols", &s.name, &mut seen)?;
            if !identifier || s.min > s.max {
                return check.fail(
                    format!("symbol `{}`", s.name),
                    format!("expected an identifier and min <= max, found {} to {}", s.min, s.max),
                );
            }
        }
        Ok(self.symbol_names())
    }

    fn check_model(&self, check: &Check<'_>) -> Result<(), Error> {
        check.count("model.eos_token_ids", self.model.eos_token_ids.len(), 10_000)?;
        if self.model.max_context == 0 || self.model.prefill_chunk == 0 {
            return check.fail("model", "max_context and prefill_chunk must not be 0");
        }
        self.check_choices(check)
    }

    fn check_choices(&self, check: &Check<'_>) -> Result<(), Error> {
        check.count("model.choices", self.model.choices.len(), 100)?;
        let start = &self.model.decoder_start_tokens;
        let (mut seen, mut least) = (BTreeSet::new(), 1);
        for choice in &self.model.choices {
            check.name("model.choices", &choice.name, &mut seen)?;
            let place = format!("choice `{}`", choice.name);
            check.count(&place, choice.values.len(), 10_000)?;
            if choice.place < least || choice.place as usize >= start.len() {
                let message =
                    format!("place {} is not after the previous one, or is beyond the start tokens", choice.place);
                return check.fail(place, message);
            }
            least = choice.place + 1;
            if choice.values.is_empty() || choice.default.as_ref().is_some_and(|d| !choice.values.contains_key(d)) {
                return check.fail(place, "it has no values, or its default is not one of them");
            }
        }
        Ok(())
    }

    fn check_inputs(&self, check: &Check<'_>, symbols: &[&str]) -> Result<(), Error> {
        check.count("inputs", self.inputs.len(), MAX_INPUTS)?;
        let mut seen = BTreeSet::new();
        for input in &self.inputs {
            let place = format!("input `{}`", input.name);
            check.name("inputs", &input.name, &mut seen)?;
            check.shape(&place, &input.shape, symbols)?;
            if input.elem == Elem::F16 {
                return check.fail(place, "an input must be f32 or i32, found f16");
            }
            if (input.default.is_some() || input.advance.is_some()) && input.shape.is_empty() {
                return check.fail(place, "an input with a default or a continuation needs an axis");
            }
        }
        Ok(())
    }

    fn check_states(&self, check: &Check<'_>, symbols: &[&str]) -> Result<(), Error> {
        check.count("states", self.states.len(), MAX_STATES)?;
        let lasting: Vec<&str> = symbols.iter().copied().filter(|s| !matches!(*s, "T" | "P")).collect();
        let mut seen = BTreeSet::new();
        for state in &self.states {
            let place = format!("state `{}`", state.name);
            check.name("states", &state.name, &mut seen)?;
            check.shape(&place, &state.shape, &lasting)?;
            let fixed: Vec<&str> = lasting.iter().copied().filter(|s| *s != "C").collect();
            let mut others = state.shape.clone();
            if let StateKind::Appended { axis, ring } = state.kind {
                let mut rows = Size::symbol("C");
                if let Some(ring) = ring {
                    if !(1..=ring.rows).contains(&ring.window) {
                        let window = format!("has a window of {} in a ring of {} rows", ring.window, ring.rows);
                        return check.fail(place, window);
                    }
                    rows = Size::of(SizeOp::Min, rows, Size::Int(ring.rows.into()));
                }
                match state.shape.get(axis as usize) {
                    Some(size) if *size == rows => drop(others.remove(axis as usize)),
                    _ => return check.fail(place, format!("grows along axis {axis}, whose size is not `{rows}`")),
                }
            }
            check.shape(&format!("{place}, where it does not grow"), &others, &fixed)?;
        }
        Ok(())
    }

    fn check_entries(&self, check: &Check<'_>, symbols: &[&str]) -> Result<(), Error> {
        check.count("entries", self.entries.len(), 1000)?;
        let mut seen = BTreeSet::new();
        for entry in &self.entries {
            let place = format!("entry `{}`", entry.name);
            check.name("entries", &entry.name, &mut seen)?;
            for (name, value) in &entry.bind {
                let known = self.symbols.iter().find(|s| s.name == *name);
                if known.is_none_or(|s| *value < s.min || *value > s.max) {
                    return check
                        .fail(place, format!("binds `{name}` to {value}, which is not a valid value of a symbol"));
                }
            }
            let mut inputs = BTreeSet::new();
            for i in &entry.inputs {
                if *i as usize >= self.inputs.len() || !inputs.insert(i) {
                    return check.fail(place, format!("input {i} does not exist or occurs twice"));
                }
            }
            let mut states = BTreeSet::new();
            for i in &entry.states {
                if *i as usize >= self.states.len() || !states.insert(i) {
                    return check.fail(place, format!("state {i} does not exist or occurs twice"));
                }
            }
            check.count(&place, entry.outputs.len(), 100_000)?;
            let mut outputs = BTreeSet::new();
            for output in &entry.outputs {
                check.name(&place, &output.name, &mut outputs)?;
                check.shape(&format!("{place}, output `{}`", output.name), &output.shape, symbols)?;
                if output.elem == Elem::F16 {
                    return check.fail(place, format!("output `{}` must be f32 or i32, found f16", output.name));
                }
            }
            if let Some(fault) = entry.task.as_ref().and_then(|task| self.task_fault(entry, task)) {
                return check.fail(format!("{place}, task"), fault);
            }
        }
        Ok(())
    }

    fn check_tensors(&self, check: &Check<'_>) -> Result<(), Error> {
        check.count("shards", self.shards.len(), MAX_COUNT)?;
        for (i, shard) in self.shards.iter().enumerate() {
            check.hash(&format!("shards[{i}]"), &shard.sha256)?;
            if shard.bytes == 0 || shard.bytes > MAX_SHARD || shard.bytes % 16 != 0 {
                let fault = format!("{} bytes, expected a multiple of 16, at most {MAX_SHARD}", shard.bytes);
                return check.fail(format!("shards[{i}]"), fault);
            }
        }
        check.count("tensors", self.tensors.len(), MAX_COUNT)?;
        let total = self.weight_bytes();
        let mut seen = BTreeSet::new();
        let mut spans = Vec::with_capacity(self.tensors.len());
        for t in &self.tensors {
            let place = format!("tensor `{}`", t.name);
            check.name("tensors", &t.name, &mut seen)?;
            check.count(&place, t.shape.len(), MAX_RANK)?;
            if t.offset % TENSOR_ALIGN != 0 || t.bytes % 16 != 0 {
                return check.fail(place, format!("offset {} or size {} is not aligned", t.offset, t.bytes));
            }
            match t.offset.checked_add(t.bytes) {
                Some(end) if end <= total => spans.push((t.offset, end, &t.name)),
                _ => {
                    return check.fail(
                        place,
                        format!("{} bytes from {} on, but the weight stream has {total}", t.bytes, t.offset),
                    );
                }
            }
        }
        // A shard may be there several times, but whoever reads the stream must not read more than tensors need.
        let needed = self.tensors.iter().fold(0, |sum: u64, t| {
            sum.saturating_add(t.bytes.checked_next_multiple_of(TENSOR_ALIGN).unwrap_or(u64::MAX))
        });
        if total > needed {
            let fault = format!("{total} bytes in {} files, but tensors need only {needed}", self.shards.len());
            return check.fail("shards", fault);
        }
        let order = order(spans.len(), &|a, b| spans[a].cmp(&spans[b]));
        for (before, behind) in order.windows(2).map(|w| (spans[w[0]], spans[w[1]])) {
            if before.1 > behind.0 {
                return check.fail(format!("tensor `{}`", behind.2), format!("overlaps tensor `{}`", before.2));
            }
        }
        Ok(())
    }

    fn check_files(&self, check: &Check<'_>) -> Result<(), Error> {
        check.count("files", self.files.len(), MAX_COUNT)?;
        for (path, info) in &self.files {
            check.path("files", path)?;
            check.info(path, info)?;
            if path == MANIFEST || path.starts_with("weights/") {
                return check.fail("files", format!("`{path}` must not be listed"));
            }
        }
        let mut seen = BTreeSet::new();
        check.count("profiles", self.profiles.len(), 1000)?;
        for profile in &self.profiles {
            check.name("profiles", profile, &mut seen)?;
            if !self.files.contains_key(&programs_path(profile)) {
                return check.fail("profiles", format!("`{}` is not in files", programs_path(&short(profile))));
            }
        }
        Ok(())
    }
}

/// The path of the programs of a profile.
pub fn programs_path(profile: &str) -> String {
    format!("{PROGRAMS}{profile}.json")
}

impl Programs {
    /// Validates the programs in `file` against the manifest, which must be valid.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the place of the first fault.
    pub fn validate(&self, manifest: &Manifest, file: &str) -> Result<(), Error> {
        let check = Check { file };
        check_kernels(&check, manifest, "kernels", &self.kernels)?;
        check_kernels(&check, manifest, "fallbacks", &self.fallbacks)?;
        for entry in &manifest.entries {
            if !self.programs.contains_key(&entry.name) {
                return check.fail("programs", format!("no program for entry `{}`", entry.name));
            }
        }
        self.programs.iter().try_for_each(|(name, _)| match manifest.entry(name) {
            Some(entry) => self.check_program(&check, manifest, entry),
            None => check.fail("programs", format!("`{}` is not an entry", short(name))),
        })
    }

    fn check_program(&self, check: &Check<'_>, manifest: &Manifest, entry: &Entry) -> Result<(), Error> {
        let program = &self.programs[&entry.name];
        let symbols = manifest.symbol_names();
        let place = format!("program `{}`", entry.name);
        check.count(&format!("{place}, slots"), program.slots.len(), MAX_SLOTS)?;
        check.count(&format!("{place}, steps"), program.steps.len(), MAX_STEPS)?;
        for slot in &program.slots {
            check.size(&place, slot, &symbols)?;
        }
        let dispatches = program.steps.iter().map(|s| s.dispatches.len().max(s.fallback.len())).sum();
        check.count(&format!("{place}, dispatches"), dispatches, MAX_STEPS)?;
        let own = manifest.tensors_of(entry);
        let foreign = |b: &Binding| matches!(b, Binding::Tensor(t) if own.get(*t as usize) == Some(&false));
        for (i, step) in program.steps.iter().enumerate() {
            let place = format!("program `{}`, step {i}", entry.name);
            if let Some(Binding::Tensor(t)) = step.dispatches.iter().find_map(|d| d.bind.iter().find(|b| foreign(b))) {
                let name = &manifest.tensors[*t as usize].name;
                return check.fail(
                    place,
                    format!("tensor `{}` belongs to a component that the entry does not name", short(name)),
                );
            }
            if step.dispatches.is_empty() {
                return check.fail(place, "it has no dispatches");
            }
            let of = (manifest, entry, program);
            check_dispatches(check, &place, of, &self.kernels, &step.dispatches)?;
            self.check_fallback(check, of, step, &place)?;
        }
        Ok(())
    }

    /// Checks that a fallback binds and writes the same buffers as the dispatches of its step.
    fn check_fallback(&self, check: &Check<'_>, of: Of<'_>, step: &Step, place: &str) -> Result<(), Error> {
        if step.fallback.is_empty() {
            return Ok(());
        }
        let place = format!("{place}, fallback");
        check_dispatches(check, &place, of, &self.fallbacks, &step.fallback)?;
        let own = step.bound();
        if let Some(other) = step.fallback.iter().find_map(|d| d.bind.iter().find(|b| !own.contains(b))) {
            return check.fail(place, format!("{other:?} is not bound by the step"));
        }
        let (wanted, found) = (written(&self.kernels, &step.dispatches), written(&self.fallbacks, &step.fallback));
        // What dispatches hand to one another is of no use to others.
        let between = handed_on(&self.kernels, &step.dispatches);
        let missing = wanted.iter().find(|b| !found.contains(b) && !between.contains(b));
        if let Some(other) = missing.or_else(|| found.iter().find(|b| !wanted.contains(b))) {
            return check.fail(place, format!("the step and its fallback write different buffers: {other:?}"));
        }
        Ok(())
    }
}

/// The place of a step, for messages.
type Of<'a> = (&'a Manifest, &'a Entry, &'a Program);

/// The buffers that a dispatch writes.
fn writes<'a>(kernels: &'a [Kernel], dispatch: &'a Dispatch) -> impl Iterator<Item = Binding> + 'a {
    let writes = kernels.get(dispatch.kernel as usize).map_or(&[][..], |k| &k.writes);
    dispatch.bind.iter().zip(writes).filter(|(_, writes)| **writes).map(|(b, _)| *b)
}

/// The buffers that dispatches write.
fn written(kernels: &[Kernel], dispatches: &[Dispatch]) -> BTreeSet<Binding> {
    let mut all = BTreeSet::new();
    dispatches.iter().for_each(|d| all.extend(writes(kernels, d)));
    all
}

/// The scratch buffers that one dispatch writes and a later one reads.
fn handed_on(kernels: &[Kernel], dispatches: &[Dispatch]) -> BTreeSet<Binding> {
    let (mut before, mut found) = (BTreeSet::new(), BTreeSet::new());
    for dispatch in dispatches {
        let own = written(kernels, std::slice::from_ref(dispatch));
        for binding in &dispatch.bind {
            match (own.contains(binding), binding) {
                (true, Binding::Slot(_)) => drop(before.insert(*binding)),
                (false, _) if before.contains(binding) => drop(found.insert(*binding)),
                _ => {}
            }
        }
    }
    found
}

/// Checks that kernels exist and bind the right buffers.
fn check_dispatches(
    check: &Check<'_>,
    place: &str,
    of: Of<'_>,
    kernels: &[Kernel],
    dispatches: &[Dispatch],
) -> Result<(), Error> {
    let symbols = of.0.symbol_names();
    for dispatch in dispatches {
        check.size(place, &dispatch.grid, &symbols)?;
        let Some(kernel) = kernels.get(dispatch.kernel as usize) else {
            return check.fail(place, format!("kernel {} does not exist", dispatch.kernel));
        };
        check_bindings(check, place, of, kernel, &dispatch.bind)?;
    }
    Ok(())
}

fn check_kernels(check: &Check<'_>, manifest: &Manifest, list: &str, kernels: &[Kernel]) -> Result<(), Error> {
    check.count(list, kernels.len(), MAX_COUNT)?;
    for (i, kernel) in kernels.iter().enumerate() {
        let place = format!("{list}[{i}] ({})", kernel.name);
        check.count(&place, kernel.writes.len(), MAX_BINDINGS)?;
        match kernel.variants.last() {
            Some(last) if last.requires.is_empty() => {}
            _ => return check.fail(place, "the last variant must exist and require nothing"),
        }
        for v in &kernel.variants {
            if !manifest.files.contains_key(&v.file) {
                return check.fail(place, format!("`{}` is not in the manifest", short(&v.file)));
            }
        }
    }
    Ok(())
}

/// Checks that buffers exist, that their number is right, and that only writable ones are written.
fn check_bindings(
    check: &Check<'_>,
    place: &str,
    (manifest, entry, program): Of<'_>,
    kernel: &Kernel,
    bind: &[Binding],
) -> Result<(), Error> {
    if kernel.writes.len() != bind.len() {
        let (want, found) = (kernel.writes.len(), bind.len());
        return check.fail(place, format!("kernel `{}` binds {want} buffers, found {found}", kernel.name));
    }
    for (at, (binding, writes)) in bind.iter().zip(&kernel.writes).enumerate() {
        let (exists, writable) = match *binding {
            Binding::Tensor(t) => ((t as usize) < manifest.tensors.len(), false),
            Binding::Slot(s) => ((s as usize) < program.slots.len(), true),
            Binding::State(s) => ((s as usize) < manifest.states.len(), true),
            Binding::Input(n) => (entry.inputs.contains(&n), false),
            Binding::Output(n) => ((n as usize) < entry.outputs.len(), true),
        };
        if !exists || (*writes && !writable) {
            let fault = if exists { "is read-only, but written" } else { "does not exist" };
            return check.fail(place, format!("binding {at}, {binding:?}, {fault}"));
        }
        // WebGPU forbids a buffer that is both read and written in one dispatch.
        let twice = bind[..at].iter().zip(&kernel.writes).any(|(b, w)| b == binding && (*w || *writes));
        if twice {
            return check.fail(place, format!("{binding:?} is bound twice and written"));
        }
    }
    Ok(())
}
