//! The declarations of an architecture file, for tools that compare it with a model.

use super::diagnostics::Diagnostics;
use super::file::Statement;
use super::library::Library;
use super::load::load;

/// The declarations of an architecture, including those that it extends and includes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The number of architectures that it extends, directly and indirectly.
    pub depth: usize,
    /// Names of config values, and their formulas.
    pub config: Vec<(String, String)>,
    /// Names of inputs without a default.
    pub inputs: Vec<String>,
    /// Weights in the order of the file.
    pub weights: Vec<OutlinedWeight>,
    /// Addresses of statements, as in edits: `layers.q`.
    pub statements: Vec<String>,
    /// Patterns of tensors that are left out intentionally.
    pub ignores: Vec<String>,
}

/// A declared weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlinedWeight {
    /// The name in formulas.
    pub name: String,
    /// The pattern of tensor names.
    pub tensor: String,
    /// Whether a model may lack it.
    pub optional: bool,
}

/// Reads what an architecture declares.
///
/// # Errors
/// All problems of the files.
pub fn outline(library: &Library, file: &str) -> Result<Outline, Diagnostics> {
    let loaded = load(library, file)?;
    if !loaded.diagnostics.is_empty() {
        return Err(Diagnostics(loaded.diagnostics));
    }
    let arch = &loaded.arch;
    let mut depth = 0;
    let mut next = extended(library, file);
    while let Some(base) = next {
        depth += 1;
        next = extended(library, &base);
    }
    let mut statements = Vec::new();
    addresses(&arch.body, "", &mut statements);
    Ok(Outline {
        depth,
        config: arch.config.0.iter().map(|(name, line)| (name.0.to_string(), formula(line.0))).collect(),
        inputs: arch.inputs.0.iter().filter(|(_, i)| i.default.is_none()).map(|(n, _)| n.0.to_string()).collect(),
        weights: arch
            .weights
            .0
            .iter()
            .map(|(name, weight)| OutlinedWeight {
                name: name.0.to_string(),
                tensor: weight.tensor.0.to_string(),
                optional: weight.optional || weight.when.is_some(),
            })
            .collect(),
        statements,
        ignores: arch.ignores.iter().map(|pattern| pattern.0.to_string()).collect(),
    })
}

/// The formula in `name = formula`.
fn formula(line: &str) -> String {
    line.split_once('=').map_or(line, |(_, formula)| formula).trim().to_string()
}

/// What an architecture file extends, if anything.
fn extended(library: &Library, file: &str) -> Option<String> {
    let text = library.files.get(file).or_else(|| library.files.get(&format!("{file}.ron")))?;
    super::file::peek::<Extends>(text)?.extends
}

/// The entry of a file with what it extends.
#[derive(serde::Deserialize)]
#[serde(rename = "Architecture")]
struct Extends {
    #[serde(default)]
    extends: Option<String>,
}

/// The addresses of statements for edits, with the names of repetitions as a prefix.
fn addresses(body: &[Statement<'_>], prefix: &str, all: &mut Vec<String>) {
    for statement in body {
        match statement {
            Statement::Let(text) => {
                let name = text.0.split('=').next().unwrap_or_default().trim();
                all.push(format!("{prefix}{name}"));
            }
            Statement::Output(name, _) | Statement::Tap(name, _) => all.push(format!("{prefix}{}", name.0)),
            Statement::Repeat { name, body, .. } => {
                all.push(format!("{prefix}{}", name.0));
                addresses(body, &format!("{prefix}{}.", name.0), all);
            }
            Statement::When(_, then) => addresses(then, prefix, all),
            Statement::If(_, then, other) => {
                addresses(then, prefix, all);
                addresses(other, prefix, all);
            }
        }
    }
}
