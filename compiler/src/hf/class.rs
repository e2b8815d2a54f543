//! The transformers class of a model: given by `architectures` in config.json, or else inferred from `model_type` and
//! the tensors.

use std::collections::BTreeMap;

use gristmill_graph::Model;
use gristmill_graph::text::{Library, Settings, bind_settings};
use serde_json::Value;

use crate::weights::files::listed;

/// The classes that config.json names.
fn named(config: &Value) -> Vec<&str> {
    config["architectures"].as_array().map_or(Vec::new(), |a| a.iter().filter_map(Value::as_str).collect())
}

/// The shipped architecture file for a config.
///
/// # Errors
/// Why there is none. The caller prepends the name of the file.
pub(super) fn architecture_file(config: &Value, library: &Library) -> Result<String, String> {
    let classes = named(config);
    if classes.is_empty() {
        return by_model_type(config, library);
    }
    let files = library.architectures_by_class();
    classes.iter().find_map(|class| files.get(*class).cloned()).ok_or_else(|| {
        let known: Vec<String> = library.architectures().flat_map(|file| library.classes(file)).collect();
        format!(
            "no shipped architecture supports {}; write one (docs/authoring.md) and pass it with --arch FILE.ron. \
             Supported are {}",
            listed(&classes),
            known.join(", ")
        )
    })
}

fn by_model_type(config: &Value, library: &Library) -> Result<String, String> {
    let Some(model_type) = config["model_type"].as_str() else {
        return Err("no `architectures` and no `model_type`; name an architecture file with --arch FILE.ron".into());
    };
    let mut files = library.architectures_for_model_type(model_type);
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        (Some(last), false) => {
            files.push(last);
            Err(format!(
                "no `architectures`, and the `model_type` {model_type} may mean {}; name one with --arch FILE.ron",
                files.join(", ")
            ))
        }
        (None, _) => {
            let known: Vec<String> = library.architectures().flat_map(|file| library.model_types(file)).collect();
            Err(format!(
                "no `architectures`, and no shipped architecture supports the `model_type` {model_type}; write one \
                 (docs/authoring.md) and pass it with --arch FILE.ron. Supported are {}",
                known.join(", ")
            ))
        }
    }
}

/// The class of a model whose config does not name one: of the classes that the architecture `file` describes, the one
/// that reads most of `tensors`, because classes differ in their heads. If several mean the same computation, the
/// first. `None` if the config names a class, or if there is only one.
///
/// # Errors
/// Names the possible classes.
pub(super) fn choose(
    library: &Library,
    file: &str,
    settings: Settings<'_>,
    tensors: &BTreeMap<String, Vec<u64>>,
) -> Result<Option<String>, String> {
    let classes = library.classes(file);
    if !named(settings.config).is_empty() || classes.len() < 2 {
        return Ok(None);
    }
    let mut config = settings.config.clone();
    let mut best: Vec<(String, Model)> = Vec::new();
    for class in classes {
        config["architectures"] = Value::from(vec![class.clone()]);
        let Ok(model) = bind_settings(library, file, Settings { config: &config, ..settings }, Some(tensors)) else {
            continue;
        };
        // A decoder with a tied head has the same tensors as its base model, but more entries.
        let size = |model: &Model| (model.weights.len(), model.entries.len());
        let most = best.first().map_or((0, 0), |(_, best)| size(best));
        if size(&model) > most {
            best.clear();
        }
        if size(&model) >= most {
            best.push((class, model));
        }
    }
    if best.iter().skip(1).any(|(_, model)| *model != best[0].1) {
        let names: Vec<&str> = best.iter().map(|(class, _)| class.as_str()).collect();
        return Err(format!("no `architectures`, and its tensors fit {}; add the entry", names.join(" or ")));
    }
    // If none fits, binding reports what is wrong with the first.
    Ok(best.into_iter().next().map(|(class, _)| class).or_else(|| library.classes(file).into_iter().next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::library;
    use serde_json::json;

    const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 8}"#;

    /// The tensors of a class, with their shapes.
    fn tensors(config: &Value, class: &str) -> BTreeMap<String, Vec<u64>> {
        let mut config = config.clone();
        config["architectures"] = json!([class]);
        let model = gristmill_graph::text::bind(&library(), "bert.ron", &config, None).unwrap();
        model.weights.into_iter().map(|w| (w.source, w.shape)).collect()
    }

    fn chosen(config: &Value, tensors: &BTreeMap<String, Vec<u64>>) -> Result<Option<String>, String> {
        let settings = Settings { config, generation: &Value::Null, processors: &Value::Null };
        choose(&library(), "bert.ron", settings, tensors)
    }

    #[test]
    fn without_a_class_the_type_finds_the_file() {
        let file = |config: Value| architecture_file(&config, &library());
        assert_eq!(file(json!({"model_type": "bert"})).unwrap(), "bert.ron");
        assert_eq!(file(json!({"architectures": null, "model_type": "gemma3_text"})).unwrap(), "gemma3.ron");
        assert_eq!(file(json!({"architectures": ["T5Model"], "model_type": "bert"})).unwrap(), "t5.ron");
        let unknown = file(json!({"architectures": [], "model_type": "mamba"})).unwrap_err();
        assert!(unknown.starts_with("no `architectures`, and no shipped architecture supports the `model_type` mamba"));
        assert!(file(json!({})).unwrap_err().contains("no `model_type`"));
        // An unknown class is not treated as another class of its type.
        assert!(file(json!({"architectures": ["BertForX"], "model_type": "bert"})).unwrap_err().contains("BertForX"));
        let twice = library().with_file("other.ron", "Architecture(doc: \"x\", model_types: [\"bert\"])");
        let fault = architecture_file(&json!({"model_type": "bert"}), &twice).unwrap_err();
        assert!(fault.contains("may mean bert.ron, other.ron"), "{fault}");
    }

    #[test]
    fn without_a_class_the_tensors_tell_which_head_there_is() {
        let config: Value = serde_json::from_str(CONFIG).unwrap();
        for class in ["BertModel", "BertForMaskedLM"] {
            let found = chosen(&config, &tensors(&config, class));
            assert_eq!(found, Ok(Some(class.to_string())));
        }
        // With a pooler, which checkpoints of both kinds may have, the head can classify texts or tokens.
        for class in ["BertForSequenceClassification", "BertForTokenClassification"] {
            let either = chosen(&config, &tensors(&config, class)).unwrap_err();
            assert!(either.contains("BertForSequenceClassification or BertForTokenClassification"), "{either}");
        }
        let mut named = config.clone();
        named["architectures"] = json!(["BertModel"]);
        assert_eq!(chosen(&named, &tensors(&config, "BertForMaskedLM")), Ok(None));
        assert_eq!(chosen(&config, &BTreeMap::new()), Ok(Some("BertModel".to_string())));
    }
}
