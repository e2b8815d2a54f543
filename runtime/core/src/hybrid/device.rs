//! Adapter and linear memory as one device.

use std::cell::{Cell, RefCell};
use std::future::{Future, ready};
use std::rc::Rc;

use super::buffer::Buffer;
use super::run::{Job, run};
use super::sides::{FallbackSide, Recorded, Segment, Sides};
use crate::cpu::{self, Cpu, WasmInstance};
use crate::error::Error;
use crate::gpu::{BufferSpec, Copy, DeviceInfo, Gpu, Reading, Usage, Work};

/// A WebGPU device, with fallback kernels if the bundle needs them.
#[derive(Debug)]
pub struct Hybrid<G: Gpu, M: WasmInstance>(Rc<Sides<G, M>>);

/// A kernel of the adapter or a fallback one, and which of its buffers it writes.
#[derive(Clone, Debug)]
pub enum Pipeline<P> {
    /// On the adapter.
    Own(P, Rc<[bool]>),
    /// The number of a kernel in the module.
    Fallback(u32, Rc<[bool]>),
}

/// Buffers bound for a kernel of either kind.
#[derive(Clone, Debug)]
pub enum Group<T, A, B> {
    /// On the adapter, with the buffers that it writes.
    Own(T, Vec<Buffer<B>>),
    /// In linear memory, with all bound buffers and whether each is written.
    Fallback(A, Vec<(Buffer<B>, bool)>),
    /// Buffers that could not be bound; see [`Gpu::check`].
    Broken,
}

impl<G: Gpu, M: WasmInstance> Hybrid<G, M> {
    /// A device that runs its own kernels on `gpu`, and fallback kernels on `cpu`.
    ///
    /// # Errors
    /// If the linear memory of `cpu` is exhausted.
    pub fn new(gpu: G, cpu: Option<Cpu<M>>) -> Result<Self, Error> {
        let fallback = cpu.map(|cpu| -> Result<_, Error> {
            let no_staging = cpu.make(&BufferSpec::new("no staging", 0, Usage::Readback))?;
            Ok(FallbackSide { cpu, no_staging, no_steps: gpu.record(&[]), border: RefCell::new(None) })
        });
        let fallback = fallback.transpose()?;
        let (offloaded, has_fallback_steps, failure) = (Cell::new(0), Cell::new(false), RefCell::new(None));
        Ok(Hybrid(Rc::new(Sides { gpu, fallback, offloaded, has_fallback_steps, failure })))
    }

    /// The adapter's side.
    pub fn own(&self) -> &G {
        &self.0.gpu
    }

    /// The side of fallback kernels.
    pub fn beside(&self) -> Option<&Cpu<M>> {
        self.0.fallback.as_ref().map(|s| &s.cpu)
    }

    /// Takes over buffers of the adapter that were filled elsewhere: weights, with their sizes.
    pub fn adopt(&self, buffers: impl IntoIterator<Item = (G::Buffer, u64)>) -> Vec<Buffer<G::Buffer>> {
        let spec = |bytes| BufferSpec::new("a weight", bytes, Usage::Weight);
        buffers.into_iter().map(|(buffer, bytes)| Buffer::own(spec(bytes), buffer, None)).collect()
    }

    fn is_too_large(&self, spec: &BufferSpec) -> bool {
        let bound = matches!(spec.usage, Usage::State | Usage::Scratch);
        bound && self.0.fallback.is_some() && spec.bytes > self.info().limits.largest_binding()
    }

    /// The copy in linear memory of a buffer on the adapter, if it needs one from the start: the host writes symbols
    /// and never reads them.
    fn early_copy(&self, spec: &BufferSpec) -> Result<Option<cpu::Buffer>, Error> {
        match &self.0.fallback {
            Some(side) if spec.usage == Usage::Uniform => side.cpu.make(spec).map(Some),
            _ => Ok(None),
        }
    }

    fn fail(&self, e: Error) {
        self.0.failure.borrow_mut().get_or_insert(e);
    }

    fn bind_now(
        &self,
        name: &str,
        pipeline: &Pipeline<G::Pipeline>,
        buffers: &[&Buffer<G::Buffer>],
    ) -> Result<<Self as Gpu>::Group, Error> {
        let fault = |message: &str| Error::Device { what: format!("kernel `{name}`"), message: message.to_string() };
        let (Pipeline::Own(_, writes) | Pipeline::Fallback(_, writes)) = pipeline;
        // Symbols come first, and no kernel writes them.
        let bound = buffers.iter().skip(1).zip(writes.iter()).map(|(b, w)| ((*b).clone(), *w));
        match pipeline {
            Pipeline::Own(pipeline, _) => {
                let own: Option<Vec<&G::Buffer>> = buffers.iter().map(|b| b.on_adapter()).collect();
                let own = own.ok_or_else(|| fault("one of its buffers is too large for the adapter"))?;
                let written = bound.filter(|(_, written)| *written).map(|(b, _)| b).collect();
                Ok(Group::Own(self.0.gpu.bind(name, pipeline, &own), written))
            }
            Pipeline::Fallback(kernel, _) => {
                let side = self
                    .0
                    .fallback
                    .as_ref()
                    .ok_or_else(|| fault("no WebAssembly instance was made for this adapter"))?;
                let places: Vec<cpu::Buffer> =
                    buffers.iter().map(|b| b.on_both_sides(|spec| side.cpu.make(spec))).collect::<Result<_, _>>()?;
                let places: Vec<&cpu::Buffer> = places.iter().collect();
                Ok(Group::Fallback(side.cpu.bind(name, kernel, &places), bound.collect()))
            }
        }
    }

