//! Uploads weights, shard by shard.

use gristmill_bundle::Bundle;

use super::device::Device;
use crate::error::Error;
use crate::gpu::{BufferSpec, Gpu, Usage};

/// Reads, verifies and uploads all weights; reports bytes done and bytes in total. One buffer per tensor.
pub(super) async fn upload(
    device: &Device,
    bundle: &Bundle,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<wgpu::Buffer>, Error> {
    let manifest = bundle.manifest();
    let name = |t: &gristmill_bundle::StoredWeight| format!("tensor `{}` ({})", t.name, t.precision);
    let specs: Vec<_> = manifest.tensors.iter().map(|t| BufferSpec::new(name(t), t.bytes, Usage::Weight)).collect();
    let buffers = device.create(&specs).await?;
    let pieces = manifest.pieces();
    let total = manifest.weight_bytes();
    let mut done = 0;
    for (i, shard) in manifest.shards.iter().enumerate() {
        let content = bundle.shard(i)?;
        for piece in &pieces[i] {
            // Pieces of a valid bundle are multiples of 16 bytes, so offsets and lengths satisfy WebGPU.
            device.queue.write_buffer(&buffers[piece.tensor], piece.offset, &content[piece.range.clone()]);
        }
        // Without this, staging memory for the whole model would accumulate.
        device.queue.submit([]);
        device.wait()?;
        device.check("uploading weights")?;
        done += shard.bytes;
        progress(done, total);
    }
    Ok(buffers)
}
