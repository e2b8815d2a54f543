//! Adapts kernels in linear memory to the executor. The memory itself is in `ts/wasm/instance.ts`.

use std::collections::BTreeSet;

use gristmill_bundle::{Manifest, Programs};
use gristmill_runtime::Error;
use gristmill_runtime::cpu::{
    ADDRESS_SPACE, Cpu, Running, Setup, WasmInstance, check_profile, control, device_info, module, plan,
};
use gristmill_runtime::gather::gather;
use gristmill_runtime::gpu::admit;
use js_sys::Promise;
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;

use crate::error::from_js;

#[wasm_bindgen]
extern "C" {
    /// `KernelInstance` of `ts/wasm/instance.ts`.
    #[derive(Clone, Debug)]
    pub type JsInstance;

    #[wasm_bindgen(method, catch)]
    fn grow(this: &JsInstance, bytes: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn write(this: &JsInstance, at: u32, bytes: &[u8]);
    #[wasm_bindgen(method)]
    fn read(this: &JsInstance, at: u32, into: &mut [u8]);
    #[wasm_bindgen(method)]
    fn zero(this: &JsInstance, at: u32, bytes: u32);
    #[wasm_bindgen(method)]
    fn copy(this: &JsInstance, from: u32, to: u32, bytes: u32);
    #[wasm_bindgen(method)]
    fn start(this: &JsInstance, control: u32);
    #[wasm_bindgen(method)]
    fn run(this: &JsInstance, control: u32) -> Promise;
    #[wasm_bindgen(method)]
    fn describe(this: &JsInstance) -> String;
}

/// An instance in the page.
#[derive(Debug)]
pub(crate) struct WebInstance(pub(crate) JsInstance);

impl WasmInstance for WebInstance {
    fn grow(&self, bytes: u64) -> Result<(), Error> {
        self.0.grow(bytes as f64).map_err(from_js)
    }

    fn write(&self, at: u32, bytes: &[u8]) {
        self.0.write(at, bytes);
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        self.0.read(at, into);
    }

    fn fill_zero(&self, at: u32, len: u32) {
        self.0.zero(at, len);
    }

    fn copy(&self, from: u32, to: u32, len: u32) {
        self.0.copy(from, to, len);
    }

    fn start(&self, control: u32) -> Result<(), Error> {
        self.0.start(control);
        Ok(())
    }

    fn run(&self, control: u32) -> Running {
        // The kernels run synchronously.
        let running = self.0.run(control);
        Box::pin(async move { JsFuture::from(running).await.map(|_| ()).map_err(from_js) })
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// What JavaScript knows of a module once it is instantiated.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Given {
    heap_base: u32,
    scratch_bytes: u32,
    workers: u32,
    /// How often a worker spins before it sleeps.
    spin: u32,
    features: BTreeSet<String>,
    limit: u64,
}

/// The module for a page with these features, and its memory layout, before anything is fetched. Fails if the bundle
/// has no such programs, or does not fit.
pub(crate) fn choose_module(
    manifest: &Manifest,
    programs: &Programs,
    features: Vec<String>,
    limit: u64,
) -> Result<Value, Error> {
    check_profile(manifest)?;
    let device = device_info(gather(features), limit);
    admit(manifest, programs, &device)?;
    let reserve = plan(manifest, programs)?.reserve(0, limit)?;
    Ok(json!({ "file": module(&programs.kernels, &device)?, "reserve": reserve }))
}

/// The module with the fallback kernels of WebGPU programs.
pub(crate) fn choose_fallbacks(programs: &Programs, features: Vec<String>) -> Result<&str, Error> {
    module(&programs.fallbacks, &device_info(gather(features), ADDRESS_SPACE))
}

/// Makes a device from an instance that holds all of a bundle.
pub(crate) fn open(
    manifest: &Manifest,
    programs: &Programs,
    instance: JsInstance,
    setup: &str,
) -> Result<Cpu<WebInstance>, Error> {
    open_with(instance, setup, &|base, limit| plan(manifest, programs)?.reserve(base, limit))
}

/// Makes a device from an instance with fallback kernels.
pub(crate) fn open_fallbacks(instance: JsInstance, setup: &str) -> Result<Cpu<WebInstance>, Error> {
    open_with(instance, setup, &|base, _| Ok(base))
}

fn open_with(
    instance: JsInstance,
    setup: &str,
    reserve: &dyn Fn(u64, u64) -> Result<u64, Error>,
) -> Result<Cpu<WebInstance>, Error> {
    let given: Given = serde_json::from_str(setup).map_err(|e| Error::Backend(format!("setup of the kernels: {e}")))?;
    let own = u64::from(given.scratch_bytes) * u64::from(given.workers) + u64::from(2 * control::BYTES);
    let base = u64::from(given.heap_base) + own;
    let setup = Setup {
        reserve: reserve(base, given.limit)?,
        heap_base: given.heap_base,
        scratch_bytes: given.scratch_bytes,
        workers: given.workers,
        spin: given.spin,
        features: given.features,
        limit: given.limit,
    };
    Cpu::new(WebInstance(instance), setup)
}
