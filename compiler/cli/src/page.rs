//! The page and the browser runtime, embedded when this program was built.

use gristmill_compiler::PageFile;

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The warning for a browser bundle without them.
pub(crate) const MISSING: &str = "warning: the bundle has neither a page nor the browser runtime, because this \
    gristmill was built without them; `cargo xtask demo MODEL_DIR` in the source tree builds them, compiles the model \
    and serves it";

/// All embedded files, with their paths in a bundle; empty if this program was built without them.
pub(crate) fn files() -> Vec<PageFile> {
    FILES.iter().map(|(path, content)| PageFile { path: (*path).into(), content: (*content).into() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_or_absent() {
        let files = files();
        let has = |path: &str| files.iter().any(|f| f.path == path);
        for path in [
            "index.html",
            "sw.js",
            "runtime/gristmill.js",
            "runtime/engine.js",
            "runtime/gristmill_web_bg.wasm",
            "runtime/manifest.webmanifest",
            "runtime/icon.svg",
            "runtime/icon-192.png",
            "runtime/example.png",
        ] {
            assert_eq!(has(path), !files.is_empty(), "{path}");
        }
        assert!(!has("runtime/sizes.json"));
    }
}
