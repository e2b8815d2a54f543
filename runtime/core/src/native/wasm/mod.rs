//! WebAssembly kernels on the CPUs of this machine, through wasmtime.

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

/// The default maximum of threads. More rarely help: kernels wait for memory, and for the slowest thread.
const MOST_BY_DEFAULT: usize = 8;

/// Bytes of weights per thread: with fewer, synchronization (some hundred times per token) costs more than a thread
/// gains.
const BYTES_PER_THREAD: u64 = 1 << 20;

/// The largest number of threads.
const MOST_THREADS: usize = 256;

/// How often a worker checks for work before it sleeps: some ten microseconds, about the time to wake it.
const SPIN: u32 = 20_000;

/// The default time limit of a call, longer than any useful call takes.
const LIMIT: Duration = Duration::from_secs(3600);

/// Options for running a bundle on CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasmOptions {
    /// The number of threads. By default, the number of CPUs, but at most 8, and at most one per MiB of weights.
    pub threads: Option<usize>,
    /// Whether to use relaxed SIMD instructions. By default, yes.
    pub relaxed: Option<bool>,
    /// The time limit of a call, because untrusted kernels may never end. By default, one hour.
    pub limit: Option<Duration>,
}

/// A bundle on the CPUs of this machine.
#[derive(Debug)]
pub struct Wasm(Executor<Cpu<Engine>, Arc<Bundle>>);

impl Wasm {
    /// Compiles the module for this machine and reads the weights; reports bytes done and the total.
    ///
    /// # Errors
    /// If the bundle has no WebAssembly, does not fit into linear memory, or a file of it is damaged.
    pub fn load(bundle: Arc<Bundle>, options: &WasmOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, Error> {
        let manifest = Arc::new(bundle.manifest().clone());
        check_profile(&manifest)?;
        let programs = bundle.programs(PROFILE)?;
        let threads = threads(options.threads, manifest.weight_bytes());
        let features = features(threads, options.relaxed);
        let info = device_info(features.clone(), ADDRESS_SPACE);
        admit(&manifest, &programs, &info)?;
        let plan = plan(&manifest, &programs)?;
        // If this exceeds the limit, the module's own needs do not matter.
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

    /// A handle to stop calls from other threads.
    pub fn stopper(&self) -> Stopper {
        self.0.gpu().instance().stopper()
    }

    /// The total size of all buffers in bytes.
    pub fn allocated_bytes(&self) -> u64 {
        self.0.gpu().allocated()
    }

    /// The features by which the module was selected.
    pub fn features(&self) -> &BTreeSet<String> {
        &self.0.gpu().info().features
    }
}

/// The fallback kernels of programs for WebGPU, as a separate device.
pub(super) fn fallbacks(bundle: &Bundle, kernels: &[Kernel], options: &WasmOptions) -> Result<Cpu<Engine>, Error> {
    // Fallbacks are for buffers that are too large for an adapter.
    let threads = threads(options.threads, u64::MAX);
    device(bundle, kernels, threads, features(threads, options.relaxed), options.limit, &Ok)
}

/// Compiles and instantiates a module of kernels. `reserve` computes the initial size of the memory from the needs of
/// the module.
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
    // A page is enough for the device's own data.
    let base = u64::from(heap_base) + u64::from(scratch_bytes) * u64::from(workers) + PAGE;
    let reserve = reserve(base)?;
    // If threads outnumber CPUs, spinning only delays the others.
    let spin = if threads > cpus() { 0 } else { SPIN };
    Cpu::new(engine, Setup { heap_base, scratch_bytes, workers, spin, features, limit: ADDRESS_SPACE, reserve })
}

/// The number of CPUs that this process may use.
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
