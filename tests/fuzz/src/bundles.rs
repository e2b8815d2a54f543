//! The files of a bundle.

use std::sync::OnceLock;

use gristmill_bundle::size::MAX_TEXT;
use gristmill_bundle::{Manifest, Size, extent, parse_manifest, parse_programs};
use gristmill_graph::{Model, verify};
use gristmill_runtime::cpu;
use gristmill_runtime::gpu::{admit, entry_work};

use crate::target::Accepted;

const MANIFEST: &str = include_str!("../corpus/manifest/small.json");

/// A manifest.
pub(crate) fn manifest(data: &[u8]) -> Accepted {
    let Ok(manifest) = parse_manifest(data).map_err(|e| e.to_string()) else { return false };
    manifest.pieces();
    manifest.weight_bytes();
    for entry in &manifest.entries {
        let symbols = extent::ordinary(&manifest, entry, manifest.model.max_context);
        for shape in entry.outputs.iter().map(|o| &o.shape).chain(manifest.states.iter().map(|s| &s.shape)) {
            for size in shape {
                let _ = size.resolve(&manifest.symbol_names()).map(|s| s.eval(&symbols).map_err(|e| e.to_string()));
            }
        }
    }
    true
}

/// The programs of a bundle, up to the point where one would run.
pub(crate) fn programs(data: &[u8]) -> Accepted {
    static SMALL: OnceLock<Manifest> = OnceLock::new();
    let manifest = SMALL.get_or_init(|| parse_manifest(MANIFEST.as_bytes()).expect("the manifest of the corpus"));
    let programs = parse_programs(manifest, "programs/wasm.json", data).map_err(|e| e.to_string());
    let Ok(programs) = programs else { return false };
    let device = cpu::device_info(Default::default(), cpu::ADDRESS_SPACE);
    let _ = admit(manifest, &programs, &device).map_err(|e| e.to_string());
    let _ = cpu::plan(manifest, &programs).map(|plan| plan.reserve(0, cpu::ADDRESS_SPACE)).map_err(|e| e.to_string());
    for entry in &manifest.entries {
        let _ = entry_work(manifest, &programs, &entry.name, &[]).map_err(|e| e.to_string());
    }
    true
}

/// The graph of a bundle.
pub(crate) fn graph(data: &[u8]) -> Accepted {
    let Ok(model) = serde_json::from_slice::<Model>(data) else { return false };
    let verified = verify(&model).map_err(|faults| faults.join("; ")).is_ok();
    if verified {
        for entry in &model.entries {
            let graph = model.entry_graph(entry, true);
            model.components_of(&graph.with_symbols(&entry.bind));
        }
    }
    verified
}

/// A size, evaluated for small numbers and the largest ones.
pub(crate) fn size(data: &[u8]) -> Accepted {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(size) = text.parse::<Size>().map_err(|e| e.to_string()) else { return false };
    assert_eq!(size.to_string().parse::<Size>().ok().as_ref(), Some(&size).filter(|s| s.to_string().len() <= MAX_TEXT));
    let Ok(resolved) = size.resolve(&["B", "T", "P", "C"]).map_err(|e| e.to_string()) else { return false };
    for values in [[1, 2, 0, 8], [0; 4], [u32::MAX; 4]] {
        let _ = resolved.eval(&values).map_err(|e| e.to_string());
    }
    true
}
