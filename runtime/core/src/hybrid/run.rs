//! Runs a submission with steps of both kinds, segment by segment, and copies shared buffers in between.

use std::rc::Rc;

use super::buffer::Buffer;
use super::sides::{FallbackSide, Recorded, Segment, Sides};
use crate::cpu::{Cpu, WasmInstance};
use crate::error::Error;
use crate::gpu::{BufferSpec, Copy, Gpu, Reading, Usage, Work};

/// A copy that outlives the call that requested it.
struct Way<B> {
    from: Buffer<B>,
    to: Buffer<B>,
    to_offset: u64,
    bytes: u64,
}

impl<B> Way<B> {
    fn new(copy: &Copy<'_, Buffer<B>>) -> Self {
        Way { from: copy.from.clone(), to: copy.to.clone(), to_offset: copy.to_offset, bytes: copy.bytes }
    }

    /// The same on the adapter.
    fn on_adapter(&self) -> Option<Copy<'_, B>> {
        let (from, to) = (self.from.on_adapter()?, self.to.on_adapter()?);
        Some(Copy { from, to, to_offset: self.to_offset, bytes: self.bytes })
    }
}

/// Bytes to write to buffers of the adapter.
type Writes<B> = Vec<(Buffer<B>, Vec<u8>)>;

/// A submission that owns its data.
pub(super) struct Job<G: Gpu, M: WasmInstance> {
    writes: Writes<G::Buffer>,
    feed: Option<Way<G::Buffer>>,
    segments: Rc<Vec<Segment<G, M>>>,
    grids: Vec<(u32, u32)>,
    results: Vec<Way<G::Buffer>>,
    staging: Buffer<G::Buffer>,
    bytes: u64,
}

impl<G: Gpu, M: WasmInstance> Job<G, M> {
    /// The job for a submission to the combined device.
    pub(super) fn new<D: Gpu<Buffer = Buffer<G::Buffer>, Steps = Recorded<G, M>>>(work: &Work<'_, D>) -> Self {
        let Recorded(segments) = work.steps;
        Job {
            writes: work.writes.iter().map(|(b, bytes)| ((*b).clone(), bytes.to_vec())).collect(),
            feed: work.feed.as_ref().map(Way::new),
            segments: segments.clone(),
            grids: work.grids.to_vec(),
            results: work.results.iter().map(Way::new).collect(),
            staging: work.staging.clone(),
            bytes: work.bytes,
        }
    }
}

fn fault(message: &str) -> Error {
    Error::Backend(message.to_string())
}

/// Runs all of a job.
pub(super) async fn run<G: Gpu, M: WasmInstance>(sides: Rc<Sides<G, M>>, job: Job<G, M>) -> Result<Vec<u8>, Error> {
    let side = sides.fallback.as_ref().ok_or_else(|| fault("no WebAssembly instance was made for this adapter"))?;
    let border = Border { gpu: &sides.gpu, side };
    let Job { writes, mut feed, segments, grids, results, staging, bytes } = job;
    let mut uploads = border.host_writes(writes)?;
    feed.iter().for_each(|way| way.to.set_current(false));
    let (mut rest, mut grids) = (segments.as_slice(), grids.as_slice());
    loop {
        let mut steps = &side.no_steps;
        let mut own_grids: &[(u32, u32)] = &[];
        if let [Segment::Own { steps: own, count, written }, others @ ..] = rest {
            steps = own;
            (own_grids, grids) = grids.split_at((*count).min(grids.len()));
            written.iter().for_each(|b| b.set_current(false));
            rest = others;
        }
        let own = OwnWork { uploads: std::mem::take(&mut uploads), feed: feed.take(), steps, grids: own_grids };
        let [Segment::Fallback { steps, count, bound }, others @ ..] = rest else {
            return border.finish(own, &results, &staging, bytes).await;
        };
        border.fetch(own, bound).await?;
        let fallback_grids;
        (fallback_grids, grids) = grids.split_at((*count).min(grids.len()));
        uploads = border.compute(steps, fallback_grids, bound).await?;
        rest = others;
    }
}

/// Work for the adapter in one submission.
struct OwnWork<'a, G: Gpu> {
    uploads: Writes<G::Buffer>,
    feed: Option<Way<G::Buffer>>,
    steps: &'a G::Steps,
    grids: &'a [(u32, u32)],
}

/// Transfers between the adapter and linear memory.
struct Border<'a, G: Gpu, M: WasmInstance> {
    gpu: &'a G,
    side: &'a FallbackSide<G, M>,
}

