//! Writes the weight stream: tensors one after the other, cut into files that are named by their content.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::manifest::{Component, Shard, Tensor};
use crate::reader::{hex, shard_path};
use crate::unfinished;
use crate::validate::MAX_SHARD;

/// Tensors begin at multiples of this, which is what graphics devices demand of binding offsets.
const BEGIN: u64 = 256;

/// Tensors and shards are whole multiples of this.
const UNIT: u64 = 16;

/// Pieces that may wait to be written.
const QUEUE: usize = 16;

/// The component of a stream that nobody divides.
const ONLY: &str = "model";

/// What the thread that writes files is told.
#[derive(Debug)]
enum Piece {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// A component ends, and with it a file.
    Cut,
}

/// A complete weight stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WrittenWeights {
    /// Where every tensor lies.
    pub tensors: Vec<Tensor>,
    /// The files.
    pub shards: Vec<Shard>,
    /// How components share them out.
    pub components: Vec<Component>,
}

/// The weight stream in the making. Files are written and hashed on a thread of their own, so that the next bytes can
/// be made meanwhile; at most a few pieces are held in memory.
#[derive(Debug)]
pub struct WeightWriter {
    pieces: Option<SyncSender<Piece>>,
    thread: Option<JoinHandle<Result<Files, Error>>>,
    dir: PathBuf,
    position: u64,
    /// The last one is not complete if `open`.
    tensors: Vec<Tensor>,
    open: bool,
    /// Their numbers of shards are not known yet.
    components: Vec<Component>,
}

impl WeightWriter {
    /// Starts the stream of the bundle in `bundle`, with files of `shard_bytes`, rounded down to a multiple of 16
    /// and at most [`MAX_SHARD`]. Only the last file of a component is shorter.
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
        let (tensors, components) = (Vec::new(), Vec::new());
        Ok(Self { pieces: Some(sender), thread: Some(thread), dir, position: 0, tensors, open: false, components })
    }

    /// Begins the next component: tensors from here on belong to it. Without this all belong to one, called `model`.
    ///
    /// # Errors
    /// As [`WeightWriter::put`].
    pub fn component(&mut self, name: &str) -> Result<(), Error> {
        self.end()?;
        // Padding belongs to the component before, so that the files of a component depend on nothing else.
        self.align(BEGIN)?;
        if !self.components.is_empty() {
            self.send(Piece::Cut)?;
        }
        self.components.push(Component { name: name.to_string(), tensors: 0, shards: 0 });
        Ok(())
    }

    /// Begins the next tensor; the one before is complete.
    ///
    /// # Errors
    /// As [`WeightWriter::put`].
    pub fn begin(&mut self, name: &str, shape: &[u64], precision: &str) -> Result<(), Error> {
        if self.components.is_empty() {
            self.component(ONLY)?;
        }
        self.end()?;
        self.align(BEGIN)?;
        if let Some(component) = self.components.last_mut() {
            component.tensors += 1;
        }
        let (name, precision) = (name.to_string(), precision.to_string());
        self.tensors.push(Tensor { name, shape: shape.to_vec(), precision, offset: self.position, bytes: 0 });
        self.open = true;
        Ok(())
    }

    /// Appends bytes to the tensor begun last. Waits if the disk is slower.
    ///
    /// # Errors
    /// If some earlier bytes could not be written.
    pub fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.position += bytes.len() as u64;
        self.send(Piece::Bytes(bytes))
    }

    fn send(&mut self, piece: Piece) -> Result<(), Error> {
        match self.pieces.as_ref().map(|p| p.send(piece)) {
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
        // Padding that follows a complete tensor is not its own.
        if std::mem::take(&mut self.open) {
            self.align(UNIT)?;
            let position = self.position;
            self.tensors.iter_mut().last().into_iter().for_each(|t| t.bytes = position - t.offset);
        }
        Ok(self.tensors.last().map_or(0, |t| t.bytes))
    }

    /// Length of the stream so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Ends the stream; its files are complete afterwards.
    ///
    /// # Errors
    /// As [`WeightWriter::put`].
    pub fn finish(mut self) -> Result<WrittenWeights, Error> {
        self.end()?;
        self.send(Piece::Cut)?;
        let Files { shards, ends } = self.join()?;
        let mut components = std::mem::take(&mut self.components);
        let mut first = 0;
        for (component, end) in components.iter_mut().zip(ends) {
            component.shards = (end - first) as u32;
            first = end;
        }
        Ok(WrittenWeights { tensors: std::mem::take(&mut self.tensors), shards, components })
    }

    fn align(&mut self, alignment: u64) -> Result<(), Error> {
        let missing = self.position.next_multiple_of(alignment) - self.position;
        if missing == 0 { Ok(()) } else { self.put(vec![0; missing as usize]) }
    }

    fn join(&mut self) -> Result<Files, Error> {
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

/// What was written.
#[derive(Debug, Default)]
struct Files {
    shards: Vec<Shard>,
    /// The number of files at the end of each component.
    ends: Vec<usize>,
}

/// A file that is being written.
struct Open {
    file: File,
    hash: Sha256,
    bytes: u64,
}

fn write_all(pieces: &Receiver<Piece>, bundle: &Path, shard_bytes: u64) -> Result<Files, Error> {
    let path = bundle.join("weights/unfinished");
    let failed = |e| Error::io(&path, e);
    let (mut files, mut open) = (Files::default(), None::<Open>);
    for piece in pieces {
        unfinished::check()?;
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Cut => {
                files.shards.extend(open.take().map(|s| close(s, bundle, &path)).transpose()?);
                files.ends.push(files.shards.len());
                continue;
            }
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let shard = match &mut open {
                Some(shard) => shard,
                None => {
                    let file = File::create(&path).map_err(failed)?;
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
                files.shards.extend(open.take().map(|s| close(s, bundle, &path)).transpose()?);
            }
        }
    }
    Ok(files)
}

/// Gives a complete file its name. Equal shards (padding, untrained rows) become one file.
fn close(open: Open, bundle: &Path, unfinished: &Path) -> Result<Shard, Error> {
    let sha256 = hex(&open.hash.finalize());
    drop(open.file);
    let path = bundle.join(shard_path(&sha256));
    std::fs::rename(unfinished, &path).map_err(|e| Error::io(path, e))?;
    Ok(Shard { sha256, bytes: open.bytes })
}
