//! Executes programs on the CPU: a device for the executor, with kernels in WebAssembly.
//!
//! A bundle with the profile [`PROFILE`] has WebAssembly modules with all kernels. A [`WasmInstance`] instantiates one,
//! with wasmtime natively and by the browser in a page. [`Cpu`] turns it into a [`crate::gpu::Gpu`], so that all other
//! code is shared with WebGPU. `docs/bundle.md` describes the exports of modules.

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

/// The name of the profile for WebAssembly.
pub const PROFILE: &str = "wasm";

/// The feature of an engine with relaxed SIMD instructions.
pub const RELAXED_SIMD: &str = "relaxed-simd";

/// The feature of several workers with a shared memory. Modules with it import a shared memory, others do not.
pub const THREADS: &str = "threads";

/// Fails if a bundle has no programs for [`PROFILE`].
pub fn check_profile(manifest: &Manifest) -> Result<(), Error> {
    if manifest.profiles.iter().any(|p| p == PROFILE) {
        return Ok(());
    }
    let known = manifest.profiles.join(", ");
    Err(Error::Unsupported(format!(
        "this bundle has no WebAssembly, only programs for {known}; compile it with --target {PROFILE} or all"
    )))
}

/// The module to instantiate on an engine with these features.
///
/// # Errors
/// If there are no kernels, no module runs on the engine, or kernels are in different modules.
pub fn module<'k>(kernels: &'k [Kernel], device: &DeviceInfo) -> Result<&'k str, Error> {
    let mut module: Option<&str> = None;
    for kernel in kernels {
        let file = crate::gpu::choose(kernel, device)?.file.as_str();
        match module {
            Some(other) if other != file => {
                let fault =
                    format!("kernels are in {other} and {file}, but must be in one module; compile the bundle again");
                return Err(Error::Device { what: format!("kernel `{}`", kernel.name), message: fault });
            }
            _ => module = Some(file),
        }
    }
    module.ok_or_else(|| Error::Unsupported("this bundle has no kernels".to_string()))
}
