//! Runs bundles in real browsers, and compares with the native runtime: one test per kind of browser, driven by
//! `tests/browser`. `cargo test --test browsers firefox` runs those of Firefox; `node tests/browser/run.mjs --browser
//! firefox --only PART` runs single cases on the bundles that a test has compiled.

mod bundles;
mod kept;

use std::process::Command;

use gristmill_tests::goldens::root;

/// Runs all cases of a kind of browser.
fn passes(kind: &str) {
    let kept = kept::bundles();
    let out = root().join("target/browser").join(kind);
    let mut driver = Command::new("node");
    driver.arg("tests/browser/run.mjs").args(["--browser", kind, "--out"]).arg(&out).current_dir(root());
    let status = driver.status().unwrap_or_else(|e| panic!("node: {e}; tests/setup.sh installs what the tests need"));
    assert!(status.success(), "{kind}: see above; screenshots and the report are in {}", out.display());
    drop(kept);
}

#[test]
fn chromium() {
    passes("chromium");
}

/// If this browser was not built, `chromium` runs all cases.
#[test]
fn chromium_lavapipe() {
    let named = std::env::var_os("CHROMIUM_LAVAPIPE").map(std::path::PathBuf::from);
    let made = root().join("target/browser/lavapipe/chromium/chromium");
    match named.unwrap_or(made).exists() {
        true => passes("chromium-lavapipe"),
        false => println!("there is no Chromium on lavapipe (tests/browser/lavapipe.sh): `chromium` runs its cases"),
    }
}

#[test]
fn chromium_no_adapter() {
    passes("chromium-no-adapter");
}

#[test]
fn firefox() {
    passes("firefox");
}

#[test]
fn firefox_no_webgpu() {
    passes("firefox-no-webgpu");
}

#[test]
fn webkit() {
    passes("webkit");
}
