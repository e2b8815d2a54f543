//! Reads untrusted files: only regular ones, because a pipe or a device may block or never end, and only up to a
//! maximum size.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The largest size in bytes of a text that people write, such as an architecture, a policy or a template.
pub const MAX_TEXT: u64 = 16 << 20;

/// Opens a regular file.
///
/// # Errors
/// As [`File::open`], or if it is a directory, a pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened, because that waits if it is a pipe.
    check(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// The content of a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`], or if it is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(most));
    }
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // It may grow in between.
    file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > most { Err(too_large(most)) } else { Ok(content) }
}

/// The error for a file with more than `most` bytes.
pub fn too_large(most: u64) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("is larger than {most} bytes, the maximum"))
}

/// The same as a text.
///
/// # Errors
/// As [`read`], or if it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?).map_err(|_| io::Error::new(ErrorKind::InvalidData, "is not UTF-8"))
}

/// Fails unless it is a regular file.
pub(crate) fn check(about: &Metadata) -> io::Result<()> {
    match (about.is_file(), about.is_dir()) {
        (true, _) => Ok(()),
        (_, true) => Err(io::Error::new(ErrorKind::IsADirectory, "is a directory, not a file")),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "is not a regular file (a pipe, a socket or a device)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_limited_size_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a");
        std::fs::write(&path, "mill").expect("written");
        assert_eq!(read_text(&path, 4).expect("a text"), "mill");
        assert!(read(&path, 3).expect_err("too large").to_string().contains("larger than 3 bytes"));
        assert_eq!(read(dir.path(), 3).expect_err("a directory").kind(), ErrorKind::IsADirectory);
        assert_eq!(read(&dir.path().join("b"), 3).expect_err("nothing").kind(), ErrorKind::NotFound);
        std::fs::write(&path, [0xff]).expect("written");
        assert!(read_text(&path, 4).expect_err("no text").to_string().contains("not UTF-8"));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            let error = read(path, 9).expect_err("special").to_string();
            assert!(error.contains("not a regular file"), "{error}");
        }
    }
}
