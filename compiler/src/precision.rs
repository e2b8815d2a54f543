//! Which precision a weight gets: a named or given policy, with the blocks that the options ask for.

use gristmill_graph::text::{Place, Policy};
use gristmill_graph::{Model, Precision, QuantSpec};

use crate::error::CompileError;
use crate::library;
use crate::options::CompileOptions;
use crate::prepare::WeightUse;

/// What [`CompileOptions::precision`] says if the architecture shall choose.
pub const DEFAULT: &str = "default";

/// The policy that counts: what was asked for, or what the architecture takes by default.
fn policy_name<'a>(options: &'a CompileOptions, model: &'a Model) -> &'a str {
    if options.precision == DEFAULT { &model.precision } else { &options.precision }
}

/// A policy and the options that shape its quantized precisions.
#[derive(Debug)]
pub struct Chooser {
    policy: Policy,
    group: Option<u16>,
    asymmetric: bool,
}

impl Chooser {
    /// Reads `options.precision`: a precision, the name of a shipped policy, the path of a policy file, or `default`.
    ///
    /// # Errors
    /// If it is none of them, the file is wrong, or the block size does not exist.
    pub fn new(options: &CompileOptions, model: &Model) -> Result<Self, CompileError> {
        if let Some(group) = options.group
            && !matches!(group, 16 | 32 | 64 | 128)
        {
            return Err(CompileError::Options(format!("--group {group}: expected 16, 32, 64 or 128")));
        }
        let name = policy_name(options, model);
        let policy = match library::named_policy(name).map_err(CompileError::Architecture)? {
            Some(policy) => policy,
            None if name.ends_with(".ron") => {
                let path = std::path::Path::new(name);
                let text = gristmill_bundle::files::read_text(path, gristmill_bundle::files::MAX_TEXT)
                    .map_err(|e| CompileError::io(path, &e))?;
                Policy::parse(name, &text).map_err(CompileError::Architecture)?
            }
            None => {
                return Err(CompileError::Options(format!(
                    "--precision {name}: expected default, f32, f16, q8, q4, q3, q2 (with .g16, .g64, .g128, .asym), \
                     a policy file FILE.ron, or one of: {}",
                    library::policy_names().join(", ")
                )));
            }
        };
        Ok(Chooser { policy, group: options.group, asymmetric: options.asymmetric })
    }

    /// The precision for one use of a weight.
    pub fn choose(&self, usage: &WeightUse) -> Precision {
        let role = usage.role.as_deref();
        let WeightUse { weight, component, layer, shape, .. } = usage;
        let precision =
            self.policy.precision(&Place { role, path: weight, component, layer: *layer, rank: shape.len() });
        match precision {
            Precision::Quant(spec) => Precision::Quant(QuantSpec {
                group: self.group.unwrap_or(spec.group),
                asymmetric: self.asymmetric || spec.asymmetric,
                ..spec
            }),
            other => other,
        }
    }
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
