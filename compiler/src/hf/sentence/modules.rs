//! `modules.json`: the modules that run after the model, in order.

use gristmill_bundle::is_clean_path;
use serde_json::{Value, json};

use super::{MODULES, Sentence, Table, WEIGHTS, short};
use crate::error::CompileError;
use crate::hf::files::Files;

/// Maximum number of modules; real models have up to five.
const MAX_MODULES: usize = 100;
/// The common prefix of class names in sentence-transformers.
const PACKAGE: &str = "sentence_transformers.";
/// Pooling modes.
const POOLINGS: [&str; 6] = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"];
/// Flags that select pooling modes in older files, in the order in which several results are concatenated.
const FLAGS: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];
/// Classes of torch.nn that the block `torch_activation` implements. Those with parameters use their defaults: files
/// name only the class.
const ACTIVATIONS: [&str; 12] = [
    "Identity",
    "Tanh",
    "Sigmoid",
    "ReLU",
    "ReLU6",
    "GELU",
    "SiLU",
    "LeakyReLU",
    "ELU",
    "Softplus",
    "Softsign",
    "Mish",
];
/// Maximum number of rows or columns of a dense layer.
const MAX_SIZE: u32 = 1 << 20;

/// An entry of the list.
struct Module<'a> {
    /// Its index, for messages.
    at: usize,
    /// The class name without its package.
    class: &'a str,
    path: &'a str,
}

impl<'a> Module<'a> {
    fn read(at: usize, entry: &'a Value) -> Result<Self, CompileError> {
        let text = |key: &str| {
            entry[key].as_str().ok_or_else(|| {
                let found = short(&entry[key]);
                CompileError::Config(format!("{MODULES}: module {at}: `{key}`: expected a text, found {found}"))
            })
        };
        let (kind, path) = (text("type")?, text("path")?);
        if !path.is_empty() && !is_clean_path(path) {
            return Err(CompileError::Config(format!(
                "{MODULES}: module {at}: `path`: {} is outside of the model directory",
                short(&entry["path"])
            )));
        }
        let class = kind.strip_prefix(PACKAGE).map(|rest| rest.rsplit('.').next().unwrap_or(rest));
        let class = class.ok_or_else(|| {
            CompileError::Config(format!(
                "{MODULES}: module {at}: `type`: {} is custom code, which is not run; only modules of \
                 sentence-transformers are supported",
                short(&entry["type"])
            ))
        })?;
        Ok(Module { at, class, path })
    }

    fn fault<T>(&self, message: impl std::fmt::Display) -> Result<T, CompileError> {
        Err(CompileError::Config(format!("{MODULES}: module {} ({}): {message}", self.at, self.class)))
    }

    /// The module's own settings.
    fn config(&self, files: &Files) -> Result<Table, CompileError> {
        if self.path.is_empty() {
            return self.fault("`path`: expected a folder of its own");
        }
        let file = format!("{}/config.json", self.path);
        match Table::read(files, &file)? {
            Some(table) => Ok(table),
            None => self.fault(format!("{file} is missing; download the complete model directory")),
        }
    }
}

impl Sentence {
    /// Reads the list, and the settings and weights in the folders of its modules.
    pub(super) fn modules(&mut self, files: &Files, listed: &Value) -> Result<(), CompileError> {
        let list = listed
            .as_array()
            .filter(|all| (1..=MAX_MODULES).contains(&all.len()))
            .ok_or_else(|| CompileError::Config(format!("{MODULES}: expected a list of 1 to {MAX_MODULES} modules")))?;
        let modules = list.iter().enumerate().map(|(at, entry)| Module::read(at, entry));
        let modules: Vec<Module<'_>> = modules.collect::<Result<_, _>>()?;
        let (first, rest) = (&modules[0], &modules[1..]);
        if first.class != "Transformer" {
            return first.fault("is not supported; the first module must be a Transformer");
        }
        self.folder = first.path.to_string();
        let (mut pooling, mut kinds, mut layers) = (None, Vec::new(), Vec::new());
        for module in rest {
            let layer = match module.class {
                "Pooling" if pooling.is_none() => {
                    pooling = Some(ways_to_pool(&module.config(files)?)?);
                    continue;
                }
                "Pooling" => return module.fault("there is already a Pooling before it"),
                // Only active in training.
                "Dropout" => continue,
                _ if pooling.is_none() => return module.fault("is not supported before a Pooling"),
                "Normalize" => normalize(module, files)?,
                "Dense" => self.dense(module, files)?,
                "LayerNorm" => self.layer_norm(module, files)?,
                _ => {
                    return module
                        .fault("is not supported; supported are Pooling, Dense, LayerNorm, Normalize and Dropout");
                }
            };
            kinds.push(layer["kind"].clone());
            layers.push(layer);
        }
        let Some((pooling, include_prompt)) = pooling else {
            return Err(CompileError::Config(format!(
                "{MODULES}: no Pooling module, so the tokens are not combined into one vector"
            )));
        };
        self.modules = json!({"pooling": pooling, "include_prompt": include_prompt, "kinds": kinds, "layers": layers});
        if let Some(size) = self.truncate_dim {
            self.modules["truncate_dim"] = size.into();
        }
        Ok(())
    }

