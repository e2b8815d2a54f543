//! Runs the entries of a bundle on a device.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use gristmill_bundle::size::Expr;
use gristmill_bundle::{Binding, Elem, EntryRole, Manifest, Programs};

use super::buffers::{Buffers, Need};
use super::device::{BufferSpec, Copy, Gpu, Reading, Usage, Work};
use super::files::Files;
use super::kernels::choose;
use super::schedule::{Dispatch, Needed, Schedule, Step, fold};
use super::sizes::{elements, state_bytes, tensor};
use super::staging::{Staging, Taken};
use crate::backend::{Backend, Data, DeviceInput, Pending, Request, Tensors, nothing_started};
use crate::call::{Call, Session, eval_shape, invalid, prepare, wanted_outputs};
use crate::error::Error;
use crate::gather::gather;
use crate::join::join_all;

/// The remedy for a buffer that is too large, in bundles with and without WebAssembly.
const SHORTER: &str = "use a shorter input, a smaller --max-context, or another adapter";
const COMPILE: &str = "use a shorter input, a smaller --max-context, or another adapter, or add --target wasm when \
    compiling, so that WebAssembly can run the steps of long sessions";

/// The largest number of workgroups. Even with one element each, no device has memory for the results of more.
const MOST_WORKGROUPS: u64 = 1 << 28;

/// A bundle on a device.
#[derive(Debug)]
pub struct Executor<G: Gpu, F> {
    gpu: G,
    files: F,
    manifest: Arc<Manifest>,
    programs: Programs,
    /// By kernel; created on first use.
    pipelines: Vec<Option<G::Pipeline>>,
    /// Values of all symbols; binding 0 of every kernel.
    symbols: G::Buffer,
    buffers: Buffers<G::Buffer>,
    session: Option<Session>,
    /// By index in [`Manifest::entries`]; created on the first run.
    entries: Vec<Option<Ready<G>>>,
    staging: Staging<G::Buffer>,
    /// Calls in flight, oldest first.
    under_way: VecDeque<UnderWay<G::Buffer>>,
    /// The entry that was started last.
    last_entry: Option<usize>,
}

/// An entry that has run before.
#[derive(Debug)]
struct Ready<G: Gpu> {
    schedule: Schedule,
    /// Per step; `None` until the step is first used.
    groups: Vec<Option<Bound<G>>>,
    /// The epoch of `groups` and of all `steps`.
    epoch: u64,
    /// By requested outputs.
    needed: BTreeMap<Vec<usize>, Arc<Needed>>,
    /// The same, ready to be submitted.
    steps: BTreeMap<Vec<usize>, G::Steps>,
}

/// A step with its buffers.
#[derive(Debug)]
struct Bound<G: Gpu> {
    dispatches: Vec<(G::Pipeline, G::Group)>,
    /// Whether they are of the fallback.
    fallback: bool,
}

/// A call whose results are not read yet.
struct UnderWay<B> {
    reading: Reading,
    staging: Taken<B>,
    /// Name, type and shape of each result, in the order in which they lie in the staging buffer.
    results: Vec<(String, Elem, Vec<usize>)>,
}

impl<B> std::fmt::Debug for UnderWay<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnderWay").field("results", &self.results).finish_non_exhaustive()
    }
}

impl<G: Gpu, F: Files> Executor<G, F> {
    /// Prepares to run `programs`. Kernels can be compiled, but nothing runs before [`Executor::set_weights`].
    ///
    /// # Errors
    /// If the device cannot create a buffer.
    pub async fn new(gpu: G, files: F, manifest: Arc<Manifest>, programs: Programs) -> Result<Self, Error> {
        let spec = BufferSpec::new("symbols", manifest.symbols.len() as u64 * 4, Usage::Uniform);
        let mut made = gpu.create(&[spec]).await?;
        let symbols = made.pop().ok_or_else(|| Error::Backend("the device made no buffer".to_string()))?;
        let slots = programs.programs.values().map(|p| p.slots.len()).max().unwrap_or(0);
        let outputs = manifest.entries.iter().map(|e| e.outputs.len());
        Ok(Executor {
            buffers: Buffers::new(manifest.states.len(), slots, manifest.inputs.len(), outputs),
            pipelines: vec![None; programs.kernels.len()],
            entries: manifest.entries.iter().map(|_| None).collect(),
            symbols,
            session: None,
            staging: Staging::new(),
            under_way: VecDeque::new(),
            last_entry: None,
            gpu,
            files,
            manifest,
            programs,
        })
    }

