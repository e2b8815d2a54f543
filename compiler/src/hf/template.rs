//! The chat templates of a model directory, resolved once: which templates exist, which file they come from, and the
//! variables that they see. Follows `AutoTokenizer` and the processors of transformers 5.24.

use gristmill_template::{ChatFile, Content, NamedTemplate, check, content_of};
use serde_json::Value;

use super::files::Files;
use crate::error::CompileError;

/// The file in a bundle.
pub(crate) const FILE: &str = "chat_template.json";
/// The folder with further templates.
pub(crate) const FOLDER: &str = "additional_chat_templates";

const JINJA: &str = "chat_template.jinja";
/// The file of older processors. It is not the bundle's file of the same name.
const PROCESSOR_JSON: &str = "chat_template.json";
const PROCESSOR: &str = "processor_config.json";
const TOKENIZER: &str = "tokenizer_config.json";
const DEFAULT: &str = "default";

/// The content of the bundle's file, if the model has a chat template. A template that cannot be parsed is kept, with a
/// warning: only chats fail, with its message, and everything else works. `special` are the special tokens by name.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn chat_file(
    files: &Files,
    special: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<Option<String>, CompileError> {
    let tokenizer = files.json(TOKENIZER)?.unwrap_or(Value::Null);
    let mut chat = find(files, &tokenizer, warnings)?;
    if chat.templates.is_empty() {
        return Ok(None);
    }
    chat.variables = special.to_vec();
    for template in &chat.templates {
        if let Err(e) = check(&template.file, &template.source) {
            warnings.push(format!("{e}: the chat template `{}` cannot be used", template.name));
        }
    }
    if let Some(default) = chat.templates.iter().find(|t| t.name == DEFAULT) {
        chat.content = content_of(&default.file, &default.source, &chat.variables_json()).unwrap_or(Content::Any);
    }
    Ok(Some(chat.json()))
}

/// All templates by their reader. Processors take precedence over tokenizers, whose templates may support only text.
fn find(files: &Files, tokenizer: &Value, warnings: &mut Vec<String>) -> Result<ChatFile, CompileError> {
    let mut found = jinja(files)?;
    let legacy = files.json(PROCESSOR_JSON)?.unwrap_or(Value::Null);
    let processor = files.json(PROCESSOR)?.unwrap_or(Value::Null);
    let has_processor = !processor.is_null() || files.read("preprocessor_config.json")?.is_some();
    if has_processor {
        for (file, config) in [(PROCESSOR, &processor), (PROCESSOR_JSON, &legacy)] {
            let own = named(file, config, warnings);
            if !own.is_empty() {
                return Ok(ChatFile { templates: own, ..ChatFile::default() });
            }
        }
        if !found.is_empty() {
            return Ok(ChatFile { templates: found, ..ChatFile::default() });
        }
    }
    for (file, config) in [(TOKENIZER, tokenizer), (PROCESSOR_JSON, &legacy)] {
        if found.is_empty() {
            found = named(file, config, warnings);
        }
    }
    Ok(ChatFile { templates: found, by_tools: true, ..ChatFile::default() })
}

/// `chat_template.jinja`, and the files in the folder.
fn jinja(files: &Files) -> Result<Vec<NamedTemplate>, CompileError> {
    let mut found = Vec::new();
    let mut add = |name: &str, file: String| -> Result<(), CompileError> {
        if let Some(bytes) = files.read(&file)? {
            let Ok(source) = String::from_utf8(bytes) else {
                return Err(CompileError::Config(format!("{file}: not UTF-8")));
            };
            found.retain(|t: &NamedTemplate| t.name != name);
            found.push(NamedTemplate { name: name.to_string(), file, source });
        }
        Ok(())
    };
    add(DEFAULT, JINJA.to_string())?;
    for name in files.list(FOLDER)? {
        if let Some(stem) = name.strip_suffix(".jinja") {
            add(stem, format!("{FOLDER}/{name}"))?;
        }
    }
    Ok(found)
}