    /// A linear layer with an activation function.
    fn dense(&mut self, module: &Module<'_>, files: &Files) -> Result<Value, CompileError> {
        let config = module.config(files)?;
        on_the_text(&config)?;
        let activation = match config.text("activation_function")? {
            None => "Tanh",
            Some(path) => {
                let class = path.rsplit('.').next().unwrap_or(path);
                if !path.starts_with("torch.nn.") || !ACTIVATIONS.contains(&class) {
                    let known = ACTIVATIONS.join(", ");
                    let message =
                        format!("{} is not supported; supported modules of torch.nn are {known}", short(&json!(path)));
                    return config.fault("activation_function", message);
                }
                class
            }
        };
        let (inner, outer) = (config.size("in_features")?, config.size("out_features")?);
        if inner.max(outer) > MAX_SIZE {
            return config.fault("in_features", format!("{inner} by {outer} is too large for a layer"));
        }
        self.weights_of(module, files)?;
        Ok(json!({
            "kind": "dense", "folder": module.path, "in_features": inner, "out_features": outer,
            "bias": config.flag("bias", true)?, "use_residual": config.flag("use_residual", false)?,
            "activation": activation,
        }))
    }

    fn layer_norm(&mut self, module: &Module<'_>, files: &Files) -> Result<Value, CompileError> {
        let config = module.config(files)?;
        let size = config.size("dimension")?;
        self.weights_of(module, files)?;
        Ok(json!({"kind": "layer_norm", "folder": module.path, "dimension": size}))
    }

    /// Records the weights in a module's folder.
    fn weights_of(&mut self, module: &Module<'_>, files: &Files) -> Result<(), CompileError> {
        let folder = module.path;
        if !files.has(&format!("{folder}/{WEIGHTS}")) {
            return module.fault(format!(
                "{folder}/{WEIGHTS} is missing, and pytorch_model.bin is not supported: save the model again with \
                 `SentenceTransformer(..).save_pretrained(..)`"
            ));
        }
        self.weights.push(folder.to_string());
        Ok(())
    }
}

/// The pooling modes, and whether tokens of a prompt are included.
fn ways_to_pool(config: &Table) -> Result<(Vec<String>, bool), CompileError> {
    const OTHERS: [&str; 4] = ["word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt"];
    let known = |key: &str| OTHERS.contains(&key) || FLAGS.iter().any(|(flag, _)| *flag == key);
    if let Some(key) = config.entries.keys().find(|key| !known(key)) {
        return config.fault(key, "is not supported");
    }
    let names = match config.get("pooling_mode") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(all)) if !all.is_empty() && all.len() <= MAX_MODULES => {
            let names = all.iter().map(|v| v.as_str().map(str::to_string));
            let names: Option<Vec<String>> = names.collect();
            names.map_or_else(|| config.fault("pooling_mode", "expected names of ways to pool"), Ok)?
        }
        Some(other) => return config.fault("pooling_mode", format!("expected a name, found {}", short(other))),
        None => {
            let mut names = Vec::new();
            for (flag, name) in FLAGS {
                if config.flag(flag, false)? {
                    names.push(name.to_string());
                }
            }
            if names.is_empty() { vec!["mean".to_string()] } else { names }
        }
    };
    match names.iter().find(|name| !POOLINGS.contains(&name.as_str())) {
        Some(name) => {
            let known = POOLINGS.join(", ");
            config.fault("pooling_mode", format!("{} is not supported; known are {known}", short(&json!(name))))
        }
        None => Ok((names, config.flag("include_prompt", true)?)),
    }
}

fn normalize(module: &Module<'_>, files: &Files) -> Result<Value, CompileError> {
    // Its folder is empty except in the newest versions.
    if !module.path.is_empty()
        && let Some(config) = Table::read(files, &format!("{}/config.json", module.path))?
    {
        on_the_text(&config)?;
    }
    Ok(json!({"kind": "normalize"}))
}

/// Rejects modules that work on token vectors or store their result separately; those belong to other kinds of models.
fn on_the_text(config: &Table) -> Result<(), CompileError> {
    for key in ["module_input_name", "module_output_name"] {
        if let Some(name) = config.text(key)?.filter(|name| *name != "sentence_embedding") {
            return config.fault(key, format!("{} is not supported; use sentence_embedding", short(&json!(name))));
        }
    }
    Ok(())
}