    /// Sets the weights: one filled buffer per tensor of the manifest.
    pub fn set_weights(&mut self, weights: Vec<G::Buffer>) {
        self.buffers.set_weights(weights);
    }

    /// The device.
    pub fn gpu(&self) -> &G {
        &self.gpu
    }

    /// Compiles the kernels of all entries with one of these roles, concurrently and in the order of first use. `done`
    /// is called with the number of finished kernels and their total.
    ///
    /// # Errors
    /// If a shader cannot be read, or the device rejects it.
    pub async fn warm(&mut self, roles: &[EntryRole], done: &mut dyn FnMut(usize, usize)) -> Result<(), Error> {
        let mut kernels = BTreeSet::new();
        for entry in self.manifest.entries.iter().filter(|e| roles.contains(&e.role)) {
            let program = self.programs.programs.get(&entry.name);
            for step in program.iter().flat_map(|p| &p.steps) {
                let own = || step.dispatches.iter().map(|d| d.kernel as usize);
                if step.fallback.is_empty() || !own().any(|k| self.is_wide(k)) {
                    kernels.extend(own());
                }
            }
        }
        self.compile(&kernels, done).await
    }

    /// Compiles those of some kernels that are not compiled yet.
    async fn compile(&mut self, kernels: &BTreeSet<usize>, done: &mut dyn FnMut(usize, usize)) -> Result<(), Error> {
        let (gpu, files, programs) = (&self.gpu, &self.files, &self.programs);
        let missing: Vec<usize> = kernels.iter().copied().filter(|k| self.pipelines[*k].is_none()).collect();
        let tasks = missing.iter().map(|k| async move {
            let kernel = &programs.kernels[*k];
            if let Some(ready) = gpu.built_in(*k) {
                return Ok(ready);
            }
            let file = &choose(kernel, gpu.info())?.file;
            let source = files.text(file).await?;
            // Browsers have limits of their own.
            #[cfg(feature = "native")]
            if let Some(fault) = gristmill_bundle::shader_fault(&source) {
                return Err(Error::Text { file: file.clone(), message: fault });
            }
            gpu.compile(&kernel.name, &source, &kernel.writes).await.map_err(|e| match e {
                Error::Device { what, message } => Error::Device { what: format!("{what} ({file})"), message },
                other => other,
            })
        });
        let total = missing.len();
        let made = join_all(tasks, &mut |finished| done(finished, total)).await;
        for (k, pipeline) in missing.into_iter().zip(made) {
            self.pipelines[k] = Some(pipeline?);
        }
        Ok(())
    }

    async fn begin_now(&mut self, batch: u32, capacity: u32) -> Result<(), Error> {
        let session = Session::new(batch, capacity);
        self.session = None;
        self.forget().await;
        let manifest = self.manifest.clone();
        let (mut needs, mut kept) = (Vec::new(), Vec::new());
        for (i, state) in (0u32..).zip(&manifest.states) {
            let (binding, bytes) = (Binding::State(i), state_bytes(&manifest, state, &session)?);
            if self.buffers.holds(&self.gpu, 0, binding, bytes) {
                kept.push(binding);
            } else {
                let of_use = manifest.entries.iter().filter(|e| e.role != EntryRole::Taps);
                let programs = of_use.filter_map(|e| self.programs.programs.get(&e.name));
                let mut steps = programs.flat_map(|p| &p.steps).filter(|s| s.binds(binding));
                let remedy = self.remedy(steps.all(|s| !s.fallback.is_empty()));
                needs.push(Need { binding, what: format!("state `{}`", state.name), bytes, foreseen: 0, remedy });
            }
        }
        self.buffers.replace(&self.gpu, 0, &needs).await?;
        let kept: Vec<_> = kept.into_iter().filter_map(|b| self.buffers.get(0, b)).collect();
        self.gpu.clear(&kept);
        self.gpu.check("clearing states")?;
        self.session = Some(session);
        Ok(())
    }

