//! Memory of the interpreter: buffers as words, and tables of constants.

use super::machine::{Lanes, Machine};
use super::shared::out_of_bounds;
use crate::kernel::Type;

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
        let len = self.buffers[buf].len() / lanes;
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
                out[lane * n + t] = self.buffers[buf][at + lane];
            }
        }
        Ok(out)
    }

    pub(super) fn store(&mut self, buf: usize, index: &[u32], value: &[u32], mask: &[bool]) -> Result<(), String> {
        let n = self.n;
        for t in (0..n).filter(|t| mask[*t]) {
            let (elem, at) = self.element(buf, index[t], t)?;
            for lane in 0..usize::from(elem.lanes) {
                self.buffers[buf][at + lane] = value[lane * n + t];
            }
        }
        Ok(())
    }
}
