//! Checks kernels against the limits of the target.

use gristmill_graph::NodeId;

use crate::codegen::context::{Built, Lowering};
use crate::error::CompileError;

/// Fails if a kernel exceeds a limit of the target. The error has the limit and the remedy.
pub(super) fn within_limits(low: &Lowering<'_>, id: NodeId, built: &Built) -> Result<(), CompileError> {
    let profile = low.setting.profile;
    let limits = &profile.limits;
    let fail = |message: String| {
        Err(CompileError::Target { target: profile.name.clone(), node: low.graph.node(id).path.clone(), message })
    };
    let kernel = &built.kernel;
    if kernel.buffers.len() > limits.storage_buffers as usize && !low.setting.has_fallback {
        return fail(format!(
            "the fused kernel binds {} storage buffers, but the target has only {}; also compile for the target wasm \
             as a fallback, or split the expression by making an intermediate value an output or a tap",
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
            "it needs {shared} bytes of workgroup memory, but the target has only {}; lower the schedule of the \
             profile",
            limits.shared_bytes
        ));
    }
    Ok(())
}