    /// Waits for the calls in flight and drops their results, because their staging buffers are in use until then.
    async fn forget(&mut self) {
        while let Some(call) = self.under_way.pop_front() {
            if call.reading.await.is_ok() {
                self.staging.give_back(call.staging);
            }
        }
        self.last_entry = None;
    }

    /// Waits for the oldest calls until the device has room for one more; their results are kept.
    async fn make_room(&mut self) {
        let full = (self.under_way.len() + 1).saturating_sub(self.gpu.depth().max(1));
        for call in self.under_way.iter_mut().take(full) {
            let result = call.reading.as_mut().await;
            call.reading = Box::pin(std::future::ready(result));
        }
    }

    async fn start_now(&mut self, request: &Request, want: &[&str]) -> Result<(), Error> {
        self.make_room().await;
        let manifest = self.manifest.clone();
        let call = prepare(&manifest, &request.entry, &request.inputs, request.past, self.session.as_ref())?;
        let wanted = wanted_outputs(&manifest.entries[call.entry], want)?;
        let mut ready = match self.entries[call.entry].take() {
            Some(ready) => ready,
            None => self.make_ready(call.entry)?,
        };
        let result = self.execute(&mut ready, &call, &wanted, request.device_input.as_ref()).await;
        self.entries[call.entry] = Some(ready);
        self.under_way.push_back(result?);
        if let Some(session) = &mut self.session {
            session.called(&manifest, &call);
        }
        self.last_entry = Some(call.entry);
        Ok(())
    }

    async fn finish_now(&mut self) -> Result<Tensors, Error> {
        let call = self.under_way.pop_front().ok_or_else(nothing_started)?;
        let bytes = call.reading.await?;
        self.staging.give_back(call.staging);
        let mut rest = bytes.as_slice();
        let results = call.results.into_iter().map(|(name, elem, shape)| {
            let (own, others) = rest.split_at(rest.len().min(shape.iter().product::<usize>() * 4));
            rest = others;
            (name, tensor(elem, shape, own))
        });
        Ok(gather(results))
    }

    fn make_ready(&self, entry: usize) -> Result<Ready<G>, Error> {
        let entry = &self.manifest.entries[entry];
        let program = &self.programs.programs[&entry.name];
        let schedule = Schedule::new(&self.manifest, entry, program, &self.programs.kernels)?;
        Ok(Ready {
            groups: schedule.steps.iter().map(|_| None).collect(),
            schedule,
            epoch: self.buffers.epoch(),
            needed: BTreeMap::new(),
            steps: BTreeMap::new(),
        })
    }

    async fn execute(
        &mut self,
        ready: &mut Ready<G>,
        call: &Call<'_>,
        wanted: &[usize],
        device_input: Option<&DeviceInput>,
    ) -> Result<UnderWay<G::Buffer>, Error> {
        let schedule = &ready.schedule;
        let needed = ready.needed.entry(wanted.to_vec()).or_insert_with(|| Arc::new(schedule.needed(wanted))).clone();
        let shapes = self.reserve(ready, &needed, call).await?;
        let mut kernels = BTreeSet::new();
        for step in needed.steps.iter().map(|s| &ready.schedule.steps[*s]) {
            if !self.by_fallback(call.entry, step) {
                kernels.extend(step.dispatches.iter().map(|d| d.kernel));
            }
        }
        self.compile(&kernels, &mut |_, _| {}).await?;
        self.bind(ready, call.entry, wanted, &needed.steps)?;
        let grids = self.grids(ready, &needed.steps, &call.symbols)?;

        let outputs = &self.manifest.entries[call.entry].outputs;
        let size = |w: &usize| shapes[*w].iter().product::<usize>() as u64 * 4;
        let bytes = wanted.iter().map(size).sum();
        let staging = self.staging.take(&self.gpu, bytes).await?;
        let mut results = Vec::with_capacity(wanted.len());
        let mut to_offset = 0;
        for w in wanted {
            if let Some(from) = self.buffers.get(call.entry, Binding::Output(*w as u32)).filter(|_| size(w) > 0) {
                results.push(Copy { from, to: &staging.buffer, to_offset, bytes: size(w) });
            }
            to_offset += size(w);
        }
        let work = Work {
            writes: &self.writes(call, &needed, device_input),
            feed: device_input.map(|device_input| self.feed(device_input, call)).transpose()?,
            steps: &ready.steps[wanted],
            grids: &grids,
            results: &results,
            staging: &staging.buffer,
            bytes,
        };
        let reading = self.gpu.submit(&work);
        let named = wanted.iter().map(|w| (outputs[*w].name.clone(), outputs[*w].elem, shapes[*w].clone()));
        Ok(UnderWay { reading, results: named.collect(), staging })
    }

