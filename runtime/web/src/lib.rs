//! The runtime for browsers, compiled to WebAssembly.
//!
//! It decides what runs. JavaScript (`ts/`) owns everything that belongs to a page: the network, storage, the device
//! (`gpu.rs`) or the memory of kernels (`cpu.rs`), and tokenizers. [`Runtime`] is the interface for JavaScript. Values
//! other than numbers and bytes are passed as JSON or plain objects, and errors as objects with `code`, `message` and
//! `details` (`error.rs`).

mod cpu;
mod engine;
mod error;
mod files;
mod generate;
mod gpu;
mod info;
mod media;
mod runtime;
mod task;
mod tensors;

pub use media::{kind, read_wave};
pub use runtime::Runtime;

use wasm_bindgen::prelude::wasm_bindgen;

/// The version of the runtime, which equals that of the compiler.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Runs when the module is loaded. Makes panics report their location.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| console_error(&format!("gristmill: {info}"))));
}
