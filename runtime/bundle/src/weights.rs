//! Writes the weight stream: tensors one after another, in files named by the hash of their content.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::manifest::{Component, Shard, StoredWeight};
use crate::reader::{hex, shard_path};
use crate::sink::Shared;
use crate::validate::MAX_SHARD;

/// The alignment of tensors in bytes, which adapters require of binding offsets.
const BEGIN: u64 = 256;

/// The sizes of tensors and shards are multiples of this, in bytes.
const UNIT: u64 = 16;

/// The largest number of pieces that wait to be written.
const QUEUE: usize = 16;

/// The place of weights in messages.
const FOLDER: &str = "weights";

/// The component of a stream without [`WeightWriter::component`].
const ONLY: &str = "model";

/// A command to the writing thread.
#[derive(Debug)]
enum Piece {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// The end of a component, and thus of a file.
    Cut,
}

/// A complete weight stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WrittenWeights {
    /// The position of every tensor.
    pub tensors: Vec<StoredWeight>,
    /// The files.
    pub shards: Vec<Shard>,
    /// The components: the number of tensors and shards of each.
    pub components: Vec<Component>,
}

/// Writes a weight stream. A separate thread writes and hashes files while the caller produces the next bytes; at most
/// a few pieces are held in memory. On systems without threads, the thread of the caller does it.
#[derive(Debug)]
pub struct WeightWriter {
    writing: Writing,
    position: u64,
    /// The last one is incomplete if `open`.
    tensors: Vec<StoredWeight>,
    open: bool,
    /// Without their numbers of shards, which are not known yet.
    components: Vec<Component>,
}

/// What writes the files.
#[derive(Debug)]
enum Writing {
    Thread { pieces: Option<SyncSender<Piece>>, thread: Option<JoinHandle<Result<Files, Error>>> },
    Caller(Box<Shards>),
}

impl WeightWriter {
    /// Starts the stream, with files of `shard_bytes`, rounded down to a multiple of 16 and at most [`MAX_SHARD`]. Only
    /// the last file of a component is shorter.
    pub(crate) fn new(sink: Shared, shard_bytes: u64) -> Result<Self, Error> {
        let shards = || Shards::new(sink.clone(), shard_bytes);
        let (sender, receiver) = sync_channel(QUEUE);
        let mut own = shards();
        let write = move || {
            receiver.iter().try_for_each(|piece| own.take(piece))?;
            Ok(own.files)
        };
        let writing = match std::thread::Builder::new().name("shards".into()).spawn(write) {
            Ok(thread) => Writing::Thread { pieces: Some(sender), thread: Some(thread) },
            Err(e) if e.kind() == ErrorKind::Unsupported => Writing::Caller(Box::new(shards())),
            Err(e) => return Err(Error::io(FOLDER, e)),
        };
        Ok(Self::written_by(writing))
    }

    fn written_by(writing: Writing) -> Self {
        Self { writing, position: 0, tensors: Vec::new(), open: false, components: Vec::new() }
    }

    /// Begins the next component, to which the following tensors belong. Without this call, there is one called
    /// `model`.
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

    /// Begins the next tensor. The previous one must be complete.
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
        self.tensors.push(StoredWeight { name, shape: shape.to_vec(), precision, offset: self.position, bytes: 0 });
        self.open = true;
        Ok(())
    }

    /// Appends bytes to the current tensor. Blocks while the disk is behind.
    ///
    /// # Errors
    /// If earlier bytes could not be written.
    pub fn put(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.position += bytes.len() as u64;
        self.send(Piece::Bytes(bytes))
    }

    fn send(&mut self, piece: Piece) -> Result<(), Error> {
        match &mut self.writing {
            Writing::Caller(shards) => shards.take(piece),
            Writing::Thread { pieces: Some(pieces), .. } if pieces.send(piece).is_ok() => Ok(()),
            // The thread only leaves early with an error, which says more than the closed channel.
            Writing::Thread { .. } => self.join().map(drop),
        }
    }

    /// Completes the current tensor with padding to a multiple of 16 bytes, and returns its size.
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

    /// The length of the stream so far, in bytes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Ends the stream and completes its files.
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
        match &mut self.writing {
            Writing::Caller(shards) => Ok(std::mem::take(&mut shards.files)),
            Writing::Thread { pieces, thread } => {
                *pieces = None;
                let stopped = || Error::io(FOLDER, io::Error::other("writing was interrupted"));
                thread.take().ok_or_else(stopped)?.join().unwrap_or_else(|_| Err(stopped()))
            }
        }
    }
}

impl Drop for WeightWriter {
    /// Waits for the thread, so that nobody removes files while it still writes some.
    fn drop(&mut self) {
        let _ = self.join();
    }
}

/// The state of writing.
#[derive(Debug, Default)]
struct Files {
    shards: Vec<Shard>,
    /// The number of files at the end of each component.
    ends: Vec<usize>,
}

/// The files, made of pieces.
#[derive(Debug)]
struct Shards {
    sink: Shared,
    shard_bytes: u64,
    /// Hash and bytes of the file that is being written.
    open: Option<(Sha256, u64)>,
    files: Files,
}

impl Shards {
    fn new(sink: Shared, shard_bytes: u64) -> Self {
        let shard_bytes = shard_bytes.clamp(UNIT, MAX_SHARD) / UNIT * UNIT;
        Shards { sink, shard_bytes, open: None, files: Files::default() }
    }

    /// Writes the next piece.
    fn take(&mut self, piece: Piece) -> Result<(), Error> {
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Cut => {
                self.close()?;
                self.files.ends.push(self.files.shards.len());
                return Ok(());
            }
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (hash, written) = self.open.get_or_insert_with(|| (Sha256::new(), 0));
            let room = (self.shard_bytes - *written).min(rest.len() as u64) as usize;
            let (now, later) = rest.split_at(room);
            self.sink.with(|sink| sink.append(now))?;
            hash.update(now);
            *written += room as u64;
            rest = later;
            if *written == self.shard_bytes {
                self.close()?;
            }
        }
        Ok(())
    }

    /// Names a complete file by its hash. Equal shards (padding, untrained rows) become one file.
    fn close(&mut self) -> Result<(), Error> {
        let Some((hash, bytes)) = self.open.take() else { return Ok(()) };
        let sha256 = hex(&hash.finalize());
        self.sink.with(|sink| sink.name(&shard_path(&sha256)))?;
        self.files.shards.push(Shard { sha256, bytes });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::MemorySink;

    /// Two components whose tensors and padding fill several files.
    fn write(mut stream: WeightWriter) -> WrittenWeights {
        for (component, count) in [("a", 3u8), ("b", 2)] {
            stream.component(component).expect("a component");
            for n in 0..count {
                stream.begin(&format!("{component}{n}"), &[100], "q8").expect("a tensor");
                (0..10).for_each(|i| stream.put(vec![n ^ i; 13]).expect("bytes"));
            }
        }
        stream.finish().expect("complete")
    }

    #[test]
    fn who_writes_does_not_change_what_is_written() {
        let (threads, alone) = (MemorySink::default(), MemorySink::default());
        let by_thread = write(WeightWriter::new(Shared::new(threads.clone()), 176).expect("a thread"));
        let shards = Shards::new(Shared::new(alone.clone()), 176);
        let by_caller = write(WeightWriter::written_by(Writing::Caller(Box::new(shards))));
        assert_eq!(by_thread, by_caller);
        let files = threads.take();
        assert!(files.len() > 4, "{}", files.len());
        assert_eq!(files, alone.take());
    }
}
