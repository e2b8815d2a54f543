//! Chromium's shader compiler accepts the emitted shaders, like naga.

use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill_tests::goldens::root;

use super::shaders::shaders;

/// A driver that Dawn can use: the one that the environment names, else that of Debian's chromium-common.
fn driver() -> Option<PathBuf> {
    let named = std::env::var_os("VK_DRIVER_FILES").map(PathBuf::from);
    let usual = [PathBuf::from("/usr/lib/chromium/vk_swiftshader_icd.json")];
    named.into_iter().chain(usual).find(|path| path.exists())
}

const HOW: &str = "npm ci --prefix tests/dawn (Node 20 or newer), and on Debian `apt install chromium-common` for a Vulkan \
                   driver that Dawn takes, or name another in VK_DRIVER_FILES; or set GRISTMILL_SKIP_DAWN=1";

#[test]
fn chromium_takes_every_shader() {
    if std::env::var("GRISTMILL_SKIP_DAWN").is_ok_and(|v| v == "1") {
        println!("skipped, as GRISTMILL_SKIP_DAWN says");
        return;
    }
    let folder = root().join("tests/dawn");
    assert!(folder.join("node_modules/webgpu").is_dir(), "the npm package webgpu is not installed: {HOW}");
    let driver = driver().unwrap_or_else(|| panic!("no Vulkan driver for Dawn: {HOW}"));
    let dir = tempfile::tempdir().expect("a directory");
    let mut texts: Vec<String> = Vec::new();
    for (case, precision) in [("llama/wide", "q4"), ("bert/base", "q2.g16.asym")] {
        for (path, text) in shaders(case, precision) {
            // Most targets have the same text.
            if !texts.contains(&text) {
                write(&dir.path().join(case.replace('/', "_")).join(path), &text);
                texts.push(text);
            }
        }
    }
    let output = Command::new("node")
        .arg(folder.join("check.mjs"))
        .arg(dir.path())
        .env("VK_DRIVER_FILES", driver)
        .output()
        .unwrap_or_else(|e| panic!("node: {e}: {HOW}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code() != Some(3), "{said}\n{HOW}");
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{} accepted, 0 refused, 0 skipped", texts.len())), "{said}");
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}
