//! Chat templates: from a conversation to a prompt, as by `apply_chat_template` of transformers.

use gristmill_bundle::Bundle;
use gristmill_template::{ChatFile, check, render_chat};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::task::ImageText;

/// The file of a bundle with all templates, resolved when the bundle was compiled.
const FILE: &str = "chat_template.json";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, or another role that the template knows.
    pub role: String,
    /// The content: text, possibly with images.
    pub content: Content,
    /// Further entries for the template, such as `tool_calls`: names, and values as JSON.
    pub more: Vec<(String, String)>,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Texts and images, for templates that write placeholders for images.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// An image, which is passed separately.
    Image,
    /// A text.
    Text {
        /// The text.
        text: String,
    },
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Text(text.to_string())
    }
}

impl Message {
    /// A message of text.
    pub fn new(role: impl Into<String>, content: impl Into<Content>) -> Self {
        Message { role: role.into(), content: content.into(), more: Vec::new() }
    }

    /// A message with this many images before the text.
    pub fn about_images(role: impl Into<String>, images: usize, text: impl Into<String>) -> Self {
        let text = text.into();
        if images == 0 {
            return Message::new(role, text);
        }
        let parts = std::iter::repeat_n(Part::Image, images).chain([Part::Text { text }]);
        Message::new(role, Content::Parts(parts.collect()))
    }

    fn json(&self) -> String {
        let own = [("role", Value::from(self.role.as_str()).to_string()), ("content", json(&self.content))];
        let more = self.more.iter().map(|(name, value)| (name.as_str(), value.clone()));
        object(own.into_iter().chain(more))
    }
}

/// The arguments of a template besides the conversation.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    /// Tools that the model may call: a JSON list of schemas.
    pub tools: Option<String>,
    /// Documents that the model may use: a JSON list of objects.
    pub documents: Option<String>,
    /// Whether the prompt ends with the beginning of an answer of the assistant (`add_generation_prompt`).
    pub add_generation_prompt: bool,
    /// Whether the last message stays open, so that the model continues it (`continue_final_message`).
    pub continue_final_message: bool,
    /// The name of a template; by default, the one for this conversation.
    pub template: Option<String>,
    /// The text of an image in the prompt, which [`crate::prompter::Prompter`] sets. Without it, only the template
    /// handles images.
    pub image: Option<ImageText>,
    /// The time (UTC) in seconds since 1970, for templates that mention the date.
    pub unix_seconds: i64,
}

impl ChatOptions {
    /// The options for an answer of the assistant.
    pub fn answer(unix_seconds: i64) -> Self {
        ChatOptions {
            tools: None,
            documents: None,
            add_generation_prompt: true,
            continue_final_message: false,
            template: None,
            image: None,
            unix_seconds,
        }
    }
}

/// The templates of a model, ready to render.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    /// The content of the file in the bundle.
    chat: String,
}

impl ChatTemplate {
    /// The chat templates of a bundle; `None` if it has none.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn from_bundle(bundle: &Bundle) -> Result<Option<Self>, Error> {
        if !bundle.has(FILE) {
            return Ok(None);
        }
        Ok(Some(ChatTemplate { chat: bundle.read_text(FILE)? }))
    }

    /// A single template. `file` is its name in errors; `variables` are those such as `bos_token`.
    ///
    /// # Errors
    /// If it cannot be parsed.
    pub fn new(file: &str, source: &str, variables: &[(&str, &str)]) -> Result<Self, Error> {
        check(file, source).map_err(fault)?;
        Ok(ChatTemplate { chat: ChatFile::single(file, source, variables).json() })
    }

    /// The prompt for a conversation.
    ///
    /// # Errors
    /// If the template rejects the conversation, cannot be parsed, or exceeds its limit of work.
    pub fn render(&self, messages: &[Message], options: &ChatOptions) -> Result<String, Error> {
        let messages: Vec<String> = messages.iter().map(Message::json).collect();
        let mut request = vec![
            ("messages", ["[", &messages.join(","), "]"].concat()),
            ("add_generation_prompt", options.add_generation_prompt.to_string()),
            ("continue_final_message", options.continue_final_message.to_string()),
            ("now", options.unix_seconds.to_string()),
        ];
        request.extend(options.tools.iter().map(|tools| ("tools", tools.clone())));
        request.extend(options.documents.iter().map(|documents| ("documents", documents.clone())));
        request.extend(options.template.iter().map(|name| ("chat_template", Value::from(name.as_str()).to_string())));
        // Serializing strings cannot fail.
        let image = options.image.as_ref().map(|image| serde_json::to_string(image).unwrap_or_default());
        request.extend(image.map(|image| ("image", image)));
        render_chat(&self.chat, &object(request.into_iter())).map_err(fault)
    }
}

/// Written by hand, because the order of entries matters and the values are JSON already.
fn object<'a>(entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let entries: Vec<String> = entries.map(|(key, value)| format!("{}:{value}", Value::from(key))).collect();
    ["{", &entries.join(","), "}"].concat()
}