    /// Steps of the adapter.
    fn own_segment(&self, steps: &[(&Pipeline<G::Pipeline>, &<Self as Gpu>::Group)]) -> Segment<G, M> {
        let (mut pairs, mut written) = (Vec::new(), Vec::new());
        for (pipeline, group) in steps {
            if let (Pipeline::Own(pipeline, _), Group::Own(group, writes)) = (pipeline, group) {
                pairs.push((pipeline, group));
                merge(&mut written, writes.iter().map(|b| (b.clone(), true)));
            }
        }
        let written = written.into_iter().map(|(b, _)| b).collect();
        Segment::Own { steps: self.0.gpu.record(&pairs), count: steps.len(), written }
    }

    /// Steps of fallback kernels.
    fn fallback_segment(
        &self,
        side: &FallbackSide<G, M>,
        steps: &[(&Pipeline<G::Pipeline>, &<Self as Gpu>::Group)],
    ) -> Segment<G, M> {
        let (mut pairs, mut bound) = (Vec::new(), Vec::new());
        for (pipeline, group) in steps {
            if let (Pipeline::Fallback(kernel, _), Group::Fallback(args, buffers)) = (pipeline, group) {
                pairs.push((kernel, args));
                merge(&mut bound, buffers.iter().cloned());
                if buffers.iter().all(|(b, _)| b.on_adapter().is_some()) {
                    self.0.has_fallback_steps.set(true);
                }
            }
        }
        Segment::Fallback { steps: side.cpu.record(&pairs), count: steps.len(), bound }
    }

    /// Submits all work to the adapter, if nothing is offloaded.
    fn straight(&self, work: &Work<'_, Self>, segment: Option<&Segment<G, M>>) -> Option<Reading> {
        let nothing;
        let steps = match segment {
            Some(Segment::Own { steps, written, .. }) => {
                written.iter().for_each(|b| b.set_current(false));
                steps
            }
            _ => {
                nothing = self.0.gpu.record(&[]);
                &nothing
            }
        };
        // No step binds a missing buffer.
        let writes: Vec<_> = work.writes.iter().filter_map(|(b, bytes)| Some((b.on_adapter()?, *bytes))).collect();
        let copy = |c: &Copy<'_, Buffer<G::Buffer>>| -> Option<(G::Buffer, G::Buffer)> {
            Some((c.from.on_adapter()?.clone(), c.to.on_adapter()?.clone()))
        };
        let ends: Option<Vec<_>> = work.feed.iter().chain(work.results).map(copy).collect();
        let ends = ends?;
        work.writes.iter().for_each(|(b, _)| b.set_current(false));
        work.feed.iter().for_each(|c| c.to.set_current(false));
        let mut copies = work.feed.iter().chain(work.results).zip(&ends).map(|(c, (from, to))| Copy {
            from,
            to,
            to_offset: c.to_offset,
            bytes: c.bytes,
        });
        let feed = work.feed.as_ref().and_then(|_| copies.next());
        let results: Vec<_> = copies.collect();
        let staging = work.staging.on_adapter()?;
        let (grids, bytes) = (work.grids, work.bytes);
        Some(self.0.gpu.submit(&Work { writes: &writes, feed, steps, grids, results: &results, staging, bytes }))
    }
}

/// Adds missing buffers. A buffer counts as written if any step writes it.
fn merge<B>(all: &mut Vec<(Buffer<B>, bool)>, more: impl Iterator<Item = (Buffer<B>, bool)>) {
    for (buffer, written) in more {
        match all.iter_mut().find(|(known, _)| known.is(&buffer)) {
            Some((_, known)) => *known |= written,
            None => all.push((buffer, written)),
        }
    }
}

impl<G: Gpu, M: WasmInstance> Gpu for Hybrid<G, M> {
    type Buffer = Buffer<G::Buffer>;
    type Pipeline = Pipeline<G::Pipeline>;
    type Group = Group<G::Group, <Cpu<M> as Gpu>::Group, G::Buffer>;
    type Steps = Recorded<G, M>;

    fn info(&self) -> &DeviceInfo {
        self.0.gpu.info()
    }

    fn describe(&self) -> String {
        let own = self.0.gpu.describe();
        self.beside().map_or(own.clone(), |cpu| format!("{own}; beyond its limits {}", cpu.describe()))
    }

