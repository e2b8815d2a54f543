//! The objects with functions that the caller passes, as declared in `types.ts`.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.ts");

#[wasm_bindgen]
extern "C" {
    /// `ModelFiles` of `types.ts`.
    #[wasm_bindgen(typescript_type = "ModelFiles")]
    pub type ModelFiles;
    /// `BundleFiles` of `types.ts`.
    #[wasm_bindgen(typescript_type = "BundleFiles")]
    pub type BundleFiles;
    /// `CompileProgress` of `types.ts`.
    #[wasm_bindgen(typescript_type = "CompileProgress")]
    pub type CompileProgress;

    #[wasm_bindgen(method, structural, catch)]
    pub(crate) fn stage(this: &CompileProgress, name: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    pub(crate) fn bytes(this: &CompileProgress, done: f64, total: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    pub(crate) fn warning(this: &CompileProgress, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, structural, catch)]
    pub(crate) fn note(this: &CompileProgress, text: &str) -> Result<(), JsValue>;
}
