//! Caches bundles for all browsers, as long as nothing that they are made from has changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gristmill_bundle::sha256_hex;
use gristmill_runtime::native::list_adapters;
use gristmill_tests::browser::folder;
use gristmill_tests::goldens::root;

use super::bundles::make_all;

/// What is read besides the code, relative to the root. `models` is embedded in the code.
const READ: [&str; 4] = ["examples", "runtime/web/dist", "tests/fixtures", "tests/goldens"];

/// Makes sure that the bundles exist, and keeps them unchanged until the returned file is closed. The first caller
/// compiles them; other tests of this process and other processes wait.
pub(crate) fn bundles() -> File {
    static KEY: Mutex<Option<String>> = Mutex::new(None);
    let mut key = KEY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let key = key.get_or_insert_with(key_of_all);
    let stamp = folder().join("key");
    let is_there = || fs::read_to_string(&stamp).is_ok_and(|found| found == *key);
    fs::create_dir_all(root().join("target/browser")).unwrap();
    let lock = File::create(root().join("target/browser/bundles.lock")).unwrap();
    loop {
        lock.lock_shared().unwrap();
        if is_there() {
            return lock;
        }
        lock.unlock().unwrap();
        lock.lock().unwrap();
        // Another process may have been faster.
        if !is_there() {
            make_all();
            fs::write(&stamp, &*key).unwrap();
        }
        lock.unlock().unwrap();
    }
}

/// A hash of everything that bundles and expectations are made from: this program, which contains the compiler, the
/// runtime and the architectures; the files that it reads; and the adapters, one of which computes the expectations.
fn key_of_all() -> String {
    let program = std::env::current_exe().unwrap();
    let mut all = format!("{}\n{:?}\n", sha256_hex(&fs::read(program).unwrap()), list_adapters());
    for place in READ {
        for file in files(&root().join(place)) {
            let hash = sha256_hex(&fs::read(&file).unwrap());
            all += &format!("{hash} {}\n", file.strip_prefix(root()).unwrap().display());
        }
    }
    sha256_hex(all.as_bytes())
}

/// All files in a folder and its subfolders, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}; run `cargo xtask web` first", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
