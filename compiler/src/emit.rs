//! Everything in a bundle that depends on the target: rewriting, lowering, legalization, printing, validation.

use std::collections::BTreeMap;

use gristmill_bundle as bundle;
use gristmill_kernel::legalize::legalize;
use gristmill_kernel::{Caps, Kernel, verify};
use gristmill_wasm::Variant;
use rayon::prelude::*;

use crate::codegen::context::Setting;
use crate::entries::Source;
use crate::error::CompileError;
use crate::fallback::Fallbacks;
use crate::plan;
use crate::prepare::Prepared;
use crate::profile::{Features, Language, Profile};
use crate::rewrite::{RewriteReport, Rewriter};
use crate::select::{self, KernelSet};

/// What is emitted for a target.
pub struct Emitted {
    /// Kernels and programs.
    pub programs: bundle::Programs,
    /// Shaders and modules, by their path in the bundle.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Rewrite reports, by entry.
    pub rewrites: BTreeMap<String, RewriteReport>,
}

/// Compiles all entries for one target. `cpu` is the profile of the bundle's programs for CPUs, if it has any; it
/// builds fallback kernels for steps that some adapters cannot run.
///
/// # Errors
/// If a kernel exceeds a limit of the target. An internal error if a stage breaks its contract.
pub fn emit(source: &Source<'_>, profile: &Profile, cpu: Option<&Profile>) -> Result<Emitted, CompileError> {
    let Prepared { model, precisions, .. } = source.prepared;
    let cpu = cpu.filter(|_| profile.language == Language::Wgsl);
    let setting = Setting { model, precisions, kv: source.kv, profile, has_fallback: cpu.is_some() };
    let mut fallbacks = cpu.map(|p| Fallbacks::new(source.manifest, &setting, p));
    let mut rewriter = Rewriter::new(&profile.cost);
    let mut set = KernelSet::default();
    let mut rewrites = BTreeMap::new();
    let mut lowered = Vec::new();
    for plan in source.entries {
        let mut graph = model.entry_graph(&model.entries[plan.entry], plan.taps);
        if profile.byte_activations {
            graph = crate::activations::quantize_activations(&graph, precisions);
        }
        let (graph, report) = rewriter.run(&graph);
        let steps = select::lower(&setting, &graph, &plan.outputs, &mut set)?;
        rewrites.insert(plan.name.clone(), report);
        let mut program = plan::program(&setting, &graph, &steps, &set);
        if let Some(fallbacks) = &mut fallbacks {
            fallbacks.add(plan, &graph, &steps, &mut program)?;
        }
        lowered.push((plan.name.clone(), program));
    }
    let (kernels, mut files) = match profile.language {
        Language::Wgsl => print_shaders(&set.kernels, profile)?,
        Language::Wasm => print_modules(&set.kernels, |_| String::new())?,
    };
    let fallbacks = match fallbacks.map(|s| s.set.kernels).filter(|kernels| !kernels.is_empty()) {
        Some(kernels) => {
            // Named by their hash: several targets often need the same ones.
            let name = |modules: &[u8]| format!("fallbacks.{:.12}.", bundle::sha256_hex(modules));
            let (kernels, modules) = print_modules(&kernels, name)?;
            files.extend(modules);
            kernels
        }
        None => Vec::new(),
    };
    let programs = bundle::Programs { kernels, programs: lowered.into_iter().collect(), fallbacks };
    Ok(Emitted { programs, files, rewrites })
}

type Files = BTreeMap<String, Vec<u8>>;

fn print_shaders(kernels: &[Kernel], profile: &Profile) -> Result<(Vec<bundle::Kernel>, Files), CompileError> {
    let printed: Vec<Printed> =
        kernels.par_iter().map(|k| print_variants(k, profile)).collect::<Result<_, CompileError>>()?;
    let mut files = BTreeMap::new();
    let kernels = printed
        .into_iter()
        .map(|p| {
            files.extend(p.files.into_iter().map(|(path, text)| (path, text.into_bytes())));
            p.kernel
        })
        .collect();
    Ok((kernels, files))
}

