//! Runs entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use gristmill_bundle::size::Expr;
use gristmill_bundle::{Binding, Bundle, Elem, Manifest, Programs, State};

use super::buffers::Growing;
use super::device::{Device, Options};
use super::pipelines::Pipelines;
use super::readback::{Staging, read};
use super::schedule::{Needed, Schedule, fold};
use super::weights::upload;
use crate::backend::{Data, Tensor};
use crate::call::{Call, Session, eval_shape, invalid, prepare, wanted_outputs};
use crate::error::Error;

/// A bundle on a WebGPU device.
#[derive(Debug)]
pub struct Wgpu {
    bundle: Arc<Bundle>,
    device: Device,
    programs: Programs,
    pipelines: Pipelines,
    /// Values of all symbols; binding 0 of every kernel.
    symbols: wgpu::Buffer,
    weights: Vec<wgpu::Buffer>,
    session: Option<Session>,
    states: Vec<Growing>,
    /// Shared by all entries, as only one runs at a time.
    slots: Vec<Growing>,
    /// By index in [`Manifest::inputs`], shared by all entries.
    inputs: Vec<Growing>,
    /// By index in [`Manifest::entries`]; made when first run.
    entries: Vec<Option<Ready>>,
    /// Counts replaced buffers; bind groups made under another number are stale.
    epoch: u64,
    staging: Staging,
}

/// An entry that has run before.
#[derive(Debug)]
struct Ready {
    schedule: Schedule,
    outputs: Vec<Growing>,
    /// Per step; `None` until the step is first used.
    groups: Vec<Option<wgpu::BindGroup>>,
    /// The epoch of `groups`.
    epoch: u64,
    /// By wanted outputs.
    needed: BTreeMap<Vec<usize>, Arc<Needed>>,
}

