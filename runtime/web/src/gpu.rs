//! Adapts the browser's WebGPU to the executor. The device itself is in `ts/gpu/device.ts`.

use std::future::Future;

use gristmill_runtime::Error;
use gristmill_runtime::gather::gather;
use gristmill_runtime::gpu::{BufferSpec, DeviceInfo, Gpu, Limits, Reading, Usage, Work};
use js_sys::{Array, Float64Array, Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::error::from_js;

#[wasm_bindgen]
extern "C" {
    /// `Device` of `ts/gpu/device.ts`.
    #[derive(Clone, Debug)]
    pub type JsDevice;

    #[wasm_bindgen(method, getter)]
    fn name(this: &JsDevice) -> String;
    #[wasm_bindgen(method, getter)]
    fn features(this: &JsDevice) -> Vec<String>;
    #[wasm_bindgen(method, getter)]
    fn depth(this: &JsDevice) -> u32;
    #[wasm_bindgen(method)]
    fn limit(this: &JsDevice, name: &str) -> f64;
    #[wasm_bindgen(method)]
    fn create(this: &JsDevice, labels: Vec<String>, bytes: &[f64], kinds: &[u8]) -> Promise;
    #[wasm_bindgen(method)]
    fn destroy(this: &JsDevice, buffer: &JsValue);
    #[wasm_bindgen(method)]
    fn clear(this: &JsDevice, buffers: &Array);
    #[wasm_bindgen(method)]
    fn compile(this: &JsDevice, name: &str, source: &str, writes: &[u8]) -> Promise;
    #[wasm_bindgen(method)]
    fn bind(this: &JsDevice, name: &str, pipeline: &JsValue, buffers: &Array) -> JsValue;
    #[wasm_bindgen(method)]
    fn record(this: &JsDevice, pipelines: &Array, groups: &Array) -> JsValue;
    #[wasm_bindgen(method)]
    fn write(this: &JsDevice, buffer: &JsValue, bytes: &[u8]);
    #[wasm_bindgen(method)]
    fn submit(
        this: &JsDevice,
        feed: &Array,
        steps: &JsValue,
        grids: &[u32],
        results: &Array,
        staging: &JsValue,
        bytes: f64,
    ) -> Promise;
    #[wasm_bindgen(method)]
    fn failure(this: &JsDevice) -> JsValue;
}

/// A device of the browser.
#[derive(Debug)]
pub(crate) struct WebGpu {
    device: JsDevice,
    info: DeviceInfo,
}

/// The properties of a device that the executor needs.
pub(crate) fn info(device: &JsDevice) -> DeviceInfo {
    let limit = |name| device.limit(name);
    DeviceInfo {
        adapter: device.name(),
        limits: Limits {
            max_buffer_size: limit("maxBufferSize") as u64,
            max_storage_buffer_binding_size: limit("maxStorageBufferBindingSize") as u64,
            max_storage_buffers_per_shader_stage: limit("maxStorageBuffersPerShaderStage") as u32,
            max_compute_workgroups_per_dimension: limit("maxComputeWorkgroupsPerDimension") as u32,
        },
        features: gather(device.features()),
    }
}

impl WebGpu {
    pub(crate) fn new(device: JsDevice) -> Self {
        WebGpu { info: info(&device), device }
    }
}

/// Awaits a promise of the device.
async fn settle(promise: Promise) -> Result<JsValue, Error> {
    JsFuture::from(promise).await.map_err(from_js)
}

fn kind(usage: Usage) -> u8 {
    match usage {
        Usage::Weight => 0,
        Usage::State => 1,
        Usage::Scratch => 2,
        Usage::Uniform => 3,
        Usage::Readback => 4,
    }
}

impl Gpu for WebGpu {
    type Buffer = JsValue;
    type Pipeline = JsValue;
    type Group = JsValue;
    type Steps = JsValue;

    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn describe(&self) -> String {
        self.info.adapter.clone()
    }

    fn depth(&self) -> usize {
        self.device.depth() as usize
    }

    async fn create(&self, specs: &[BufferSpec]) -> Result<Vec<JsValue>, Error> {
        let labels = specs.iter().map(|s| s.label.clone()).collect();
        let bytes: Vec<f64> = specs.iter().map(|s| s.bytes as f64).collect();
        let kinds: Vec<u8> = specs.iter().map(|s| kind(s.usage)).collect();
        let made = settle(self.device.create(labels, &bytes, &kinds)).await?;
        Ok(made.unchecked_into::<Array>().to_vec())
    }

    fn destroy(&self, buffer: &JsValue) {
        self.device.destroy(buffer);
    }

    fn clear(&self, buffers: &[&JsValue]) {
        self.device.clear(&list(buffers.iter().copied()));
    }

    fn compile(
        &self,
        name: &str,
        source: &str,
        writes: &[bool],
    ) -> impl Future<Output = Result<JsValue, Error>> + 'static {
        let writes: Vec<u8> = writes.iter().map(|w| u8::from(*w)).collect();
        // The browser starts compiling right away.
        settle(self.device.compile(name, source, &writes))
    }

    fn bind(&self, name: &str, pipeline: &JsValue, buffers: &[&JsValue]) -> JsValue {
        self.device.bind(name, pipeline, &list(buffers.iter().copied()))
    }

    fn record(&self, steps: &[(&JsValue, &JsValue)]) -> JsValue {
        self.device.record(&list(steps.iter().map(|s| s.0)), &list(steps.iter().map(|s| s.1)))
    }

    fn submit(&self, work: &Work<'_, Self>) -> Reading {
        for (buffer, bytes) in work.writes {
            self.device.write(buffer, bytes);
        }
        let feed = Array::new();
        let results = Array::new();
        let add = |list: &Array, copy: &gristmill_runtime::gpu::Copy<'_, JsValue>| {
            list.push(copy.from);
            list.push(copy.to);
            list.push(&Float64Array::from([copy.to_offset as f64, copy.bytes as f64].as_slice()));
        };
        work.feed.iter().for_each(|c| add(&feed, c));
        work.results.iter().for_each(|c| add(&results, c));
        let grids: Vec<u32> = work.grids.iter().flat_map(|(x, y)| [*x, *y]).collect();
        let promise = self.device.submit(&feed, work.steps, &grids, &results, work.staging, work.bytes as f64);
        Box::pin(async move { Ok(settle(promise).await?.unchecked_into::<Uint8Array>().to_vec()) })
    }

    fn check(&self, _: &str) -> Result<(), Error> {
        let failure = self.device.failure();
        if failure.is_undefined() { Ok(()) } else { Err(from_js(failure)) }
    }
}

fn list<'a>(values: impl Iterator<Item = &'a JsValue>) -> Array {
    let all = Array::new();
    values.for_each(|v| {
        all.push(v);
    });
    all
}
