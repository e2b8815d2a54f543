//! What the executor needs of WebGPU: natively wgpu gives it, in a page the browser, and [`crate::cpu`] on CPUs.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// Limits of an opened device that decide what runs on it. The names are WebGPU's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `maxBufferSize`, in bytes.
    pub max_buffer_size: u64,
    /// `maxStorageBufferBindingSize`, in bytes.
    pub max_storage_buffer_binding_size: u64,
    /// `maxStorageBuffersPerShaderStage`.
    pub max_storage_buffers_per_shader_stage: u32,
    /// `maxComputeWorkgroupsPerDimension`.
    pub max_compute_workgroups_per_dimension: u32,
}

impl Limits {
    /// What every adapter has: the defaults of WebGPU.
    pub const PORTABLE: Limits = Limits {
        max_buffer_size: 256 << 20,
        max_storage_buffer_binding_size: 128 << 20,
        max_storage_buffers_per_shader_stage: 8,
        max_compute_workgroups_per_dimension: 65535,
    };

    /// Bytes of the largest buffer that a kernel can be given.
    pub fn largest_binding(&self) -> u64 {
        self.max_storage_buffer_binding_size.min(self.max_buffer_size)
    }
}

/// What is known about a device before anything runs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of the adapter, for messages.
    pub adapter: String,
    /// What it offers.
    pub limits: Limits,
    /// WebGPU names of the features in use, or those of [`crate::cpu`].
    pub features: BTreeSet<String>,
}

impl DeviceInfo {
    /// The error for a limit that is too small.
    pub(crate) fn limit(&self, what: &str, needed: u64, limit: u64, name: &'static str, remedy: &str) -> Error {
        let (what, adapter, remedy) = (what.to_string(), self.adapter.clone(), remedy.to_string());
        Error::Limit { what, needed, limit, name, adapter, remedy }
    }

    /// Whether a storage buffer of so many bytes can exist and be bound whole.
    pub(crate) fn check_storage(&self, what: &str, bytes: u64, remedy: &str) -> Result<(), Error> {
        let binding = self.limits.max_storage_buffer_binding_size;
        if bytes > binding {
            return Err(self.limit(what, bytes, binding, "maxStorageBufferBindingSize", remedy));
        }
        self.check_size(what, bytes, remedy)
    }

    /// Whether a buffer of so many bytes can exist.
    pub(crate) fn check_size(&self, what: &str, bytes: u64, remedy: &str) -> Result<(), Error> {
        let most = self.limits.max_buffer_size;
        if bytes > most {
            return Err(self.limit(what, bytes, most, "maxBufferSize", remedy));
        }
        Ok(())
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Weights: bound to kernels.
    Weight,
    /// States: bound to kernels, cleared, kept between calls.
    State,
    /// Inputs, outputs and scratch memory: bound to kernels, written and copied.
    Scratch,
    /// Small values that all kernels see.
    Uniform,
    /// Read by the host.
    Readback,
}

/// A buffer to be made, zero-filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferSpec {
    /// Names it in errors and in the tools of the browser.
    pub label: String,
    /// Size; a multiple of 16.
    pub bytes: u64,
    /// What it is for.
    pub usage: Usage,
}

impl BufferSpec {
    /// A buffer for at least `bytes`, and at least 16.
    pub fn new(label: impl Into<String>, bytes: u64, usage: Usage) -> Self {
        BufferSpec { label: label.into(), bytes: bytes.max(16).next_multiple_of(16), usage }
    }
}

/// A stretch to copy on the device. Offsets and size are multiples of 4.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a, B> {
    /// From its begin.
    pub from: &'a B,
    /// Into it.
    pub to: &'a B,
    /// From here on.
    pub to_offset: u64,
    /// So many bytes.
    pub bytes: u64,
}

