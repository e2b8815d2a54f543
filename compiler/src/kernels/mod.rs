//! Algorithms: one file per family of kernels.
//!
//! An algorithm builds loops over named axes for an anchor and takes every number that could be tuned from
//! the schedule of the target. It never mentions a target, and it never looks into a weight format: decoding is
//! an expression of [`gristmill_kernel::quant`].

pub mod attention;
pub mod cpu;
pub mod epilogue;
pub mod linear;
pub mod map;
pub mod matmul;
pub mod matmul_plain;
pub mod matvec;
pub mod norm;
pub mod pick;
pub mod reduce;
pub mod softmax;
pub mod store;

use gristmill_graph::{NodeId, Op};

use crate::error::CompileError;
use crate::lower::{Built, Lowering, Place};

/// Builds the kernel that computes `id` and stores it in the layout of `root` at `target`.
///
/// # Errors
/// If the kernel cannot fit the limits of the target.
pub fn build(low: &Lowering<'_>, id: NodeId, root: NodeId, target: Place) -> Result<Built, CompileError> {
    let node = low.graph.node(id);
    let built = match &node.op {
        Op::RoundBlocks => cpu::bytes::build(low, id, target),
        Op::Linear { .. } if cpu::applies(low) => cpu::linear::build(low, id, root, target),
        Op::Linear { .. } if matmul::applies(low, id) => matmul::build(low, id, root, target),
        Op::Linear { .. } => matvec::build(low, id, root, target),
        Op::MatMul { .. } => matmul_plain::build(low, id, root, target),
        Op::Norm { .. } => norm::build(low, id, root, target),
        Op::Softmax => softmax::build(low, id, root, target),
        Op::Attention { .. } if cpu::applies(low) => cpu::attention::build(low, id, root, target),
        Op::Attention { .. } => attention::build(low, id, root, target),
        Op::Reduce { .. } => reduce::build(low, id, root, target),
        Op::ArgMax => pick::argmax(low, id, root, target),
        Op::TopK { k } if cpu::applies(low) => cpu::top_k::build(low, id, root, target, *k),
        Op::TopK { k } => pick::top_k(low, id, root, target, *k),
        op if cpu::applies(low) && op.written_state().is_none() => cpu::map::build(low, id, target),
        _ => map::build(low, id, target),
    };
    within_limits(low, id, built?)
}

/// Refuses what the target cannot run, with the limit and the remedy.
fn within_limits(low: &Lowering<'_>, id: NodeId, built: Built) -> Result<Built, CompileError> {
    let profile = low.setting.profile;
    let limits = &profile.limits;
    let fail = |message: String| {
        Err(CompileError::Target { target: profile.name.clone(), node: low.graph.node(id).path.clone(), message })
    };
    let kernel = &built.kernel;
    if kernel.buffers.len() > limits.storage_buffers as usize && !low.setting.spared {
        return fail(format!(
            "the fused kernel binds {} storage buffers, the target has {}; compile for the target wasm as well, which \
             can take its place, or split the expression by naming an intermediate value as an output or a tap",
            kernel.buffers.len(),
            limits.storage_buffers
        ));
    }
    if kernel.workgroup_size() > limits.workgroup_size {
        return fail(format!(
            "a workgroup of {} threads exceeds the limit of {}; lower the schedule of the profile",
            kernel.workgroup_size(),
            limits.workgroup_size
        ));
    }
    let shared: u64 = kernel.shared.iter().map(|s| u64::from(s.len) * 4 * u64::from(s.elem.lanes)).sum();
    if shared > u64::from(limits.shared_bytes) {
        return fail(format!(
            "it needs {shared} bytes of workgroup memory, the target has {}; lower the schedule of the profile",
            limits.shared_bytes
        ));
    }
    Ok(built)
}
