//! Chat templates for browsers.

use gristmill_template::{Error, Kind};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Renders the prompt for a conversation; see [`gristmill_template::render_chat`].
///
/// # Errors
/// A string: a letter for the cause (`b` for the bundle, `i` for the input), followed by the message.
#[wasm_bindgen(js_name = renderChat)]
pub fn render_chat(chat: &str, request: &str) -> Result<String, JsValue> {
    gristmill_template::render_chat(chat, request).map_err(|e| fault(&e))
}

/// Checks the syntax of a template.
///
/// # Errors
/// See [`render_chat`].
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
