//! Models in the file system.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_bundle::files;

use super::files::{Opened, ReadAt, Source};
use super::inside;

/// A model directory, or a model in a single file.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    /// The name of the file; absent for a directory.
    whole: Option<String>,
}

impl Folder {
    /// A model directory. Files outside of it are never read; see `inside`.
    pub fn new(root: &Path) -> Self {
        Folder { root: root.to_path_buf(), whole: None }
    }

    /// A model in a single file, with further parts beside it if it was split. The file may be a link: the user has
    /// named it.
    pub fn around(file: &Path) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Folder { root: file.parent().unwrap_or(Path::new("")).to_path_buf(), whole: Some(name) }
    }
}

impl Source for Folder {
    /// The last part of the path. For a snapshot in the Hub's cache (`models--org--NAME/snapshots/COMMIT`) it is the
    /// name of the model.
    fn name(&self) -> String {
        let absolute = std::fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        let part = |n: usize| absolute.ancestors().nth(n)?.file_name()?.to_str();
        let on_hub = match (part(1), part(2)) {
            (Some("snapshots"), Some(folder)) => {
                folder.strip_prefix("models--").and_then(|name| name.rsplit("--").next())
            }
            _ => None,
        };
        on_hub.or(part(0)).unwrap_or("model").to_string()
    }

    fn whole(&self) -> Option<&str> {
        self.whole.as_deref()
    }

    fn place(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    /// Omits broken links, and names that are not valid Unicode.
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.place(folder))? {
            let entry = entry?;
            if entry.path().is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &str) -> io::Result<Opened> {
        let path = self.root.join(path);
        let file = if self.whole.is_some() { files::open(&path) } else { inside::open(&self.root, &path) };
        Ok(Arc::new(file?))
    }
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// Does not move a cursor, so that threads can share the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        #[cfg(unix)]
        {
            std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
        }
        #[cfg(windows)]
        {
            let mut done = 0;
            while done < buffer.len() {
                let n = std::os::windows::fs::FileExt::seek_read(self, &mut buffer[done..], offset + done as u64)?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                done += n;
            }
            Ok(())
        }
        #[cfg(not(any(unix, windows)))]
        {
            let _ = (buffer, offset);
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
