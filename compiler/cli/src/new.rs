//! `gristmill new`.

use std::io::Write;
use std::path::{Path, PathBuf};

use gristmill_compiler::draft::{draft, golden_script};
use gristmill_compiler::hf::dir::ModelDir;
use gristmill_compiler::library::library;
use gristmill_graph::text::outline;

use crate::args::NewArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::hub;
use crate::output::note;
use crate::output::parent;

/// Drafts an architecture file and the script that records its expected outputs.
pub(crate) fn new(args: &NewArgs) -> Outcome {
    let dir = ModelDir::open(&hub::locate(&args.model, None)?)?;
    let library = library();
    let class = dir.config["architectures"][0].as_str().unwrap_or("MyModel").to_string();
    if let Some(known) = library.architecture_for_class(&class).filter(|_| !args.force) {
        return Err(Failure::wrong(format!(
            "the shipped architecture {known} already describes {class}: use `gristmill compile {}`, or add --force to \
             draft a file anyway",
            args.model.display()
        )));
    }
    let tensors = dir.checkpoint()?.tensors();
    let base = args.base.as_deref().map(|base| base.trim_end_matches(".ron"));
    let draft = draft(&library, &dir.config, &tensors, base).ok_or_else(|| match base {
        Some(base) => {
            let known: Vec<&str> = library.architectures().map(|file| file.trim_end_matches(".ron")).collect();
            Failure::wrong(format!("no shipped architecture is called {base}; expected one of {}", known.join(", ")))
        }
        None => Failure::wrong(
            "no shipped architecture names any of these tensors, so there is nothing to extend; start with \"A first \
             file\" in models/README.md",
        ),
    })?;
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.ron", stem(&dir.config, &class))));
    let script = file.with_file_name(format!("{}_golden.py", file.file_stem().unwrap_or_default().to_string_lossy()));
    for path in [&file, &script] {
        if path.exists() && !args.force {
            return Err(Failure::wrong(format!("{} already exists; --force overwrites it", path.display())));
        }
    }
    let base = outline(&library, &format!("{}.ron", draft.base)).map_err(|d| Failure::wrong(d.to_string()))?;
    write(&script, &golden_script(&class, &file.display().to_string(), &base.inputs))?;
    write(&file, &draft.text)?;
    let (known, total, base) = (draft.known, draft.total, &draft.base);
    note(&format!(
        "{}: extends {base}, which names {known} of {total} tensors\n{}: records what `gristmill verify` compares \
         with\nNext: gristmill check {} --model {}",
        file.display(),
        script.display(),
        file.display(),
        args.model.display()
    ));
    Ok(Exit::Done)
}

/// A file name: the model type, or the class.
fn stem(config: &serde_json::Value, class: &str) -> String {
    let name = config["model_type"].as_str().filter(|t| !t.is_empty()).unwrap_or(class);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(plain).collect()
}

/// Writes a file completely or not at all.
fn write(path: &Path, text: &str) -> Outcome<()> {
    let failed = |e: &std::io::Error| Failure::io(path, e);
    let mut file = tempfile::NamedTempFile::new_in(parent(path)).map_err(|e| failed(&e))?;
    file.write_all(text.as_bytes()).map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e.error))?;
    Ok(())
}
