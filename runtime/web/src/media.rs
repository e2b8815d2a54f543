//! Reads files that browsers decode differently or not at all, and identifies unsupported ones.

use std::io::Read;

use gristmill_runtime::audio::wave;
use gristmill_runtime::file_kind::file_kind;
use js_sys::{Float32Array, Object, Reflect, Uint8Array};
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// The kind of a file with these first bytes, such as `an MP3 file`; undefined if it is unknown.
#[wasm_bindgen(js_name = fileKind)]
pub fn kind(head: &[u8]) -> Option<String> {
    file_kind(head).map(|kind| kind.name.to_string())
}

/// Reads a WAV file: `samples` of one channel, their `rate` per second, and a `warning` if there is one. Undefined if
/// it is another kind of file.
///
/// # Errors
/// If it is a WAV file that is damaged or not supported.
#[wasm_bindgen(js_name = readWave)]
pub fn read_wave(file: &Uint8Array) -> Result<JsValue, JsValue> {
    let mut head = [0; 12];
    let own = file.length().min(12);
    file.subarray(0, own).copy_to(&mut head[..own as usize]);
    if !wave::is_wave(&head[..own as usize]) {
        return Ok(JsValue::UNDEFINED);
    }
    let wave = wave::read(&mut Bytes { file, at: 0 }).map_err(|fault| {
        let plain = json!({ "code": "input", "message": format!("the audio file: {fault}"), "details": {} });
        js_sys::JSON::parse(&plain.to_string()).unwrap_or(JsValue::UNDEFINED)
    })?;
    let read = Object::new();
    let set = |name: &str, value: JsValue| Reflect::set(&read, &JsValue::from_str(name), &value);
    set("samples", Float32Array::from(wave.samples.as_slice()).into())?;
    set("rate", wave.rate.into())?;
    set("warning", wave.warning.map_or(JsValue::NULL, |text| JsValue::from_str(&text)))?;
    Ok(read.into())
}

/// The bytes of a file, which stay in JavaScript: WebAssembly memory can never shrink again.
struct Bytes<'a> {
    file: &'a Uint8Array,
    at: u32,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (self.file.length() - self.at).min(u32::try_from(buffer.len()).unwrap_or(u32::MAX));
        self.file.subarray(self.at, self.at + count).copy_to(&mut buffer[..count as usize]);
        self.at += count;
        Ok(count as usize)
    }
}
