//! Kernels in WebAssembly on the CPUs of this machine, by way of wasmtime.

mod engine;
mod instance;
mod memory;
mod module;
mod watch;
mod weights;
mod workers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gristmill_bundle::{Bundle, Kernel};

use crate::backend::{Backend, Pending, Request, Tensors};
use crate::cpu::{ADDRESS_SPACE, Cpu, PAGE, PROFILE, RELAXED_SIMD, Setup, THREADS};
use crate::cpu::{check_profile, device_info, module as module_of, plan};
use crate::error::Error;
use crate::gpu::{Executor, Gpu, admit};
pub(super) use engine::Engine;
use module::Compiled;
pub use watch::Stopper;

/// More threads than this rarely help: kernels wait for memory, and for the slowest of them.
const MOST_BY_DEFAULT: usize = 8;

/// Weights for which another thread is worth that all wait for one another some hundred times per token.
const BYTES_PER_THREAD: u64 = 1 << 20;

/// More than this is a mistake.
const MOST_THREADS: usize = 256;

/// How often a worker looks for work before it sleeps: some ten microseconds, about what waking it takes.
const SPIN: u32 = 20_000;

/// No call of a bundle that makes sense takes so long.
const LIMIT: Duration = Duration::from_secs(3600);

/// How a bundle runs on CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasmOptions {
    /// Number of threads. Without it, as many as there are CPUs, at most 8, and one per MiB of weights.
    pub threads: Option<usize>,
    /// Whether relaxed SIMD instructions are used. Without it they are.
    pub relaxed: Option<bool>,
    /// A call that takes longer is ended, because kernels of strangers may never end. Without it, an hour.
    pub limit: Option<Duration>,
}

/// A bundle on the CPUs of this machine.
#[derive(Debug)]
pub struct Wasm(Executor<Cpu<Engine>, Arc<Bundle>>);

impl Wasm {
    /// Compiles the module for this machine and reads the weights, reporting bytes done and bytes in total.
    pub fn load(bundle: Arc<Bundle>, options: &WasmOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        let manifest = Arc::new(bundle.manifest().clone());
        check_profile(&manifest)?;
        let programs = bundle.programs(PROFILE)?;
        let threads = threads(options.threads, manifest.weight_bytes());
        let features = features(threads, options.relaxed);
        let info = device_info(features.clone(), ADDRESS_SPACE);
        admit(&manifest, &programs, &info)?;
        let plan = plan(&manifest, &programs)?;
        // Too large is too large, whatever the module adds.
        plan.reserve(0, ADDRESS_SPACE)?;

        let reserve = |base| plan.reserve(base, ADDRESS_SPACE);
        let device = device(&bundle, &programs.kernels, threads, features, options.limit, &reserve)?;
        pollster::block_on(async {
            let weights = weights::read(&device, &bundle, progress).await?;
            let mut executor = Executor::new(device, bundle, manifest, programs).await?;
            executor.set_weights(weights);
            Ok(Wasm(executor))
        })
    }

    /// Ends calls from other threads.
    pub fn stopper(&self) -> Stopper {
        self.0.gpu().instance().stopper()
    }

    /// Bytes in use, of all buffers.
    pub fn allocated_bytes(&self) -> u64 {
        self.0.gpu().allocated()
    }

    /// The features that chose the module.
    pub fn features(&self) -> &BTreeSet<String> {
        &self.0.gpu().info().features
    }
}

/// Fallback kernels of a program for WebGPU as a device of their own.
pub(super) fn fallbacks(bundle: &Bundle, kernels: &[Kernel], options: &WasmOptions) -> Result<Cpu<Engine>, Error> {
    // They are there for buffers that are too large for an adapter.
    let threads = threads(options.threads, u64::MAX);
    device(bundle, kernels, threads, features(threads, options.relaxed), options.limit, &Ok)
}

/// Compiles and instantiates the module of some kernels. `reserve` tells from what the module needs how much memory there
/// is from the start.
fn device(
    bundle: &Bundle,
    kernels: &[Kernel],
    threads: usize,
    features: BTreeSet<String>,
    limit: Option<Duration>,
    reserve: &dyn Fn(u64) -> Result<u64, Error>,
) -> Result<Cpu<Engine>, Error> {
    let file = module_of(kernels, &device_info(features.clone(), ADDRESS_SPACE))?;
    let compiled = Compiled::new(file, &bundle.read(file)?, threads > 1)?;
    let simd = if features.contains(RELAXED_SIMD) { "relaxed" } else { "baseline" };
    let engine = Engine::new(&compiled, threads, simd, limit.unwrap_or(LIMIT))?;
    let (heap_base, scratch_bytes) = engine.layout();
    let workers = threads as u32;
    // A page is enough for what the device keeps of its own.
    let base = u64::from(heap_base) + u64::from(scratch_bytes) * u64::from(workers) + PAGE;
    let reserve = reserve(base)?;
    // Threads that outnumber CPUs only keep one another from working.
    let spin = if threads > cpus() { 0 } else { SPIN };
    Cpu::new(engine, Setup { heap_base, scratch_bytes, workers, spin, features, limit: ADDRESS_SPACE, reserve })
}

/// CPUs that this process may use.
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

fn threads(wish: Option<usize>, weight_bytes: u64) -> usize {
    let useful = usize::try_from(weight_bytes / BYTES_PER_THREAD).unwrap_or(usize::MAX);
    wish.unwrap_or_else(|| cpus().min(MOST_BY_DEFAULT).min(useful)).clamp(1, MOST_THREADS)
}

fn features(threads: usize, relaxed: Option<bool>) -> BTreeSet<String> {
    let relaxed = relaxed.unwrap_or(true).then_some(RELAXED_SIMD);
    relaxed.into_iter().chain((threads > 1).then_some(THREADS)).map(str::to_string).collect()
}

impl Backend for Wasm {
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
