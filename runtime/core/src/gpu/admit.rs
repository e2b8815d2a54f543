//! Whether a bundle can run on a device, found out before its weights are fetched.

use gristmill_bundle::{EntryRole, Manifest, Programs};

use super::device::DeviceInfo;
use super::kernels::choose;
use crate::cpu::PROFILE;
use crate::error::Error;

/// Checks every weight and every kernel against the limits of a device. What depends on the length of an input is
/// judged when it is known. Errors name what does not fit, the limit, and a remedy.
pub fn admit(manifest: &Manifest, programs: &Programs, device: &DeviceInfo) -> Result<(), Error> {
    for t in &manifest.tensors {
        let what = format!("tensor `{}` ({})", t.name, t.precision);
        device.check_storage(&what, t.bytes, "compile with a lower --precision for it, or choose another adapter")?;
    }
    // Kernels with intermediate values may need more buffers than others; they are for those who ask for them.
    let of_use = manifest.entries.iter().filter(|e| e.role != EntryRole::Taps);
    for step in of_use.filter_map(|e| programs.programs.get(&e.name)).flat_map(|p| &p.steps) {
        choose(&programs.kernels[step.kernel as usize], device)?;
    }
    Ok(())
}

/// The profile to run on WebGPU: the wish if the bundle has it, else the first of `fallbacks` that it has, else its
/// first. A wish that the bundle lacks is an error that lists what there is. Programs for processors are none of them.
pub fn choose_profile(manifest: &Manifest, wish: Option<&str>, fallbacks: &[&str]) -> Result<String, Error> {
    let profiles: Vec<&str> = manifest.profiles.iter().map(String::as_str).filter(|p| *p != PROFILE).collect();
    let has = |name: &str| profiles.contains(&name);
    if let Some(wish) = wish.filter(|_| !profiles.is_empty()) {
        let known = profiles.join(", ");
        return match has(wish) {
            true => Ok(wish.to_string()),
            false => Err(Error::Unsupported(format!("this bundle has no programs for `{wish}`, only for {known}"))),
        };
    }
    let fallback = fallbacks.iter().find(|f| has(f)).map(|f| f.to_string());
    fallback.or(profiles.first().map(|p| p.to_string())).ok_or_else(|| {
        let others = if manifest.profiles.is_empty() { "reference" } else { PROFILE };
        Error::Unsupported(format!(
            "this bundle holds no programs for WebGPU; use the backend `{others}`, or compile with --target all"
        ))
    })
}
