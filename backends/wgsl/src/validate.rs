//! Validates emitted shaders.

use gristmill_kernel::Caps;
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

/// Parses and validates a shader for a target.
///
/// # Errors
/// The error of `naga`, with line, column and the offending text.
pub fn validate(text: &str, caps: &Caps) -> Result<(), String> {
    let enables = text.lines().any(|line| line == SUBGROUPS);
    if enables && !caps.subgroups {
        return Err("the shader enables subgroups, which the target lacks".to_string());
    }
    // naga supports subgroup operations, but rejects the directive that browsers require. An empty line keeps line
    // numbers.
    let text = text.replace(SUBGROUPS, "");
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
    // Packing f16 is part of WGSL, even if the target cannot compute with them.
    let mut allowed = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    if enables {
        allowed |= Capabilities::SUBGROUP;
    }
    let mut validator = Validator::new(ValidationFlags::all(), allowed);
    if enables {
        validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    }
    validator.validate(&module).map_err(|e| e.emit_to_string(&text))?;
    Ok(())
}

const SUBGROUPS: &str = "enable subgroups;";
