//! Executes programs on the processor: a device for the executor made of kernels in linear memory.
//!
//! A bundle for the profile [`PROFILE`] holds WebAssembly modules with all kernels. Whoever instantiates one (natively
//! wasmtime, in a page the browser) is a [`Machine`]; [`Cpu`] makes a [`crate::gpu::Gpu`] of it, so that staging,
//! feeding, wanted outputs, sampling and generation are those of WebGPU. `docs/bundle.md` says what modules export.

mod device;
mod heap;
mod machine;
mod plan;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;

use gristmill_bundle::{Kernel, Manifest};

pub use device::{Buffer, Cpu};
pub use machine::{Machine, Running, Setup, control};
pub use plan::{Plan, plan};

use crate::error::Error;
use crate::gpu::{DeviceInfo, Limits};

/// Name of the programs that hold WebAssembly.
pub const PROFILE: &str = "wasm";

/// Feature of an engine with relaxed SIMD instructions.
pub const RELAXED_SIMD: &str = "relaxed-simd";

/// Feature of several workers over one shared memory. A module with it imports a shared memory, one without it does not.
pub const THREADS: &str = "threads";

/// Bytes that 32-bit addresses reach.
pub const ADDRESS_SPACE: u64 = 1 << 32;

/// Bytes of a page of linear memory.
pub const PAGE: u64 = 65536;

/// Bytes that must be mapped behind the last buffer, because kernels load whole vectors.
pub const GUARD: u64 = 64;

/// What admission must know of a machine before there is one. `limit` is the most linear memory it can have.
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

/// Fails if a bundle has no programs for [`PROFILE`].
pub fn check_profile(manifest: &Manifest) -> Result<(), Error> {
    if manifest.profiles.iter().any(|p| p == PROFILE) {
        return Ok(());
    }
    let known = manifest.profiles.join(", ");
    Err(Error::Unsupported(format!(
        "this bundle has no WebAssembly, only programs for {known}; compile with --target {PROFILE} or all"
    )))
}

/// The module to instantiate where an engine has these features.
pub fn module<'k>(kernels: &'k [Kernel], device: &DeviceInfo) -> Result<&'k str, Error> {
    let mut module: Option<&str> = None;
    for kernel in kernels {
        let file = crate::gpu::choose(kernel, device)?.file.as_str();
        match module {
            Some(other) if other != file => {
                let fault = format!("kernels lie in {other} and {file}, expected one module; compile the bundle again");
                return Err(Error::Device { what: format!("kernel `{}`", kernel.name), message: fault });
            }
            _ => module = Some(file),
        }
    }
    module.ok_or_else(|| Error::Unsupported("this bundle has no kernels".to_string()))
}
