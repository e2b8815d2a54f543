//! The runtime for browsers, compiled to WebAssembly. `ts/` drives it; see `docs/javascript.md` for what users see.

use wasm_bindgen::prelude::wasm_bindgen;

/// The version of the runtime, which is that of the compiler.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}