    /// Ensures that all bound buffers exist and are large enough; returns the shapes of all outputs.
    async fn reserve(&mut self, ready: &Ready<G>, needed: &Needed, call: &Call<'_>) -> Result<Vec<Vec<usize>>, Error> {
        let manifest = self.manifest.clone();
        let entry = &manifest.entries[call.entry];
        let later = self.at_capacity(&call.symbols);
        let most = self.gpu.info().limits.largest_binding();
        let dim = |e: &Expr| e.eval(&call.symbols).map(|n| n as usize).map_err(invalid);
        let shape = |dims: &Vec<Expr>| dims.iter().map(dim).collect();
        let shapes: Vec<Vec<usize>> = ready.schedule.outputs.iter().map(shape).collect::<Result<_, _>>()?;
        let (mut needs, mut used) = (Vec::new(), Vec::new());
        for &binding in &needed.bindings {
            let (bytes, foreseen) = match binding {
                Binding::Tensor(_) | Binding::State(_) => continue,
                Binding::Slot(s) => {
                    let size = &ready.schedule.slots[s as usize];
                    (size.eval(&call.symbols).map_err(invalid)?, size.eval(&later).unwrap_or(0))
                }
                Binding::Input(i) => {
                    let foreseen = eval_shape(&manifest, &manifest.inputs[i as usize].shape, &later);
                    let foreseen = foreseen.map_or(0, |s| elements(&s).saturating_mul(4));
                    let at = entry.inputs.iter().position(|e| *e == i).unwrap_or(0);
                    (call.inputs[at].data.len() as u64 * 4, foreseen)
                }
                Binding::Output(o) => (elements(&shapes[o as usize]).saturating_mul(4), 0),
            };
            used.push((binding, bytes));
            // A buffer of an earlier, shorter session would do now, but not for long.
            if !self.buffers.holds(&self.gpu, call.entry, binding, bytes.max(foreseen.min(most))) {
                let what = match binding {
                    Binding::Input(i) => format!("input `{}`", manifest.inputs[i as usize].name),
                    Binding::Output(o) => format!("output `{}`", entry.outputs[o as usize].name),
                    other => format!("{other:?} of entry `{}`", entry.name),
                };
                let mut steps = needed.steps.iter().map(|s| &ready.schedule.steps[*s]).filter(|s| s.binds(binding));
                let remedy = self.remedy(steps.all(|s| !s.fallback.is_empty()));
                needs.push(Need { binding, what, bytes, foreseen, remedy });
            }
        }
        self.buffers.replace(&self.gpu, call.entry, &needs).await?;
        for (binding, bytes) in used {
            self.buffers.get(call.entry, binding).iter().for_each(|b| self.gpu.used(b, bytes));
        }
        Ok(shapes)
    }

