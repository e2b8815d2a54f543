//! Checks the model that the user named, as far as possible before `gristmill` is built.

use std::path::Path;

use crate::command::Outcome;

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// On this machine.
    Here,
    /// On the Hugging Face Hub, judging by its name.
    Hub,
}

/// Where a model is, or why it is not a model.
pub(super) fn kind(model: &Path) -> Outcome<Kind> {
    let shown = model.display();
    if model.join("manifest.json").is_file() {
        return Err(format!("{shown}: already a compiled bundle; `gristmill serve {shown}` serves it"));
    }
    if model.exists() {
        return Ok(Kind::Here);
    }
    let first = model.to_str().and_then(|name| name.split_once('/')).map_or("", |(org, _)| org);
    match !first.is_empty() && !first.starts_with(['.', '~']) {
        true => Ok(Kind::Hub),
        false => Err(format!("{shown}: no such directory or GGUF file, and not a name on the Hub (org/name)")),
    }
}

/// The folder name of its bundle: `model` for `path/to/model`, `org--name-v1` for `org/name@v1`.
pub(super) fn bundle_name(model: &Path) -> String {
    let name = match model.canonicalize() {
        Ok(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        Err(_) => model.to_string_lossy().replace('/', "--"),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    match name.chars().map(plain).collect::<String>().trim_start_matches('.') {
        "" => "model".to_string(),
        name => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_from_mistakes() {
        let folder = tempfile::TempDir::new().expect("a folder");
        assert_eq!(kind(folder.path()), Ok(Kind::Here));
        assert_eq!(kind(Path::new("org/name@v1")), Ok(Kind::Hub));
        for no in ["nothing", "./org/name", "../org/name", "/nowhere/org/name", "~/model", ""] {
            assert!(kind(Path::new(no)).is_err_and(|said| said.contains("no such directory")), "{no}");
        }
        std::fs::write(folder.path().join("manifest.json"), "{}").expect("written");
        assert!(kind(folder.path()).is_err_and(|said| said.contains("gristmill serve")));
    }

    #[test]
    fn bundles_are_named_after_models() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let model = folder.path().join("my model");
        std::fs::create_dir(&model).expect("a folder");
        assert_eq!(bundle_name(&model), "my-model");
        assert_eq!(bundle_name(&model.join(".")), "my-model");
        assert_eq!(bundle_name(Path::new("org/name@v1")), "org--name-v1");
        assert_eq!(bundle_name(Path::new("/")), "model");
    }
}
