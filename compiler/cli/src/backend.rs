//! Chooses and loads a backend.

use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::Progress;
use gristmill_reference::ReferenceBackend;
use gristmill_runtime::cpu::PROFILE as WASM;
use gristmill_runtime::gpu::choose_profile;
use gristmill_runtime::native::{Choice, Options, Wasm, WasmOptions, Wgpu, is_for_wasm};
use gristmill_runtime::{Backend, Error};

use crate::args::{BackendFlags, BackendName, Simd};
use crate::failure::{Failure, Outcome};
use crate::output::note;
use crate::progress::Bar;

/// A loaded bundle, ready to run.
pub(crate) struct Loaded {
    /// The bundle.
    pub(crate) bundle: Arc<Bundle>,
    /// The backend.
    pub(crate) backend: Box<dyn Backend>,
    /// The profile whose programs run; `None` for the reference evaluator.
    pub(crate) profile: Option<String>,
}

/// Opens the bundle and loads it into the requested backend. Prints on stderr which backend that is.
pub(crate) fn load(dir: &Path, flags: &BackendFlags) -> Outcome<Loaded> {
    let bundle = Arc::new(Bundle::open(dir)?);
    let (backend, profile): (Box<dyn Backend>, _) = match choose(&bundle, flags)? {
        None => (Box::new(ReferenceBackend::open(Bundle::open(dir)?)?), None),
        Some(Choice::Wgpu) => wgpu(&bundle, flags)?,
        Some(Choice::Wasm) => wasm(&bundle, flags)?,
        Some(Choice::WgpuOrWasm) => match wgpu(&bundle, flags) {
            Err(why) if is_for_wasm(&why) => {
                note(&format!("{why}\nWebAssembly is used instead."));
                wasm(&bundle, flags)?
            }
            other => other?,
        },
    };
    note(&format!("backend: {}", backend.describe()));
    Ok(Loaded { bundle, backend, profile })
}

/// What the flags mean for a bundle on this machine; `None` is the reference evaluator.
fn choose(bundle: &Bundle, flags: &BackendFlags) -> Outcome<Option<Choice>> {
    let for_wasm = flags.threads.map(|_| "--threads").or((flags.simd != Simd::Auto).then_some("--simd"));
    if flags.profile.as_deref() == Some(WASM) {
        let remedy = format!("its programs are for CPUs; use --backend {WASM}");
        return Err(Failure::wrong(format!("--profile {WASM}: {remedy}")));
    }
    let for_wgpu = flags.adapter.as_ref().map(|_| "--adapter").or(flags.profile.as_ref().map(|_| "--profile"));
    let stray = |flag: Option<&str>, backend: &str| match flag {
        Some(flag) => Err(Failure::wrong(format!("{flag} needs --backend {backend}; remove one of the two"))),
        None => Ok(()),
    };
    match flags.backend {
        BackendName::Wgpu => stray(for_wasm, "wasm").map(|()| Some(Choice::Wgpu)),
        BackendName::Wasm => stray(for_wgpu, "wgpu").map(|()| Some(Choice::Wasm)),
        BackendName::Reference => {
            stray(for_wasm, "wasm")?;
            stray(for_wgpu, "wgpu").map(|()| None)
        }
        BackendName::Auto => match (for_wgpu, for_wasm) {
            (Some(a), Some(b)) => Err(Failure::wrong(format!("{a} and {b} are for different backends"))),
            (Some(_), None) => Ok(Some(Choice::Wgpu)),
            (None, Some(_)) => Ok(Some(Choice::Wasm)),
            (None, None) => Ok(Some(Choice::of(&bundle.manifest().profiles))),
        },
    }
}

type Made = (Box<dyn Backend>, Option<String>);

fn wgpu(bundle: &Arc<Bundle>, flags: &BackendFlags) -> Result<Made, Error> {
    let profile = choose_profile(bundle.manifest(), flags.profile.as_deref(), &["native"])?;
    let options = Options { adapter: flags.adapter.clone(), profile: Some(profile.clone()), ..Options::default() };
    let bar = Bar::new();
    bar.stage("loading weights");
    let backend = Wgpu::load(bundle.clone(), &options, &mut |done, total| bar.bytes(done, total))?;
    backend.admission().offloaded.iter().for_each(|offloaded| note(&offloaded.to_string()));
    Ok((Box::new(backend), Some(profile)))
}

fn wasm(bundle: &Arc<Bundle>, flags: &BackendFlags) -> Result<Made, Error> {
    let relaxed = match flags.simd {
        Simd::Auto => None,
        Simd::Baseline => Some(false),
        Simd::Relaxed => Some(true),
    };
    let options = WasmOptions { threads: flags.threads.map(|n| n as usize), relaxed, ..WasmOptions::default() };
    let bar = Bar::new();
    bar.stage("loading weights");
    let backend = Wasm::load(bundle.clone(), &options, &mut |done, total| bar.bytes(done, total))?;
    Ok((Box::new(backend), Some(WASM.to_string())))
}
