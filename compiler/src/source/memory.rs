//! Models in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use super::files::{Opened, ReadAt, Source};

/// A model directory in memory.
#[derive(Clone, Debug)]
pub struct Memory {
    name: String,
    files: BTreeMap<String, Arc<Vec<u8>>>,
}

impl Memory {
    /// A model with this name and these files, by path.
    pub fn new(name: impl Into<String>, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files = files.into_iter().map(|(path, content)| (path, Arc::new(content))).collect();
        Memory { name: name.into(), files }
    }
}

impl Source for Memory {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn place(&self, path: &str) -> PathBuf {
        PathBuf::from(&self.name).join(path)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inside = |path: &String| match folder {
            "" => Some(path.clone()),
            _ => path.strip_prefix(folder)?.strip_prefix('/').map(str::to_string),
        };
        let paths: BTreeSet<String> = self.files.keys().filter_map(inside).collect();
        if paths.is_empty() && !folder.is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(paths.into_iter().filter(|path| !path.contains('/')).collect())
    }

    fn open(&self, path: &str) -> io::Result<Opened> {
        match self.files.get(path) {
            Some(content) => Ok(content.clone()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        match range.and_then(|range| self.get(range)) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
