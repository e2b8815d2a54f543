//! Files of the bundle, which JavaScript fetches and verifies.

use gristmill_runtime::backend::Pending;
use gristmill_runtime::gpu::Files;
use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;

use crate::error::from_js;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone, Debug)]
    /// `RuntimeFiles` of `ts/runtime.ts`.
    pub type JsFiles;

    /// The verified text of a file in the bundle.
    #[wasm_bindgen(method)]
    fn text(this: &JsFiles, path: &str) -> Promise;
}

impl Files for JsFiles {
    fn text<'a>(&'a self, path: &'a str) -> Pending<'a, String> {
        Box::pin(async move {
            let text = JsFuture::from(JsFiles::text(self, path)).await.map_err(from_js)?;
            Ok(text.as_string().unwrap_or_default())
        })
    }
}
