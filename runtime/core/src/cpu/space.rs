//! The address space of WebAssembly.

use std::collections::BTreeSet;

use crate::gpu::{DeviceInfo, Limits};

/// Bytes that 32-bit addresses reach.
pub const ADDRESS_SPACE: u64 = 1 << 32;

/// Bytes of a page of linear memory.
pub const PAGE: u64 = 65536;

/// Bytes that must be mapped after the last buffer, because kernels load whole vectors.
pub const GUARD: u64 = 64;

/// The description of a future instance for admission. `limit` is the largest linear memory it can have.
pub fn device_info(features: BTreeSet<String>, limit: u64) -> DeviceInfo {
    let most = limit.min(ADDRESS_SPACE).saturating_sub(PAGE);
    DeviceInfo {
        adapter: "WebAssembly".to_string(),
        limits: Limits {
            max_buffer_size: most,
            max_storage_buffer_binding_size: most,
            max_storage_buffers_per_shader_stage: u32::MAX,
            max_compute_workgroups_per_dimension: u32::MAX,
        },
        features,
    }
}
