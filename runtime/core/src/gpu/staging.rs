//! Staging buffers: one for each submission in flight, used in turn.

use super::device::{BufferSpec, Gpu, Usage};
use crate::error::Error;

/// Free buffers. Those in use are with the submissions that use them.
#[derive(Debug)]
pub(crate) struct Staging<B> {
    free: Vec<(B, u64)>,
}

/// A buffer taken from [`Staging`].
#[derive(Debug)]
pub(crate) struct Taken<B> {
    pub(crate) buffer: B,
    size: u64,
}

impl<B: Clone> Staging<B> {
    pub(crate) fn new() -> Self {
        Staging { free: Vec::new() }
    }

    /// A buffer of at least `bytes`. A new one is created only if no free one is large enough.
    pub(crate) async fn take<G: Gpu<Buffer = B>>(&mut self, gpu: &G, bytes: u64) -> Result<Taken<B>, Error> {
        if let Some(at) = self.free.iter().position(|(_, size)| *size >= bytes) {
            let (buffer, size) = self.free.swap_remove(at);
            return Ok(Taken { buffer, size });
        }
        // All buffers that are too small are obsolete.
        for (old, _) in self.free.drain(..) {
            gpu.destroy(&old);
        }
        let what = "the read-back buffer";
        gpu.info().check_size(what, bytes, "request fewer outputs at once, or use a shorter input")?;
        let spec = BufferSpec::new(what, bytes, Usage::Readback);
        let size = spec.bytes;
        let mut made = gpu.create(&[spec]).await?;
        let buffer = made.pop().ok_or_else(|| Error::Backend("the device made no buffer".to_string()))?;
        Ok(Taken { buffer, size })
    }

    /// Gives a buffer back whose content has been read.
    pub(crate) fn give_back(&mut self, taken: Taken<B>) {
        self.free.push((taken.buffer, taken.size));
    }
}
