//! A kernel module in wasmtime as a [`WasmInstance`].

use std::cell::RefCell;
use std::fmt;
use std::future::ready;
use std::time::Duration;

use wasmtime::{MemoryType, SharedMemory, Store, TypedFunc, Val};

use super::instance::{Instantiated, instantiate, trap_text};
use super::memory::{Memory, Shared};
use super::module::{Compiled, fault};
use super::watch::{Stopper, Watch};
use super::workers::Workers;
use crate::cpu::{PAGE, Running, WasmInstance};
use crate::error::Error;

/// The result of `run` when all steps are done.
const DONE: u32 = 0;

/// The parts of an engine; `heap_base` and `scratch_bytes` come last.
type Parts = (Store<()>, Memory, TypedFunc<u32, u32>, Option<Workers>, (u32, u32));

/// The first worker, which runs in the calling thread, and the others.
pub(in crate::native) struct Engine {
    store: RefCell<Store<()>>,
    memory: Memory,
    run: TypedFunc<u32, u32>,
    watch: Watch,
    workers: RefCell<Option<Workers>>,
    threads: usize,
    heap_base: u32,
    scratch_bytes: u32,
    /// The SIMD instructions in use, for display.
    simd: &'static str,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Engine {
    /// Instantiates a module once per thread. No run may last longer than `limit`.
    pub(super) fn new(compiled: &Compiled, threads: usize, simd: &'static str, limit: Duration) -> Result<Self, Error> {
        let watch = Watch::new(&compiled.engine, limit)?;
        // A module may have a start function that runs immediately.
        let made = watch.during(|| Self::parts(compiled, threads));
        let (store, memory, run, workers, (heap_base, scratch_bytes)) =
            made.map_err(|e| watch.verdict().unwrap_or(e))?;
        if let Memory::Shared(shared) = &memory {
            watch.wake_in(shared);
        }
        Ok(Engine {
            store: RefCell::new(store),
            memory,
            run,
            watch,
            workers: RefCell::new(workers),
            threads,
            heap_base,
            scratch_bytes,
            simd,
        })
    }

    fn parts(compiled: &Compiled, threads: usize) -> Result<Parts, Error> {
        let failed = |e: wasmtime::Error| fault(&compiled.file, format!("{e:#}"));
        let (pages, most) = (compiled.pages, 65536);
        let (mut store, Instantiated(instance, memory)) = instantiate(compiled, |store| {
            Ok(if threads > 1 {
                Memory::Shared(Shared(SharedMemory::new(&compiled.engine, MemoryType::shared(pages, most))?))
            } else {
                Memory::Own(wasmtime::Memory::new(store, MemoryType::new(pages, Some(most)))?)
            })
        })?;
        let run = instance.get_typed_func::<u32, u32>(&mut store, "run").map_err(failed)?;
        let mut global = |name: &str| {
            let value = instance.get_global(&mut store, name).map(|g| g.get(&mut store));
            match value {
                Some(Val::I32(value)) => Ok(value as u32),
                _ => Err(fault(&compiled.file, format!("expected a global `{name}` (i32), found none"))),
            }
        };
        let (heap_base, scratch_bytes) = (global("heap_base")?, global("scratch_bytes")?);
        let needed = u64::from(heap_base) + u64::from(scratch_bytes) * threads as u64;
        if needed > 1 << 30 || u64::from(heap_base) > u64::from(pages) * PAGE {
            let text = format!("{needed} bytes for constants and scratch memory, more than any kernel needs");
            return Err(fault(&compiled.file, text));
        }
        let workers = match &memory {
            Memory::Own(_) => None,
            Memory::Shared(shared) => Some(Workers::new(compiled, shared, threads - 1)?),
        };
        Ok((store, memory, run, workers, (heap_base, scratch_bytes)))
    }

    /// Ends runs from other threads.
    pub(super) fn stopper(&self) -> Stopper {
        self.watch.stopper()
    }

    /// `heap_base` and `scratch_bytes` of the module.
    pub(super) fn layout(&self) -> (u32, u32) {
        (self.heap_base, self.scratch_bytes)
    }

    fn run_now(&self, control: u32) -> Result<(), Error> {
        let result = self.watch.during(|| self.run.call(&mut *self.store.borrow_mut(), control));
        let workers = self.workers.borrow();
        let message = match (result, workers.as_ref().and_then(Workers::trap)) {
            (Ok(DONE), None) => return Ok(()),
            (Err(e), _) => trap_text(&e),
            (Ok(_), trap) => trap.unwrap_or_else(|| "a worker was stopped".to_string()),
        };
        workers.iter().for_each(Workers::stop);
        Err(self.watch.verdict().unwrap_or(Error::Device { what: "running kernels".to_string(), message }))
    }
}

impl WasmInstance for Engine {
    fn grow(&self, bytes: u64) -> Result<(), Error> {
        let message = |e: wasmtime::Error| Error::Device { what: "growing memory".to_string(), message: e.to_string() };
        self.memory.grow(&self.store, bytes).map_err(message)
    }

    fn write(&self, at: u32, bytes: &[u8]) {
        self.memory.write(&self.store, at, bytes);
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        self.memory.read(&self.store, at, into);
    }

    fn fill_zero(&self, at: u32, len: u32) {
        self.memory.fill_zero(&self.store, at, len);
    }

    fn copy(&self, from: u32, to: u32, len: u32) {
        self.memory.copy(&self.store, from, to, len);
    }

    fn start(&self, control: u32) -> Result<(), Error> {
        self.workers.borrow_mut().as_mut().map_or(Ok(()), |w| w.start(control))
    }

    fn run(&self, control: u32) -> Running {
        Box::pin(ready(self.run_now(control)))
    }

    fn describe(&self) -> String {
        let threads = if self.threads == 1 { "1 thread".to_string() } else { format!("{} threads", self.threads) };
        format!("wasm: wasmtime on {}, {threads}, {} SIMD", std::env::consts::ARCH, self.simd)
    }
}
