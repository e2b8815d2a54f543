//! Executes programs on the CPU: a device for the executor made of kernels in linear memory.
//!
//! A bundle for the profile [`PROFILE`] holds WebAssembly modules with all kernels. Whoever instantiates one (natively
//! wasmtime, in a page the browser) is a [`WasmInstance`]; [`Cpu`] makes a [`crate::gpu::Gpu`] of it, so that staging,
//! feeding, wanted outputs, sampling and generation are those of WebGPU. `docs/bundle.md` says what modules export.

mod device;
mod heap;
mod instance;
mod plan;
mod space;
#[cfg(test)]
pub(crate) mod tests;

use gristmill_bundle::{Kernel, Manifest};

pub use device::{Buffer, Cpu};
pub use instance::{Running, Setup, WasmInstance, control};
pub use plan::{Plan, plan};
pub use space::{ADDRESS_SPACE, GUARD, PAGE, device_info};

use crate::error::Error;
use crate::gpu::DeviceInfo;

/// Name of the programs that hold WebAssembly.
pub const PROFILE: &str = "wasm";

/// Feature of an engine with relaxed SIMD instructions.
pub const RELAXED_SIMD: &str = "relaxed-simd";

/// Feature of several workers over one shared memory. A module with it imports a shared memory, one without it does not.
pub const THREADS: &str = "threads";

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
