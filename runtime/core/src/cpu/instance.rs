//! What runs kernels: linear memory with functions over it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// A run under way.
pub type Running = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// An instance of a kernel module and its memory. Addresses given to it lie in memory that was asked for by
/// [`WasmInstance::grow`]; nothing but [`WasmInstance::run`] is called while a run is under way.
pub trait WasmInstance: Debug + 'static {
    /// Sees to it that the memory has at least so many bytes. New ones are zero.
    fn grow(&self, bytes: u64) -> Result<(), Error>;

    /// Puts bytes into memory.
    fn write(&self, at: u32, bytes: &[u8]);

    /// Takes bytes from memory.
    fn read(&self, at: u32, into: &mut [u8]);

    /// Fills memory with zeros.
    fn fill_zero(&self, at: u32, len: u32);

    /// Copies within memory.
    fn copy(&self, from: u32, to: u32, len: u32);

    /// Called once before the first run, when the control block is filled: other workers may begin to serve it.
    fn start(&self, control: u32) -> Result<(), Error>;

    /// Runs the steps that the control block names, on all workers. After an error, nothing runs any more.
    fn run(&self, control: u32) -> Running;

    /// For people: the engine, workers, and instructions in use.
    fn describe(&self) -> String;
}

/// What is known of a module once it is instantiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// First address that is free: the module's constants lie below. Its export `heap_base`.
    pub heap_base: u32,
    /// Scratch memory per worker: the module's export `scratch_bytes`.
    pub scratch_bytes: u32,
    /// Workers that run steps, at least 1.
    pub workers: u32,
    /// How often a worker looks for work before it sleeps; [`control::NEVER_SLEEP`] where threads must not.
    pub spin: u32,
    /// Features that chose the module.
    pub features: BTreeSet<String>,
    /// Most bytes that the memory can have.
    pub limit: u64,
    /// Bytes that the memory is given at once, see [`super::Plan`].
    pub reserve: u64,
}

/// Where things lie in the control block: 256 bytes, aligned to 64, words in little-endian order.
pub mod control {
    /// Size.
    pub const BYTES: u32 = 256;
    /// Changed by each run; workers sleep on it.
    pub const EPOCH: u32 = 0;
    /// Not 0: all workers leave.
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
