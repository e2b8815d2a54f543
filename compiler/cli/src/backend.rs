//! Choosing and loading what executes.

use std::path::Path;
use std::sync::Arc;

use gristmill_bundle::Bundle;
use gristmill_compiler::Progress;
use gristmill_compiler::reference::ReferenceBackend;
use gristmill_runtime::native::{Options, Wgpu};
use gristmill_runtime::{Backend, Error};

use crate::args::{BackendFlags, BackendName};
use crate::failure::Outcome;
use crate::output::note;
use crate::progress::Bar;

/// A loaded bundle, ready to run.
pub(crate) struct Loaded {
    /// The bundle.
    pub(crate) bundle: Arc<Bundle>,
    /// What executes it.
    pub(crate) backend: Box<dyn Backend>,
}

/// Opens the bundle and loads it into the backend asked for; says on stderr which one that is.
pub(crate) fn load(dir: &Path, flags: &BackendFlags) -> Outcome<Loaded> {
    let bundle = Arc::new(Bundle::open(dir)?);
    let backend: Box<dyn Backend> = match flags.backend {
        BackendName::Reference => reference(dir)?,
        BackendName::Wgpu => wgpu(&bundle, flags)?,
        BackendName::Auto if flags.adapter.is_some() => wgpu(&bundle, flags)?,
        BackendName::Auto => match wgpu(&bundle, flags) {
            Err(Error::NoAdapter(why)) => {
                note(&format!("{why}\nThe slow reference evaluator is used instead."));
                reference(dir)?
            }
            other => other?,
        },
    };
    note(&format!("backend: {}", backend.describe()));
    Ok(Loaded { bundle, backend })
}

fn reference(dir: &Path) -> Result<Box<dyn Backend>, Error> {
    Ok(Box::new(ReferenceBackend::open(Bundle::open(dir)?)?))
}

fn wgpu(bundle: &Arc<Bundle>, flags: &BackendFlags) -> Result<Box<dyn Backend>, Error> {
    let options = Options { adapter: flags.adapter.clone(), ..Options::default() };
    let bar = Bar::new();
    bar.stage("loading weights");
    let backend = Wgpu::load(bundle.clone(), &options, &mut |done, total| bar.bytes(done, total))?;
    Ok(Box::new(backend))
}
