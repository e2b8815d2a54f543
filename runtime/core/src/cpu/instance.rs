//! The interface to an instance of a kernel module: linear memory, and functions over it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// A run in progress.
pub type Running = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// An instance of a kernel module, with its memory. Addresses must be in memory that was requested by
/// [`WasmInstance::grow`]. During a run, only [`WasmInstance::run`] may be called.
pub trait WasmInstance: Debug + 'static {
    /// Ensures that the memory has at least this many bytes. New bytes are zero.
    fn grow(&self, bytes: u64) -> Result<(), Error>;

    /// Writes bytes to memory.
    fn write(&self, at: u32, bytes: &[u8]);

    /// Reads bytes from memory.
    fn read(&self, at: u32, into: &mut [u8]);

    /// Fills memory with zeros.
    fn fill_zero(&self, at: u32, len: u32);

    /// Copies within memory.
    fn copy(&self, from: u32, to: u32, len: u32);

    /// Called once before the first run, when the control block is filled: other workers may start to serve it.
    fn start(&self, control: u32) -> Result<(), Error>;

    /// Runs the steps in the control block on all workers. After an error, nothing runs any more.
    fn run(&self, control: u32) -> Running;

    /// A description for users: the engine, workers, and instructions in use.
    fn describe(&self) -> String;
}

/// Facts about an instantiated module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The first free address, after the constants of the module: its export `heap_base`.
    pub heap_base: u32,
    /// Scratch memory per worker in bytes: the export `scratch_bytes` of the module.
    pub scratch_bytes: u32,
    /// The number of workers that run steps; at least 1.
    pub workers: u32,
    /// How often a worker checks for work before it sleeps; [`control::NEVER_SLEEP`] if threads must not sleep.
    pub spin: u32,
    /// The features by which the module was selected.
    pub features: BTreeSet<String>,
    /// The largest size of the memory in bytes.
    pub limit: u64,
    /// The initial size of the memory in bytes; see [`super::Plan`].
    pub reserve: u64,
}

/// Offsets in the control block: 256 bytes, aligned to 64, words in little-endian order.
pub mod control {
    /// The size in bytes.
    pub const BYTES: u32 = 256;
    /// Changed by each run; workers sleep on it.
    pub const EPOCH: u32 = 0;
    /// If not 0, all workers stop.
    pub const STOP: u32 = 4;
    /// Address of the table of steps.
    pub const STEPS: u32 = 8;
    /// Number of steps.
    pub const COUNT: u32 = 12;
    /// Number of workers.
    pub const WORKERS: u32 = 16;
    /// Address of scratch memory.
    pub const SCRATCH: u32 = 20;
    /// See [`super::Setup::spin`].
    pub const SPIN: u32 = 24;
    /// Workers that wait for one another sleep on it.
    pub const BARRIER: u32 = 128;
    /// Value of [`SPIN`] for threads that must not sleep.
    pub const NEVER_SLEEP: u32 = u32::MAX;
}
