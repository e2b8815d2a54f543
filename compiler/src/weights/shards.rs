//! The weight stream cut into files that are named by their content.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use gristmill_bundle::manifest::Shard;
use sha2::{Digest, Sha256};

use super::error::WeightError;

/// Pieces that may wait to be written.
const QUEUE: usize = 16;

/// Writes and hashes the weight stream on a thread of its own, so that the next tensors are read and quantized
/// meanwhile.
#[derive(Debug)]
pub(crate) struct ShardWriter {
    pieces: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<Result<Vec<Shard>, WeightError>>>,
    dir: PathBuf,
    position: u64,
}

impl ShardWriter {
    /// Creates `dir` and starts the stream.
    pub(crate) fn new(dir: &Path, shard_bytes: u64) -> Result<Self, WeightError> {
        std::fs::create_dir_all(dir).map_err(|e| WeightError::io(dir, "create", &e))?;
        let (sender, receiver) = sync_channel(QUEUE);
        let place = dir.to_path_buf();
        let thread = std::thread::Builder::new()
            .name("shards".into())
            .spawn(move || write_all(&receiver, &place, shard_bytes))
            .map_err(|e| WeightError::io(dir, "start a thread to write to", &e))?;
        Ok(Self { pieces: Some(sender), thread: Some(thread), dir: dir.to_path_buf(), position: 0 })
    }

    /// Bytes so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Appends bytes to the stream. Waits if the disk is slower.
    pub(crate) fn put(&mut self, bytes: Vec<u8>) -> Result<(), WeightError> {
        self.position += bytes.len() as u64;
        match self.pieces.as_ref().map(|p| p.send(bytes)) {
            Some(Ok(())) => Ok(()),
            // The thread only leaves early with an error, which says more than the closed channel.
            _ => self.join().map(|_| ()),
        }
    }

    /// Appends zeros up to a multiple of `alignment`.
    pub(crate) fn align(&mut self, alignment: u64) -> Result<(), WeightError> {
        let missing = self.position.next_multiple_of(alignment) - self.position;
        if missing == 0 { Ok(()) } else { self.put(vec![0; missing as usize]) }
    }

    /// Ends the stream; its files are complete afterwards.
    pub(crate) fn finish(mut self) -> Result<Vec<Shard>, WeightError> {
        self.join()
    }

    fn join(&mut self) -> Result<Vec<Shard>, WeightError> {
        self.pieces = None;
        let stopped = || WeightError::new(&self.dir, "writing was stopped", "free memory or disk space and try again");
        self.thread.take().ok_or_else(stopped)?.join().unwrap_or_else(|_| Err(stopped()))
    }
}

/// A file that is being written.
struct Open {
    file: File,
    hash: Sha256,
    bytes: u64,
}

fn write_all(pieces: &Receiver<Vec<u8>>, dir: &Path, shard_bytes: u64) -> Result<Vec<Shard>, WeightError> {
    let unfinished = dir.join("unfinished");
    let (mut shards, mut open) = (Vec::new(), None::<Open>);
    for piece in pieces {
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let shard = match &mut open {
                Some(shard) => shard,
                None => {
                    let file = File::create(&unfinished).map_err(|e| WeightError::io(&unfinished, "create", &e))?;
                    open.insert(Open { file, hash: Sha256::new(), bytes: 0 })
                }
            };
            let room = (shard_bytes - shard.bytes).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at(room);
            shard.file.write_all(now).map_err(|e| WeightError::io(&unfinished, "write", &e))?;
            shard.hash.update(now);
            shard.bytes += room as u64;
            rest = later;
            if shard.bytes == shard_bytes {
                shards.extend(open.take().map(|s| close(s, dir, &unfinished)).transpose()?);
            }
        }
    }
    shards.extend(open.take().map(|s| close(s, dir, &unfinished)).transpose()?);
    Ok(shards)
}

/// Gives a complete file its name.
fn close(open: Open, dir: &Path, unfinished: &Path) -> Result<Shard, WeightError> {
    let sha256: String = open.hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    drop(open.file);
    let path = dir.join(format!("{sha256}.bin"));
    std::fs::rename(unfinished, &path).map_err(|e| WeightError::io(&path, "name the file", &e))?;
    Ok(Shard { sha256, bytes: open.bytes })
}
