//! Converts errors between Rust and JavaScript.

use gristmill_bundle::Error as BundleError;
use gristmill_runtime::Error;
use js_sys::{JSON, Object, Reflect};
use serde_json::json;
use wasm_bindgen::JsValue;

/// The code of an error in `ts/errors.ts`, and its details.
fn classify(error: &Error) -> (&str, serde_json::Value) {
    let none = || json!({});
    match error {
        Error::Bundle(BundleError::Integrity { file, .. }) => ("integrity", json!({ "file": file })),
        Error::Bundle(_) => ("bundle", none()),
        Error::Text { file, .. } => ("bundle", json!({ "file": file })),
        Error::UnknownEntry { .. } | Error::Input { .. } | Error::Range { .. } | Error::UnknownOutput { .. } => {
            ("input", none())
        }
        Error::Context { wanted, capacity, .. } => {
            ("input", json!({ "limit": "maxContext", "needed": wanted, "offered": capacity }))
        }
        Error::Unsupported(_) => ("unsupported", none()),
        Error::NoAdapter(_) => ("no-webgpu", none()),
        Error::Limit { what, needed, limit, name, .. } => {
            ("limit", json!({ "what": what, "limit": name, "needed": needed, "offered": limit }))
        }
        Error::OutOfMemory { what, bytes, .. } => ("out-of-memory", json!({ "what": what, "needed": bytes })),
        Error::DeviceLost(_) => ("device-lost", none()),
        Error::Device { .. } | Error::Backend(_) | Error::TooLong { .. } | Error::Stopped => ("internal", none()),
        Error::Host { code, details, .. } => (code, serde_json::from_str(details).unwrap_or_default()),
    }
}

/// Converts an error for JavaScript.
pub(crate) fn to_js(error: &Error) -> JsValue {
    let (code, details) = classify(error);
    let plain = json!({ "code": code, "message": error.to_string(), "details": details });
    JSON::parse(&plain.to_string()).unwrap_or_else(|_| JsValue::from_str(&error.to_string()))
}

/// Converts what JavaScript threw: an object with `code`, or anything else.
pub(crate) fn from_js(thrown: JsValue) -> Error {
    let field = |name: &str| Reflect::get(&thrown, &JsValue::from_str(name)).ok().filter(|v| !v.is_undefined());
    let text = |name: &str| field(name).and_then(|v| v.as_string());
    let message = text("message").unwrap_or_else(|| String::from(Object::from(thrown.clone()).to_string()));
    match text("code") {
        Some(code) if code == "device-lost" => Error::DeviceLost(message),
        Some(code) => {
            let details = field("details").and_then(|d| JSON::stringify(&d).ok()).map(String::from);
            Error::Host { code, message, details: details.unwrap_or_default() }
        }
        None => Error::Backend(message),
    }
}
