//! Measures what browsers download, attributes it to sources, and enforces a budget.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::command::Outcome;
use crate::js::{Bundled, is_of_page};
use crate::licences::package_of;
use crate::place::{Place, at, list, write};
use crate::runtime::STAMP;

/// Maximum size of the runtime after `gzip -9`: WebAssembly, scripts, tokenizer and chat templates. The page is
/// measured, but not limited.
const BUDGET: u64 = 510_000;

/// The size of a file, uncompressed and compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) raw: u64,
    pub(crate) gzip: u64,
}

impl Size {
    /// Measures a file.
    pub(crate) fn of(content: &[u8]) -> Outcome<Self> {
        Ok(Size { raw: content.len() as u64, gzip: gzip(content)? })
    }
}

/// The sizes of all files of a build, and what they consist of.
pub(crate) struct Sizes {
    files: BTreeMap<String, Size>,
    /// Compressed bytes of the runtime, by origin.
    parts: BTreeMap<String, u64>,
}

/// Measures a build, and writes the numbers into it.
pub(crate) fn measure(place: &Place, bundled: &Bundled) -> Outcome<Sizes> {
    let mut files = BTreeMap::new();
    for path in list(&place.stage)?.into_iter().filter(|p| p.is_file()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content = fs::read(&path).map_err(|e| at(&path, &e))?;
        if is_downloaded(&name) {
            files.insert(name, Size::of(&content)?);
        }
    }
    let sizes = Sizes { parts: attribute(&files, bundled), files };
    write(&place.stage.join(STAMP), format!("{:#}\n", sizes.json()))?;
    Ok(sizes)
}

/// Licences are there to be read, not loaded.
fn is_downloaded(name: &str) -> bool {
    !name.ends_with(".txt")
}

fn is_runtime(name: &str) -> bool {
    name.ends_with(".wasm") || (name.ends_with(".js") && !is_of_page(name))
}

/// Bytes after `gzip -9`.
fn gzip(content: &[u8]) -> Outcome<u64> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let done = encoder.write_all(content).and_then(|()| encoder.finish());
    done.map(|bytes| bytes.len() as u64).map_err(|e| format!("gzip: {e}"))
}

/// The part of the runtime that a source belongs to.
fn part_of(source: &str) -> String {
    match package_of(source) {
        Some(package) => package,
        None if source.starts_with("pkg/template/") => "chat templates".to_string(),
        None if source.starts_with("pkg/") => "bindings of the WebAssembly".to_string(),
        None => "scripts".to_string(),
    }
}

/// Divides the compressed bytes of each script among its sources, in proportion to their uncompressed sizes.
fn attribute(files: &BTreeMap<String, Size>, bundled: &Bundled) -> BTreeMap<String, u64> {
    let mut parts = BTreeMap::new();
    for (name, size) in files.iter().filter(|(name, _)| is_runtime(name)) {
        let Some(sources) = bundled.get(name) else {
            *parts.entry("WebAssembly".to_string()).or_default() += size.gzip;
            continue;
        };
        // What esbuild adds to join them counts as our own.
        let mut rest = size.gzip;
        for (source, bytes) in sources {
            let share = (size.gzip * bytes).checked_div(size.raw).unwrap_or(0).min(rest);
            *parts.entry(part_of(source)).or_default() += share;
            rest -= share;
        }
        *parts.entry("scripts".to_string()).or_default() += rest;
    }
    parts
}

impl Sizes {
    fn total(&self, runtime: bool) -> Size {
        let chosen = self.files.iter().filter(|(name, _)| is_runtime(name) == runtime).map(|(_, size)| size);
        chosen.fold(Size { raw: 0, gzip: 0 }, |sum, s| Size { raw: sum.raw + s.raw, gzip: sum.gzip + s.gzip })
    }

