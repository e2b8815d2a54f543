//! Copies results to the host.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use super::failures::{Failures, check};
use crate::error::Error;
use crate::gpu::Reading;

const MAPPED: u8 = 1;
const REFUSED: u8 = 2;

/// Maps the beginning of `buffer` as soon as a submission is done, and returns its bytes.
pub(super) fn read(
    device: wgpu::Device,
    submission: wgpu::SubmissionIndex,
    buffer: wgpu::Buffer,
    bytes: u64,
    failures: Arc<Mutex<Failures>>,
) -> Reading {
    let state = Arc::new(AtomicU8::new(0));
    if bytes > 0 {
        let state = state.clone();
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            state.store(if result.is_ok() { MAPPED } else { REFUSED }, Ordering::Release);
        });
    }
    Box::pin(async move {
        let fault = |message: String| Error::Device { what: "reading results".to_string(), message };
        // Callbacks are called from here.
        let waited = device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
        check(&failures, "running")?;
        waited.map_err(|e| fault(e.to_string()))?;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        if state.load(Ordering::Acquire) != MAPPED {
            return Err(fault("the buffer could not be mapped".to_string()));
        }
        let content = buffer.get_mapped_range(0..bytes).map(|view| view.to_vec()).map_err(|e| fault(e.to_string()));
        buffer.unmap();
        content
    })
}
