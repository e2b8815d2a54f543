//! Bundles on WebGPU adapters.

use std::sync::Arc;

use gristmill_bundle::Bundle;

use super::adapters::Options;
use super::device::Device;
use super::{wasm, weights};
use crate::backend::{Backend, Pending, Request, Tensors};
use crate::error::Error;
use crate::gpu::{Admission, Executor, Gpu, Usage, admit, choose_profile};
use crate::hybrid::Hybrid;

/// A bundle on a GPU of this machine, with WebAssembly for the steps that the adapter cannot run.
#[derive(Debug)]
pub struct Wgpu {
    executor: Executor<Hybrid<Device, wasm::Engine>, Arc<Bundle>>,
    admission: Admission,
}

impl Wgpu {
    /// Opens an adapter and uploads the weights; reports bytes done and the total.
    ///
    /// # Errors
    /// If there is no adapter or no program for it, the bundle exceeds a limit or the memory of the device, or a file
    /// of the bundle is damaged.
    pub fn load(bundle: Arc<Bundle>, options: &Options, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        let manifest = Arc::new(bundle.manifest().clone());
        let profile = choose_profile(&manifest, options.profile.as_deref(), &["native"])?;
        let programs = bundle.programs(&profile)?;
        pollster::block_on(async {
            let device = Device::open(options).await?;
            let admission = admit(&manifest, &programs, device.info())?;
            let fallbacks = (!admission.offloaded.is_empty())
                .then(|| wasm::fallbacks(&bundle, &programs.fallbacks, &options.fallbacks));
            let device = Hybrid::new(device, fallbacks.transpose()?)?;
            let weights = weights::upload(device.own(), &bundle, progress).await?;
            let weights = device.adopt(weights.into_iter().zip(manifest.tensors.iter().map(|t| t.bytes)));
            let mut executor = Executor::new(device, bundle, manifest, programs).await?;
            executor.set_weights(weights);
            Ok(Wgpu { executor, admission })
        })
    }

    /// The steps that WebAssembly runs, and why.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Bytes in all buffers on the device and in linear memory.
    pub fn allocated_bytes(&self) -> u64 {
        let device = self.executor.gpu();
        device.own().allocated() + device.beside().map_or(0, |cpu| cpu.allocated())
    }

    /// Bytes of states in linear memory, because the device cannot bind them.
    pub fn states_aside(&self) -> u64 {
        self.executor.gpu().beside().map_or(0, |cpu| cpu.allocated_for(Usage::State))
    }
}

impl Backend for Wgpu {
    fn describe(&self) -> String {
        self.executor.describe()
    }

    fn depth(&self) -> usize {
        self.executor.depth()
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()> {
        self.executor.begin(batch, capacity)
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        self.executor.start(request, want)
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        self.executor.finish()
    }
}