impl Wgpu {
    /// Opens an adapter and uploads the weights, reporting bytes done and bytes in total.
    pub async fn load_async(
        bundle: Arc<Bundle>,
        options: &Options,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Error> {
        let manifest = bundle.manifest();
        let programs = bundle.programs(&choose_profile(manifest, options)?)?;
        let mut device = Device::open(options).await?;
        let weights = upload(&mut device, &bundle, progress).await?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let symbols = device.buffer("symbols", manifest.symbols.len() as u64 * 4, usage, "").await?;
        let growing = |n: usize| (0..n).map(|_| Growing::default()).collect::<Vec<_>>();
        Ok(Wgpu {
            pipelines: Pipelines::new(programs.kernels.len()),
            states: growing(manifest.states.len()),
            slots: growing(programs.programs.values().map(|p| p.slots.len()).max().unwrap_or(0)),
            inputs: growing(manifest.inputs.len()),
            entries: manifest.entries.iter().map(|_| None).collect(),
            symbols,
            weights,
            session: None,
            epoch: 0,
            staging: Staging::default(),
            bundle,
            device,
            programs,
        })
    }

    /// Adapter, driver and the features in use.
    pub fn describe(&self) -> String {
        let s = &self.device.summary;
        let features: Vec<&str> = self.device.features.iter().copied().collect();
        let features = if features.is_empty() { "no optional features".to_string() } else { features.join(", ") };
        format!("wgpu: {} ({}, {}, {}; {features})", s.name, s.kind, s.api, s.driver)
    }

    /// Bytes in all buffers on the device.
    pub fn allocated_bytes(&self) -> u64 {
        self.device.allocated()
    }

    /// See [`crate::Backend::begin`].
    pub async fn begin_async(&mut self, batch: u32, capacity: u32) -> Result<(), Error> {
        let session = Session { batch, capacity };
        self.session = None;
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        let bundle = self.bundle.clone();
        let manifest = bundle.manifest();
        for (state, buffer) in manifest.states.iter().zip(&mut self.states) {
            let bytes = state_bytes(manifest, state, session)?;
            match buffer.get() {
                Some(old) if buffer.holds(bytes) => encoder.clear_buffer(old, 0, None),
                _ => {
                    self.epoch += 1;
                    buffer.replace(&mut self.device, &format!("state `{}`", state.name), bytes, 0).await?;
                }
            }
        }
        self.device.queue.submit([encoder.finish()]);
        self.device.check("clearing states")?;
        self.session = Some(session);
        Ok(())
    }

    /// See [`crate::Backend::run`].
    pub async fn run_async(
        &mut self,
        entry: &str,
        inputs: &BTreeMap<String, Tensor>,
        past: u32,
        want: &[&str],
    ) -> Result<BTreeMap<String, Tensor>, Error> {
        let bundle = self.bundle.clone();
        let manifest = bundle.manifest();
        let call = prepare(manifest, entry, inputs, past, self.session)?;
        let wanted = wanted_outputs(&manifest.entries[call.entry], want)?;
        let mut ready = match self.entries[call.entry].take() {
            Some(ready) => ready,
            None => self.make_ready(call.entry)?,
        };
        let result = self.execute(&mut ready, &call, &wanted).await;
        self.entries[call.entry] = Some(ready);
        let entry = &manifest.entries[call.entry];
        Ok(wanted.iter().map(|w| entry.outputs[*w].name.clone()).zip(result?).collect())
    }

    fn make_ready(&self, entry: usize) -> Result<Ready, Error> {
        let manifest = self.bundle.manifest();
        let entry = &manifest.entries[entry];
        let program = &self.programs.programs[&entry.name];
        let schedule = Schedule::new(manifest, entry, program, &self.programs.kernels)?;
        Ok(Ready {
            outputs: schedule.outputs.iter().map(|_| Growing::default()).collect(),
            groups: vec![None; schedule.steps.len()],
            schedule,
            epoch: self.epoch,
            needed: BTreeMap::new(),
        })
    }

    async fn execute(&mut self, ready: &mut Ready, call: &Call<'_>, wanted: &[usize]) -> Result<Vec<Tensor>, Error> {
        let schedule = &ready.schedule;
        let needed = ready.needed.entry(wanted.to_vec()).or_insert_with(|| Arc::new(schedule.needed(wanted))).clone();
        let shapes = self.reserve(ready, &needed.bindings, call).await?;
        self.upload(call);
        self.bind(ready, &needed.steps).await?;

        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        self.dispatch(&mut encoder, ready, &needed.steps, &call.symbols)?;
        let mut end = 0;
        let ranges: Vec<_> = wanted
            .iter()
            .map(|w| {
                let begin = end;
                end += shapes[*w].iter().product::<usize>() as u64 * 4;
                begin..end
            })
            .collect();
        let staging = self.staging.reserve(&mut self.device, end).await?;
        for (w, range) in wanted.iter().zip(&ranges).filter(|(_, r)| !r.is_empty()) {
            if let Some(output) = ready.outputs[*w].get() {
                encoder.copy_buffer_to_buffer(output, 0, &staging, range.start, range.end - range.start);
            }
        }
        self.device.queue.submit([encoder.finish()]);

        let outputs = &self.bundle.manifest().entries[call.entry].outputs;
        let mut tensors: Vec<Tensor> = wanted.iter().map(|w| empty(outputs[*w].elem, shapes[*w].clone())).collect();
        read(&self.device, &staging, &ranges, |i, bytes| match &mut tensors[i].data {
            Data::F32(v) => v.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Data::I32(v) => v.extend(bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
        })
        .await?;
        Ok(tensors)
    }

    /// Sees to it that everything that is bound exists and is large enough; gives the shapes of all outputs.
    async fn reserve(
        &mut self,
        ready: &mut Ready,
        bindings: &[Binding],
        call: &Call<'_>,
    ) -> Result<Vec<Vec<usize>>, Error> {
        let bundle = self.bundle.clone();
        let manifest = bundle.manifest();
        let entry = &manifest.entries[call.entry];
        let later = self.at_capacity(&call.symbols);
        let dim = |e: &Expr| e.eval(&call.symbols).map(|n| n as usize).map_err(invalid);
        let shape = |dims: &Vec<Expr>| dims.iter().map(dim).collect();
        let shapes: Vec<Vec<usize>> = ready.schedule.outputs.iter().map(shape).collect::<Result<_, _>>()?;
        for binding in bindings {
            let (buffer, bytes, foreseen) = match *binding {
                Binding::Tensor(_) | Binding::State(_) => continue,
                Binding::Slot(s) => {
                    let size = &ready.schedule.slots[s as usize];
                    let bytes = size.eval(&call.symbols).map_err(invalid)?;
                    (&mut self.slots[s as usize], bytes, size.eval(&later).unwrap_or(0))
                }
                Binding::Input(i) => {
                    let foreseen = eval_shape(manifest, &manifest.inputs[i as usize].shape, &later);
                    let foreseen = foreseen.map_or(0, |s| elements(&s).saturating_mul(4));
                    let at = entry.inputs.iter().position(|e| *e == i).unwrap_or(0);
                    (&mut self.inputs[i as usize], call.inputs[at].data.len() as u64 * 4, foreseen)
                }
                Binding::Output(o) => {
                    (&mut ready.outputs[o as usize], elements(&shapes[o as usize]).saturating_mul(4), 0)
                }
            };
            if !buffer.holds(bytes) {
                let what = match *binding {
                    Binding::Input(i) => format!("input `{}`", manifest.inputs[i as usize].name),
                    Binding::Output(o) => format!("output `{}`", entry.outputs[o as usize].name),
                    other => format!("{other:?} of entry `{}`", entry.name),
                };
                self.epoch += 1;
                buffer.replace(&mut self.device, &what, bytes, foreseen).await?;
            }
        }
        Ok(shapes)
    }

    /// The symbols of a later call with the same number of new tokens that fills the states: sizes that grow with
    /// the past are reserved for it, so that decoding allocates nothing.
    fn at_capacity(&self, symbols: &[u32]) -> Vec<u32> {
        let names = self.bundle.manifest().symbol_names();
        let at = |name: &str| names.iter().position(|n| *n == name);
        let mut later = symbols.to_vec();
        if let (Some(session), Some(p), Some(t)) = (self.session, at("P"), at("T")) {
            later[p] = later[p].max(session.capacity.saturating_sub(symbols[t]));
        }
        later
    }

    fn upload(&self, call: &Call<'_>) {
        let entry = &self.bundle.manifest().entries[call.entry];
        for (index, tensor) in entry.inputs.iter().zip(&call.inputs) {
            let bytes: &[u8] = match &tensor.data {
                Data::F32(v) => bytemuck::cast_slice(v),
                Data::I32(v) => bytemuck::cast_slice(v),
            };
            if let Some(buffer) = self.inputs[*index as usize].get()
                && !bytes.is_empty()
            {
                self.device.queue.write_buffer(buffer, 0, bytes);
            }
        }
        if !call.symbols.is_empty() {
            self.device.queue.write_buffer(&self.symbols, 0, bytemuck::cast_slice(&call.symbols));
        }
    }

    /// Makes pipelines and bind groups that are missing.
    async fn bind(&mut self, ready: &mut Ready, steps: &[usize]) -> Result<(), Error> {
        if ready.epoch != self.epoch {
            ready.groups.fill(None);
            ready.epoch = self.epoch;
        }
        for &s in steps {
            if ready.groups[s].is_some() {
                continue;
            }
            let step = &ready.schedule.steps[s];
            let kernel = &self.programs.kernels[step.kernel];
            self.pipelines.make(&self.device, &self.bundle, step.kernel, kernel).await?;
            let layout = self.pipelines.layout(&self.device, &kernel.writes);
            let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: self.symbols.as_entire_binding() }];
            for (i, binding) in step.bind.iter().enumerate() {
                let buffer = match *binding {
                    Binding::Tensor(t) => self.weights.get(t as usize),
                    Binding::Slot(s) => self.slots[s as usize].get(),
                    Binding::State(s) => self.states[s as usize].get(),
                    Binding::Input(n) => self.inputs[n as usize].get(),
                    Binding::Output(o) => ready.outputs[o as usize].get(),
                };
                let buffer = buffer.ok_or_else(|| Error::Device {
                    what: format!("`{}`", step.nodes),
                    message: format!("{binding:?} has no buffer"),
                })?;
                entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource: buffer.as_entire_binding() });
            }
            let descriptor =
                wgpu::BindGroupDescriptor { label: Some(&kernel.name), layout: &layout, entries: &entries };
            ready.groups[s] = Some(self.device.device.create_bind_group(&descriptor));
        }
        self.device.check("binding buffers")
    }

    fn dispatch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        ready: &Ready,
        steps: &[usize],
        symbols: &[u32],
    ) -> Result<(), Error> {
        let most = self.device.limits.max_compute_workgroups_per_dimension;
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for &s in steps {
            let step = &ready.schedule.steps[s];
            let count = step.grid.eval(symbols).map_err(invalid)?;
            let (x, y) = fold(count, most).ok_or_else(|| {
                let limit = u64::from(most) * u64::from(most);
                let what = format!("`{}`", step.nodes);
                self.device.limit(&what, count, limit, "maxComputeWorkgroupsPerDimension", "use a shorter input")
            })?;
            let (Some(pipeline), Some(group)) = (self.pipelines.get(step.kernel), &ready.groups[s]) else { continue };
            if count > 0 {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(x, y, 1);
            }
        }
        Ok(())
    }
}