/// `chat_template` of a JSON file: a string, or named templates as a list or an object.
fn named(file: &str, config: &Value, warnings: &mut Vec<String>) -> Vec<NamedTemplate> {
    let template =
        |name: &str, source: &str| NamedTemplate { name: name.into(), file: file.into(), source: source.into() };
    let entry = &config["chat_template"];
    let found: Option<Vec<NamedTemplate>> = match entry {
        Value::Null => Some(Vec::new()),
        Value::String(source) => Some(vec![template(DEFAULT, source)]),
        Value::Array(list) => {
            list.iter().map(|t| Some(template(t["name"].as_str()?, t["template"].as_str()?))).collect()
        }
        Value::Object(all) => all.iter().map(|(name, source)| Some(template(name, source.as_str()?))).collect(),
        Value::Bool(_) | Value::Number(_) => None,
    };
    found.unwrap_or_else(|| {
        warnings.push(format!(
            "{file}: `chat_template` is neither a text nor a list of objects with `name` and `template`; ignoring it"
        ));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn chat(files: &[(&'static str, Value)]) -> (Option<Value>, Vec<String>) {
        let bytes = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string).into_bytes();
        let files = files.iter().map(|(name, v)| (*name, bytes(v))).collect();
        let mut warnings = Vec::new();
        let special = [("bos_token".to_string(), "<s>".to_string())];
        let made = chat_file(&Files::in_memory(Path::new("x"), files), &special, &mut warnings).unwrap();
        (made.map(|text| serde_json::from_str(&text).unwrap()), warnings)
    }

    fn sources(chat: &Value) -> Vec<(&str, &str, &str)> {
        let text = |t: &'_ Value, key: &str| t[key].as_str().unwrap().to_string().leak() as &str;
        let all = chat["templates"].as_array().unwrap();
        all.iter().map(|t| (text(t, "name"), text(t, "file"), text(t, "source"))).collect()
    }

    #[test]
    fn templates_are_found_as_transformers_finds_them() {
        let named =
            json!({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]});
        let (made, _) = chat(&[("tokenizer_config.json", named.clone())]);
        let both = [("tool_use", TOKENIZER, "t"), ("default", TOKENIZER, "d")];
        assert_eq!(sources(&made.unwrap()), both);
        // Files take precedence over entries, as a whole.
        let more = ("additional_chat_templates/rag.jinja", json!("r"));
        let (made, _) = chat(&[("tokenizer_config.json", named), (JINJA, json!("j")), more]);
        let made = made.unwrap();
        assert_eq!(sources(&made), [("default", JINJA, "j"), ("rag", "additional_chat_templates/rag.jinja", "r")]);
        assert_eq!((&made["by_tools"], &made["variables"]), (&json!(true), &json!({"bos_token": "<s>"})));
        // Processors have templates of their own, and do not choose one by tools.
        let files = [
            (JINJA, json!("j")),
            (PROCESSOR_JSON, json!({"chat_template": "p"})),
            ("preprocessor_config.json", json!({})),
        ];
        let made = chat(&files).0.unwrap();
        assert_eq!((sources(&made), &made["by_tools"]), (vec![("default", PROCESSOR_JSON, "p")], &json!(false)));
        assert_eq!(sources(&chat(&files[..2]).0.unwrap()), [("default", JINJA, "j")]);
        assert_eq!(chat(&[("tokenizer_config.json", json!({}))]).0, None);
    }

    #[test]
    fn what_is_wrong_is_warned_of() {
        let (made, warnings) = chat(&[(JINJA, json!("a\n{% if %}"))]);
        assert!(made.is_some());
        assert!(warnings[0].starts_with("chat_template.jinja:2: Expected an expression"), "{warnings:?}");
        let (made, warnings) = chat(&[("tokenizer_config.json", json!({"chat_template": 1}))]);
        assert_eq!((made, warnings.len()), (None, 1));
    }

    #[test]
    fn what_contents_must_be_is_found() {
        let content = |template: &str| chat(&[(JINJA, json!(template))]).0.unwrap()["content"].clone();
        assert_eq!(content("{% for m in messages %}{{ m.content }}{% endfor %}"), "text");
        let parts = "{% for m in messages %}{% for p in m.content | selectattr('type', 'equalto', 'text') %}\
                     {{ p.text }}{% endfor %}{% endfor %}";
        assert_eq!(content(parts), "parts");
        let both = "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}\
                    {% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}";
        assert_eq!(content(both), "any");
    }
}