fn json(content: &Content) -> String {
    // Serializing texts and parts cannot fail.
    serde_json::to_string(content).unwrap_or_default()
}

fn fault(error: gristmill_template::Error) -> Error {
    let mut place = error.file.clone();
    if error.line > 0 {
        place += &format!(":{}", error.line);
    }
    let file = if place.is_empty() { FILE.to_string() } else { place };
    Error::Text { file, message: format!("chat template: {}", error.message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_message_says_reaches_the_template() {
        let source = "{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ m.tool_calls | tojson }};{% endfor %}\
                      {{ tools | tojson }}{{ documents is none }}{{ bos_token }}{{ add_generation_prompt }}";
        let template = ChatTemplate::new("x", source, &[("bos_token", "<s>")]).unwrap();
        let mut message = Message::new("assistant", "Hi");
        message.more.push(("tool_calls".into(), r#"[{"name": "b", "arguments": {"z": 1, "a": 2.0}}]"#.into()));
        let options = ChatOptions { tools: Some(r#"[{"z": 1, "a": null}]"#.into()), ..ChatOptions::answer(0) };
        assert_eq!(
            template.render(&[message], &options).unwrap(),
            r#"assistant:Hi:[{"name": "b", "arguments": {"z": 1, "a": 2.0}}];[{"z": 1, "a": null}]True<s>True"#
        );
    }

    /// A template of an image processor: contents are parts.
    const PARTS: &str = "{% for m in messages %}{{ m['role'] | upper }}: \
        {% for c in m['content'] | selectattr('type', 'equalto', 'image') %}<image> {% endfor %}\
        {% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] }} {% endfor %}{% endfor %}";

    #[test]
    fn contents_have_the_form_that_the_template_reads() {
        let about = |images: usize, text: &str| Message::about_images("user", images, text);
        let image = Some(ImageText { placeholder: "<image>\n".to_string(), token: "<image>".to_string() });
        let options = ChatOptions { image, ..ChatOptions::answer(0) };
        let conversation = [
            about(1, "What is it?"),
            Message::new("assistant", "A cat."),
            Message::new("user", "Why?"),
            about(2, "And?"),
        ];
        let texts = "{% for m in messages %}{{ m.role | upper }}: {{ m.content }} {% endfor %}";
        let blind = "{% for m in messages %}{{ m.role | upper }}: {% if m.content is string %}{{ m.content }}\
            {% else %}{{ m.content[-1].text }}{% endif %} {% endfor %}";
        for (source, content, expected) in [
            (PARTS, "parts", "USER: <image> What is it? ASSISTANT: A cat. USER: Why? USER: <image> <image> And? "),
            (texts, "text", "USER: <image>\nWhat is it? ASSISTANT: A cat. USER: Why? USER: <image>\n<image>\nAnd? "),
            (blind, "any", "USER: <image>\nWhat is it? ASSISTANT: A cat. USER: Why? USER: <image>\n<image>\nAnd? "),
        ] {
            let found = gristmill_template::content_of("x", source, "{}").unwrap();
            assert_eq!(found.name(), content, "{source}");
            let template =
                ChatTemplate { chat: ChatFile { content: found, ..ChatFile::single("x", source, &[]) }.json() };
            assert_eq!(template.render(&conversation, &options).unwrap(), expected, "{source}");
            let own = template.render(&[about(1, "<image> or this?")], &options).unwrap();
            assert_eq!(own.matches("<image>").count(), 2, "{own}");
            assert_eq!(own.contains('\n'), content != "parts", "the template places what it can: {own}");
            let without = template.render(&conversation[1..3], &options).unwrap();
            assert_eq!(without, "ASSISTANT: A cat. USER: Why? ", "{source}");
        }
    }

    #[test]
    fn the_last_message_is_left_open() {
        let source = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>{% endfor %}";
        let template = ChatTemplate::new("x", source, &[]).unwrap();
        let options =
            ChatOptions { continue_final_message: true, add_generation_prompt: false, ..ChatOptions::answer(0) };
        let messages = [Message::new("user", "Say a."), Message::new("assistant", "A, ")];
        assert_eq!(template.render(&messages, &options).unwrap(), "<user>Say a.</s><assistant>A,");
    }

    #[test]
    fn faults_carry_the_words_of_the_template() {
        let refuse = "\n{{ raise_exception('Unknown role ' ~ messages[0].role) }}";
        let template = ChatTemplate::new("chat_template.jinja", refuse, &[]).unwrap();
        let refused = template.render(&[Message::new("tool", "x")], &ChatOptions::answer(0)).unwrap_err().to_string();
        assert_eq!(refused, "chat_template.jinja:2: chat template: Unknown role tool");
        let wrong = ChatTemplate::new("x", "{% if %}", &[]).unwrap_err().to_string();
        assert!(wrong.starts_with("x:1: chat template: Expected an expression"), "{wrong}");
    }
}
