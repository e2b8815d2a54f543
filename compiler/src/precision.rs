//! Chooses the precision of each weight: by a policy, adjusted to the options about blocks.

use gristmill_graph::text::{Place, Policy};
use gristmill_graph::{Model, Precision, QuantSpec, precision_names};

use crate::error::CompileError;
use crate::library;
use crate::options::{CompileOptions, DEFAULT_PRECISION};
use crate::prepare::WeightUse;

/// The policy to use: the requested one, or the architecture's default.
fn policy_name<'a>(options: &'a CompileOptions, model: &'a Model) -> &'a str {
    if options.precision == DEFAULT_PRECISION { &model.precision } else { &options.precision }
}

/// A policy, adjusted to the options.
#[derive(Debug)]
pub struct PrecisionSelector {
    policy: Policy,
}

impl PrecisionSelector {
    /// Resolves `options.precision`: a precision, the name of a shipped policy, the path of a policy file, or
    /// `default`.
    ///
    /// # Errors
    /// If it is none of these, the policy file is invalid, or one of its formats does not support the requested block
    /// size or asymmetric blocks.
    pub fn new(options: &CompileOptions, model: &Model) -> Result<Self, CompileError> {
        let name = policy_name(options, model);
        let policy = match library::named_policy(name).map_err(CompileError::Architecture)? {
            Some(policy) => policy,
            None if name.ends_with(".ron") => {
                let path = std::path::Path::new(name);
                let text = gristmill_bundle::files::read_text(path, gristmill_bundle::files::MAX_TEXT)
                    .map_err(|e| CompileError::io(path, &e))?;
                Policy::parse(name, &text).map_err(CompileError::Architecture)?
            }
            None => return Err(CompileError::Options(unknown(name))),
        };
        let shaped = policy.try_map(|precision| match precision {
            Precision::Quant(spec) => Ok(Precision::Quant(shape(spec, options)?)),
            other => Ok(other),
        });
        Ok(PrecisionSelector { policy: shaped.map_err(CompileError::Options)? })
    }

    /// The precision for one use of a weight.
    pub fn choose(&self, usage: &WeightUse) -> Precision {
        let role = usage.role.as_deref();
        let WeightUse { weight, component, layer, shape, .. } = usage;
        self.policy.precision(&Place { role, path: weight, component, layer: *layer, rank: shape.len() })
    }
}

/// A format of the policy, adjusted to the options.
fn shape(spec: QuantSpec, options: &CompileOptions) -> Result<QuantSpec, String> {
    let minima = if options.asymmetric { spec.with_suffix("asym") } else { Ok(spec) };
    let minima = minima.map_err(|e| format!("--asymmetric: {e}"))?;
    match options.group {
        Some(group) => minima.with_group(group).map_err(|e| format!("--group {group}: {e}")),
        None => Ok(minima),
    }
}

/// The message for a name that is not a policy.
fn unknown(name: &str) -> String {
    let about = match name.split_once('.') {
        // The name is a precision with an invalid block size or suffix.
        Some((head, _)) if head.parse::<Precision>().is_ok() => name.parse::<Precision>().err().unwrap_or_default(),
        _ => format!("expected default, {} (with .g64, .asym, ..)", precision_names()),
    };
    let policies = library::policy_names().join(", ");
    format!("--precision {name}: {about}; or a policy file FILE.ron, or one of: {policies}")
}

/// The precision options, for the manifest: `q4`, `q4 --group 64 --asymmetric`.
pub fn describe(options: &CompileOptions, model: &Model) -> String {
    let mut text = policy_name(options, model).to_string();
    if let Some(group) = options.group {
        text.push_str(&format!(" --group {group}"));
    }
    if options.asymmetric {
        text.push_str(" --asymmetric");
    }
    text
}
