//! The adapter, the device, and buffers whose failures have names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// Which adapter to use, and what of it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Number in [`list_adapters`], or a part of the name in any case. Without it the best kind is taken:
    /// discrete, integrated, virtual, then software.
    pub adapter: Option<String>,
    /// The programs to run. Without it `native`, or the first in the bundle.
    pub profile: Option<String>,
    /// WebGPU feature names that are not to be used although the adapter has them.
    pub without: BTreeSet<String>,
}

/// An adapter of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterSummary {
    /// Name as the driver gives it.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// `Vulkan`, `Metal`, `Dx12`, `BrowserWebGpu`.
    pub api: String,
    /// Driver and its version.
    pub driver: String,
    /// Which of the features that kernels may ask for it has.
    pub features: Vec<&'static str>,
}

/// WebGPU features that kernel variants may require.
const FEATURES: [(&str, wgpu::Features); 2] =
    [("shader-f16", wgpu::Features::SHADER_F16), ("subgroups", wgpu::Features::SUBGROUP)];

const NO_ADAPTER: &str = "no WebGPU adapter on this machine. Install the driver of the graphics card, or a software \
                          one (Debian: apt install mesa-vulkan-drivers), or use `--backend reference`";

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Validation layers of the drivers are for the developers of wgpu; its own checks stay on.
    descriptor.flags = wgpu::InstanceFlags::empty();
    descriptor.backends = wgpu::Backends::PRIMARY;
    wgpu::Instance::new(descriptor)
}

/// All adapters, best first. Empty if there are none.
pub async fn list_adapters() -> Vec<AdapterSummary> {
    adapters().await.iter().map(|a| summary(&a.get_info(), a.features())).collect()
}

fn kind(info: &wgpu::AdapterInfo) -> (u8, &'static str) {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => (0, "discrete"),
        wgpu::DeviceType::IntegratedGpu => (1, "integrated"),
        wgpu::DeviceType::VirtualGpu => (2, "virtual"),
        wgpu::DeviceType::Cpu => (3, "software"),
        wgpu::DeviceType::Other => (4, "other"),
    }
}

fn summary(info: &wgpu::AdapterInfo, features: wgpu::Features) -> AdapterSummary {
    let driver = [info.driver.as_str(), info.driver_info.as_str()].join(" ").trim().to_string();
    AdapterSummary {
        name: info.name.clone(),
        kind: kind(info).1,
        api: format!("{:?}", info.backend),
        driver,
        features: FEATURES.iter().filter(|(_, f)| features.contains(*f)).map(|(n, _)| *n).collect(),
    }
}

#[cfg(not(target_arch = "wasm32"))]
async fn adapters() -> Vec<wgpu::Adapter> {
    let mut all = instance().enumerate_adapters(wgpu::Backends::PRIMARY).await;
    all.sort_by_key(|a| kind(&a.get_info()).0);
    all
}

/// A browser gives one adapter, and only when asked for one.
#[cfg(target_arch = "wasm32")]
async fn adapters() -> Vec<wgpu::Adapter> {
    let options =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    instance().request_adapter(&options).await.into_iter().collect()
}

async fn choose(wish: Option<&str>) -> Result<wgpu::Adapter, Error> {
    let mut all = adapters().await;
    if all.is_empty() {
        return Err(Error::NoAdapter(NO_ADAPTER.to_string()));
    }
    let found = match wish {
        None => Some(0),
        Some(text) => match text.parse::<usize>() {
            Ok(n) => Some(n).filter(|n| *n < all.len()),
            Err(_) => all.iter().position(|a| a.get_info().name.to_lowercase().contains(&text.to_lowercase())),
        },
    };
    match found {
        Some(n) => Ok(all.swap_remove(n)),
        None => {
            let known: Vec<String> =
                all.iter().enumerate().map(|(i, a)| format!("{i}: {}", a.get_info().name)).collect();
            let wish = wish.unwrap_or_default();
            Err(Error::NoAdapter(format!("no adapter `{wish}`; this machine has {}", known.join(", "))))
        }
    }
}

