//! Both devices, and recorded steps of either.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::buffer::Buffer;
use crate::cpu::{self, Cpu, WasmInstance};
use crate::error::Error;
use crate::gpu::Gpu;

/// Both devices.
#[derive(Debug)]
pub(super) struct Sides<G: Gpu, M: WasmInstance> {
    pub(super) gpu: G,
    pub(super) fallback: Option<FallbackSide<G, M>>,
    /// Buffers that only fallback kernels bind.
    pub(super) offloaded: Cell<usize>,
    /// Whether a recorded step is always computed by a fallback, whatever the size of its buffers.
    pub(super) has_fallback_steps: Cell<bool>,
    /// The first failure of a function that cannot return an error.
    pub(super) failure: RefCell<Option<Error>>,
}

/// The parts of the device that only fallback kernels need.
pub(super) struct FallbackSide<G: Gpu, M: WasmInstance> {
    pub(super) cpu: Cpu<M>,
    /// Results in linear memory need no staging buffer.
    pub(super) no_staging: cpu::Buffer,
    /// No steps of the adapter.
    pub(super) no_steps: G::Steps,
    /// The staging buffer for results of the adapter on their way to linear memory, with its size.
    pub(super) border: RefCell<Option<(G::Buffer, u64)>>,
}

impl<G: Gpu, M: WasmInstance> fmt::Debug for FallbackSide<G, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FallbackSide").field(&self.cpu).finish()
    }
}

/// Steps of one kind that follow one another.
pub(super) enum Segment<G: Gpu, M: WasmInstance> {
    Own { steps: G::Steps, count: usize, written: Vec<Buffer<G::Buffer>> },
    Fallback { steps: <Cpu<M> as Gpu>::Steps, count: usize, bound: Vec<(Buffer<G::Buffer>, bool)> },
}

/// Steps in segments.
pub struct Recorded<G: Gpu, M: WasmInstance>(pub(super) Rc<Vec<Segment<G, M>>>);

impl<G: Gpu, M: WasmInstance> fmt::Debug for Recorded<G, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorded({} segments)", self.0.len())
    }
}
