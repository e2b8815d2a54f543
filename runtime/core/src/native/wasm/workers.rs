//! Threads that run kernels, besides the calling one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store, TypedFunc};

use super::instance::{instantiate, trap_text};
use super::memory::{Memory, Shared};
use super::module::{Compiled, fault};
use crate::cpu::control;
use crate::error::Error;

/// The interval at which workers are told again to stop.
const AGAIN: Duration = Duration::from_micros(100);

/// A worker that has not stopped after this time is in an infinite loop, or asleep where nothing wakes it.
const GRACE: Duration = Duration::from_secs(1);

/// An instance that waits for its thread.
type Waiting = (Store<()>, TypedFunc<(u32, u32), ()>);

/// All workers except the first.
pub(super) struct Workers {
    engine: Engine,
    memory: Shared,
    waiting: Vec<Waiting>,
    threads: Vec<JoinHandle<()>>,
    /// The control block, once the threads run.
    control: Option<u32>,
    /// The trap that ended a worker early.
    trap: Arc<Mutex<Option<String>>>,
    /// Whether the first worker knows that nothing runs any more.
    known: Arc<AtomicBool>,
}

/// Stops all workers when dropped: others must not wait for a worker that has left, whatever the reason.
struct Leaving {
    memory: Shared,
    control: u32,
    known: Arc<AtomicBool>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        stop(&self.memory, self.control);
        // A worker that was about to sleep has missed the signal.
        while !self.known.load(Ordering::Relaxed) {
            std::thread::sleep(AGAIN);
            stop(&self.memory, self.control);
        }
    }
}

/// Tells all workers to stop.
fn stop(memory: &Shared, at: u32) {
    memory.signal(at + control::STOP, 1, &[at + control::EPOCH, at + control::BARRIER]);
}

impl Workers {
    /// Creates `count` instances over one memory.
    pub(super) fn new(compiled: &Compiled, memory: &Shared, count: usize) -> Result<Self, Error> {
        let mut waiting = Vec::with_capacity(count);
        for _ in 0..count {
            let (mut store, instance) = instantiate(compiled, |_| Ok(Memory::Shared(memory.clone())))?;
            let serve = instance.0.get_typed_func::<(u32, u32), ()>(&mut store, "serve");
            waiting.push((store, serve.map_err(|e| fault(&compiled.file, format!("{e:#}")))?));
        }
        let (engine, memory) = (compiled.engine.clone(), memory.clone());
        let (trap, known) = (Arc::default(), Arc::default());
        Ok(Workers { engine, memory, waiting, threads: Vec::new(), control: None, trap, known })
    }

    /// Starts the threads, which serve the control block from now on.
    pub(super) fn start(&mut self, at: u32) -> Result<(), Error> {
        self.control = Some(at);
        for (worker, (mut store, serve)) in (1u32..).zip(self.waiting.drain(..)) {
            let (memory, trap, known) = (self.memory.clone(), self.trap.clone(), self.known.clone());
            let body = move || {
                let _leaving = Leaving { memory, control: at, known };
                if let Err(e) = serve.call(&mut store, (at, worker)) {
                    let text = trap_text(&e);
                    trap.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
                }
            };
            let thread = std::thread::Builder::new().name(format!("gristmill {worker}")).spawn(body);
            let thread = thread.map_err(|e| Error::Device {
                what: "starting threads".to_string(),
                message: format!("{e}; use fewer of them"),
            })?;
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Stops all workers, because one has failed or they are no longer needed.
    pub(super) fn stop(&self) {
        self.known.store(true, Ordering::Relaxed);
        if let Some(at) = self.control {
            stop(&self.memory, at);
        }
    }

    /// Why a worker has stopped, if one has.
    pub(super) fn trap(&self) -> Option<String> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
        let told = Instant::now();
        while self.threads.iter().any(|t| !t.is_finished()) {
            std::thread::sleep(AGAIN);
            self.stop();
            if told.elapsed() > GRACE {
                self.engine.increment_epoch();
                self.memory.wake_all();
            }
        }
        for thread in self.threads.drain(..) {
            // The error of a thread is in `trap`.
            let _ = thread.join();
        }
    }
}
