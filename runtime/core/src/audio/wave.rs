//! Reads WAV files as programs really write them: with missing sizes, truncated, in mu-law, big-endian, or with 64-bit
//! sizes. The command line and the page share this reader, because browsers differ on such files.
//!
//! Layouts: "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, WAVE), EBU Tech 3285 (`bext`) and
//! 3306 (RF64), ITU-R BS.2088 (BW64). Invalid sizes are interpreted as in libsndfile.

use std::io::{ErrorKind, Read};

use super::{check_length, check_rate};

mod sample;

use sample::{Coding, coding};

/// The largest number of channels.
const MAX_CHANNELS: u16 = 64;
/// The largest number of chunks before the samples.
const MAX_CHUNKS: usize = 1 << 10;
/// The number of frames that are decoded at once.
const BLOCK: usize = 4096;
/// Programs that cannot go back to fill in a size write all ones, or a number slightly below 2 GiB.
const UNKNOWN: u32 = 0x7fff_f000;

/// The content of a WAV file.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// The sample rate in Hz.
    pub rate: u32,
    /// The mean of all channels, from -1 to 1.
    pub samples: Vec<f32>,
    /// Faults of the file that do not prevent reading it.
    pub warning: Option<String>,
}

/// Whether a file that begins with these bytes is a WAV file.
pub fn is_wave(head: &[u8]) -> bool {
    head.len() >= 12
        && [b"RIFF", b"RIFX", b"RF64", b"BW64"].iter().any(|id| head.starts_with(*id))
        && head[8..12] == *b"WAVE"
}

/// Reads a file to the end of its samples. Memory grows with the actual samples, not with the size in the header.
///
/// # Errors
/// What is invalid or not supported, as the end of a sentence that names the file.
pub fn read(source: &mut dyn Read) -> Result<Wave, String> {
    let mut file = Chunks::open(source)?;
    let mut format = None;
    let bytes = loop {
        let (id, size) = file.next()?;
        match &id {
            b"ds64" => file.sizes(size)?,
            b"fmt " => format = Some(file.format(size)?),
            b"data" => break file.data_bytes(size),
            _ => file.skip(size)?,
        }
    };
    let format = format.ok_or("its samples come before the chunk `fmt `; save it again")?;
    format.samples(file.source, bytes)
}

/// The chunks of a file, in their order.
struct Chunks<'r> {
    source: &'r mut dyn Read,
    /// Numbers have their highest byte first.
    big: bool,
    /// Bytes of samples as the chunk `ds64` says.
    data: Option<u64>,
    /// What stands behind a chunk of odd length: a byte of padding, which some programs leave out.
    odd: bool,
    count: usize,
}

impl<'r> Chunks<'r> {
    fn open(source: &'r mut dyn Read) -> Result<Self, String> {
        let mut head = [0; 12];
        exact(source, &mut head)?;
        if !is_wave(&head) {
            return Err("it is not a WAV file".to_string());
        }
        Ok(Chunks { source, big: head.starts_with(b"RIFX"), data: None, odd: false, count: 0 })
    }

