//! Emitted shaders: all of them are valid for their target, and a few are kept as snapshots to read. `dawn` runs them
//! through Chromium's compiler.
//!
//! `UPDATE=1 cargo test --test suite shaders::` updates `tests/golden/wgsl`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gristmill_compiler::{CompileOptions, Quiet, compile};
use gristmill_tests::goldens::{Case, root};
use gristmill_tests::twins::Memory;

/// All shaders of a golden model by path: `native/rms_norm_160.wgsl`. Compiling validates each with naga, under the
/// capabilities of its target.
pub(crate) fn shaders(case: &str, precision: &str) -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("bundle");
    let options = CompileOptions { precision: precision.into(), ..CompileOptions::default() };
    compile(&Case::open(case).model_dir(), &out, &options, &Quiet).unwrap_or_else(|e| panic!("{case}: {e}"));
    let files = Memory::of(&out).0.into_iter();
    let shader = |(path, content): (String, Vec<u8>)| {
        let path = path.strip_prefix("shaders/")?.to_string();
        Some((path, String::from_utf8(content).expect("UTF-8")))
    };
    files.filter_map(shader).collect()
}

/// The snapshots: shaders, for each target whose text differs from that of the targets before it.
const KEPT: [(&str, &[&str]); 2] = [
    (
        "q4",
        &[
            "rms_norm_160.wgsl",
            "rms_norm_160.subgroups.wgsl",
            "matvec_q4_g32_160x160.wgsl",
            "attention_16x1.wgsl",
            "attention_16x1.subgroups.wgsl",
            "append_keys_2.wgsl",
            "matmul_q4_g32_160x392.wgsl",
            "attention_16x4.wgsl",
            "map_cosine.wgsl",
            "map_h.wgsl",
        ],
    ),
    ("q2", &["matvec_q2_g32_pair_392x160.wgsl", "map_h.wgsl"]),
];

fn golden() -> PathBuf {
    root().join("tests/golden/wgsl")
}

#[test]
fn kept_shaders() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut expected_files = Vec::new();
    for (precision, names) in KEPT {
        let all = shaders("llama/wide", precision);
        for name in names {
            let mut texts = Vec::new();
            let of_name = all.iter().filter(|(path, _)| path.split_once('/').is_some_and(|(_, n)| n == *name));
            for (path, text) in of_name {
                // Targets with the same text share a snapshot, under the name of the first.
                if texts.contains(&text) {
                    continue;
                }
                texts.push(text);
                let (target, file) = path.split_once('/').expect("target and name");
                let file = golden().join(target).join(format!("{precision}.{file}"));
                expected_files.push(file.clone());
                if update {
                    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                    std::fs::write(&file, text).expect("a file");
                } else if std::fs::read_to_string(&file).ok().as_ref() != Some(text) {
                    wrong.push(format!("{} is now\n{text}", file.display()));
                }
            }
            if texts.is_empty() {
                wrong.push(format!("no shader {name} at {precision}; there are {:?}", all.keys()));
            }
        }
    }
    for old in Memory::of(&golden()).0.keys().map(|name| golden().join(name)) {
        if !expected_files.contains(&old) {
            wrong.push(format!("{} is kept but not made", old.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nIf that is right: UPDATE=1", wrong.join("\n"));
}

/// Attention is the longest shader, and its threads wait at barriers.
#[test]
fn attention_is_short_and_waits_seldom() {
    let all = shaders("llama/wide", "q4");
    let mut seen = 0;
    for (path, text) in all.iter().filter(|(path, _)| path.ends_with("attention_16x4.wgsl")) {
        assert!(text.lines().count() <= 160, "{path} has {} lines", text.lines().count());
        let loop_over_keys = text.split("for (var k_tile").nth(1).expect("a loop over tiles of keys");
        // The loop ends at a line with the indentation of its head.
        let tile: Vec<&str> = loop_over_keys.lines().take_while(|line| *line != "    }").collect();
        let barriers = tile.iter().filter(|line| line.contains("workgroupBarrier")).count();
        assert!((1..=6).contains(&barriers), "{path} waits {barriers} times per tile");
        // None of them is inside another loop, where it would be counted once but executed often.
        let inner =
            tile.iter().filter(|line| line.contains("workgroupBarrier") && !line.starts_with("        workgroup"));
        assert_eq!(inner.count(), 0, "{path}");
        seen += 1;
    }
    assert_eq!(seen, 5, "one for each target of WebGPU");
}

#[test]
fn every_shader_is_valid() {
    let mut count = 0;
    for (case, precision) in [("llama/wide", "f32"), ("bert/base", "f32"), ("bert/base", "q4"), ("bert/base", "q2")] {
        let all = shaders(case, precision);
        for target in ["chrome", "edge", "firefox", "native", "safari"] {
            assert!(all.keys().any(|path| path.starts_with(target)), "{case}: nothing for {target}");
        }
        for (path, text) in &all {
            // A variant must not need what it does not declare.
            assert_eq!(text.contains("enable subgroups;"), path.contains(".subgroups"), "{case}: {path}");
            assert!(!text.contains("enable f16;"), "{case}: {path}");
            count += 1;
        }
    }
    assert!(count > 400, "{count} shaders");
}
