//! A device of wgpu, and buffers with names for error messages.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::adapters::{AdapterSummary, FEATURES, Options, choose, summary};
use super::failures::{Failures, check};
use super::readback;
use crate::error::Error;
use crate::gpu::{BufferSpec, DeviceInfo, Gpu, Limits, Reading, Usage, Work};

/// Bytes of stack that suffice for all shaders that [`gristmill_bundle::shader_fault`] accepts.
const SHADER_STACK: usize = 256 << 20;

/// A device of wgpu.
#[derive(Debug)]
pub struct Device {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    info: DeviceInfo,
    summary: AdapterSummary,
    failures: Arc<Mutex<Failures>>,
    allocated: Cell<u64>,
    /// By the set of buffers that are written.
    layouts: RefCell<BTreeMap<Vec<bool>, wgpu::BindGroupLayout>>,
}

/// A pipeline and the layout of its bindings.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Device {
    /// Opens the adapter that `options` ask for, with all limits it offers.
    pub(super) async fn open(options: &Options) -> Result<Self, Error> {
        let adapter = choose(options.adapter.as_deref()).await?;
        let summary = summary(&adapter.get_info(), adapter.features());
        let used = FEATURES.iter().filter(|(n, f)| adapter.features().contains(*f) && !options.without.contains(*n));
        let required_features = used.clone().fold(wgpu::Features::empty(), |all, (_, f)| all | *f);
        let features: BTreeSet<String> = used.map(|(n, _)| n.to_string()).collect();
        let limits = options.lowered.apply(adapter.limits());
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gristmill"),
            required_features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|e| {
            Error::NoAdapter(format!(
                "adapter {} failed to create a device: {e}; choose another one with --adapter",
                summary.name
            ))
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
        let limits = Limits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_compute_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
        };
        let info = DeviceInfo { adapter: summary.name.clone(), limits, features };
        Ok(Device {
            device,
            queue,
            info,
            summary,
            failures,
            allocated: Cell::new(0),
            layouts: RefCell::new(BTreeMap::new()),
        })
    }

    /// Bytes of all buffers of this device.
    pub(super) fn allocated(&self) -> u64 {
        self.allocated.get()
    }

    /// Waits until all submitted work is done.
    pub(super) fn wait(&self) -> Result<(), Error> {
        match self.device.poll(wgpu::PollType::wait_indefinitely()) {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::Device { what: "waiting for the device".to_string(), message: e.to_string() }),
        }
    }

    /// The layout of group 0: symbols at binding 0, then the kernel's buffers.
    fn layout(&self, writes: &[bool]) -> wgpu::BindGroupLayout {
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
            self.device.create_bind_group_layout(&descriptor)
        };
        self.layouts.borrow_mut().entry(writes.to_vec()).or_insert_with(make).clone()
    }

    fn compile_now(&self, name: &str, source: &str, writes: &[bool]) -> Result<Pipeline, Error> {
        let layout = self.layout(writes);
        let failed = |message: String| Error::Device { what: format!("kernel `{name}`"), message };
        let device = &self.device;
        // wgpu recurses into nested expressions, and the caller's stack may be small.
        let pipeline = std::thread::scope(|scope| {
            let body = || pollster::block_on(build(device, name, source, &layout));
            let builder = std::thread::Builder::new().name("gristmill shader".to_string()).stack_size(SHADER_STACK);
            let thread = builder.spawn_scoped(scope, body).map_err(|e| failed(e.to_string()))?;
            let built = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            built.map_err(failed)
        })?;
        self.check(&format!("kernel `{name}`"))?;
        Ok(Pipeline { pipeline, layout })
    }

    async fn create_one(&self, spec: &BufferSpec) -> Result<wgpu::Buffer, Error> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&spec.label),
            size: spec.bytes,
            usage: usages(spec.usage),
            mapped_at_creation: false,
        });
        if scope.pop().await.is_some() {
            let (what, bytes, allocated) = (spec.label.clone(), spec.bytes, self.allocated.get());
            return Err(Error::OutOfMemory { what, bytes, allocated });
        }
        self.check(&spec.label)?;
        self.allocated.set(self.allocated.get() + spec.bytes);
        Ok(buffer)
    }
}

