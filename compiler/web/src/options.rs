//! Compiler options in the form that JavaScript passes them.

use gristmill_compiler::{CompileOptions, KvPrecision};
use serde::Deserialize;

/// `CompileOptions` of `types.ts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Options {
    precision: Option<String>,
    group: Option<u16>,
    asymmetric: bool,
    kv: Kv,
    targets: Vec<String>,
    max_context: Option<u32>,
    allow_unused: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kv {
    #[default]
    F32,
    F16,
}

impl Options {
    /// Parses JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(json: &str) -> Result<CompileOptions, String> {
        let options: Options = serde_json::from_str(json).map_err(|e| format!("options: {e}"))?;
        // On the command line, these can be paths.
        if let Some(path) = options.precision.iter().chain(&options.targets).find(|name| name.ends_with(".ron")) {
            return Err(format!("options: {path}: this module reads the files of a model only; name one that ships"));
        }
        let defaults = CompileOptions::default();
        Ok(CompileOptions {
            precision: options.precision.unwrap_or(defaults.precision),
            group: options.group,
            asymmetric: options.asymmetric,
            kv: match options.kv {
                Kv::F32 => KvPrecision::F32,
                Kv::F16 => KvPrecision::F16,
            },
            targets: options.targets,
            max_context: options.max_context,
            allow_unused: options.allow_unused,
            ..CompileOptions::default()
        })
    }
}
