//! Chat templates: Jinja2 as transformers configures it, with Python's values.
//!
//! The same engine is used everywhere: as a library in native programs, and as WebAssembly in pages. Tests in
//! `tests/fixtures/chat` compare it with jinja2 itself. Unsupported features are rejected by name: bytes, integers of
//! more than 63 bits, character names (`\N{..}`), links for web pages, and anything non-deterministic.
//!
//! Templates are untrusted code. Lists and dicts cannot be modified, as in the sandbox of transformers, and the work of
//! a rendering is bounded: steps, bytes, nesting ([`MAX_STEPS`], [`MAX_BYTES`], [`MAX_TEXT`], [`MAX_NESTING`]).
//!
//! # Example
//!
//! ```
//! let template = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\n{% endfor %}\
//!                 {% if add_generation_prompt %}<assistant>{% endif %}";
//! let variables = r#"{"messages": [{"role": "user", "content": " Hello! "}], "add_generation_prompt": true}"#;
//! let prompt = gristmill_template::render("chat_template.jinja", template, variables, 0).unwrap();
//! assert_eq!(prompt, "<user>Hello!\n<assistant>");
//! ```
//!
//! [`render_chat`] renders a conversation with the templates of a bundle.

mod ast;
mod attr;
mod budget;
mod chat;
mod clock;
mod compare;
mod eval;
mod expr;
mod fault;
mod file;
mod filters;
mod format;
mod html;
mod interp;
mod json;
mod lexer;
mod number;
mod ops;
mod parser;
mod platform;
mod repr;
mod template;
mod tests;
mod text;
mod undefined;
mod unicode;
mod value;

pub use chat::{Content, check, content_of, render_chat};
pub use fault::{Error, Kind, MAX_BYTES, MAX_NESTING, MAX_STEPS, MAX_TEXT};
pub use file::{ChatFile, NamedTemplate};

use template::{Template, object, with_stack};

/// Renders a template with the variables in a JSON object. `file` is its name for messages, and `now` the time in
/// seconds since 1970, UTC.
///
/// # Errors
/// If the template cannot be parsed or rendered, or `variables` is not a JSON object.
pub fn render(file: &str, source: &str, variables: &str, now: i64) -> Result<String, Error> {
    with_stack(|| {
        let variables = object(variables).map_err(|fault| fault.at("", 0))?;
        Template::parse(file, source)?.render(variables, now)
    })
}

#[cfg(test)]
mod held {
    //! Compares with recorded results of `apply_chat_template`, as the tests of the page do, and tests the limits.

    use super::*;
    use crate::budget::Budget;
    use crate::value::{Dict, Value};

    fn entry<'a>(dict: &'a Dict, key: &str) -> &'a Value {
        dict.get_str(key).unwrap_or_else(|| panic!("no {key}"))
    }

    fn dict(value: &Value) -> &Dict {
        let Value::Dict(dict) = value else { panic!("no object: {value:?}") };
        dict
    }

    fn text(value: &Value) -> &str {
        let Value::Str(s) = value else { panic!("no text: {value:?}") };
        &s.text
    }

    #[test]
    fn texts_are_those_of_transformers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/test/fixtures/templates.json");
        let fixture = json::parse(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON");
        let fixture = dict(&fixture);
        let budget = Budget::new();
        let dump = |value: &Value| json::dump(&budget, value, &json::Style::default()).expect("JSON");
        let tokens: Vec<(&str, &str)> =
            dict(entry(fixture, "tokens")).entries.iter().map(|(k, v)| (text(k), text(v))).collect();
        let Value::List(rows) = entry(fixture, "rows") else { panic!("no rows") };
        assert!(rows.items.len() >= 160, "{} rows", rows.items.len());
        for row in &rows.items {
            let row = dict(row);
            let (name, conversation) = (text(entry(row, "template")), text(entry(row, "conversation")));
            let source = text(entry(dict(entry(fixture, "templates")), name));
            let request = dict(entry(dict(entry(fixture, "conversations")), conversation));
            let request = request.entries.iter().cloned().chain([(Value::str("now"), entry(fixture, "now").clone())]);
            let request = dump(&Value::Dict(Dict::new(request).expect("keys")));
            let found = render_chat(&ChatFile::single("x", source, &tokens).json(), &request);
            match (row.get_str("text"), found) {
                (Some(expect), Ok(found)) => assert_eq!(found, text(expect), "{name}, {conversation}"),
                (None, Err(found)) => {
                    let words = text(entry(row, "error")).split_once(": ").expect("a name in front").1;
                    // The end of long messages is gristmill's own.
                    let words: String = words.chars().take(60).collect();
                    assert!(found.to_string().contains(&words), "{name}, {conversation}: {found}, not {words}");
                }
                (expect, found) => panic!("{name}, {conversation}: {found:?}, not {expect:?}"),
            }
        }
    }

    #[test]
    fn work_is_bounded() {
        let deep =
            |open: &str, close: &str| ["{{ ", &open.repeat(100_000), "1", &close.repeat(100_000), " }}"].concat();
        let loops = "{% for a in range(100000) %}".repeat(3) + &"{% endfor %}".repeat(3);
        let cases = [
            (loops.as_str(), "the limit"),
            (
                "{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                "bytes",
            ),
            ("{{ '%10000000000d' | format(1) }}", "bytes"),
            ("{{ 'a'.center(10 ** 12) }}{{ 'a' * 10 ** 12 }}", "bytes"),
            ("{{ [1] | batch(10000000000, 0) | list }}", "bytes"),
            // Each character is inspected, which is slow in a page outside of ASCII, so it costs steps.
            ("{% set x = 'İ' * 999999 %}{% for i in range(10) %}{{ x.casefold() | length }}{% endfor %}", "steps"),
            ("{{ ('ﬃ' * 9999999) | unique | list }}", "the limit"),
            ("{{ ('ﬃ' * 9999999) | join | tojson }}", "bytes"),
            ("{{ 'a' | indent(10 ** 12) }}", "bytes"),
            ("{{ ('a' * 10000).replace('', 'b' * 10000) }}", "bytes"),
            ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "200 deep"),
            ("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}", "200 deep"),
            ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "deep"),
            (&deep("(", ")"), "100 deep"),
            (&deep("not ", ""), "100 deep"),
            (&deep("-", ""), "100 deep"),
            (&deep("", "+1"), "200 deep"),
            (&deep("", ".b"), "200 deep"),
            (&"{% if 1 %}".repeat(100_000), "100 deep"),
        ];
        for (source, words) in cases {
            let found = render("x", source, "{}", 0).expect_err(&source[..source.len().min(60)]);
            assert!(
                found.kind == Kind::Limit && found.message.contains(words),
                "{}: {found}",
                &source[..source.len().min(60)]
            );
        }
        assert_eq!(render("x", "{{ 'aaaa'.count('') }}", "{}", 0).expect("a text"), "5");
        // The time of neither grows with the square of the length.
        let sigmas = render("x", "{{ ('Σ' * 19998).title() }}", "{}", 0).expect("a text");
        assert!(sigmas.starts_with("Σσσ") && sigmas.ends_with("σσς"), "{}", &sigmas[sigmas.len() - 10..]);
        assert_eq!(render("x", "{{ ('&' * 199998) | striptags | length }}", "{}", 0).expect("a text"), "199998");
    }
}
