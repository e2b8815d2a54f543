//! Stops kernels that do not end: modules are untrusted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::memory::Shared;
use crate::error::Error;

/// How often the guard checks.
const TICK: Duration = Duration::from_millis(500);

/// Supervises everything that runs in an engine.
pub(super) struct Watch {
    state: Arc<State>,
    guard: Option<JoinHandle<()>>,
}

/// Stops the kernels of a bundle from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<State>);

struct State {
    engine: Engine,
    limit: Duration,
    born: Instant,
    /// The deadline of the current call, in milliseconds since `born`. Never, if there is none.
    due: AtomicU64,
    asked: AtomicBool,
    late: AtomicBool,
    /// Whether the guard thread should end.
    over: AtomicBool,
    /// The memory in which workers may sleep.
    memory: OnceLock<Shared>,
}

const NEVER: u64 = u64::MAX;

impl Watch {
    /// A guard with a time limit for each call.
    pub(super) fn new(engine: &Engine, limit: Duration) -> Result<Self, Error> {
        let state = Arc::new(State {
            engine: engine.clone(),
            limit,
            born: Instant::now(),
            due: AtomicU64::new(NEVER),
            asked: AtomicBool::new(false),
            late: AtomicBool::new(false),
            over: AtomicBool::new(false),
            memory: OnceLock::new(),
        });
        let own = state.clone();
        let guard = thread::Builder::new().name("gristmill watch".to_string()).spawn(move || own.guard());
        let guard = guard.map_err(|e| Error::Device { what: "starting a thread".into(), message: e.to_string() })?;
        Ok(Watch { state, guard: Some(guard) })
    }

    /// Makes the guard wake workers that sleep in this memory.
    pub(super) fn wake_in(&self, memory: &Shared) {
        let _ = self.state.memory.set(memory.clone());
    }

    /// Calls a function that runs code of the module.
    pub(super) fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        let state = &self.state;
        let due = state.born.elapsed().saturating_add(state.limit).as_millis();
        state.due.store(u64::try_from(due).unwrap_or(NEVER), Ordering::Relaxed);
        let result = body();
        state.due.store(NEVER, Ordering::Relaxed);
        result
    }

    /// Why it stopped a call, if it did.
    pub(super) fn verdict(&self) -> Option<Error> {
        let State { late, asked, limit, .. } = &*self.state;
        if late.load(Ordering::SeqCst) {
            return Some(Error::TooLong { seconds: limit.as_secs_f64() });
        }
        asked.load(Ordering::SeqCst).then_some(Error::Stopped)
    }

    pub(super) fn stopper(&self) -> Stopper {
        Stopper(self.state.clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        if let Some(guard) = self.guard.take() {
            guard.thread().unpark();
            let _ = guard.join();
        }
    }
}

impl Stopper {
    /// Stops the current call, which then fails with [`Error::Stopped`]. Nothing runs afterwards: the bundle must be
    /// loaded again. To stop generation between two tokens without this cost, use its callbacks.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.engine.increment_epoch();
    }
}

impl State {
    fn guard(&self) {
        while !self.over.load(Ordering::SeqCst) {
            thread::park_timeout(TICK);
            let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(NEVER);
            let due = self.due.load(Ordering::Relaxed);
            if now > due {
                self.late.store(true, Ordering::SeqCst);
            }
            if due == NEVER || !(self.late.load(Ordering::SeqCst) || self.asked.load(Ordering::SeqCst)) {
                continue;
            }
            self.engine.increment_epoch();
            // A sleeping worker does not notice the epoch.
            if let Some(memory) = self.memory.get() {
                memory.wake_all();
            }
        }
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopper")
    }
}
