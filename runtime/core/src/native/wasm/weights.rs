//! Reads weights into linear memory, shard by shard.

use gristmill_bundle::Bundle;

use super::engine::Engine;
use crate::cpu::{Buffer, Cpu};
use crate::error::Error;
use crate::gpu::{BufferSpec, Gpu, Usage};

/// Reads and verifies all weights; reports bytes done and bytes in total. One buffer per tensor.
pub(super) async fn read(
    device: &Cpu<Engine>,
    bundle: &Bundle,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Buffer>, Error> {
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
            device.write(&buffers[piece.tensor], piece.offset, &content[piece.range.clone()])?;
        }
        done += shard.bytes;
        progress(done, total);
    }
    Ok(buffers)
}
