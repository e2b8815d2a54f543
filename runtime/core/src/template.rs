//! Chat templates: Jinja as Hugging Face uses it.

use std::collections::BTreeMap;

use gristmill_bundle::Bundle;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error as JinjaError, ErrorKind, UndefinedBehavior, context};
use serde::Serialize;

use crate::error::Error;
use crate::strftime::strftime;

const FILE: &str = "tokenizer_config.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
/// Where models that take more than text have it; it goes before that of the tokenizer, which may know text only.
const PROCESSOR_FILE: &str = "chat_template.json";
const NAME: &str = "chat";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, or what the template knows else.
    pub role: String,
    /// The text, with pictures perhaps.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Texts and pictures, for templates that write marks for these.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// A picture, which stands beside the prompt.
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
    /// A message of a role.
    pub fn new(role: impl Into<String>, content: impl Into<Content>) -> Self {
        Message { role: role.into(), content: content.into() }
    }
}

/// The template of a model, ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// Where it was found, for errors.
    file: &'static str,
    /// `bos_token`, `eos_token` and their like.
    special: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// The chat template of a bundle, from `chat_template.jinja`, `chat_template.json` or `tokenizer_config.json`. `None` if the model is
    /// no chat model.
    pub fn from_bundle(bundle: &Bundle) -> Result<Option<Self>, Error> {
        let config = match bundle.has(FILE) {
            true => serde_json::from_slice(&bundle.read(FILE)?).map_err(|e| fault(FILE, e))?,
            false => serde_json::Value::Null,
        };
        let special = special_tokens(&config);
        if bundle.has(TEMPLATE_FILE) {
            return ChatTemplate::new(TEMPLATE_FILE, &bundle.read_text(TEMPLATE_FILE)?, special).map(Some);
        }
        if bundle.has(PROCESSOR_FILE) {
            let own = serde_json::from_slice(&bundle.read(PROCESSOR_FILE)?).map_err(|e| fault(PROCESSOR_FILE, e))?;
            if let Some(source) = template_of(&own) {
                return ChatTemplate::new(PROCESSOR_FILE, source, special).map(Some);
            }
        }
        template_of(&config).map(|source| ChatTemplate::new(FILE, source, special)).transpose()
    }

    /// Compiles a template. `file` names its origin in errors; `special` are variables such as `bos_token`.
    pub fn new(file: &'static str, source: &str, special: BTreeMap<String, String>) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // As in Hugging Face's `_compile_jinja_template`.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", |text: String| -> Result<Value, JinjaError> {
            Err(JinjaError::new(ErrorKind::InvalidOperation, text))
        });
        // A template is code from a model directory; it must not run for ever.
        environment.set_recursion_limit(100);
        environment.add_template_owned(NAME, source.to_string()).map_err(|e| fault(file, chain(&e)))?;
        Ok(ChatTemplate { environment, file, special })
    }

    /// The prompt for a conversation. With `add_generation_prompt` it ends where the assistant begins. `unix_seconds`
    /// is the time (UTC), for templates that mention the date.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        unix_seconds: i64,
    ) -> Result<String, Error> {
        let mut environment = self.environment.clone();
        environment.add_function("strftime_now", move |format: String| strftime(&format, unix_seconds));
        let special = Value::from_serialize(&self.special);
        let variables = context! { messages, add_generation_prompt, ..special };
        let template = environment.get_template(NAME).map_err(|e| fault(self.file, chain(&e)))?;
        template.render(variables).map_err(|e| fault(self.file, chain(&e)))
    }
}

fn fault(file: &str, message: impl std::fmt::Display) -> Error {
    Error::Text { file: file.to_string(), message: format!("chat template: {message}") }
}

/// The message with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        text += &format!(": {e}");
        source = e.source();
    }
    text
}

/// `chat_template` is a text, or a list of named ones of which `default` is meant.
fn template_of(config: &serde_json::Value) -> Option<&str> {
    let entry = &config["chat_template"];
    let named = |list: &'_ Vec<serde_json::Value>| list.iter().position(|t| t["name"] == "default").or(Some(0));
    entry.as_str().or_else(|| {
        let list = entry.as_array()?;
        list.get(named(list)?)?["template"].as_str()
    })
}

/// Texts under keys such as `bos_token`; each is a text or an object with `content`.
fn special_tokens(config: &serde_json::Value) -> BTreeMap<String, String> {
    let text = |v: &serde_json::Value| v.as_str().or_else(|| v["content"].as_str()).map(str::to_string);
    let entries = config.as_object().into_iter().flatten().filter(|(k, _)| k.ends_with("_token"));
    entries.filter_map(|(k, v)| Some((k.clone(), text(v)?))).collect()
}

