//! Which variant of a kernel runs, and the pipelines made of them.

use gristmill_bundle::{Kernel, Variant};

use super::device::DeviceInfo;
use crate::error::Error;

/// The first variant whose requirements the device meets. Fails if the device allows too few buffers per kernel.
pub(crate) fn choose<'k>(kernel: &'k Kernel, device: &DeviceInfo) -> Result<&'k Variant, Error> {
    let what = || format!("kernel `{}`", kernel.name);
    let (found, limit) = (kernel.writes.len() as u64, device.limits.max_storage_buffers_per_shader_stage.into());
    if found > limit {
        let remedy = "add --target wasm when compiling, so that WebAssembly can run it";
        return Err(device.limit(&what(), found, limit, "maxStorageBuffersPerShaderStage", remedy));
    }
    let fits = |v: &&Variant| v.requires.iter().all(|r| device.features.contains(r));
    kernel
        .variants
        .iter()
        .find(fits)
        .ok_or_else(|| Error::Device { what: what(), message: "none of its variants runs on this device".to_string() })
}
