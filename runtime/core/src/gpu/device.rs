//! The part of WebGPU that the executor needs. wgpu implements it natively, the browser in a page, [`crate::cpu`] on
//! CPUs.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// Limits of an open device that decide what runs on it, named as in WebGPU.
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
    /// The default limits of WebGPU, which every adapter has.
    pub const PORTABLE: Limits = Limits {
        max_buffer_size: 256 << 20,
        max_storage_buffer_binding_size: 128 << 20,
        max_storage_buffers_per_shader_stage: 8,
        max_compute_workgroups_per_dimension: 65535,
    };

    /// The size of the largest buffer that a kernel can bind, in bytes.
    pub fn largest_binding(&self) -> u64 {
        self.max_storage_buffer_binding_size.min(self.max_buffer_size)
    }
}

/// The description of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of the adapter, for messages.
    pub adapter: String,
    /// Its limits.
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

    /// Checks that a storage buffer of this many bytes can be created and bound entirely.
    pub(crate) fn check_storage(&self, what: &str, bytes: u64, remedy: &str) -> Result<(), Error> {
        let binding = self.limits.max_storage_buffer_binding_size;
        if bytes > binding {
            return Err(self.limit(what, bytes, binding, "maxStorageBufferBindingSize", remedy));
        }
        self.check_size(what, bytes, remedy)
    }

    /// Checks that a buffer of this many bytes can be created.
    pub(crate) fn check_size(&self, what: &str, bytes: u64, remedy: &str) -> Result<(), Error> {
        let most = self.limits.max_buffer_size;
        if bytes > most {
            return Err(self.limit(what, bytes, most, "maxBufferSize", remedy));
        }
        Ok(())
    }
}

/// The use of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Weights: bound by kernels.
    Weight,
    /// States: bound by kernels, cleared, kept between calls.
    State,
    /// Inputs, outputs and scratch memory: bound by kernels, written and copied.
    Scratch,
    /// Uniforms: small values that all kernels read.
    Uniform,
    /// Staging buffers, which the host reads.
    Readback,
}

/// A buffer to be created, filled with zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BufferSpec {
    /// Its name in errors and in the developer tools of browsers.
    pub label: String,
    /// The size in bytes; a multiple of 16.
    pub bytes: u64,
    /// Its use.
    pub usage: Usage,
}

impl BufferSpec {
    /// A buffer of at least `bytes`, and of at least 16.
    pub fn new(label: impl Into<String>, bytes: u64, usage: Usage) -> Self {
        BufferSpec { label: label.into(), bytes: bytes.max(16).next_multiple_of(16), usage }
    }
}

/// A range of bytes to copy on the device. Offsets and size are multiples of 4.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a, B> {
    /// The source; the range is at its beginning.
    pub from: &'a B,
    /// The target.
    pub to: &'a B,
    /// The offset in the target, in bytes.
    pub to_offset: u64,
    /// The number of bytes.
    pub bytes: u64,
}

/// One submission. It is executed in the order of the fields; the steps are one compute pass.
#[derive(Debug)]
pub struct Work<'a, G: Gpu> {
    /// Bytes to write at the beginning of buffers; their number is a multiple of 4.
    pub writes: &'a [(&'a G::Buffer, &'a [u8])],
    /// Copies from results of the previous submission to inputs of this one.
    pub feed: Option<Copy<'a, G::Buffer>>,
    /// The steps: pipelines and their buffers.
    pub steps: &'a G::Steps,
    /// The number of workgroups in x and y of each step. Steps without workgroups are skipped.
    pub grids: &'a [(u32, u32)],
    /// Copies from results to `staging`.
    pub results: &'a [Copy<'a, G::Buffer>],
    /// A [`Usage::Readback`] buffer that no other submission in flight uses.
    pub staging: &'a G::Buffer,
    /// The number of bytes of it to read back. 0 only waits.
    pub bytes: u64,
}

/// Results in transfer to the host.
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

    /// The description of the device.
    fn info(&self) -> &DeviceInfo;

    /// A description for users: adapter, driver and the features in use.
    fn describe(&self) -> String;

    /// The number of submissions in flight with which the device never waits for the host. There are never more.
    fn depth(&self) -> usize;

    /// Creates buffers, all or none. Errors name the first that failed.
    fn create(&self, specs: &[BufferSpec]) -> impl Future<Output = Result<Vec<Self::Buffer>, Error>>;

    /// Frees a buffer as soon as no submitted work needs it.
    fn destroy(&self, buffer: &Self::Buffer);

    /// Fills buffers with zeros.
    fn clear(&self, buffers: &[&Self::Buffer]);

    /// A kernel that needs no source, by its index in [`gristmill_bundle::Programs::kernels`], for devices that are
    /// created with a module of all kernels.
    fn built_in(&self, kernel: usize) -> Option<Self::Pipeline> {
        let _ = kernel;
        None
    }

    /// Whether the device also runs fallback kernels. It can then create buffers that its own kernels cannot bind.
    fn has_fallbacks(&self) -> bool {
        false
    }

    /// A fallback kernel, by its index in [`gristmill_bundle::Programs::fallbacks`].
    fn fallback(&self, kernel: usize, writes: &[bool]) -> Option<Self::Pipeline> {
        let _ = (kernel, writes);
        None
    }

    /// Whether only fallback kernels can bind a buffer.
    fn is_offloaded(&self, buffer: &Self::Buffer) -> bool {
        let _ = buffer;
        false
    }

    /// Sets the number of bytes of a buffer that the next submissions use. Others are not copied between kernels of
    /// both kinds.
    fn used(&self, buffer: &Self::Buffer, bytes: u64) {
        let _ = (buffer, bytes);
    }

    /// Compiles a kernel. `writes` tells which of its buffers it writes; `source` is WGSL.
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

    /// Submits work and requests its results at once.
    fn submit(&self, work: &Work<'_, Self>) -> Reading
    where
        Self: Sized;

    /// The first failure outside of any call since the last call of this method.
    fn check(&self, what: &str) -> Result<(), Error>;
}
