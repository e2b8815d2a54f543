//! Reads a file from front to back through a buffer. The bytes are not trusted.

use std::path::Path;

use crate::source::ReadAt;
use crate::weights::WeightError;

const DAMAGED: &str = "the file is damaged or was not fully downloaded; fetch it again";

/// A position in a file.
pub(super) struct Cursor<'a> {
    path: &'a Path,
    file: &'a dyn ReadAt,
    length: u64,
    /// Position of the next byte.
    at: u64,
    buffer: Vec<u8>,
    /// Position of the buffer in the file.
    from: u64,
}

impl<'a> Cursor<'a> {
    /// Bytes read at a time.
    const PIECE: u64 = 1 << 16;

    pub(super) fn new(path: &'a Path, file: &'a dyn ReadAt) -> Result<Self, WeightError> {
        let length = file.size().map_err(|e| WeightError::io(path, "read", &e))?;
        Ok(Cursor { path, file, length, at: 0, buffer: Vec::new(), from: 0 })
    }

    /// The position of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The length of the file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// An error about this file.
    pub(super) fn wrong(&self, message: impl Into<String>) -> WeightError {
        WeightError::new(self.path, message, DAMAGED)
    }

    /// Fails if the rest of the file cannot hold `count` items of at least `bytes` bytes each.
    pub(super) fn expect(&self, count: u64, bytes: u64, what: &str) -> Result<(), WeightError> {
        match count.checked_mul(bytes) {
            Some(all) if all <= self.length - self.at => Ok(()),
            _ => Err(self.wrong(format!(
                "claims {count} {what} at byte {}, but has only {} bytes in all",
                self.at, self.length
            ))),
        }
    }

    /// The next bytes; at most [`Cursor::PIECE`].
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], WeightError> {
        self.expect(N as u64, 1, "bytes")?;
        let start = self.fill(N as u64)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer[start..start + N]);
        self.at += N as u64;
        Ok(bytes)
    }

    /// Fills the buffer with at least `count` bytes from here on. Returns their position in it.
    fn fill(&mut self, count: u64) -> Result<usize, WeightError> {
        if self.at < self.from || self.at + count > self.from + self.buffer.len() as u64 {
            let size = Self::PIECE.max(count).min(self.length - self.at);
            self.buffer.resize(size as usize, 0);
            self.from = self.at;
            self.file.read_at(&mut self.buffer, self.at).map_err(|e| WeightError::io(self.path, "read", &e))?;
        }
        Ok((self.at - self.from) as usize)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WeightError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WeightError> {
        self.take().map(u64::from_le_bytes)
    }

    /// A length, and a UTF-8 text of that many bytes. `what` names it in messages.
    pub(super) fn text(&mut self, longest: u64, what: &str) -> Result<String, WeightError> {
        let length = self.u64()?;
        if length > longest {
            return Err(self.wrong(format!("{what} claims {length} bytes; at most {longest} are supported")));
        }
        self.expect(length, 1, "bytes of text")?;
        let start = self.fill(length)?;
        let text = std::str::from_utf8(&self.buffer[start..start + length as usize])
            .map(str::to_string)
            .map_err(|e| self.wrong(format!("{what} is not UTF-8: {e}")))?;
        self.at += length;
        Ok(text)
    }
}