/// Prints all kernels as one module for each kind of engine. `prefix` turns the bytes of all modules into the beginning
/// of their file names.
fn print_modules(
    kernels: &[Kernel],
    prefix: impl FnOnce(&[u8]) -> String,
) -> Result<(Vec<bundle::Kernel>, Files), CompileError> {
    let legal: Vec<Kernel> = kernels.par_iter().map(|k| legalize(k, &Caps::CPU)).collect();
    legal.iter().try_for_each(|k| verify(k, &Caps::CPU)).map_err(|e| CompileError::Internal(e.to_string()))?;
    let print = |variant: &Variant| {
        let module = gristmill_wasm::print(&legal, *variant).map_err(|e| CompileError::Internal(e.to_string()))?;
        gristmill_wasm::validate(&module, *variant)
            .map_err(|e| CompileError::Internal(format!("module {}: {e}", variant.name())))?;
        Ok(module)
    };
    let modules = Variant::ALL.par_iter().map(print).collect::<Result<Vec<_>, CompileError>>()?;
    let prefix = prefix(&modules.concat());
    let path = |v: Variant| format!("wasm/{prefix}{}.wasm", v.name());
    let files = Variant::ALL.iter().map(|v| path(*v)).zip(modules).collect();
    let variants: Vec<bundle::Variant> =
        Variant::ALL.iter().map(|v| bundle::Variant { requires: v.requires(), file: path(*v) }).collect();
    let of = |k: &Kernel| bundle::Kernel {
        name: k.name.clone(),
        writes: k.buffers.iter().map(|b| b.writable).collect(),
        variants: variants.clone(),
    };
    Ok((legal.iter().map(of).collect(), files))
}

struct Printed {
    kernel: bundle::Kernel,
    files: Vec<(String, String)>,
}

/// Prints a kernel for each feature set of the profile, and once without features.
fn print_variants(kernel: &Kernel, profile: &Profile) -> Result<Printed, CompileError> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut variants = Vec::new();
    let sets = profile.variants.iter().copied().chain([Features::default()]);
    for features in sets {
        let caps = Caps {
            subgroups: features.subgroups,
            packed_bytes: profile.packed_bytes,
            byte_lookup: false,
            exponentials: true,
            max_group_size: profile.limits.workgroup_size,
            max_shared_bytes: profile.limits.shared_bytes,
        };
        let legal = legalize(kernel, &caps);
        // A variant that does not use the feature equals the plain one.
        let plain = !legal.needs.subgroups;
        if plain && features != Features::default() {
            continue;
        }
        verify(&legal, &caps).map_err(|e| CompileError::Internal(e.to_string()))?;
        let text = gristmill_wgsl::print(&legal).map_err(|e| CompileError::Internal(e.to_string()))?;
        if let Some(fault) = bundle::shader_fault(&text) {
            let message = format!("devices would reject its kernel: {fault}");
            return Err(CompileError::Target { target: profile.name.clone(), node: kernel.name.clone(), message });
        }
        gristmill_wgsl::validate(&text, &caps)
            .map_err(|e| CompileError::Internal(format!("shader {} for {}: {e}", kernel.name, profile.name)))?;
        let (suffix, requires) = names(features);
        let file = format!("shaders/{}/{}{suffix}.wgsl", profile.name, kernel.name);
        files.push((file.clone(), text));
        variants.push(bundle::Variant { requires, file });
    }
    let writes = kernel.buffers.iter().map(|b| b.writable).collect();
    Ok(Printed { kernel: bundle::Kernel { name: kernel.name.clone(), writes, variants }, files })
}

/// The file name suffix and the WebGPU names of features.
fn names(features: Features) -> (String, Vec<String>) {
    let mut suffix = String::new();
    let mut requires = Vec::new();
    if features.subgroups {
        suffix.push_str(".subgroups");
        requires.push("subgroups".to_string());
    }
    (suffix, requires)
}
