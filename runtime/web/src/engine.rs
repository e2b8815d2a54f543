//! A bundle on whichever device executes it.

use gristmill_bundle::{EntryRole, Manifest};
use gristmill_runtime::cpu::Cpu;
use gristmill_runtime::gpu::{BufferSpec, Executor, Gpu, Usage};
use gristmill_runtime::hybrid::Hybrid;
use gristmill_runtime::{Backend, Error, Request, Tensors, backend::Pending};
use wasm_bindgen::JsValue;

use crate::cpu::WebInstance;
use crate::files::JsFiles;
use crate::gpu::WebGpu;

/// A bundle on a GPU device of the browser, or on the CPU.
#[derive(Debug)]
pub(crate) enum Engine {
    Gpu(Box<Executor<Hybrid<WebGpu, WebInstance>, JsFiles>>),
    Cpu(Box<OnCpu>),
}

/// An executor on the CPU.
#[derive(Debug)]
pub(crate) struct OnCpu {
    executor: Executor<Cpu<WebInstance>, JsFiles>,
    /// Weight buffers that JavaScript is filling.
    weights: Vec<<Cpu<WebInstance> as Gpu>::Buffer>,
}

impl OnCpu {
    pub(crate) fn new(executor: Executor<Cpu<WebInstance>, JsFiles>) -> Self {
        OnCpu { executor, weights: Vec::new() }
    }

    /// Allocates all weights; returns their addresses.
    pub(crate) async fn place(&mut self, manifest: &Manifest) -> Result<Vec<f64>, Error> {
        let spec = |t: &gristmill_bundle::StoredWeight| {
            BufferSpec::new(format!("tensor `{}` ({})", t.name, t.precision), t.bytes, Usage::Weight)
        };
        let specs: Vec<BufferSpec> = manifest.tensors.iter().map(spec).collect();
        self.weights = self.executor.gpu().create(&specs).await?;
        Ok(self.weights.iter().map(|b| f64::from(b.address())).collect())
    }

    /// Takes over the allocated weights, once they are filled.
    fn take_weights(&mut self) {
        self.executor.set_weights(std::mem::take(&mut self.weights));
    }
}

/// Bytes of weights, of states, and of everything else.
fn memory(cpu: &Cpu<WebInstance>) -> Vec<f64> {
    let (weights, states) = (cpu.allocated_for(Usage::Weight), cpu.allocated_for(Usage::State));
    vec![weights as f64, states as f64, cpu.allocated().saturating_sub(weights + states) as f64]
}

impl Engine {
    /// Compiles kernels before they are used; see [`Executor::warm`].
    pub(crate) async fn warm(&mut self, roles: &[EntryRole], done: &mut dyn FnMut(usize, usize)) -> Result<(), Error> {
        match self {
            Engine::Gpu(executor) => executor.warm(roles, done).await,
            Engine::Cpu(on) => on.executor.warm(roles, done).await,
        }
    }

    /// How many buffers [`Engine::set_weights`] expects.
    pub(crate) fn buffers_to_set(&self, manifest: &Manifest) -> usize {
        match self {
            Engine::Gpu(_) => manifest.tensors.len(),
            Engine::Cpu(_) => 0,
        }
    }

    /// The memory use of kernels on the CPU, if there are any.
    pub(crate) fn memory(&self) -> Option<Vec<f64>> {
        match self {
            Engine::Gpu(executor) => executor.gpu().beside().map(memory),
            Engine::Cpu(on) => Some(memory(on.executor.gpu())),
        }
    }

    /// Takes one filled buffer per tensor; on the CPU, the allocated ones.
    pub(crate) fn set_weights(&mut self, manifest: &Manifest, buffers: Vec<JsValue>) {
        match self {
            Engine::Gpu(executor) => {
                let sizes = manifest.tensors.iter().map(|t| t.bytes);
                let weights = executor.gpu().adopt(buffers.into_iter().zip(sizes));
                executor.set_weights(weights);
            }
            Engine::Cpu(on) => on.take_weights(),
        }
    }

    fn backend(&self) -> &dyn Backend {
        match self {
            Engine::Gpu(executor) => executor.as_ref(),
            Engine::Cpu(on) => &on.executor,
        }
    }

    fn backend_mut(&mut self) -> &mut dyn Backend {
        match self {
            Engine::Gpu(executor) => executor.as_mut(),
            Engine::Cpu(on) => &mut on.executor,
        }
    }
}

impl Backend for Engine {
    fn describe(&self) -> String {
        self.backend().describe()
    }

    fn depth(&self) -> usize {
        self.backend().depth()
    }

    fn begin(&mut self, batch: u32, capacity: u32) -> Pending<'_, ()> {
        self.backend_mut().begin(batch, capacity)
    }

    fn start<'a>(&'a mut self, request: &'a Request, want: &'a [&'a str]) -> Pending<'a, ()> {
        self.backend_mut().start(request, want)
    }

    fn finish(&mut self) -> Pending<'_, Tensors> {
        self.backend_mut().finish()
    }
}
