//! Memory of the interpreter: buffers as words, shared arrays with a record of who touched what.

use half::f16;

use super::eval::{Lanes, Machine};
use crate::kernel::{Scalar, Shared, Type};

/// Who touched a shared element since the last barrier.
#[derive(Clone, Copy, Default)]
struct Touch {
    /// Workgroup (counted from 1) that wrote it last; 0: never.
    written_by_group: u32,
    /// Epoch and thread of the last write.
    write: (u64, u32),
    /// Epoch and thread of the last read.
    read: (u64, u32),
}

/// Stands for several reading threads.
const MANY: u32 = u32::MAX;

/// A shared array.
pub(super) struct SharedMemory {
    name: String,
    lanes: usize,
    words: Vec<u32>,
    touches: Vec<Touch>,
    group: u32,
    epoch: u64,
}

impl SharedMemory {
    pub(super) fn new(shared: &Shared) -> Self {
        let (lanes, len) = (usize::from(shared.elem.lanes), shared.len as usize);
        let touches = vec![Touch::default(); len];
        SharedMemory { name: shared.name.clone(), lanes, words: vec![0; lanes * len], touches, group: 0, epoch: 0 }
    }

    /// A new workgroup: nothing is written yet.
    pub(super) fn start(&mut self) {
        self.group += 1;
        self.epoch += 1;
    }

    pub(super) fn barrier(&mut self) {
        self.epoch += 1;
    }

    fn touch(&mut self, index: u32, thread: usize) -> Result<&mut Touch, String> {
        let len = self.touches.len();
        let name = &self.name;
        self.touches.get_mut(index as usize).ok_or_else(|| out_of_bounds(name, index, len, thread))
    }

    pub(super) fn load(&mut self, index: &[u32], mask: &[bool], out: &mut [u32]) -> Result<(), String> {
        let (n, epoch, group, lanes) = (mask.len(), self.epoch, self.group, self.lanes);
        for t in (0..n).filter(|t| mask[*t]) {
            let touch = self.touch(index[t], t)?;
            if touch.written_by_group != group {
                return Err(format!("thread {t} reads `{}`[{}] before anything wrote it", self.name, index[t]));
            }
            if touch.write.0 == epoch && touch.write.1 != t as u32 {
                let writer = touch.write.1;
                return Err(format!(
                    "no barrier between the write of thread {writer} and the read of thread {t} at `{}`[{}]",
                    self.name, index[t]
                ));
            }
            let reader = if touch.read.0 == epoch && touch.read.1 != t as u32 { MANY } else { t as u32 };
            touch.read = (epoch, reader);
            for lane in 0..lanes {
                out[lane * n + t] = self.words[index[t] as usize * lanes + lane];
            }
        }
        Ok(())
    }

    pub(super) fn store(&mut self, index: &[u32], value: &[u32], mask: &[bool]) -> Result<(), String> {
        let (n, epoch, group, lanes) = (mask.len(), self.epoch, self.group, self.lanes);
        for t in (0..n).filter(|t| mask[*t]) {
            let touch = self.touch(index[t], t)?;
            for (what, (at, who)) in [("read", touch.read), ("write", touch.write)] {
                if at == epoch && who != t as u32 {
                    let who = if who == MANY { "several threads".to_string() } else { format!("thread {who}") };
                    return Err(format!(
                        "no barrier between the {what} of {who} and the write of thread {t} at `{}`[{}]",
                        self.name, index[t]
                    ));
                }
            }
            touch.write = (epoch, t as u32);
            touch.written_by_group = group;
            for lane in 0..lanes {
                self.words[index[t] as usize * lanes + lane] = value[lane * n + t];
            }
        }
        Ok(())
    }
}

fn out_of_bounds(name: &str, index: u32, len: usize, thread: usize) -> String {
    format!("thread {thread} accesses `{name}`[{index}], which has {len} elements")
}

impl Machine<'_> {
    /// Replaces indices by the elements of a constant array.
    pub(super) fn table(&self, table: usize, words: &mut [u32], mask: &[bool]) -> Result<(), String> {
        let table = &self.kernel.tables[table];
        for (t, word) in words.iter_mut().enumerate().filter(|(t, _)| mask[*t]) {
            let found = table.values.get(*word as usize);
            *word = found.ok_or_else(|| out_of_bounds(&table.name, *word, table.values.len(), t))?.to_bits();
        }
        Ok(())
    }

    fn element(&self, buf: usize, index: u32, thread: usize) -> Result<(Type, usize), String> {
        let buffer = &self.kernel.buffers[buf];
        let lanes = usize::from(buffer.elem.lanes);
        let per_word = if buffer.elem.scalar == Scalar::F16 { 2 } else { 1 };
        let len = self.buffers[buf].len() * per_word / lanes;
        if (index as usize) < len {
            Ok((buffer.elem, index as usize * lanes))
        } else {
            Err(out_of_bounds(&buffer.name, index, len, thread))
        }
    }

    pub(super) fn load(&mut self, buf: usize, index: &[u32], mask: &[bool]) -> Result<Lanes, String> {
        let elem = self.kernel.buffers[buf].elem;
        let n = self.n;
        let mut out = self.zeros(usize::from(elem.lanes));
        for t in (0..n).filter(|t| mask[*t]) {
            let (_, at) = self.element(buf, index[t], t)?;
            for lane in 0..usize::from(elem.lanes) {
                let words = &self.buffers[buf];
                out[lane * n + t] = match elem.scalar {
                    Scalar::F16 => {
                        let half = (words[(at + lane) / 2] >> (16 * ((at + lane) % 2))) as u16;
                        f16::from_bits(half).to_f32().to_bits()
                    }
                    _ => words[at + lane],
                };
            }
        }
        Ok(out)
    }

    pub(super) fn store(&mut self, buf: usize, index: &[u32], value: &[u32], mask: &[bool]) -> Result<(), String> {
        let n = self.n;
        for t in (0..n).filter(|t| mask[*t]) {
            let (elem, at) = self.element(buf, index[t], t)?;
            for lane in 0..usize::from(elem.lanes) {
                let word = value[lane * n + t];
                if elem.scalar == Scalar::F16 {
                    let half = u32::from(f16::from_f32(f32::from_bits(word)).to_bits());
                    let (i, shift) = ((at + lane) / 2, 16 * ((at + lane) % 2));
                    let keep = self.buffers[buf][i] & !(0xffff << shift);
                    self.buffers[buf][i] = keep | (half << shift);
                } else {
                    self.buffers[buf][at + lane] = word;
                }
            }
        }
        Ok(())
    }
}
