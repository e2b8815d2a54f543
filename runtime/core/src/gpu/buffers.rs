//! Buffers that grow when a call needs more, and are kept otherwise.

use super::device::Device;
use crate::error::Error;

const REMEDY: &str = "use a shorter input, a smaller --max-context, or another adapter";

/// A buffer and its use.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    buffer: Option<wgpu::Buffer>,
    /// Bytes that were asked for.
    size: u64,
}

impl Growing {
    /// The buffer, if it was ever needed.
    pub(crate) fn get(&self) -> Option<&wgpu::Buffer> {
        self.buffer.as_ref()
    }

    /// Whether it holds `bytes` as it is.
    pub(crate) fn holds(&self, bytes: u64) -> bool {
        self.buffer.is_some() && bytes <= self.size
    }

    /// Replaces it by a zero-filled one for `bytes` and, where the device can, for what is `foreseen`. Bind groups
    /// of the old one are stale, also after a failure.
    pub(crate) async fn replace(
        &mut self,
        device: &mut Device,
        what: &str,
        bytes: u64,
        foreseen: u64,
    ) -> Result<(), Error> {
        self.release(device);
        let size = bytes.max(foreseen.min(device.limits.max_storage_buffer_binding_size));
        self.buffer = Some(device.storage(what, size, REMEDY).await?);
        self.size = size;
        Ok(())
    }

    /// Frees it.
    fn release(&mut self, device: &mut Device) {
        if let Some(old) = self.buffer.take() {
            device.free(&old);
        }
        self.size = 0;
    }
}