impl<G: Gpu, M: WasmInstance> Border<'_, G, M> {
    /// Writes the host's data to both sides. Returns what has to be written to the adapter.
    fn host_writes(&self, writes: Writes<G::Buffer>) -> Result<Writes<G::Buffer>, Error> {
        for (buffer, bytes) in &writes {
            if let Some(place) = buffer.in_memory() {
                self.side.cpu.write(&place, 0, bytes)?;
                buffer.set_current(buffer.bytes() <= bytes.len() as u64 || buffer.is_current());
            }
        }
        Ok(writes.into_iter().filter(|(b, _)| b.on_adapter().is_some()).collect())
    }

    fn submit(
        &self,
        own: &OwnWork<'_, G>,
        results: &[Copy<'_, G::Buffer>],
        staging: &G::Buffer,
        bytes: u64,
    ) -> Reading {
        let writes: Vec<(&G::Buffer, &[u8])> =
            own.uploads.iter().filter_map(|(b, bytes)| Some((b.on_adapter()?, bytes.as_slice()))).collect();
        let feed = own.feed.as_ref().and_then(Way::on_adapter);
        self.gpu.submit(&Work { writes: &writes, feed, steps: own.steps, grids: own.grids, results, staging, bytes })
    }

    /// Runs steps on the adapter, and copies the buffers that fallback kernels bind to linear memory.
    async fn fetch(&self, own: OwnWork<'_, G>, bound: &[(Buffer<G::Buffer>, bool)]) -> Result<(), Error> {
        let stale: Vec<_> = bound.iter().map(|(b, _)| b).filter(|b| !b.is_current()).collect();
        let total: u64 = stale.iter().map(|b| b.bytes()).sum();
        let (staging, size) = self.staging(total).await?;
        let mut results = Vec::with_capacity(stale.len());
        let mut to_offset = 0;
        for buffer in &stale {
            if let Some(from) = buffer.on_adapter() {
                results.push(Copy { from, to: &staging, to_offset, bytes: buffer.bytes() });
            }
            to_offset += buffer.bytes();
        }
        let content = self.submit(&own, &results, &staging, total).await?;
        let mut rest = content.as_slice();
        for buffer in stale {
            let (bytes, others) = rest.split_at((buffer.bytes() as usize).min(rest.len()));
            let place = buffer
                .in_memory()
                .ok_or_else(|| fault("a fallback kernel binds a buffer that WebAssembly does not have"))?;
            self.side.cpu.write(&place, 0, bytes)?;
            buffer.set_current(true);
            rest = others;
        }
        self.side.border.replace(Some((staging, size)));
        Ok(())
    }

    /// A staging buffer for transfers; the previous one if it is large enough.
    async fn staging(&self, bytes: u64) -> Result<(G::Buffer, u64), Error> {
        let known = self.side.border.take();
        if let Some((buffer, size)) = known {
            if size >= bytes {
                return Ok((buffer, size));
            }
            self.gpu.destroy(&buffer);
        }
        let what = "buffers shared by WebGPU and WebAssembly";
        self.gpu.info().check_size(what, bytes, "use a shorter input, or --backend wasm")?;
        let spec = BufferSpec::new(what, bytes, Usage::Readback);
        let made = self.gpu.create(std::slice::from_ref(&spec)).await?.pop();
        Ok((made.ok_or_else(|| fault("the device made no buffer"))?, spec.bytes))
    }

    /// Runs fallback kernels. Returns what they wrote to buffers that live on the adapter.
    async fn compute(
        &self,
        steps: &<Cpu<M> as Gpu>::Steps,
        grids: &[(u32, u32)],
        bound: &[(Buffer<G::Buffer>, bool)],
    ) -> Result<Writes<G::Buffer>, Error> {
        let (cpu, staging) = (&self.side.cpu, &self.side.no_staging);
        cpu.submit(&Work { writes: &[], feed: None, steps, grids, results: &[], staging, bytes: 0 }).await?;
        let mut uploads = Vec::new();
        for (buffer, _) in bound.iter().filter(|(b, written)| *written && b.on_adapter().is_some()) {
            let place = buffer
                .in_memory()
                .ok_or_else(|| fault("a fallback kernel writes a buffer that WebAssembly does not have"))?;
            uploads.push((buffer.clone(), cpu.read(&place, buffer.bytes())?));
        }
        Ok(uploads)
    }

    /// Runs the last steps on the adapter, and collects results from both sides.
    async fn finish(
        &self,
        own: OwnWork<'_, G>,
        results: &[Way<G::Buffer>],
        staging: &Buffer<G::Buffer>,
        bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let copies: Vec<_> = results.iter().filter_map(Way::on_adapter).collect();
        let staging = staging.on_adapter().ok_or_else(|| fault("results have no staging buffer"))?;
        let mut all = self.submit(&own, &copies, staging, bytes).await?;
        for way in results.iter().filter(|way| way.from.on_adapter().is_none()) {
            let place = way.from.in_memory().ok_or_else(|| fault("a result has no buffer"))?;
            let into = all.get_mut(way.to_offset as usize..(way.to_offset + way.bytes) as usize);
            into.ok_or_else(|| fault("a result is outside of its buffer"))?
                .copy_from_slice(&self.side.cpu.read(&place, way.bytes)?);
        }
        Ok(all)
    }
}
