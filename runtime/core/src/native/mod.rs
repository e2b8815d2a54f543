//! This machine: WebGPU by way of wgpu (Vulkan, Metal or DirectX 12), and processors by way of wasmtime.

mod adapters;
mod device;
mod readback;
mod wasm;
mod weights;

use std::sync::Arc;

use gristmill_bundle::Bundle;

use crate::backend::{Backend, Pending, Request, Tensors};
use crate::error::Error;
use crate::gpu::{Executor, Gpu, choose_profile};

pub use adapters::{AdapterSummary, Options, list_adapters};
pub use device::Device;
pub use wasm::{Wasm, WasmOptions};

/// A bundle on an adapter of this machine.
#[derive(Debug)]
pub struct Wgpu(Executor<Device, Arc<Bundle>>);

impl Wgpu {
    /// Opens an adapter and uploads the weights, reporting bytes done and bytes in total.
    pub fn load(bundle: Arc<Bundle>, options: &Options, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        let manifest = Arc::new(bundle.manifest().clone());
        let profile = choose_profile(&manifest, options.profile.as_deref(), &["native"])?;
        let programs = bundle.programs(&profile)?;
        pollster::block_on(async {
            let device = Device::open(options).await?;
            crate::gpu::admit(&manifest, &programs, device.info())?;
            let weights = weights::upload(&device, &bundle, progress).await?;
            let mut executor = Executor::new(device, bundle, manifest, programs).await?;
            executor.set_weights(weights);
            Ok(Wgpu(executor))
        })
    }

    /// Bytes in all buffers on the device.
    pub fn allocated_bytes(&self) -> u64 {
        self.0.gpu().allocated()
    }
}

impl Backend for Wgpu {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn depth(&self) -> usize {
        self.0.depth()
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()> {
        self.0.begin(batch, capacity)
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        self.0.start(request, want)
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        self.0.finish()
    }
}
