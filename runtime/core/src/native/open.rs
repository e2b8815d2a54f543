//! Chooses and opens the device for a bundle.

use std::sync::Arc;

use gristmill_bundle::Bundle;

use super::adapters::{Options, list_adapters};
use super::gpu::Wgpu;
use super::wasm::{Wasm, WasmOptions};
use crate::backend::Backend;
use crate::cpu::PROFILE as WASM;
use crate::error::Error;

/// The device that runs a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// WebGPU.
    Wgpu,
    /// WebGPU, or WebAssembly if the adapter cannot run the bundle.
    WgpuOrWasm,
    /// WebAssembly.
    Wasm,
}

impl Choice {
    /// The best choice for a bundle with these profiles: a GPU is better than WebAssembly, and WebAssembly is better
    /// than a software adapter.
    pub fn of(profiles: &[String]) -> Self {
        Self::among(profiles, || list_adapters().first().map(|a| a.kind))
    }

    /// `best_adapter` returns the kind of the best adapter, if there is one.
    fn among(profiles: &[String], best_adapter: impl FnOnce() -> Option<&'static str>) -> Self {
        let (has_wasm, has_wgpu) = (profiles.iter().any(|p| p == WASM), profiles.iter().any(|p| p != WASM));
        match (has_wgpu, has_wasm) {
            (false, true) => Choice::Wasm,
            (_, false) => Choice::Wgpu,
            (true, true) => match best_adapter() {
                None | Some("software") => Choice::Wasm,
                Some(_) => Choice::WgpuOrWasm,
            },
        }
    }
}

/// Whether WebAssembly can run a bundle that WebGPU failed to load with this error.
pub fn is_for_wasm(error: &Error) -> bool {
    matches!(error, Error::NoAdapter(_) | Error::Limit { .. } | Error::OutOfMemory { .. })
}

/// Loads a bundle on the best device of this machine ([`Choice::of`]).
///
/// # Errors
/// If no device can run it, or files cannot be read.
pub fn open(bundle: Arc<Bundle>) -> Result<Box<dyn Backend>, Error> {
    let choice = Choice::of(&bundle.manifest().profiles);
    let quiet = &mut |_, _| {};
    if choice != Choice::Wasm {
        match Wgpu::load(bundle.clone(), &Options::default(), quiet) {
            Ok(backend) => return Ok(Box::new(backend)),
            Err(e) if choice == Choice::WgpuOrWasm && is_for_wasm(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Box::new(Wasm::load(bundle, &WasmOptions::default(), quiet)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_come_first_and_software_adapters_last() {
        let choice = |profiles: &[&str], kind| {
            let profiles: Vec<String> = profiles.iter().map(|p| p.to_string()).collect();
            Choice::among(&profiles, || kind)
        };
        for kind in ["discrete", "integrated", "virtual", "other"] {
            assert_eq!(choice(&["native", "wasm"], Some(kind)), Choice::WgpuOrWasm);
        }
        assert_eq!(choice(&["native", "wasm"], Some("software")), Choice::Wasm);
        assert_eq!(choice(&["native", "wasm"], None), Choice::Wasm);
        assert_eq!(choice(&["wasm"], Some("discrete")), Choice::Wasm);
        assert_eq!(choice(&["native"], Some("software")), Choice::Wgpu);
        assert_eq!(choice(&["chrome"], None), Choice::Wgpu);
    }
}
