//! Writes the weight stream: tensors one after the other, cut into files that are named by their content.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::manifest::{Shard, Tensor};
use crate::reader::{hex, shard_path};
use crate::validate::MAX_SHARD;

/// Tensors begin at multiples of this, which is what graphics devices demand of binding offsets.
const BEGIN: u64 = 256;

/// Tensors and shards are whole multiples of this.
const UNIT: u64 = 16;

/// Pieces that may wait to be written.
const QUEUE: usize = 16;

/// The weight stream in the making. Files are written and hashed on a thread of their own, so that the next bytes can
/// be made meanwhile; at most a few pieces are held in memory.
#[derive(Debug)]
pub struct WeightWriter {
    pieces: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<Result<Vec<Shard>, Error>>>,
    dir: PathBuf,
    position: u64,
    /// The last one is not complete.
    tensors: Vec<Tensor>,
}

impl WeightWriter {
    /// Starts the stream of the bundle in `bundle`, with files of `shard_bytes`, rounded down to a multiple of 16
    /// and at most [`MAX_SHARD`]. Only the last file is shorter.
    ///
    /// # Errors
    /// If the folder of the files cannot be made.
    pub fn create(bundle: &Path, shard_bytes: u64) -> Result<Self, Error> {
        let dir = bundle.join("weights");
        std::fs::create_dir_all(&dir).map_err(|e| Error::io(&dir, e))?;
        let shard_bytes = shard_bytes.clamp(UNIT, MAX_SHARD) / UNIT * UNIT;
        let (sender, receiver) = sync_channel(QUEUE);
        let place = bundle.to_path_buf();
        let thread = std::thread::Builder::new()
            .name("shards".into())
            .spawn(move || write_all(&receiver, &place, shard_bytes))
            .map_err(|e| Error::io(&dir, e))?;
        Ok(Self { pieces: Some(sender), thread: Some(thread), dir, position: 0, tensors: Vec::new() })
    }

    /// Begins the next tensor; the one before is complete.
    ///
    /// # Errors
    /// As [`WeightWriter::put`].
    pub fn begin(&mut self, name: &str, shape: &[u64], precision: &str) -> Result<(), Error> {
        self.end()?;
        self.align(BEGIN)?;
        let (name, precision) = (name.to_string(), precision.to_string());
        self.tensors.push(Tensor { name, shape: shape.to_vec(), precision, offset: self.position, bytes: 0 });
        Ok(())
    }

    /// Appends bytes to the tensor begun last. Waits if the disk is slower.
    ///
    /// # Errors
    /// If some earlier bytes could not be written.
    pub fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.position += bytes.len() as u64;
        match self.pieces.as_ref().map(|p| p.send(bytes)) {
            Some(Ok(())) => Ok(()),
            // The thread only leaves early with an error, which says more than the closed channel.
            _ => self.join().map(|_| ()),
        }
    }

    /// Completes the tensor begun last, padding it to a multiple of 16 bytes, and gives its size.
    ///
    /// # Errors
    /// As [`WeightWriter::put`].
    pub fn end(&mut self) -> Result<u64, Error> {
        self.align(UNIT)?;
        let position = self.position;
        let Some(tensor) = self.tensors.last_mut() else { return Ok(0) };
        tensor.bytes = position - tensor.offset;
        Ok(tensor.bytes)
    }

    /// Length of the stream so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Ends the stream: where every tensor lies, and the files, which are complete afterwards.
    ///
    /// # Errors
    /// As [`WeightWriter::put`].
    pub fn finish(mut self) -> Result<(Vec<Tensor>, Vec<Shard>), Error> {
        self.end()?;
        let shards = self.join()?;
        Ok((std::mem::take(&mut self.tensors), shards))
    }

    fn align(&mut self, alignment: u64) -> Result<(), Error> {
        let missing = self.position.next_multiple_of(alignment) - self.position;
        if missing == 0 { Ok(()) } else { self.put(vec![0; missing as usize]) }
    }

    fn join(&mut self) -> Result<Vec<Shard>, Error> {
        self.pieces = None;
        let stopped = || Error::io(&self.dir, std::io::Error::other("writing was stopped"));
        self.thread.take().ok_or_else(stopped)?.join().unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for WeightWriter {
    /// Waits for the thread: who removes the folder next must not meet files that are still being made.
    fn drop(&mut self) {
        let _ = self.join();
    }
}

/// A file that is being written.
struct Open {
    file: File,
    hash: Sha256,
    bytes: u64,
}

fn write_all(pieces: &Receiver<Vec<u8>>, bundle: &Path, shard_bytes: u64) -> Result<Vec<Shard>, Error> {
    let unfinished = bundle.join("weights/unfinished");
    let failed = |e| Error::io(&unfinished, e);
    let (mut shards, mut open) = (Vec::new(), None::<Open>);
    for piece in pieces {
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let shard = match &mut open {
                Some(shard) => shard,
                None => {
                    let file = File::create(&unfinished).map_err(failed)?;
                    open.insert(Open { file, hash: Sha256::new(), bytes: 0 })
                }
            };
            let room = (shard_bytes - shard.bytes).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at(room);
            shard.file.write_all(now).map_err(failed)?;
            shard.hash.update(now);
            shard.bytes += room as u64;
            rest = later;
            if shard.bytes == shard_bytes {
                shards.extend(open.take().map(|s| close(s, bundle, &unfinished)).transpose()?);
            }
        }
    }
    shards.extend(open.take().map(|s| close(s, bundle, &unfinished)).transpose()?);
    Ok(shards)
}

/// Gives a complete file its name. Equal shards (padding, untrained rows) become one file.
fn close(open: Open, bundle: &Path, unfinished: &Path) -> Result<Shard, Error> {
    let sha256 = hex(&open.hash.finalize());
    drop(open.file);
    let path = bundle.join(shard_path(&sha256));
    std::fs::rename(unfinished, &path).map_err(|e| Error::io(path, e))?;
    Ok(Shard { sha256, bytes: open.bytes })
}
