//! Which precision a weight gets: a named or given policy, with the blocks that the options ask for.

use gristmill_graph::text::{Place, Policy};
use gristmill_graph::{Model, Precision, QuantSpec, precision_names};

use crate::error::CompileError;
use crate::library;
use crate::options::{CompileOptions, DEFAULT_PRECISION};
use crate::prepare::WeightUse;

/// The policy that counts: what was asked for, or what the architecture takes by default.
fn policy_name<'a>(options: &'a CompileOptions, model: &'a Model) -> &'a str {
    if options.precision == DEFAULT_PRECISION { &model.precision } else { &options.precision }
}

/// A policy, shaped by the options.
#[derive(Debug)]
pub struct PrecisionSelector {
    policy: Policy,
}

impl PrecisionSelector {
    /// Reads `options.precision`: a precision, the name of a shipped policy, the path of a policy file, or `default`.
    ///
    /// # Errors
    /// If it is none of them, the file is wrong, or a format of it has no blocks of the size that is asked for, or none
    /// with a minimum.
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

/// A format of the policy as the options want it.
fn shape(spec: QuantSpec, options: &CompileOptions) -> Result<QuantSpec, String> {
    let minima = if options.asymmetric { spec.with_suffix("asym") } else { Ok(spec) };
    let minima = minima.map_err(|e| format!("--asymmetric: {e}"))?;
    match options.group {
        Some(group) => minima.with_group(group).map_err(|e| format!("--group {group}: {e}")),
        None => Ok(minima),
    }
}

/// The message for a name that stands for no policy.
fn unknown(name: &str) -> String {
    let about = match name.split_once('.') {
        // Block size or suffix are wrong.
        Some((head, _)) if head.parse::<Precision>().is_ok() => name.parse::<Precision>().err().unwrap_or_default(),
        _ => format!("expected default, {} (with .g64, .asym, ..)", precision_names()),
    };
    let policies = library::policy_names().join(", ");
    format!("--precision {name}: {about}; or a policy file FILE.ron, or one of: {policies}")
}

/// The options about precision, for the manifest: `q4`, `q4 --group 64 --asymmetric`.
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