/// Creates the pipeline of the only entry point, or returns the error.
async fn build(
    device: &wgpu::Device,
    name: &str,
    source: &str,
    layout: &wgpu::BindGroupLayout,
) -> Result<wgpu::ComputePipeline, String> {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(name),
        source: wgpu::ShaderSource::Wgsl(for_naga(source).into()),
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(name),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    scope.pop().await.map_or(Ok(pipeline), |e| Err(e.to_string()))
}

fn usages(usage: Usage) -> wgpu::BufferUsages {
    use wgpu::BufferUsages as U;
    match usage {
        Usage::Weight | Usage::State | Usage::Scratch => U::STORAGE | U::COPY_DST | U::COPY_SRC,
        Usage::Uniform => U::UNIFORM | U::COPY_DST,
        Usage::Readback => U::MAP_READ | U::COPY_DST,
    }
}

impl Gpu for Device {
    type Buffer = wgpu::Buffer;
    type Pipeline = Pipeline;
    type Group = wgpu::BindGroup;
    type Steps = Vec<(wgpu::ComputePipeline, wgpu::BindGroup)>;

    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn describe(&self) -> String {
        let s = &self.summary;
        let features: Vec<&str> = self.info.features.iter().map(String::as_str).collect();
        let features = if features.is_empty() { "no optional features".to_string() } else { features.join(", ") };
        format!("wgpu: {} ({}, {}, {}; {features})", s.name, s.kind, s.api, s.driver)
    }

    fn depth(&self) -> usize {
        2
    }

    async fn create(&self, specs: &[BufferSpec]) -> Result<Vec<wgpu::Buffer>, Error> {
        let mut made = Vec::with_capacity(specs.len());
        for spec in specs {
            match self.create_one(spec).await {
                Ok(buffer) => made.push(buffer),
                Err(e) => {
                    made.iter().for_each(|b| self.destroy(b));
                    return Err(e);
                }
            }
        }
        Ok(made)
    }

    fn destroy(&self, buffer: &wgpu::Buffer) {
        self.allocated.set(self.allocated.get().saturating_sub(buffer.size()));
        buffer.destroy();
    }

    fn clear(&self, buffers: &[&wgpu::Buffer]) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        buffers.iter().for_each(|b| encoder.clear_buffer(b, 0, None));
        self.queue.submit([encoder.finish()]);
    }

    fn compile(
        &self,
        name: &str,
        source: &str,
        writes: &[bool],
    ) -> impl Future<Output = Result<Pipeline, Error>> + 'static {
        // Compilation blocks here anyway; the future only carries the result.
        std::future::ready(self.compile_now(name, source, writes))
    }

    fn bind(&self, name: &str, pipeline: &Pipeline, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let numbered = (0u32..).zip(buffers.iter().copied());
        let entries: Vec<_> =
            numbered.map(|(binding, b)| wgpu::BindGroupEntry { binding, resource: b.as_entire_binding() }).collect();
        let descriptor = wgpu::BindGroupDescriptor { label: Some(name), layout: &pipeline.layout, entries: &entries };
        self.device.create_bind_group(&descriptor)
    }

    fn record(&self, steps: &[(&Pipeline, &wgpu::BindGroup)]) -> Self::Steps {
        steps.iter().map(|(p, g)| (p.pipeline.clone(), (*g).clone())).collect()
    }

    fn submit(&self, work: &Work<'_, Self>) -> Reading {
        for (buffer, bytes) in work.writes {
            self.queue.write_buffer(buffer, 0, bytes);
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        if let Some(c) = &work.feed {
            encoder.copy_buffer_to_buffer(c.from, 0, c.to, c.to_offset, c.bytes);
        }
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for ((pipeline, group), (x, y)) in work.steps.iter().zip(work.grids) {
            if *x > 0 {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(*x, *y, 1);
            }
        }
        drop(pass);
        for c in work.results {
            encoder.copy_buffer_to_buffer(c.from, 0, c.to, c.to_offset, c.bytes);
        }
        let index = self.queue.submit([encoder.finish()]);
        readback::read(self.device.clone(), index, work.staging.clone(), work.bytes, self.failures.clone())
    }

    fn check(&self, what: &str) -> Result<(), Error> {
        check(&self.failures, what)
    }
}

/// Browsers require the directive `enable subgroups;`, but naga (as of version 30) rejects it.
fn for_naga(source: &str) -> String {
    let lines = source.lines().map(|l| if l.trim() == "enable subgroups;" { "" } else { l });
    lines.fold(String::with_capacity(source.len()), |mut all, l| {
        all.push_str(l);
        all.push('\n');
        all
    })
}