    /// The next chunk: its name and its length.
    fn next(&mut self) -> Result<([u8; 4], u32), String> {
        self.count += 1;
        if self.count > MAX_CHUNKS {
            return Err(format!("it has more than {MAX_CHUNKS} chunks before its samples; save it again"));
        }
        let mut id = [0; 4];
        exact(self.source, &mut id)?;
        // Names begin with a letter, and padding is a zero.
        if self.odd && !(id[0].is_ascii_alphabetic() && id.iter().all(|b| (b' '..=b'~').contains(b))) {
            id.rotate_left(1);
            exact(self.source, &mut id[3..])?;
        }
        let mut size = [0; 4];
        exact(self.source, &mut size)?;
        let size = self.u32(size);
        self.odd = size % 2 == 1;
        Ok((id, size))
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn skip(&mut self, size: u32) -> Result<(), String> {
        let mut left = size as usize;
        let mut block = [0; 1024];
        while left > 0 {
            let part = left.min(block.len());
            exact(self.source, &mut block[..part])?;
            left -= part;
        }
        Ok(())
    }

    /// Reads the first `N` bytes of a chunk, and skips the rest; what is not there is zero.
    fn head<const N: usize>(&mut self, size: u32) -> Result<[u8; N], String> {
        let mut head = [0; N];
        let own = (size as usize).min(N);
        exact(self.source, &mut head[..own])?;
        self.skip(size - own as u32)?;
        Ok(head)
    }

    /// Reads `ds64`: 64-bit sizes of the file and of its samples.
    fn sizes(&mut self, size: u32) -> Result<(), String> {
        let all: [u8; 16] = self.head(size)?;
        let (low, high) = ([8, 9, 10, 11].map(|i| all[i]), [12, 13, 14, 15].map(|i| all[i]));
        self.data = Some(u64::from(self.u32(low)) | u64::from(self.u32(high)) << 32);
        Ok(())
    }

    /// How many bytes of samples there are; none if that is up to the end of the file.
    fn data_bytes(&self, size: u32) -> Option<u64> {
        match self.data {
            Some(data) if size == u32::MAX => Some(data).filter(|n| (1..1 << 62).contains(n)),
            _ => Some(u64::from(size)).filter(|_| size != 0 && size != u32::MAX),
        }
    }

    fn format(&mut self, size: u32) -> Result<Format, String> {
        if size < 14 {
            return Err(format!("its chunk `fmt ` has {size} bytes, expected 16 or more; save it again"));
        }
        let all: [u8; 40] = self.head(size)?;
        let number = |at: usize| {
            let two = [all[at], all[at + 1]];
            if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
        };
        let channels = number(2);
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(format!("it has {channels} channels; 1 to {MAX_CHANNELS} are supported"));
        }
        let rate = self.u32([4, 5, 6, 7].map(|i| all[i]));
        check_rate(rate).map_err(|e| e.to_string())?;
        let tag = sample::tag(number(0), &all, self.big)?;
        let coding = coding(tag, number(14), number(12), channels)?;
        Ok(Format { rate, channels: channels.into(), coding, big: self.big })
    }
}

/// How samples are stored.
struct Format {
    rate: u32,
    channels: usize,
    coding: Coding,
    big: bool,
}

impl Format {
    /// Decodes what follows, at most so many bytes of it.
    fn samples(&self, source: &mut dyn Read, bytes: Option<u64>) -> Result<Wave, String> {
        let frame = self.channels * self.coding.width();
        let mut samples: Vec<f32> = Vec::new();
        let mut block = vec![0; frame * BLOCK];
        let mut left = bytes.unwrap_or(u64::MAX);
        loop {
            let wanted = left.min(block.len() as u64) as usize;
            let found = fill(source, &mut block[..wanted])?;
            check_length((samples.len() + found / frame) as u64).map_err(|e| e.to_string())?;
            samples.extend(block[..found].chunks_exact(frame).map(|frame| self.mixed(frame)));
            left -= found as u64;
            if found < wanted || left == 0 {
                break;
            }
        }
        let promised = bytes.filter(|n| *n < u64::from(UNKNOWN) || *n > u64::from(u32::MAX)).map(|n| n / frame as u64);
        let warning = promised.filter(|n| *n > samples.len() as u64).map(|n| {
            let found = samples.len();
            format!("the audio file is truncated: it has only {found} of {n} samples, which are used")
        });
        Ok(Wave { rate: self.rate, samples, warning })
    }

    /// The mean of the channels of a frame.
    fn mixed(&self, frame: &[u8]) -> f32 {
        let all = frame.chunks_exact(self.coding.width()).map(|bytes| self.coding.sample(bytes, self.big));
        all.sum::<f32>() / self.channels as f32
    }
}

/// Fills as much as there is.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, String> {
    let mut found = 0;
    while found < buffer.len() {
        match source.read(&mut buffer[found..]) {
            Ok(0) => break,
            Ok(n) => found += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("it cannot be read: {e}")),
        }
    }
    Ok(found)
}

fn exact(source: &mut dyn Read, buffer: &mut [u8]) -> Result<(), String> {
    if fill(source, buffer)? < buffer.len() {
        return Err("it ends before its samples begin".to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
