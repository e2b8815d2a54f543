//! All devices that users run bundles on: WebGPU, and each kind of WebAssembly.

use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_runtime::Backend;
use gristmill_runtime::native::{Options, Wasm, WasmOptions, Wgpu};

/// A device and its name.
pub struct Device {
    /// `wgpu`, `wasm baseline 2`.
    pub name: String,
    /// A loaded bundle.
    pub backend: Box<dyn Backend>,
    /// Whether activations are quantized to bytes for quantized weights.
    pub rounds: bool,
}

/// The targets that all devices need.
pub fn targets() -> Vec<String> {
    vec!["native".into(), "wasm".into()]
}

/// Kinds of WebAssembly: relaxed SIMD or not, and the number of threads.
pub const WASM: [(bool, usize); 4] = [(false, 1), (true, 1), (false, 2), (true, 2)];

/// Loads a bundle into one kind of WebAssembly.
///
/// # Errors
/// If it cannot be loaded.
pub fn wasm(bundle: &Arc<Bundle>, relaxed: bool, threads: usize) -> Result<Device, String> {
    let options = WasmOptions { threads: Some(threads), relaxed: Some(relaxed), ..WasmOptions::default() };
    let name = format!("wasm {} {threads}", if relaxed { "relaxed" } else { "baseline" });
    let backend = Wasm::load(bundle.clone(), &options, &mut |_, _| {}).map_err(|e| format!("{name}: {e}"))?;
    Ok(Device { name, backend: Box::new(backend), rounds: true })
}

/// Loads a bundle into every device that it has programs for.
///
/// # Errors
/// If there is no adapter, or the bundle cannot be loaded.
pub fn open(bundle: &Arc<Bundle>) -> Result<Vec<Device>, String> {
    let has = |profile: &str| bundle.manifest().profiles.iter().any(|p| p == profile);
    let mut devices = Vec::new();
    if bundle.manifest().profiles.iter().any(|p| p != "wasm") {
        let wgpu = Wgpu::load(bundle.clone(), &Options::default(), &mut |_, _| {});
        let wgpu = wgpu.map_err(|e| format!("wgpu: {e}; on Debian, install mesa-vulkan-drivers"))?;
        devices.push(Device { name: "wgpu".into(), backend: Box::new(wgpu), rounds: false });
    }
    if has("wasm") {
        for (relaxed, threads) in WASM {
            devices.push(wasm(bundle, relaxed, threads)?);
        }
    }
    Ok(devices)
}