/// What the device reported outside of any call.
#[derive(Debug, Default)]
struct Failures {
    lost: Option<String>,
    first: Option<String>,
}

/// An opened device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: wgpu::Limits,
    /// Names of the features in use.
    pub(crate) features: BTreeSet<&'static str>,
    pub(crate) summary: AdapterSummary,
    failures: Arc<Mutex<Failures>>,
    allocated: u64,
}

impl Device {
    /// Opens the adapter that `options` ask for, with all limits it offers.
    pub(crate) async fn open(options: &Options) -> Result<Self, Error> {
        let adapter = choose(options.adapter.as_deref()).await?;
        let summary = summary(&adapter.get_info(), adapter.features());
        let used = FEATURES.iter().filter(|(n, f)| adapter.features().contains(*f) && !options.without.contains(*n));
        let required_features = used.clone().fold(wgpu::Features::empty(), |all, (_, f)| all | *f);
        let features = used.map(|(n, _)| *n).collect();
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gristmill"),
            required_features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|e| {
            Error::NoAdapter(format!("adapter {} gives no device: {e}; try another one, see --adapter", summary.name))
        })?;
        let failures = Arc::new(Mutex::new(Failures::default()));
        let sink = failures.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).first.get_or_insert(e.to_string());
        }));
        let sink = failures.clone();
        device.set_device_lost_callback(move |reason, message| {
            let text = format!("{reason:?}: {message}");
            sink.lock().unwrap_or_else(PoisonError::into_inner).lost.get_or_insert(text);
        });
        Ok(Device { device, queue, limits, features, summary, failures, allocated: 0 })
    }

    /// The first failure since the last call of this function, if there was one.
    pub(crate) fn check(&self, what: &str) -> Result<(), Error> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = &failures.lost {
            return Err(Error::DeviceLost(lost.clone()));
        }
        match failures.first.take() {
            Some(message) => Err(Error::Device { what: what.to_string(), message }),
            None => Ok(()),
        }
    }

    /// A limit of the adapter is too small.
    pub(crate) fn limit(&self, what: &str, needed: u64, limit: u64, name: &'static str, remedy: &str) -> Error {
        let (what, adapter, remedy) = (what.to_string(), self.summary.name.clone(), remedy.to_string());
        Error::Limit { what, needed, limit, name, adapter, remedy }
    }

    /// A storage buffer, zero-filled, of at least 16 bytes. `what` names it in errors.
    pub(crate) async fn storage(&mut self, what: &str, bytes: u64, remedy: &str) -> Result<wgpu::Buffer, Error> {
        let most = self.limits.max_storage_buffer_binding_size;
        if bytes > most {
            return Err(self.limit(what, bytes, most, "maxStorageBufferBindingSize", remedy));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        self.buffer(what, bytes, usage, remedy).await
    }

    /// A buffer of at least 16 bytes.
    pub(crate) async fn buffer(
        &mut self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        remedy: &str,
    ) -> Result<wgpu::Buffer, Error> {
        let most = self.limits.max_buffer_size;
        if bytes > most {
            return Err(self.limit(what, bytes, most, "maxBufferSize", remedy));
        }
        let size = bytes.max(16).next_multiple_of(16);
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let descriptor = wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        if scope.pop().await.is_some() {
            return Err(Error::OutOfMemory { what: what.to_string(), bytes, allocated: self.allocated });
        }
        self.check(what)?;
        self.allocated += size;
        Ok(buffer)
    }

    /// Frees a buffer at once instead of when its last user is gone.
    pub(crate) fn free(&mut self, buffer: &wgpu::Buffer) {
        self.allocated = self.allocated.saturating_sub(buffer.size());
        buffer.destroy();
    }

    /// Bytes in all buffers.
    pub(crate) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Waits until all submitted work is done. In a browser callbacks come by themselves.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        match self.device.poll(wgpu::PollType::wait_indefinitely()) {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::Device { what: "waiting for the device".to_string(), message: e.to_string() }),
        }
    }
}
