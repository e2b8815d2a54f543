//! Checks, before weights are fetched, whether a bundle can run on a device, and which steps must be offloaded.

use std::collections::BTreeSet;
use std::fmt;

use gristmill_bundle::{Binding, Entry, EntryRole, Manifest, Program, Programs, Step, extent};

use super::device::DeviceInfo;
use super::kernels::choose;
use crate::call::invalid;
use crate::cpu::PROFILE;
use crate::error::Error;

/// How a bundle runs on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Steps that run by fallback kernels, at most two groups per entry. Empty if the device runs everything.
    pub offloaded: Vec<Offloaded>,
}

/// Steps of an entry that exceed a limit of the device, and run by WebAssembly instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offloaded {
    /// Name of the entry.
    pub entry: String,
    /// The number of these steps.
    pub steps: usize,
    /// The number of steps of the entry.
    pub of: usize,
    /// They are offloaded in sessions with more tokens than this; by default, always.
    pub above: Option<u32>,
    /// What exceeds a limit most, the amount it needs, and the amount that the device offers.
    pub why: String,
}

impl fmt::Display for Offloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offloaded { entry, steps, of, above, why } = self;
        write!(f, "{steps} of {of} steps of `{entry}` run on WebAssembly")?;
        if let Some(tokens) = above {
            write!(f, " in sessions of more than {tokens} tokens")?;
        }
        write!(f, ": {why}")
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.offloaded.iter().map(Offloaded::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Checks every weight and every kernel against the limits of a device. Steps that exceed them are offloaded if they
/// have fallback kernels; otherwise the error names what does not fit, the limit, and a remedy. Sizes that depend on
/// the length of an input are checked when it is known, and here for a typical call in the longest session.
pub fn admit(manifest: &Manifest, programs: &Programs, device: &DeviceInfo) -> Result<Admission, Error> {
    for t in &manifest.tensors {
        let what = format!("tensor `{}` ({})", t.name, t.precision);
        device.check_storage(&what, t.bytes, "compile with a lower --precision for it, or choose another adapter")?;
    }
    // Kernels with intermediate values may need more buffers, and are only used on request.
    let of_use = manifest.entries.iter().filter(|e| e.role != EntryRole::Taps);
    let mut offloaded = Vec::new();
    for (entry, program) in of_use.filter_map(|e| Some((e, programs.programs.get(&e.name)?))) {
        let judge = Judge { manifest, device, entry, program };
        offloaded.extend(judge.wide(programs)?);
        offloaded.extend(judge.large()?);
    }
    Ok(Admission { offloaded })
}

/// Checks an entry.
struct Judge<'a> {
    manifest: &'a Manifest,
    device: &'a DeviceInfo,
    entry: &'a Entry,
    program: &'a Program,
}

impl Judge<'_> {
    /// Finds steps whose kernels bind too many buffers.
    fn wide(&self, programs: &Programs) -> Result<Option<Offloaded>, Error> {
        let limit = self.device.limits.max_storage_buffers_per_shader_stage;
        let (mut steps, mut first) = (0, None);
        for step in &self.program.steps {
            let mut wide = false;
            for dispatch in &step.dispatches {
                let kernel = &programs.kernels[dispatch.kernel as usize];
                if kernel.writes.len() as u64 <= limit.into() || step.fallback.is_empty() {
                    choose(kernel, self.device)?;
                    continue;
                }
                wide = true;
                first.get_or_insert_with(|| {
                    let name = "maxStorageBuffersPerShaderStage";
                    format!("kernel `{}` binds {} buffers, but {name} is {limit}", kernel.name, kernel.writes.len())
                });
            }
            steps += usize::from(wide);
        }
        Ok(first.map(|why| self.offloaded(steps, None, why)))
    }

    /// Finds steps with buffers that become too large in long sessions.
    fn large(&self) -> Result<Option<Offloaded>, Error> {
        let movable: Vec<&Step> = self.program.steps.iter().filter(|s| !s.fallback.is_empty()).collect();
        let mut bindings = BTreeSet::new();
        movable.iter().for_each(|s| bindings.extend(s.bound()));
        let most = self.manifest.model.max_context;
        let mut large = Vec::new();
        for binding in bindings {
            if self.is_large(binding, most)? {
                large.push(binding);
            }
        }
        if large.is_empty() {
            return Ok(None);
        }
        let steps = movable.iter().filter(|s| large.iter().any(|b| s.binds(*b))).count();
        // Sizes grow with the session.
        let (mut fits, mut exceeds) = (0, most);
        while fits + 1 < exceeds {
            let middle = fits + (exceeds - fits) / 2;
            let mut any = false;
            for binding in &large {
                any = any || self.is_large(*binding, middle)?;
            }
            if any { exceeds = middle } else { fits = middle }
        }
        let sizes = large.iter().map(|b| Ok((self.bytes(*b, most)?, *b))).collect::<Result<Vec<_>, Error>>()?;
        // The first of the largest.
        let (bytes, largest) = sizes.into_iter().fold((0, large[0]), |all, one| if one.0 > all.0 { one } else { all });
        let limit = self.device.limits.largest_binding();
        let name = match limit == self.device.limits.max_storage_buffer_binding_size {
            true => "maxStorageBufferBindingSize",
            false => "maxBufferSize",
        };
        let why = format!("{} needs {bytes} bytes at {most} tokens, but {name} is {limit}", self.name(largest));
        Ok(Some(self.offloaded(steps, (fits > 0).then_some(fits), why)))
    }

    fn offloaded(&self, steps: usize, above: Option<u32>, why: String) -> Offloaded {
        Offloaded { entry: self.entry.name.clone(), steps, of: self.program.steps.len(), above, why }
    }

    fn is_large(&self, binding: Binding, capacity: u32) -> Result<bool, Error> {
        Ok(self.bytes(binding, capacity)? > self.device.limits.largest_binding())
    }

    fn bytes(&self, binding: Binding, capacity: u32) -> Result<u64, Error> {
        let symbols = extent::ordinary(self.manifest, self.entry, capacity);
        extent::bytes(self.manifest, (self.entry, self.program), binding, &symbols).map_err(invalid)
    }

    /// A description of a buffer. Bindings of valid programs are in range.
    fn name(&self, binding: Binding) -> String {
        match binding {
            Binding::Tensor(i) => format!("tensor `{}`", self.manifest.tensors[i as usize].name),
            Binding::Slot(_) => "an intermediate value".to_string(),
            Binding::State(i) => format!("state `{}`", self.manifest.states[i as usize].name),
            Binding::Input(i) => format!("input `{}`", self.manifest.inputs[i as usize].name),
            Binding::Output(i) => format!("output `{}`", self.entry.outputs[i as usize].name),
        }
    }
}

/// The profile to run on WebGPU: the requested one, else the first of `fallbacks` that the bundle has, else its first.
/// If the bundle lacks the requested one, the error lists what it has. The profile for CPUs is never chosen.
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
            "this bundle has no programs for WebGPU; use the backend `{others}`, or compile it with --target all"
        ))
    })
}
