//! Folders for readers that want files.

use std::cell::OnceCell;
use std::path::Path;

use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Lets `body` read a folder that has just these files.
pub(crate) fn with_files<T>(files: &[(&str, &[u8])], body: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|cell| {
        // A target is worth nothing without a folder to write to.
        let folder = cell.get_or_init(|| TempDir::with_prefix("gristmill-fuzz-").expect("a folder for files"));
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).expect("a file");
        }
        let result = body(folder.path());
        for (name, _) in files {
            std::fs::remove_file(folder.path().join(name)).expect("the file again");
        }
        result
    })
}
