//! The allocator of linear memory.

use std::collections::BTreeMap;

use crate::gather::gather;

/// The alignment of all blocks in bytes: a cache line.
const ALIGN: u64 = 64;

/// A first-fit allocator. Neighbouring free blocks are merged.
#[derive(Debug)]
pub(super) struct Heap {
    /// Sizes of free blocks by address.
    free: BTreeMap<u64, u64>,
    /// Bytes in use.
    used: u64,
    /// The end of the memory that was ever in use. Memory beyond it is zero.
    high: u64,
}

/// An allocated block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) at: u64,
    pub(super) bytes: u64,
    /// The number of first bytes that may differ from zero.
    pub(super) dirty: u64,
}

impl Heap {
    /// All from `base` to `end` is free.
    pub(super) fn new(base: u64, end: u64) -> Self {
        let base = base.next_multiple_of(ALIGN);
        let end = end / ALIGN * ALIGN;
        let free = gather((base < end).then_some((base, end - base)));
        Heap { free, used: 0, high: base }
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The end of the memory that was ever in use.
    pub(super) fn high(&self) -> u64 {
        self.high
    }

    /// The size of the largest block that could be allocated.
    pub(super) fn largest(&self) -> u64 {
        self.free.values().copied().max().unwrap_or(0)
    }

    /// Allocates the first block that is large enough.
    pub(super) fn take(&mut self, bytes: u64) -> Option<Block> {
        let bytes = bytes.max(1).checked_next_multiple_of(ALIGN)?;
        let (at, size) = self.free.iter().find(|(_, size)| **size >= bytes).map(|(at, size)| (*at, *size))?;
        self.free.remove(&at);
        if size > bytes {
            self.free.insert(at + bytes, size - bytes);
        }
        self.used += bytes;
        let dirty = self.high.saturating_sub(at).min(bytes);
        self.high = self.high.max(at + bytes);
        Some(Block { at, bytes, dirty })
    }

    /// Takes back a block that was never used, because the memory could not grow to hold it. `high` is the previous
    /// value of [`Heap::high`].
    pub(super) fn undo(&mut self, block: Block, high: u64) {
        self.give_back(block);
        self.high = high;
    }

    /// Frees a block.
    pub(super) fn give_back(&mut self, block: Block) {
        let Block { mut at, mut bytes, .. } = block;
        self.used = self.used.saturating_sub(bytes);
        if let Some((before, size)) = self.free.range(..at).next_back().map(|(a, s)| (*a, *s))
            && before + size == at
        {
            self.free.remove(&before);
            at = before;
            bytes += size;
        }
        if let Some(size) = self.free.remove(&(at + bytes)) {
            bytes += size;
        }
        self.free.insert(at, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_neighbours_join() {
        let mut heap = Heap::new(100, 10_000);
        let blocks: Vec<Block> = (0..4).map(|n| heap.take(100 * n).unwrap()).collect();
        assert_eq!(blocks.iter().map(|b| b.at).collect::<Vec<_>>(), [128, 192, 320, 576]);
        assert_eq!((heap.used(), heap.high()), (64 + 128 + 256 + 320, 896));
        heap.give_back(blocks[1]);
        heap.give_back(blocks[3]);
        assert_eq!(heap.take(200).unwrap().at, 576, "the hole in front is too small");
        heap.give_back(blocks[2]);
        let again = heap.take(384).unwrap();
        assert_eq!((again.at, again.dirty), (192, 384), "two holes became one, and their content is old");
        assert_eq!(heap.take(9984).map(|b| b.at), None);
    }

    #[test]
    fn all_that_is_given_back_is_one_block_again() {
        let mut heap = Heap::new(0, 1 << 32);
        let mut state = 1u64;
        let mut blocks = Vec::new();
        for _ in 0..500 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 63 == 0 || blocks.is_empty() {
                let block = heap.take(state >> 40).unwrap();
                assert_eq!(block.at % ALIGN, 0);
                let apart = |b: &Block| b.at + b.bytes <= block.at || block.at + block.bytes <= b.at;
                assert!(blocks.iter().all(apart), "{block:?}");
                blocks.push(block);
            } else {
                heap.give_back(blocks.swap_remove((state >> 20) as usize % blocks.len()));
            }
        }
        blocks.drain(..).for_each(|b| heap.give_back(b));
        assert_eq!((heap.used(), heap.largest()), (0, 1 << 32));
    }
}