    fn depth(&self) -> usize {
        // The host copies buffers between the steps of both kinds, so calls cannot overlap.
        let mixed = self.0.offloaded.get() > 0 || self.0.has_fallback_steps.get();
        if mixed { 1 } else { self.0.gpu.depth() }
    }

    async fn create(&self, specs: &[BufferSpec]) -> Result<Vec<Self::Buffer>, Error> {
        let on_adapter: Vec<BufferSpec> = specs.iter().filter(|s| !self.is_too_large(s)).cloned().collect();
        let mut own = self.0.gpu.create(&on_adapter).await?.into_iter();
        let mut made = Vec::with_capacity(specs.len());
        for spec in specs {
            let buffer = match &self.0.fallback {
                Some(side) if self.is_too_large(spec) => side.cpu.make(spec).map(|place| {
                    self.0.offloaded.set(self.0.offloaded.get() + 1);
                    Buffer::offloaded(spec.clone(), place)
                }),
                _ => self.early_copy(spec).and_then(|copy| {
                    let own = own.next().ok_or_else(|| Error::Backend("the device made no buffer".to_string()))?;
                    Ok(Buffer::own(spec.clone(), own, copy))
                }),
            };
            match buffer {
                Ok(buffer) => made.push(buffer),
                Err(e) => {
                    made.iter().for_each(|b| self.destroy(b));
                    own.for_each(|b| self.0.gpu.destroy(&b));
                    return Err(e);
                }
            }
        }
        Ok(made)
    }

    fn destroy(&self, buffer: &Self::Buffer) {
        match buffer.on_adapter() {
            Some(own) => self.0.gpu.destroy(own),
            None => self.0.offloaded.set(self.0.offloaded.get().saturating_sub(1)),
        }
        if let (Some(side), Some(place)) = (&self.0.fallback, buffer.in_memory()) {
            side.cpu.destroy(&place);
        }
    }

    fn clear(&self, buffers: &[&Self::Buffer]) {
        let own: Vec<&G::Buffer> = buffers.iter().filter_map(|b| b.on_adapter()).collect();
        self.0.gpu.clear(&own);
        for (buffer, place) in buffers.iter().filter_map(|b| Some((b, b.in_memory()?))) {
            self.0.fallback.iter().for_each(|side| side.cpu.clear(&[&place]));
            buffer.set_current(true);
        }
    }

    fn has_fallbacks(&self) -> bool {
        self.0.fallback.is_some()
    }

    fn fallback(&self, kernel: usize, writes: &[bool]) -> Option<Self::Pipeline> {
        self.0.fallback.as_ref()?;
        Some(Pipeline::Fallback(u32::try_from(kernel).ok()?, writes.into()))
    }

    fn is_offloaded(&self, buffer: &Self::Buffer) -> bool {
        buffer.on_adapter().is_none()
    }

    fn used(&self, buffer: &Self::Buffer, bytes: u64) {
        buffer.set_used(bytes);
    }

    fn compile(
        &self,
        name: &str,
        source: &str,
        writes: &[bool],
    ) -> impl Future<Output = Result<Self::Pipeline, Error>> + 'static {
        let made = self.0.gpu.compile(name, source, writes);
        let writes: Rc<[bool]> = writes.into();
        async move { Ok(Pipeline::Own(made.await?, writes)) }
    }

    fn bind(&self, name: &str, pipeline: &Self::Pipeline, buffers: &[&Self::Buffer]) -> Self::Group {
        self.bind_now(name, pipeline, buffers).unwrap_or_else(|e| {
            self.fail(e);
            Group::Broken
        })
    }

    fn record(&self, steps: &[(&Self::Pipeline, &Self::Group)]) -> Self::Steps {
        let kind = |step: &(&Self::Pipeline, &Self::Group)| matches!(step.0, Pipeline::Fallback(..));
        let segments = steps.chunk_by(|a, b| kind(a) == kind(b)).map(|steps| match &self.0.fallback {
            Some(side) if kind(&steps[0]) => self.fallback_segment(side, steps),
            _ => self.own_segment(steps),
        });
        Recorded(Rc::new(segments.collect()))
    }

    fn submit(&self, work: &Work<'_, Self>) -> Reading {
        let segments = &work.steps.0;
        if segments.iter().all(|s| matches!(s, Segment::Own { .. })) {
            let fault =
                || Error::Backend("a buffer that is too large for the adapter was bound to a kernel".to_string());
            return self.straight(work, segments.first()).unwrap_or_else(|| Box::pin(ready(Err(fault()))));
        }
        // It makes progress while the caller waits for it.
        Box::pin(run(self.0.clone(), Job::new(work)))
    }

    fn check(&self, what: &str) -> Result<(), Error> {
        if let Some(e) = self.0.failure.borrow_mut().take() {
            return Err(e);
        }
        self.0.gpu.check(what)?;
        self.beside().map_or(Ok(()), |cpu| cpu.check(what))
    }
}