/// As Python's `json.dumps(.., ensure_ascii=False)`: spaces after `:` and `,`, nothing escaped for HTML.
fn to_json(value: Value, options: Kwargs) -> Result<Value, JinjaError> {
    let indent: Option<usize> = options.get("indent")?;
    // Accepted and without effect here: text is never escaped to ASCII, keys are sorted already.
    let _: (Option<bool>, Option<bool>) = (options.get("ensure_ascii")?, options.get("sort_keys")?);
    options.assert_all_used()?;
    let mut out = Vec::new();
    let written = match indent {
        Some(n) => {
            let indent = " ".repeat(n.min(16));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, PythonFormatter)),
    };
    let fail = |e: &dyn std::fmt::Display| JinjaError::new(ErrorKind::BadSerialization, e.to_string());
    written.map_err(|e| fail(&e))?;
    String::from_utf8(out).map(Value::from_safe_string).map_err(|e| fail(&e))
}

struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, w: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, w: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "\
{%- if messages[0]['role'] != 'system' %}
<|im_start|>system
You are helpful.<|im_end|>
{% endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message['content'].strip() + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}";

    const HEADERS: &str = "\
{% set loop_messages = messages %}
{% for message in loop_messages %}
  {% set content = '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' %}
  {% if loop.index0 == 0 %}
    {% set content = bos_token + content %}
  {% endif %}
{{ content -}}
{% endfor %}
{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}";

    const STRICT: &str = "\
{%- set ns = namespace(system='') -%}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{%- set ns.system = m.content -%}{%- continue -%}{%- endif -%}
  {%- if m.role not in ['user', 'assistant'] -%}
    {{- raise_exception('Unknown role ' ~ m.role) -}}
  {%- endif -%}
  {{- m.role.upper() }}: {% if m.content.startswith('!') %}{{ m.content[1:] | upper }}
  {%- else %}{{ m.content }}{% endif -%}
  {{- eos_token if m.role == 'assistant' else '|' -}}
{%- endfor -%}
[{{ ns.system }}] {{ messages[0] | tojson }} {{ strftime_now('%d %b %Y') }} {{ tools is defined }}";

    fn render(template: &str, messages: &[(&str, &str)], generate: bool) -> Result<String, Error> {
        let special = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(k, v)| (k.to_string(), v.to_string()));
        let template = ChatTemplate::new("x", template, special.into_iter().collect())?;
        let messages: Vec<Message> = messages.iter().map(|(r, c)| Message::new(*r, *c)).collect();
        template.render(&messages, generate, 1_700_000_000)
    }

    #[test]
    fn templates_render_as_in_python() {
        assert_eq!(
            render(CHATML, &[("user", " Hi \n")], true).unwrap(),
            "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            render(HEADERS, &[("system", "Be brief. "), ("user", "1 < 2?")], true).unwrap(),
            "<s><|start|>system<|end|>\n\nBe brief.<|eot|><|start|>user<|end|>\n\n1 < 2?<|eot|>\
             <|start|>assistant<|end|>\n\n"
        );
        assert_eq!(
            render(STRICT, &[("user", "!a\"<é>"), ("assistant", "ok"), ("system", "S")], false).unwrap(),
            "USER: A\"<É>|ASSISTANT: ok</s>[S] {\"role\": \"user\", \"content\": \"!a\\\"<é>\"} 14 Nov 2023 False"
        );
    }

    #[test]
    fn faults_carry_the_words_of_the_template() {
        let text = render(STRICT, &[("tool", "x")], false).unwrap_err().to_string();
        assert!(text.starts_with("x: chat template: ") && text.contains("Unknown role tool"), "{text}");
        let text = render("{% if %}", &[], false).unwrap_err().to_string();
        assert!(text.starts_with("x: chat template: syntax error"), "{text}");
    }

    #[test]
    fn templates_and_tokens_are_found_in_both_forms() {
        let config = serde_json::json!({
            "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null,
            "add_bos_token": true,
            "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}],
        });
        assert_eq!(template_of(&config), Some("d"));
        let special = special_tokens(&config);
        assert_eq!(
            special.into_iter().collect::<Vec<_>>(),
            [("bos_token".to_string(), "<s>".to_string()), ("eos_token".to_string(), "</s>".to_string()),]
        );
        assert_eq!(template_of(&serde_json::json!({"chat_template": "x"})), Some("x"));
        assert_eq!(template_of(&serde_json::Value::Null), None);
    }
}
