//! `chat_template.json`: the chat templates of a bundle.

use crate::chat::Content;

/// The chat templates of a bundle, resolved at compile time.
#[derive(Clone, Debug, Default)]
pub struct ChatFile {
    /// The templates.
    pub templates: Vec<NamedTemplate>,
    /// Variables that all templates see, such as `bos_token`.
    pub variables: Vec<(String, String)>,
    /// The form of message contents that the templates expect.
    pub content: Content,
    /// Whether the template `tool_use` is used if there are tools, as for tokenizers but not for processors.
    pub by_tools: bool,
}

/// A named template.
#[derive(Clone, Debug)]
pub struct NamedTemplate {
    /// `default`, `tool_use`, ..
    pub name: String,
    /// The file that it comes from, for messages.
    pub file: String,
    /// The source of the template.
    pub source: String,
}

impl ChatFile {
    /// The file for a single template.
    pub fn single(file: &str, source: &str, variables: &[(&str, &str)]) -> Self {
        let template = NamedTemplate { name: "default".into(), file: file.into(), source: source.into() };
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        ChatFile { templates: vec![template], variables, ..ChatFile::default() }
    }

    /// The variables, as a JSON object.
    pub fn variables_json(&self) -> String {
        object(self.variables.iter().map(|(name, value)| (name.as_str(), quoted(value))))
    }

    /// The content of `chat_template.json`.
    pub fn json(&self) -> String {
        let template = |t: &NamedTemplate| {
            object([("name", quoted(&t.name)), ("file", quoted(&t.file)), ("source", quoted(&t.source))].into_iter())
        };
        let templates: Vec<String> = self.templates.iter().map(template).collect();
        let entries = [
            ("templates", ["[", &templates.join(", "), "]"].concat()),
            ("variables", self.variables_json()),
            ("content", quoted(self.content.name())),
            ("by_tools", self.by_tools.to_string()),
        ];
        object(entries.into_iter()) + "\n"
    }
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let entries: Vec<String> = entries.map(|(key, value)| [&quoted(key), ": ", &value].concat()).collect();
    ["{", &entries.join(", "), "}"].concat()
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    crate::json::quote(&mut out, text, false);
    out
}