    /// The remedy for a buffer that is too large; none if all steps that bind it have fallback kernels.
    fn remedy(&self, replaced: bool) -> Option<&'static str> {
        let compiled = self.manifest.profiles.iter().any(|p| p == crate::cpu::PROFILE);
        (!replaced || !self.gpu.has_fallbacks()).then_some(if compiled { SHORTER } else { COMPILE })
    }

    /// Whether a kernel binds more buffers than the device allows, so that its fallback runs.
    fn is_wide(&self, kernel: usize) -> bool {
        let limit = self.gpu.info().limits.max_storage_buffers_per_shader_stage;
        self.gpu.has_fallbacks() && self.programs.kernels[kernel].writes.len() > limit as usize
    }

    /// Whether a step runs by its fallback kernel, now that its buffers exist.
    fn by_fallback(&self, entry: usize, step: &Step) -> bool {
        let offloaded = |b: &Binding| self.buffers.get(entry, *b).is_some_and(|b| self.gpu.is_offloaded(b));
        let beyond = |d: &Dispatch| self.is_wide(d.kernel) || d.bind.iter().any(offloaded);
        !step.fallback.is_empty() && step.dispatches.iter().any(beyond)
    }

    /// The symbols of a later call with the same number of new tokens that fills the states. Sizes that grow with the
    /// past are reserved for it, so that decoding does not allocate.
    fn at_capacity(&self, symbols: &[u32]) -> Vec<u32> {
        let names = self.manifest.symbol_names();
        let at = |name: &str| names.iter().position(|n| *n == name);
        let mut later = symbols.to_vec();
        if let (Some(session), Some(p), Some(t)) = (&self.session, at("P"), at("T")) {
            later[p] = later[p].max(session.capacity.saturating_sub(symbols[t]));
        }
        later
    }

    /// What the host writes to buffers: symbols, and all inputs that are needed except the one that the device copies.
    fn writes<'a>(
        &'a self,
        call: &'a Call<'_>,
        needed: &Needed,
        device_input: Option<&DeviceInput>,
    ) -> Vec<(&'a G::Buffer, &'a [u8])> {
        let entry = &self.manifest.entries[call.entry];
        let mut writes: Vec<(&G::Buffer, &[u8])> = vec![(&self.symbols, bytemuck::cast_slice(&call.symbols))];
        for (index, tensor) in entry.inputs.iter().zip(&call.inputs) {
            let is_fed = device_input.is_some_and(|f| f.input == self.manifest.inputs[*index as usize].name);
            let binding = Binding::Input(*index);
            // A buffer from an earlier call may be too small for an input that no step reads.
            let of_use = !is_fed && needed.bindings.contains(&binding);
            if let Some(buffer) = self.buffers.get(call.entry, binding).filter(|_| of_use) {
                let bytes: &[u8] = match &tensor.data {
                    Data::F32(v) => bytemuck::cast_slice(v),
                    Data::I32(v) => bytemuck::cast_slice(v),
                };
                writes.push((buffer, bytes));
            }
        }
        writes.retain(|(_, bytes)| !bytes.is_empty());
        writes
    }

    /// The copy from an output of the previous call to an input of this one.
    fn feed<'a>(&'a self, device_input: &DeviceInput, call: &Call<'_>) -> Result<Copy<'a, G::Buffer>, Error> {
        let fault = |what: &str| {
            Error::Backend(format!("`{}` cannot be passed to `{}`: {what}", device_input.output, device_input.input))
        };
        let last = self.last_entry.ok_or_else(|| fault("there was no earlier call"))?;
        let output = self.manifest.entries[last].outputs.iter().position(|o| o.name == device_input.output);
        let input = self.manifest.inputs.iter().position(|i| i.name == device_input.input);
        let entry = &self.manifest.entries[call.entry];
        let given = entry.inputs.iter().position(|i| Some(*i as usize) == input);
        let (Some(output), Some(input), Some(given)) = (output, input, given) else {
            return Err(fault("there is no such input or output"));
        };
        let from = self.buffers.get(last, Binding::Output(output as u32));
        let to = self.buffers.get(call.entry, Binding::Input(input as u32));
        let (Some(from), Some(to)) = (from, to) else { return Err(fault("it was not computed")) };
        Ok(Copy { from, to, to_offset: 0, bytes: call.inputs[given].data.len() as u64 * 4 })
    }

    /// Creates missing bind groups, and records the steps.
    fn bind(&self, ready: &mut Ready<G>, entry: usize, wanted: &[usize], steps: &[usize]) -> Result<(), Error> {
        if ready.epoch != self.buffers.epoch() {
            ready.groups.iter_mut().for_each(|g| *g = None);
            ready.steps.clear();
            ready.epoch = self.buffers.epoch();
        }
        if ready.steps.contains_key(wanted) {
            return Ok(());
        }
        for &s in steps {
            if ready.groups[s].is_none() {
                ready.groups[s] = Some(self.bind_step(entry, &ready.schedule.steps[s])?);
            }
        }
        let mut pairs = Vec::with_capacity(steps.len());
        for bound in steps.iter().filter_map(|s| ready.groups[*s].as_ref()) {
            pairs.extend(bound.dispatches.iter().map(|(pipeline, group)| (pipeline, group)));
        }
        ready.steps.insert(wanted.to_vec(), self.gpu.record(&pairs));
        self.gpu.check("binding buffers")
    }

    /// A step with its buffers, by the device's own kernels or by its fallback.
    fn bind_step(&self, entry: usize, step: &Step) -> Result<Bound<G>, Error> {
        let fallback = self.by_fallback(entry, step);
        let dispatches = if fallback { &step.fallback } else { &step.dispatches };
        let bind = |d: &Dispatch| self.bind_dispatch(entry, step, d, fallback);
        Ok(Bound { dispatches: dispatches.iter().map(bind).collect::<Result<_, _>>()?, fallback })
    }

    /// A dispatch of a step with its buffers.
    fn bind_dispatch(
        &self,
        entry: usize,
        step: &Step,
        dispatch: &Dispatch,
        fallback: bool,
    ) -> Result<(G::Pipeline, G::Group), Error> {
        let missing = |what: String| Error::Device { what: format!("`{}`", step.nodes), message: what };
        let (kernel, pipeline) = match fallback {
            true => {
                let kernel = &self.programs.fallbacks[dispatch.kernel];
                (kernel, self.gpu.fallback(dispatch.kernel, &kernel.writes))
            }
            false => (&self.programs.kernels[dispatch.kernel], self.pipelines[dispatch.kernel].clone()),
        };
        let pipeline = pipeline.ok_or_else(|| missing(format!("kernel `{}` is not compiled", kernel.name)))?;
        let mut buffers = vec![&self.symbols];
        for binding in &dispatch.bind {
            let buffer = self.buffers.get(entry, *binding);
            let buffer = buffer.ok_or_else(|| missing(format!("{binding:?} has no buffer")))?;
            if !fallback && self.gpu.is_offloaded(buffer) {
                let message = format!("{binding:?} is too large for the adapter, and the step has no fallback kernel");
                return Err(missing(format!("{message}; use a smaller --max-context, or --backend wasm")));
            }
            buffers.push(buffer);
        }
        Ok((pipeline.clone(), self.gpu.bind(&kernel.name, &pipeline, &buffers)))
    }

    /// The number of workgroups of each dispatch, or of iterations in WebAssembly.
    fn grids(&self, ready: &Ready<G>, steps: &[usize], symbols: &[u32]) -> Result<Vec<(u32, u32)>, Error> {
        let mut grids = Vec::with_capacity(steps.len());
        for s in steps {
            let step = &ready.schedule.steps[*s];
            let fallback = ready.groups[*s].as_ref().is_some_and(|b| b.fallback);
            for dispatch in if fallback { &step.fallback } else { &step.dispatches } {
                grids.push(self.grid(&step.nodes, dispatch, fallback, symbols)?);
            }
        }
        Ok(grids)
    }

    fn grid(&self, nodes: &str, dispatch: &Dispatch, fallback: bool, symbols: &[u32]) -> Result<(u32, u32), Error> {
        let count = dispatch.grid.eval(symbols).map_err(invalid)?;
        if count == 0 {
            return Ok((0, 0));
        }
        let most = if fallback { u32::MAX } else { self.gpu.info().limits.max_compute_workgroups_per_dimension };
        // Grid positions of WebAssembly kernels are not workgroups, and their calls have a time limit.
        if most < u32::MAX && count > MOST_WORKGROUPS {
            let text = format!("`{nodes}` has {count} workgroups; at most {MOST_WORKGROUPS} are supported");
            return Err(Error::Unsupported(format!("{text}; use a shorter input")));
        }
        fold(count, most).ok_or_else(|| {
            let limit = u64::from(most) * u64::from(most);
            let (what, remedy) = (format!("`{nodes}`"), "use a shorter input");
            self.gpu.info().limit(&what, count, limit, "maxComputeWorkgroupsPerDimension", remedy)
        })
    }
}

impl<G: Gpu, F: Files> Backend for Executor<G, F> {
    fn describe(&self) -> String {
        self.gpu.describe()
    }

    fn depth(&self) -> usize {
        self.gpu.depth()
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()> {
        Box::pin(self.begin_now(batch, capacity))
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        Box::pin(self.start_now(request, want))
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        Box::pin(self.finish_now())
    }
}
