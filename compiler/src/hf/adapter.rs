//! Adapters (LoRA and the like), which modify another model and are not models themselves.

use super::files::Files;
use crate::error::CompileError;
use crate::weights::files::{INDEX, SINGLE};
use crate::weights::shown;

/// The settings file of an adapter.
pub const SETTINGS: &str = "adapter_config.json";

/// Rejects a directory with an adapter but no model. Returns a warning if it has both.
///
/// # Errors
/// Names the model that the adapter modifies, and the remedy.
pub(crate) fn check(files: &Files) -> Result<Option<String>, CompileError> {
    let Some(settings) = files.json(SETTINGS)? else { return Ok(None) };
    let kind = settings["peft_type"].as_str().map_or(String::new(), |kind| format!(" ({})", shown(kind)));
    let base = settings["base_model_name_or_path"].as_str().filter(|name| !name.is_empty());
    let of = base.map_or(String::new(), |name| format!(" of {}", shown(name)));
    let has_model = files.has("config.json") && [SINGLE, INDEX].iter().any(|name| files.has(name));
    if has_model {
        return Ok(Some(format!(
            "{SETTINGS}: the adapter{kind}{of} is ignored; only the model next to it is compiled"
        )));
    }
    Err(CompileError::Io {
        path: files.place(SETTINGS),
        message: format!(
            "the directory contains an adapter{kind}{of}, not a model\n  help: merge the two with peft: \
             `AutoPeftModelFor...from_pretrained(DIR).merge_and_unload().save_pretrained(NEW)`, and compile NEW"
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn adapters_alone_are_refused_and_beside_a_model_warned_of() {
        let dir = tempfile::TempDir::new().unwrap();
        let check = |dir: &Path| check(&Files::of_dir(dir));
        assert_eq!(check(dir.path()).unwrap(), None);
        let settings = r#"{"peft_type": "LORA", "base_model_name_or_path": "some/base"}"#;
        std::fs::write(dir.path().join(SETTINGS), settings).unwrap();
        let text = check(dir.path()).unwrap_err().to_string();
        assert!(
            text.contains("an adapter (LORA) of some/base, not a model") && text.contains("merge_and_unload"),
            "{text}"
        );
        for name in ["config.json", SINGLE] {
            std::fs::write(dir.path().join(name), "{}").unwrap();
        }
        let warning = check(dir.path()).unwrap().unwrap();
        assert!(warning.contains("the adapter (LORA) of some/base is ignored"), "{warning}");
    }
}
