//! The graphics adapters of this machine.

use std::collections::BTreeSet;

use super::wasm::WasmOptions;
use crate::error::Error;

/// The adapter to use, and restrictions on it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The index in [`list_adapters`], or a part of the name in any case. By default, the best kind is used: discrete,
    /// integrated, virtual, then software.
    pub adapter: Option<String>,
    /// The profile to run. By default `native`, or the first in the bundle.
    pub profile: Option<String>,
    /// Names of WebGPU features not to use, even if the adapter has them.
    pub without: BTreeSet<String>,
    /// Limits to lower, to test with small models how large ones behave.
    pub lowered: Lowered,
    /// How to run steps that exceed a limit of the adapter.
    pub fallbacks: WasmOptions,
}

/// Limits to lower; absent ones are unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lowered {
    /// `maxStorageBufferBindingSize`, in bytes.
    pub binding_bytes: Option<u64>,
    /// `maxStorageBuffersPerShaderStage`.
    pub storage_buffers: Option<u32>,
}

impl Lowered {
    /// The limits of an adapter, after these.
    pub(super) fn apply(self, mut limits: wgpu::Limits) -> wgpu::Limits {
        let (bytes, buffers) =
            (&mut limits.max_storage_buffer_binding_size, &mut limits.max_storage_buffers_per_shader_stage);
        *bytes = self.binding_bytes.map_or(*bytes, |n| n.min(*bytes));
        *buffers = self.storage_buffers.map_or(*buffers, |n| n.min(*buffers));
        limits
    }
}

/// An adapter of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterSummary {
    /// The name that the driver reports.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// `Vulkan`, `Metal`, `Dx12`.
    pub api: String,
    /// Driver and its version.
    pub driver: String,
    /// The features of the adapter that kernels may require.
    pub features: Vec<&'static str>,
}

/// WebGPU features that kernel variants may require.
pub(super) const FEATURES: [(&str, wgpu::Features); 2] =
    [("shader-f16", wgpu::Features::SHADER_F16), ("subgroups", wgpu::Features::SUBGROUP)];

const NO_ADAPTER: &str = "no WebGPU adapter found. Install the GPU's driver or a software one (Debian: apt install \
    mesa-vulkan-drivers), or use `--backend wasm`";

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Validation layers of drivers are meant for developers of wgpu; wgpu's own checks stay enabled.
    descriptor.flags = wgpu::InstanceFlags::empty();
    descriptor.backends = wgpu::Backends::PRIMARY;
    wgpu::Instance::new(descriptor)
}

/// All adapters, best first. Empty if there are none.
pub fn list_adapters() -> Vec<AdapterSummary> {
    pollster::block_on(adapters()).iter().map(|a| summary(&a.get_info(), a.features())).collect()
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

pub(super) fn summary(info: &wgpu::AdapterInfo, features: wgpu::Features) -> AdapterSummary {
    let driver = [info.driver.as_str(), info.driver_info.as_str()].join(" ").trim().to_string();
    AdapterSummary {
        name: info.name.clone(),
        kind: kind(info).1,
        api: format!("{:?}", info.backend),
        driver,
        features: FEATURES.iter().filter(|(_, f)| features.contains(*f)).map(|(n, _)| *n).collect(),
    }
}

async fn adapters() -> Vec<wgpu::Adapter> {
    let mut all = instance().enumerate_adapters(wgpu::Backends::PRIMARY).await;
    all.sort_by_key(|a| kind(&a.get_info()).0);
    all
}

/// The requested adapter, or the best one.
pub(super) async fn choose(wish: Option<&str>) -> Result<wgpu::Adapter, Error> {
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