/// One submission. Everything happens in the order of the fields; the steps are one compute pass.
#[derive(Debug)]
pub struct Work<'a, G: Gpu> {
    /// Bytes to put at the begin of buffers; their number is a multiple of 4.
    pub writes: &'a [(&'a G::Buffer, &'a [u8])],
    /// From results of the submission before into inputs of this one.
    pub feed: Option<Copy<'a, G::Buffer>>,
    /// Pipelines and their buffers.
    pub steps: &'a G::Steps,
    /// Workgroups in x and y of each step. Steps with none are left out.
    pub grids: &'a [(u32, u32)],
    /// From results into `staging`.
    pub results: &'a [Copy<'a, G::Buffer>],
    /// A [`Usage::Readback`] buffer that no other submission under way uses.
    pub staging: &'a G::Buffer,
    /// How many bytes of it are read back. 0 only waits.
    pub bytes: u64,
}

/// Results on their way to the host.
pub type Reading = Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>>>>;

/// A WebGPU device. Handles are cheap to clone.
pub trait Gpu: 'static {
    /// A buffer.
    type Buffer: Clone + Debug;
    /// A compute pipeline and the layout of its bindings: symbols at 0, then the kernel's buffers.
    type Pipeline: Clone + Debug;
    /// Buffers bound for a pipeline.
    type Group: Clone + Debug;
    /// Steps that are submitted many times.
    type Steps: Debug;

    /// What the device is.
    fn info(&self) -> &DeviceInfo;

    /// For people: adapter, driver and the features in use.
    fn describe(&self) -> String;

    /// How many submissions should be under way at once for the device never to wait for the host. There are never
    /// more.
    fn depth(&self) -> usize;

    /// Makes buffers, all of them or none. Errors name the first that failed.
    fn create(&self, specs: &[BufferSpec]) -> impl Future<Output = Result<Vec<Self::Buffer>, Error>>;

    /// Frees a buffer as soon as no submitted work needs it.
    fn destroy(&self, buffer: &Self::Buffer);

    /// Fills buffers with zeros.
    fn clear(&self, buffers: &[&Self::Buffer]);

    /// A kernel that needs no source, by its position in [`gristmill_bundle::Programs::kernels`]: devices whose kernels
    /// all come in one piece have them when they are made.
    fn built_in(&self, kernel: usize) -> Option<Self::Pipeline> {
        let _ = kernel;
        None
    }

    /// Whether the device runs fallback kernels beside its own. It then makes buffers that its own kernels cannot bind.
    fn has_fallbacks(&self) -> bool {
        false
    }

    /// A fallback kernel, by its position in [`gristmill_bundle::Programs::fallbacks`].
    fn fallback(&self, kernel: usize, writes: &[bool]) -> Option<Self::Pipeline> {
        let _ = (kernel, writes);
        None
    }

    /// Whether only fallback kernels can bind a buffer.
    fn is_offloaded(&self, buffer: &Self::Buffer) -> bool {
        let _ = buffer;
        false
    }

    /// Says how many bytes of a buffer the next submissions use. Others need not be copied between kernels of both kinds.
    fn used(&self, buffer: &Self::Buffer, bytes: u64) {
        let _ = (buffer, bytes);
    }

    /// Compiles a kernel. `writes` says which of its buffers are written; `source` is WGSL.
    fn compile(
        &self,
        name: &str,
        source: &str,
        writes: &[bool],
    ) -> impl Future<Output = Result<Self::Pipeline, Error>> + 'static;

    /// Binds buffers, symbols first.
    fn bind(&self, name: &str, pipeline: &Self::Pipeline, buffers: &[&Self::Buffer]) -> Self::Group;

    /// Prepares steps for submission.
    fn record(&self, steps: &[(&Self::Pipeline, &Self::Group)]) -> Self::Steps;

    /// Submits work and asks for its results in the same moment.
    fn submit(&self, work: &Work<'_, Self>) -> Reading
    where
        Self: Sized;

    /// The first failure that belonged to no call since the last time this was asked.
    fn check(&self, what: &str) -> Result<(), Error>;
}
