//! Uploads weights, shard by shard.

use gristmill_bundle::{Bundle, Manifest, Piece};

use super::device::Device;
use crate::error::Error;

/// Takes shards in any order and puts their pieces where they belong. Separate from reading, so that a browser can
/// feed it from fetches.
#[derive(Debug)]
pub(crate) struct Uploader {
    pieces: Vec<Vec<Piece>>,
    /// One buffer per tensor.
    buffers: Vec<wgpu::Buffer>,
}

impl Uploader {
    /// Allocates a buffer for each tensor.
    pub(crate) async fn new(device: &mut Device, manifest: &Manifest) -> Result<Self, Error> {
        let mut buffers = Vec::with_capacity(manifest.tensors.len());
        for t in &manifest.tensors {
            let what = format!("tensor `{}` ({})", t.name, t.precision);
            let remedy = "compile with a lower --precision for it, or choose another adapter";
            buffers.push(device.storage(&what, t.bytes, remedy).await?);
        }
        Ok(Uploader { pieces: manifest.pieces(), buffers })
    }

    /// Uploads the verified content of a shard.
    pub(crate) fn shard(&self, device: &Device, index: usize, content: &[u8]) -> Result<(), Error> {
        for piece in &self.pieces[index] {
            let bytes = &content[piece.range.clone()];
            // A valid bundle cuts at multiples of 16 bytes, so offsets and lengths are as WebGPU wants them.
            device.queue.write_buffer(&self.buffers[piece.tensor], piece.offset, bytes);
        }
        // Without this, staging memory for the whole model would pile up.
        device.queue.submit([]);
        device.wait()?;
        device.check("uploading weights")
    }

    /// The buffers, filled.
    pub(crate) fn finish(self) -> Vec<wgpu::Buffer> {
        self.buffers
    }
}

/// Reads, verifies and uploads all weights; reports bytes done and bytes in total.
pub(crate) async fn upload(
    device: &mut Device,
    bundle: &Bundle,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<wgpu::Buffer>, Error> {
    let uploader = Uploader::new(device, bundle.manifest()).await?;
    let total = bundle.manifest().weight_bytes();
    let mut done = 0;
    for (i, shard) in bundle.manifest().shards.iter().enumerate() {
        uploader.shard(device, i, &bundle.shard(i)?)?;
        done += shard.bytes;
        progress(done, total);
    }
    Ok(uploader.finish())
}
