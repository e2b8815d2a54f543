//! The judge of emitted text.

use gristmill_kernel::Caps;
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Parses and validates a shader for a target. The message has line, column and the offending text.
///
/// # Errors
/// What `naga` finds wrong.
pub fn validate(text: &str, caps: &Caps) -> Result<(), String> {
    // naga knows subgroup operations but refuses the line that browsers demand.
    let text = text.replace("enable subgroups;\n", "");
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
    let mut allowed = Capabilities::empty();
    if caps.f16 {
        allowed |= Capabilities::SHADER_FLOAT16;
    }
    if caps.subgroups {
        allowed |= Capabilities::SUBGROUP;
    }
    let mut validator = Validator::new(ValidationFlags::all(), allowed);
    if caps.subgroups {
        validator
            .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
            .subgroup_operations(naga::valid::SubgroupOperationSet::all());
    }
    validator.validate(&module).map_err(|e| e.emit_to_string(&text))?;
    Ok(())
}
