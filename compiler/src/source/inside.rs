//! Restricts access to files inside a model directory.
//!
//! A directory from someone else may contain a link to any file of this machine, whose content would end up in a
//! published bundle. The cache of the Hub uses links too, from `snapshots/COMMIT` to `blobs`; these are the only ones
//! that are followed.

use std::fs::File;
use std::io;
use std::path::Path;

use gristmill_bundle::files;

/// Maximum number of folders between a snapshot and a file.
const DEEP: usize = 4;
const SNAPSHOTS: &str = "snapshots";
const BLOBS: &str = "blobs";

/// Checks that a file is inside this directory. Missing files pass.
///
/// # Errors
/// If it is a link that leads elsewhere.
fn check(dir: &Path, path: &Path) -> io::Result<()> {
    let (Ok(root), Ok(real)) = (dir.canonicalize(), path.canonicalize()) else { return Ok(()) };
    let blobs = root
        .ancestors()
        .skip(1)
        .take(DEEP)
        .find(|folder| folder.file_name().is_some_and(|name| name == SNAPSHOTS))
        .and_then(|snapshots| Some(snapshots.parent()?.join(BLOBS)));
    if real.starts_with(&root) || blobs.is_some_and(|blobs| real.starts_with(blobs)) {
        return Ok(());
    }
    let message = format!(
        "is a link to {}, outside of the model directory; links are followed in the Hub cache only: copy the file \
         itself",
        real.display()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Opens a regular file of a directory.
///
/// # Errors
/// If it is not a regular file, is outside the directory, or cannot be opened.
pub(super) fn open(dir: &Path, path: &Path) -> io::Result<File> {
    check(dir, path)?;
    files::open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::source::{Folder, Source};
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn folder(path: &Path) -> PathBuf {
        std::fs::create_dir_all(path).expect("a folder");
        path.to_path_buf()
    }

    #[test]
    fn links_stay_inside() {
        let place = tempfile::tempdir().expect("a directory");
        let (model, other) = (folder(&place.path().join("model")), place.path().join("secret"));
        std::fs::write(&other, "s").expect("written");
        std::fs::write(model.join("a"), "a").expect("written");
        symlink("a", model.join("b")).expect("a link");
        symlink(&other, model.join("c")).expect("a link");
        symlink("../secret", model.join("d")).expect("a link");
        symlink("nothing", model.join("e")).expect("a link");
        symlink(&model, place.path().join("link")).expect("a link");
        let read = |dir: &Path, name: &str| Folder::new(dir).read(name, 9);
        for dir in [model.clone(), place.path().join("link")] {
            assert_eq!(read(&dir, "b").expect("inside"), Some(b"a".to_vec()));
            assert_eq!(read(&dir, "e").expect("nothing"), None);
            for name in ["c", "d"] {
                let error = read(&dir, name).expect_err("outside").to_string();
                assert!(error.contains("outside of the model directory"), "{error}");
            }
        }
    }

    #[test]
    fn links_of_the_hub_are_followed() {
        let place = tempfile::tempdir().expect("a directory");
        let repository = place.path().join("models--org--name");
        let (blobs, snapshot) = (folder(&repository.join(BLOBS)), folder(&repository.join("snapshots/0123/1_Pooling")));
        std::fs::write(blobs.join("f00d"), "a").expect("written");
        std::fs::write(repository.join("refs"), "r").expect("written");
        symlink("../../../blobs/f00d", snapshot.join("a")).expect("a link");
        symlink("../../../refs", snapshot.join("b")).expect("a link");
        let snapshot = Folder::new(&snapshot);
        assert_eq!(snapshot.read("a", 9).expect("a blob"), Some(b"a".to_vec()));
        assert!(snapshot.read("b", 9).is_err() && snapshot.has("b") && !snapshot.has("c"));
    }
}