    fn json(&self) -> serde_json::Value {
        let size = |s: &Size| json!({"raw": s.raw, "gzip": s.gzip});
        let files: BTreeMap<&String, serde_json::Value> = self.files.iter().map(|(n, s)| (n, size(s))).collect();
        let (runtime, page) = (size(&self.total(true)), size(&self.total(false)));
        json!({"budget": BUDGET, "runtime": runtime, "page": page, "files": files, "parts": self.parts})
    }

    /// The sizes as tables.
    pub(crate) fn report(&self) -> String {
        let mut out = format!("{:<32}{:>10}{:>10}\n", "file", "bytes", "gzip -9");
        let mut row = |name: &str, s: Size| {
            let _ = writeln!(out, "{name:<32}{:>10}{:>10}", s.raw, s.gzip);
        };
        for runtime in [true, false] {
            for (name, size) in self.files.iter().filter(|(name, _)| is_runtime(name) == runtime) {
                row(&format!("  {name}"), *size);
            }
            row(if runtime { "the runtime" } else { "the page" }, self.total(runtime));
        }
        let total = self.total(true).gzip.max(1);
        out.push_str("the runtime by part\n");
        for (part, gzip) in &self.parts {
            let share = *gzip as f64 * 100.0 / total as f64;
            let _ = writeln!(out, "  {part:<40}{gzip:>10}{share:>8.1} %");
        }
        out
    }

    /// Fails if the runtime exceeds its budget.
    pub(crate) fn gate(&self) -> Outcome {
        let gzip = self.total(true).gzip;
        if gzip <= BUDGET {
            return Ok(());
        }
        Err(format!(
            "the runtime is {gzip} bytes after gzip -9, over the budget of {BUDGET} (xtask/src/sizes.rs); the table \
             above lists the parts"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(files: &[(&str, u64, u64)]) -> BTreeMap<String, Size> {
        files.iter().map(|(name, raw, gzip)| (name.to_string(), Size { raw: *raw, gzip: *gzip })).collect()
    }

    fn example() -> Sizes {
        let files =
            sizes(&[("a_bg.wasm", 900, 300), ("gristmill.js", 100, 50), ("page.js", 40, 20), ("index.html", 9, 9)]);
        let sources = [("node_modules/@a/b/x.js", 60), ("pkg/a.js", 20), ("ts/index.ts", 10)];
        let sources = sources.iter().map(|(s, n)| (s.to_string(), *n)).collect();
        let bundled = Bundled::from([("gristmill.js".to_string(), sources), ("page.js".to_string(), BTreeMap::new())]);
        Sizes { parts: attribute(&files, &bundled), files }
    }

    #[test]
    fn every_byte_of_the_runtime_is_attributed() {
        let sizes = example();
        assert_eq!(sizes.total(true), Size { raw: 1000, gzip: 350 });
        assert_eq!(sizes.total(false), Size { raw: 49, gzip: 29 });
        assert_eq!(sizes.parts.values().sum::<u64>(), 350);
        assert_eq!(sizes.parts["@a/b"], 30);
        assert_eq!(sizes.parts["WebAssembly"], 300);
        assert_eq!(sizes.parts["scripts"], 10);
        assert!(sizes.report().contains("  gristmill.js "), "{}", sizes.report());
    }

    #[test]
    fn the_budget_is_a_gate() {
        let mut sizes = example();
        assert_eq!(sizes.gate(), Ok(()));
        sizes.files.insert("page.js".into(), Size { raw: 1, gzip: BUDGET });
        assert_eq!(sizes.gate(), Ok(()), "the page is not counted");
        sizes.files.insert("chunk-A.js".into(), Size { raw: 1, gzip: BUDGET });
        assert!(sizes.gate().is_err());
    }

    #[test]
    fn compression_is_that_of_gzip() {
        let text = "a text that repeats itself, ".repeat(40);
        let size = gzip(text.as_bytes()).expect("compresses");
        assert!((30..80).contains(&size), "{size}");
    }
}
