//! Compute pipelines, made when first used.

use std::collections::BTreeMap;

use gristmill_bundle::{Bundle, Kernel, Variant};

use super::device::Device;
use crate::error::Error;

/// The pipelines of all kernels that were used so far.
#[derive(Debug)]
pub(crate) struct Pipelines {
    made: Vec<Option<wgpu::ComputePipeline>>,
    /// By which of the buffers are written.
    layouts: BTreeMap<Vec<bool>, wgpu::BindGroupLayout>,
}

impl Pipelines {
    pub(crate) fn new(kernels: usize) -> Self {
        Pipelines { made: vec![None; kernels], layouts: BTreeMap::new() }
    }

    /// The pipeline of a kernel that [`Pipelines::make`] has made.
    pub(crate) fn get(&self, kernel: usize) -> Option<&wgpu::ComputePipeline> {
        self.made.get(kernel).and_then(Option::as_ref)
    }

    /// The layout of group 0: symbols at binding 0, then the kernel's buffers.
    pub(crate) fn layout(&mut self, device: &Device, writes: &[bool]) -> wgpu::BindGroupLayout {
        let make = || {
            let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
                binding: binding as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            };
            let storage = |w: &bool| wgpu::BufferBindingType::Storage { read_only: !*w };
            let uniform = std::iter::once(entry(0, wgpu::BufferBindingType::Uniform));
            let entries: Vec<_> =
                uniform.chain(writes.iter().enumerate().map(|(i, w)| entry(i + 1, storage(w)))).collect();
            let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
            device.device.create_bind_group_layout(&descriptor)
        };
        self.layouts.entry(writes.to_vec()).or_insert_with(make).clone()
    }

    /// Makes the pipeline of a kernel unless it exists.
    pub(crate) async fn make(
        &mut self,
        device: &Device,
        bundle: &Bundle,
        index: usize,
        kernel: &Kernel,
    ) -> Result<(), Error> {
        if self.get(index).is_some() {
            return Ok(());
        }
        let (found, limit) = (kernel.writes.len() as u64, device.limits.max_storage_buffers_per_shader_stage.into());
        let what = format!("kernel `{}`", kernel.name);
        if found > limit {
            let remedy = "compile for a profile with fewer buffers per kernel";
            return Err(device.limit(&what, found, limit, "maxStorageBuffersPerShaderStage", remedy));
        }
        let variant = choose(kernel, device)?;
        let source = for_naga(&bundle.read_text(&variant.file)?);
        let layout = self.layout(device, &kernel.writes);
        let scope = device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&kernel.name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline_layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&kernel.name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        if let Some(e) = scope.pop().await {
            return Err(Error::Device { what: format!("{what} ({})", variant.file), message: e.to_string() });
        }
        device.check(&what)?;
        self.made[index] = Some(pipeline);
        Ok(())
    }
}

/// The first variant whose requirements the device meets.
fn choose<'k>(kernel: &'k Kernel, device: &Device) -> Result<&'k Variant, Error> {
    let fits = |v: &&Variant| v.requires.iter().all(|r| device.features.contains(r.as_str()));
    kernel.variants.iter().find(fits).ok_or_else(|| Error::Device {
        what: format!("kernel `{}`", kernel.name),
        message: "no variant of it runs on this device".to_string(),
    })
}

/// Browsers demand the line `enable subgroups;`, naga (as of version 30) refuses it.
fn for_naga(source: &str) -> String {
    if cfg!(target_arch = "wasm32") {
        return source.to_string();
    }
    let lines = source.lines().map(|l| if l.trim() == "enable subgroups;" { "" } else { l });
    lines.fold(String::with_capacity(source.len()), |mut all, l| {
        all.push_str(l);
        all.push('\n');
        all
    })
}
