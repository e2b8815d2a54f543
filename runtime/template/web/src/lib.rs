//! Chat templates for browsers.

use gristmill_template::{Error, Kind};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// The prompt for a conversation: see [`gristmill_template::render_chat`].
///
/// # Errors
/// A text: a letter for who is at fault (`b` the bundle, `i` the input), and the message.
#[wasm_bindgen(js_name = renderChat)]
pub fn render_chat(chat: &str, request: &str) -> Result<String, JsValue> {
    gristmill_template::render_chat(chat, request).map_err(|e| fault(&e))
}

/// Parses a template.
///
/// # Errors
/// As [`render_chat`].
#[wasm_bindgen(js_name = checkTemplate)]
pub fn check(file: &str, source: &str) -> Result<(), JsValue> {
    gristmill_template::check(file, source).map_err(|e| fault(&e))
}

fn fault(error: &Error) -> JsValue {
    let who = match error.kind {
        Kind::Template | Kind::Limit => "b",
        Kind::Raised | Kind::Input => "i",
    };
    JsValue::from_str(&[who, &error.to_string()].concat())
}
