//! Brings results to the host.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::device::Device;
use crate::error::Error;

/// A mappable buffer, kept between calls.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    buffer: Option<wgpu::Buffer>,
}

impl Staging {
    /// A staging buffer of at least `bytes`.
    pub(crate) async fn reserve(&mut self, device: &mut Device, bytes: u64) -> Result<wgpu::Buffer, Error> {
        if let Some(buffer) = &self.buffer {
            if buffer.size() >= bytes {
                return Ok(buffer.clone());
            }
            device.free(buffer);
            self.buffer = None;
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let remedy = "ask for fewer outputs at once, or use a shorter input";
        let buffer = device.buffer("the read-back buffer", bytes, usage, remedy).await?;
        self.buffer = Some(buffer.clone());
        Ok(buffer)
    }
}

/// Waits for submitted work and gives the stretches of `buffer` to `take`, one by one. All ends are
/// multiples of 4.
pub(crate) async fn read(
    device: &Device,
    buffer: &wgpu::Buffer,
    ranges: &[Range<u64>],
    mut take: impl FnMut(usize, &[u8]),
) -> Result<(), Error> {
    let end = ranges.iter().map(|r| r.end).max().unwrap_or(0);
    if end == 0 {
        device.wait()?;
        return device.check("running");
    }
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None }));
    let sender = slot.clone();
    buffer.map_async(wgpu::MapMode::Read, 0..end, move |result| {
        let mut slot = sender.lock().unwrap_or_else(PoisonError::into_inner);
        slot.value = Some(result.is_ok());
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    });
    device.wait()?;
    let mapped = Mapped(slot).await;
    device.check("running")?;
    let fault = |message: String| Error::Device { what: "reading results".to_string(), message };
    if !mapped {
        return Err(fault("the buffer could not be mapped".to_string()));
    }
    // One view for all: the alignment of a view's offset is coarser than that of our ranges.
    match buffer.get_mapped_range(0..end) {
        Ok(view) => {
            for (i, range) in ranges.iter().enumerate() {
                take(i, &view[range.start as usize..range.end as usize]);
            }
        }
        Err(e) => return Err(fault(e.to_string())),
    }
    buffer.unmap();
    Ok(())
}

struct Slot {
    value: Option<bool>,
    waker: Option<Waker>,
}

/// Resolves when the mapping callback was called. Natively that happens inside `Device::wait`.
struct Mapped(Arc<Mutex<Slot>>);

impl Future for Mapped {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.value {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
