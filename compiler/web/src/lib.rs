//! The compiler as WebAssembly, for a worker of a page or for Node.js. [`compile()`] takes functions that read the
//! files of a model, and functions that receive those of a bundle.
//!
//! These functions are called synchronously. In a worker that is possible: `FileReaderSync` reads the user's files, and
//! `FileSystemSyncAccessHandle` reads and writes those of the browser's own file system. Everything is computed on the
//! calling thread. The bytes are the same as those of the native compiler.

mod files;
mod given;
mod here;
mod options;

use std::sync::Arc;

use gristmill_compiler::{CompileError, CompileReport, Progress, compile_from};
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, throw_val};

use crate::files::{Bundle, Model};
use crate::given::{BundleFiles, CompileProgress, ModelFiles};
use crate::here::Here;
use crate::options::Options;

/// Compiles a model into a bundle. `options` is `CompileOptions` of `types.ts` as JSON, and the result is
/// `CompileReport` as JSON.
///
/// # Errors
/// An `Error` with the message that the command line would print.
#[wasm_bindgen]
pub fn compile(
    model: ModelFiles,
    bundle: BundleFiles,
    options: &str,
    progress: CompileProgress,
) -> Result<String, JsError> {
    let options = Options::parse(options).map_err(|e| JsError::new(&e))?;
    let here = Here::enter(model, bundle).map_err(|e| JsError::new(&e))?;
    let source = || Model::of(&here).map(|model| Arc::new(model) as Arc<_>).map_err(CompileError::Options);
    let compiled = compile_from(source, || Ok(Bundle), &options, &Told(progress));
    drop(here);
    compiled.and_then(|report| described(&report)).map_err(|e| JsError::new(&e.to_string()))
}

/// The report, as `CompileReport` of `types.ts`.
fn described(report: &CompileReport) -> Result<String, CompileError> {
    let CompileReport { browser, weights, kernels, dispatches, warnings, rewrites: _ } = report;
    let text = json!({
        "browser": browser, "weights": weights, "kernels": kernels, "dispatches": dispatches, "warnings": warnings,
    });
    Ok(text.to_string())
}

/// Reports progress to JavaScript. Exceptions of its functions are ignored: they are no reason to stop.
struct Told(CompileProgress);

impl Progress for Told {
    fn stage(&self, name: &str) {
        let _ = self.0.stage(name);
    }

    fn bytes(&self, done: u64, total: u64) {
        let _ = self.0.bytes(done as f64, total as f64);
    }

    fn warning(&self, text: &str) {
        let _ = self.0.warning(text);
    }

    fn note(&self, text: &str) {
        let _ = self.0.note(text);
    }
}

/// Runs when the module is loaded. Makes a panic end as an error that reports its location, instead of a WebAssembly
/// trap. Destructors do not run then, so [`compile()`] refuses to be called again.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        throw_val(JsError::new(&format!("internal error: {info} (this is a bug)")).into())
    }));
}