fn elements(shape: &[usize]) -> u64 {
    shape.iter().fold(1u64, |a, n| a.saturating_mul(*n as u64))
}

fn empty(elem: Elem, shape: Vec<usize>) -> Tensor {
    let count = shape.iter().product();
    match elem {
        Elem::I32 => Tensor { shape, data: Data::I32(Vec::with_capacity(count)) },
        Elem::F32 | Elem::F16 => Tensor { shape, data: Data::F32(Vec::with_capacity(count)) },
    }
}

fn choose_profile(manifest: &Manifest, options: &Options) -> Result<String, Error> {
    let native = || manifest.profiles.iter().find(|p| *p == "native").or(manifest.profiles.first()).cloned();
    options.profile.clone().or_else(native).ok_or_else(|| {
        Error::Unsupported("this bundle holds no programs for WebGPU; use `--backend reference`".to_string())
    })
}

/// Bytes of a state. Sizes are over `B` and `C`, and symbols with one possible value.
fn state_bytes(manifest: &Manifest, state: &State, session: Session) -> Result<u64, Error> {
    let values: Vec<u32> = manifest
        .symbols
        .iter()
        .map(|s| match s.name.as_str() {
            "B" => session.batch,
            "C" => session.capacity,
            _ => s.min,
        })
        .collect();
    let count = elements(&eval_shape(manifest, &state.shape, &values)?);
    Ok(match state.elem {
        Elem::F16 => count.saturating_mul(2),
        Elem::F32 | Elem::I32 => count.saturating_mul(4),
    })
}

#[cfg(feature = "native")]
impl Wgpu {
    /// As [`Wgpu::load_async`], waiting.
    pub fn load(bundle: Arc<Bundle>, options: &Options, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        pollster::block_on(Wgpu::load_async(bundle, options, progress))
    }
}

#[cfg(feature = "native")]
impl crate::backend::Backend for Wgpu {
    fn describe(&self) -> String {
        Wgpu::describe(self)
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Result<(), Error> {
        pollster::block_on(self.begin_async(batch, capacity))
    }

    fn run(
        &mut self,
        entry: &str,
        inputs: &BTreeMap<String, Tensor>,
        past: u32,
        want: &[&str],
    ) -> Result<BTreeMap<String, Tensor>, Error> {
        pollster::block_on(self.run_async(entry, inputs, past, want))
    }
}
