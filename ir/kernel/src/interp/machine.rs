//! The state of a workgroup while it runs.

use super::compile::Program;
use super::shared::SharedMemory;
use crate::kernel::Kernel;

/// What a run may vary without changing the meaning of a correct kernel.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads in a subgroup.
    pub subgroup_size: u32,
    /// The value of [`crate::kernel::Expr::DotSignedness`].
    pub dot_signedness: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { subgroup_size: 32, dot_signedness: 1 }
    }
}

/// The words of a value: lane by lane, in each lane thread by thread.
pub(super) type Lanes = Vec<u32>;

/// The state of a workgroup.
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) program: &'a Program,
    /// Threads.
    pub(super) n: usize,
    /// Extent of the innermost group axis.
    pub(super) inner: usize,
    pub(super) subgroup: usize,
    pub(super) dot_signedness: u32,
    pub(super) regs: Vec<Lanes>,
    pub(super) shared: Vec<SharedMemory>,
    pub(super) buffers: &'a mut [Vec<u32>],
    /// Allocations to use again.
    pool: Vec<Lanes>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(kernel: &'a Kernel, program: &'a Program, buffers: &'a mut [Vec<u32>], options: Options) -> Self {
        let n = kernel.workgroup_size() as usize;
        let inner = kernel.group.last().and_then(|a| a.extent.as_u32()).unwrap_or(1) as usize;
        let mut regs = vec![Lanes::new(); kernel.vars.len()];
        let mut stride = n;
        for axis in &kernel.group {
            let extent = axis.extent.as_u32().unwrap_or(1) as usize;
            stride /= extent;
            regs[axis.var.0 as usize] = (0..n).map(|t| (t / stride % extent) as u32).collect();
        }
        let shared = kernel.shared.iter().map(SharedMemory::new).collect();
        let (subgroup, dot_signedness) = (options.subgroup_size.max(1) as usize, options.dot_signedness);
        Machine { kernel, program, n, inner, subgroup, dot_signedness, regs, shared, buffers, pool: Vec::new() }
    }

    /// A new workgroup.
    pub(super) fn start(&mut self) {
        self.shared.iter_mut().for_each(SharedMemory::start);
    }

    /// Takes back a value that is no longer needed.
    pub(super) fn recycle(&mut self, lanes: Lanes) {
        if lanes.capacity() > 0 {
            self.pool.push(lanes);
        }
    }

    /// A value of no elements yet.
    pub(super) fn empty(&mut self) -> Lanes {
        let mut lanes = self.pool.pop().unwrap_or_default();
        lanes.clear();
        lanes
    }

    /// A value of `lanes` lanes that is 0 everywhere.
    pub(super) fn zeros(&mut self, lanes: usize) -> Lanes {
        let mut out = self.empty();
        out.resize(lanes * self.n, 0);
        out
    }
}
