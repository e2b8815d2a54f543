//! The interpreter, which defines the meaning of kernels.
//!
//! Workgroups run one after another. The threads of a workgroup run each statement together, with a mask where control
//! flow diverges. What a target would leave undefined is an error here: an access out of bounds, a read of
//! uninitialized shared memory, a data race on shared memory without a barrier in between, and a barrier that not all
//! threads reach.

mod compile;
mod eval;
mod machine;
mod memory;
pub mod numeric;
mod shared;

use std::collections::BTreeMap;

use crate::caps::Caps;
use crate::kernel::{Expr, GroupOp, Kernel};
use crate::types::reduce_width;
use crate::verify::verify;
use compile::{Code, Program};
use eval::{combine, select_lanes};
use machine::Machine;

pub use machine::Options;

/// Runs all workgroups of a kernel. `buffers` has the buffers in binding order, as 32-bit words; the size of the grid
/// follows from `symbols`.
///
/// # Errors
/// If an access or a barrier is invalid; the message names the kernel, the workgroup and the access. Buffers may have
/// been written by then.
pub fn run(
    kernel: &Kernel,
    symbols: &BTreeMap<String, u32>,
    buffers: &mut [Vec<u32>],
    options: Options,
) -> Result<(), String> {
    verify(kernel, &Caps::ANY)?;
    if buffers.len() != kernel.buffers.len() {
        return Err(format!(
            "kernel `{}` has {} buffers, {} are given",
            kernel.name,
            kernel.buffers.len(),
            buffers.len()
        ));
    }
    let program = Program::new(kernel, symbols).map_err(|e| format!("kernel `{}`: {e}", kernel.name))?;
    let extents = kernel
        .grid
        .iter()
        .map(|axis| eval_size(&axis.extent, symbols))
        .collect::<Result<Vec<u32>, _>>()
        .map_err(|e| format!("kernel `{}`: {e}", kernel.name))?;
    let total: u64 = extents.iter().map(|n| u64::from(*n)).product();
    let mut machine = Machine::new(kernel, &program, buffers, options);
    for group in 0..total {
        machine.start();
        let mut rest = group;
        for (axis, extent) in kernel.grid.iter().zip(&extents).rev() {
            machine.regs[axis.var.0 as usize] = vec![(rest % u64::from(*extent)) as u32; machine.n];
            rest /= u64::from(*extent);
        }
        let all = vec![true; machine.n];
        machine.block(&program.body, &all).map_err(|e| format!("kernel `{}`, workgroup {group}: {e}", kernel.name))?;
    }
    Ok(())
}

/// The value of a u32 expression of literals and symbols, such as the extent of a grid axis.
///
/// # Errors
/// If a symbol has no value, or the expression contains anything else.
pub fn eval_size(e: &Expr, symbols: &BTreeMap<String, u32>) -> Result<u32, String> {
    match e {
        Expr::U32(n) => Ok(*n),
        Expr::Symbol(s) => symbols.get(s).copied().ok_or_else(|| format!("symbol `{s}` has no value")),
        Expr::Binary(op, a, b) => {
            let (a, b) = (eval_size(a, symbols)?, eval_size(b, symbols)?);
            numeric::binary_u32(*op, a, b).ok_or_else(|| format!("{op:?} in the size of an axis"))
        }
        other => Err(format!("the size of an axis cannot hold {other:?}")),
    }
}

impl Machine<'_> {
    fn block(&mut self, block: &[Code], mask: &[bool]) -> Result<(), String> {
        block.iter().try_for_each(|code| self.step(code, mask))
    }

    fn step(&mut self, code: &Code, mask: &[bool]) -> Result<(), String> {
        match code {
            Code::Set(var, e) => {
                let value = self.eval(e, mask)?;
                let before = std::mem::take(&mut self.regs[*var]);
                self.recycle(before);
                self.regs[*var] = value;
            }
            Code::Assign(var, e) => {
                let value = self.eval(e, mask)?;
                select_lanes(&mut self.regs[*var][..value.len()], &value, mask);
                self.recycle(value);
            }
            Code::Store(buf, index, e) => {
                let (index, value) = (self.eval(index, mask)?, self.eval(e, mask)?);
                self.store(*buf, &index, &value, mask)?;
                self.recycle(index);
                self.recycle(value);
            }
            Code::StoreShared(sh, index, e) => {
                let (index, value) = (self.eval(index, mask)?, self.eval(e, mask)?);
                self.shared[*sh].store(&index, &value, mask)?;
                self.recycle(index);
                self.recycle(value);
            }
            Code::Loop { var, begin, end, step, body } => {
                let start = self.eval(begin, mask)?;
                let (end, step) = (self.eval(end, mask)?, self.eval(step, mask)?);
                let mut active: Vec<bool> = (0..self.n).map(|t| mask[t] && start[t] < end[t]).collect();
                self.regs[*var] = start;
                while active.iter().any(|a| *a) {
                    self.block(body, &active)?;
                    for t in 0..self.n {
                        if active[t] {
                            match self.regs[*var][t].checked_add(step[t]) {
                                Some(next) if step[t] > 0 => {
                                    self.regs[*var][t] = next;
                                    active[t] = next < end[t];
                                }
                                Some(_) => return Err("a loop does not advance".to_string()),
                                None => active[t] = false,
                            }
                        }
                    }
                }
            }
            Code::If(condition, then, otherwise) => {
                let condition = self.eval(condition, mask)?;
                for (want, block) in [(1, then), (0, otherwise)] {
                    let taken: Vec<bool> = (0..self.n).map(|t| mask[t] && condition[t] == want).collect();
                    if taken.iter().any(|a| *a) {
                        self.block(block, &taken)?;
                    }
                }
            }
            Code::Barrier => {
                meet(mask)?;
                self.shared.iter_mut().for_each(|s| s.barrier());
            }
            Code::GroupReduce(op, scalar, var) => {
                meet(mask)?;
                self.shared.iter_mut().for_each(|s| s.barrier());
                let mut value = std::mem::take(&mut self.regs[*var]);
                for lane in value.chunks_mut(self.n) {
                    for row in lane.chunks_mut(self.inner) {
                        let all = reduce(*op, *scalar, row);
                        row.fill(all);
                    }
                }
                self.regs[*var] = value;
            }
        }
        Ok(())
    }
}

fn meet(mask: &[bool]) -> Result<(), String> {
    if mask.iter().all(|a| *a) { Ok(()) } else { Err("threads meet where not all of them arrived".to_string()) }
}

/// Combines in the order that legalization emits, so that sums round alike.
fn reduce(op: GroupOp, scalar: crate::kernel::Scalar, row: &[u32]) -> u32 {
    let width = reduce_width(row.len() as u32) as usize;
    let fold = |values: &mut dyn Iterator<Item = u32>| values.reduce(|a, b| combine(op, scalar, a, b)).unwrap_or(0);
    fold(&mut (0..width).map(|first| fold(&mut row.iter().skip(first).step_by(width).copied())))
}
