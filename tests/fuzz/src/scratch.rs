//! Folders for readers of files.

use std::cell::OnceCell;
use std::path::Path;

use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Calls `body` with a folder that contains exactly these files.
pub(crate) fn with_files<T>(files: &[(&str, &[u8])], body: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|cell| {
        // Without a folder to write to, a target is useless.
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
