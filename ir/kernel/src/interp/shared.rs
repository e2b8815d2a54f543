//! Shared arrays, with a record of accesses by threads.

use crate::kernel::Shared;

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

/// What is wrong with an access.
pub(super) fn out_of_bounds(name: &str, index: u32, len: usize, thread: usize) -> String {
    format!("thread {thread} accesses `{name}`[{index}], which has {len} elements")
}
